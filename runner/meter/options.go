package meter

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// Defaults of Options.
const (
	defaultBaseURL   = "https://api.anthropic.com"
	defaultHelperTTL = 5 * time.Minute // as Claude Code's own
	// Less than the ten minutes after which Claude Code gives a request up, so that it hears from us first.
	defaultMaxWait = 2 * time.Minute
)

// Options say where the model is and how the host pays for it.
type Options struct {
	BaseURL   string        // default https://api.anthropic.com; a gateway's may have a path
	APIKey    work.Secret   // sent as x-api-key
	Token     work.Secret   // sent as Authorization: Bearer, as gateways want it
	Headers   string        // further headers for the model's side, one "Name: value" a line; may hold secrets
	Helper    string        // shell command of the operator that prints a key; used when APIKey and Token are empty
	HelperTTL time.Duration // how long its key is kept; default 5 minutes
	Models    []string      // globs (path.Match) of the models that may be used; empty: all
	Prices    Prices        // nil: the built-in table
	MaxWait   time.Duration // the longest a request waits for a pause to end before it is refused; default 2 minutes
	Log       zerolog.Logger
}

// FromEnviron picks the options that Claude Code reads from its environment ("NAME=value"), so that a host is set up
// with the names everybody knows. The rest is left zero.
func FromEnviron(environ []string) Options {
	var o Options
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "ANTHROPIC_API_KEY":
			o.APIKey = work.Secret(value)
		case "ANTHROPIC_AUTH_TOKEN":
			o.Token = work.Secret(value)
		case "ANTHROPIC_BASE_URL":
			o.BaseURL = value
		case "ANTHROPIC_CUSTOM_HEADERS":
			o.Headers = value
		}
	}
	return o
}

// withDefaults fills in what was left empty.
func (o Options) withDefaults() Options {
	if o.BaseURL == "" {
		o.BaseURL = defaultBaseURL
	}
	if o.HelperTTL <= 0 {
		o.HelperTTL = defaultHelperTTL
	}
	if o.MaxWait <= 0 {
		o.MaxWait = defaultMaxWait
	}
	if o.Prices == nil {
		o.Prices = Builtin()
	}
	return o
}

// check reports all that is wrong with the options, without showing a secret.
func (o Options) check() error {
	var all []error
	if _, err := o.base(); err != nil {
		all = append(all, err)
	}
	if _, err := parseHeaders(o.Headers); err != nil {
		all = append(all, err)
	}
	if !fitsHeader(string(o.APIKey)) {
		all = append(all, errors.New("the API key holds characters that no header may have: is there a line break in it?"))
	}
	if !fitsHeader(string(o.Token)) {
		all = append(all, errors.New("the token holds characters that no header may have: is there a line break in it?"))
	}
	for _, glob := range o.Models {
		if _, err := path.Match(glob, ""); err != nil {
			all = append(all, fmt.Errorf("models: %q is not a pattern: %w", glob, err))
		}
	}
	return errors.Join(all...)
}

// base reads BaseURL. Its error never shows the URL's user part.
func (o Options) base() (*url.URL, error) {
	u, err := url.Parse(o.BaseURL)
	switch {
	case err != nil:
		return nil, errors.New("the base URL cannot be read as a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("the base URL must begin with https:// or http:// and name a host")
	case u.User != nil:
		return nil, errors.New("the base URL holds a user or password: give the credential as token or header instead")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the base URL must not have a query or fragment")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// reserved are headers that custom headers must not set: they belong to the connection.
func reserved() []string {
	return []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade",
		"Accept-Encoding", "Content-Encoding", "Content-Type"}
}

// parseHeaders reads "Name: value" lines. Its errors name the line's number, never what stands in it.
func parseHeaders(lines string) (http.Header, error) {
	h := http.Header{}
	var all []error
	for i, line := range strings.Split(lines, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || !isToken(name) || !fitsHeader(value):
			all = append(all, fmt.Errorf("custom headers: line %d is not \"Name: value\"", i+1))
		case slices.Contains(reserved(), name):
			all = append(all, fmt.Errorf("custom headers: line %d sets %s, which belongs to the connection", i+1, name))
		default:
			h.Add(name, value)
		}
	}
	return h, errors.Join(all...)
}

// isToken says whether s may be a header's name (RFC 9110, section 5.1).
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		alnum := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

// fitsHeader says whether s may be a header's value here: printable ASCII.
func fitsHeader(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
