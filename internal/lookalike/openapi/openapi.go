// Package openapi holds GitHub's published OpenAPI documents, cut down to what the look-alike serves and sends.
//
// api.json.gz comes from npm's @octokit/openapi 23.0.2 (api.github.com), events.json.gz from
// @octokit/openapi-webhooks 12.1.0, both MIT, see LICENSE. prune.sh fetches and cuts them anew; operations.txt
// and events.txt say what is kept. Nothing in them is written by hand.
package openapi

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed api.json.gz events.json.gz
var files embed.FS

// API is the document of the REST operations.
func API() (*openapi3.T, error) { return load("api.json.gz") }

// Events is the document of the webhooks: each is a POST to /event-action.
func Events() (*openapi3.T, error) { return load("events.json.gz") }

func load(name string) (*openapi3.T, error) {
	packed, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	raw, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	return doc, nil
}
