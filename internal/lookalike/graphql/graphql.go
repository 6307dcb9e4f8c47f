// Package graphql holds GitHub's published GraphQL schema, cut down to what the look-alike resolves.
//
// schema.graphql comes from npm's @octokit/graphql-schema 15.26.1 (MIT, see LICENSE.md). keep.txt says what is
// kept; ../openapi/prune.sh fetches and cuts it anew. Nothing in it is written by hand.
package graphql

import (
	_ "embed" // the schema is a file
	"fmt"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed schema.graphql
var schema string

// Schema is the schema, parsed.
func Schema() (*ast.Schema, error) {
	s, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: schema})
	if err != nil {
		return nil, fmt.Errorf("load GraphQL schema: %w", err)
	}
	return s, nil
}
