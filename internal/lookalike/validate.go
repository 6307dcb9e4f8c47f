package lookalike

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"dozens/internal/lookalike/openapi"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// spec holds traffic against GitHub's published documents.
type spec struct {
	api    *openapi3.T
	events *openapi3.T
}

// loadSpec reads the documents once per process: that takes a second, and they never change.
//
//nolint:gochecknoglobals // set once, by itself
var loadSpec = sync.OnceValues(func() (*spec, error) {
	api, err := openapi.API()
	if err != nil {
		return nil, err
	}
	events, err := openapi.Events()
	return &spec{api: api, events: events}, err
})

// Violations are all requests, answers and webhooks so far that do not fit GitHub's documents; empty unless
// Options.Validate is set. The documents are not the whole truth; these are let through:
//
//   - error answers with a status that the operation does not list, if they have GitHub's common shape
//     (the documents list 401, 403, 404, 422, 429 and 5xx for few operations);
//   - the body null where a body is optional (installation tokens are asked for so);
//   - contents without a path, which is the root folder;
//   - /repositories/{id}, where redirects lead: its requests are held against the named repository's,
//     or against nothing when the repository is gone;
//   - GET /app/installations, whose list asks of each account to be a user and an enterprise at once;
//   - fields of answers that the document does not know, as GitHub sends many;
//   - a raw file or a diff asked for by Accept, which the documents describe as JSON;
//
// Intercepted answers are not checked. Requests to operations that are not served are violations.
func (g *GitHub) Violations() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.violations)
}

// check holds one REST exchange against the document.
func (s *spec) check(g *GitHub, c *call, status int, header http.Header, raw []byte) {
	found := s.exchange(c, status, header, raw)
	if len(found) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, text := range found {
		g.violations = append(g.violations, fmt.Sprintf("%s %s → %d: %s", c.r.Method, c.r.URL.Path, status, text))
	}
}

func (s *spec) exchange(c *call, status int, header http.Header, raw []byte) []string {
	if c.route == nil {
		if status == http.StatusNotFound && strings.Contains(c.r.URL.Path, "/repositories/") {
			return nil
		}
		return []string{"request: no such operation here"}
	}
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	item := s.api.Paths.Value(c.route.specPath())
	if item == nil || item.GetOperation(method) == nil {
		return []string{"request: the operation is not in the document"}
	}
	op := item.GetOperation(method)
	params := maps.Clone(c.params)
	if path, given := params["path"]; given && path == "" {
		params["path"] = "." // the root folder
	}
	in := &openapi3filter.RequestValidationInput{Request: c.replay(op), PathParams: params, QueryParams: c.r.URL.Query(),
		Route:   &routers.Route{Spec: s.api, Path: c.route.specPath(), PathItem: item, Method: method, Operation: op},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, MultiError: true}}
	var found []string
	if err := openapi3filter.ValidateRequest(c.r.Context(), in); err != nil {
		found = append(found, texts("request", err)...)
	}
	found = append(found, strangers(c, op)...)
	return append(found, s.answer(c, in, status, header, raw)...)
}

// replay is the request with its body unread; null where a body is optional becomes none.
func (c *call) replay(op *openapi3.Operation) *http.Request {
	body := bytes.TrimSpace(c.body)
	if string(body) == "null" && op.RequestBody != nil && !op.RequestBody.Value.Required {
		body = nil
	}
	r := c.r.Clone(c.r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json") // GitHub reads JSON whatever it is called
	}
	return r
}

// strangers are query parameters and top-level fields that the operation does not know.
func strangers(c *call, op *openapi3.Operation) []string {
	var found []string
	for name := range c.r.URL.Query() {
		if op.Parameters.GetByInAndName("query", name) == nil {
			found = append(found, "request: unknown query parameter "+name)
		}
	}
	if op.RequestBody == nil {
		return found
	}
	media := op.RequestBody.Value.Content.Get("application/json")
	var body map[string]any
	if media == nil || len(media.Schema.Value.Properties) == 0 || json.Unmarshal(c.body, &body) != nil {
		return found
	}
	for name := range body {
		if media.Schema.Value.Properties[name] == nil {
			found = append(found, "request: unknown field "+name)
		}
	}
	return found
}

func (s *spec) answer(c *call, in *openapi3filter.RequestValidationInput, status int, header http.Header, raw []byte) []string {
	if status >= 400 && in.Route.Operation.Responses.Status(status) == nil {
		return commonShape(raw)
	}
	if !strings.HasPrefix(header.Get("Content-Type"), "application/json") && len(raw) > 0 {
		return nil
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header,
		Body: io.NopCloser(bytes.NewReader(raw)), Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}}
	if err := openapi3filter.ValidateResponse(c.r.Context(), out); err != nil {
		return slices.DeleteFunc(texts("answer", err), func(text string) bool {
			return c.route.pattern == "/app/installations" && strings.Contains(text, "/account/")
		})
	}
	return nil
}

func commonShape(raw []byte) []string {
	var body struct {
		Message string `json:"message"`
		Doc     string `json:"documentation_url"`
	}
	if err := json.Unmarshal(raw, &body); err != nil || body.Message == "" || body.Doc == "" {
		return []string{"answer: not the common shape of an error"}
	}
	return nil
}

// checkEvent holds a webhook's payload against its schema.
func (s *spec) checkEvent(event, action string, raw []byte) []string {
	name := strings.ReplaceAll(event, "_", "-")
	if action != "" {
		name += "-" + strings.ReplaceAll(action, "_", "-")
	}
	item := s.events.Paths.Value("/" + name)
	if item == nil {
		return []string{"webhook " + name + ": not in the document"}
	}
	var payload any
	if err := json.Unmarshal(raw, &payload); err != nil {
		return []string{"webhook " + name + ": " + err.Error()}
	}
	schema := item.Post.RequestBody.Value.Content.Get("application/json").Schema.Value
	if err := schema.VisitJSON(payload, openapi3.MultiErrors()); err != nil {
		return texts("webhook "+name, err)
	}
	return nil
}

// texts flattens kin-openapi's errors into one short line each.
func texts(what string, err error) []string {
	var many openapi3.MultiError
	if errors.As(err, &many) {
		var out []string
		for _, one := range many {
			out = append(out, texts(what, one)...)
		}
		return out
	}
	var asked *openapi3filter.RequestError
	if errors.As(err, &asked) && asked.Parameter != nil && asked.Err != nil {
		return texts(what+": parameter "+asked.Parameter.Name, asked.Err)
	}
	var field *openapi3.SchemaError
	if errors.As(err, &field) {
		if field.Origin != nil && field.SchemaField != "oneOf" {
			return texts(what, field.Origin)
		}
		return []string{fmt.Sprintf("%s: /%s: %s", what, strings.Join(field.JSONPointer(), "/"), field.Reason)}
	}
	return []string{what + ": " + err.Error()}
}
