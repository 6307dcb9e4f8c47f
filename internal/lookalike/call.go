package lookalike

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody is the longest request body that is read, in bytes.
const maxBody = 32 << 20

// call is one API request on its way.
type call struct {
	g       *GitHub
	r       *http.Request
	body    []byte
	route   *route
	params  map[string]string
	by      actor
	repo    *repository // of {owner}/{repo}, when the asker may know of it
	link    string      // Link header for the answer
	started time.Time
}

// reply is what a handler answers; body nil is an empty one.
type reply struct {
	status int
	header map[string]string
	body   any
}

func ok(body any) (reply, error)      { return reply{status: http.StatusOK, body: body}, nil }
func created(body any) (reply, error) { return reply{status: http.StatusCreated, body: body}, nil }
func noContent() (reply, error)       { return reply{status: http.StatusNoContent}, nil }

// apiError is an answer that says no, as GitHub words and shapes it.
type apiError struct {
	status  int
	message string
	errors  any // list of objects or strings; nil is none
	header  map[string]string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s", e.status, e.message) }

func no(status int, format string, args ...any) *apiError {
	return &apiError{status: status, message: fmt.Sprintf(format, args...)}
}

func notFound() *apiError { return no(http.StatusNotFound, "Not Found") }

// invalid is a 422 with one entry; code "custom" carries a message.
func invalid(resource, code, field, message string) *apiError {
	entry := obj{"resource": resource, "code": code}
	if field != "" {
		entry["field"] = field
	}
	if message != "" {
		entry["message"] = message
	}
	return &apiError{status: http.StatusUnprocessableEntity, message: "Validation Failed", errors: []any{entry}}
}

// refusal is a 422 with plain texts, the shape that reviews use.
func refusal(text string) *apiError {
	return &apiError{status: http.StatusUnprocessableEntity, message: "Unprocessable Entity", errors: []any{text}}
}

// serveREST carries one REST request through: find the route, intercept, ask who it is, handle, validate, answer.
func (g *GitHub) serveREST(w http.ResponseWriter, r *http.Request) {
	c := &call{g: g, r: r, started: g.now()}
	var err error
	if c.body, err = readAll(w, r); err != nil {
		return // the client went away
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3")
	path, c.repo = g.byNumber(path)
	c.route, c.params = match(g.routes, r.Method, path)
	g.answer(w, c, "rest", path, c.handle)
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// answer runs the handler between the two phases of the intercepts, and writes what came of it.
func (g *GitHub) answer(w http.ResponseWriter, c *call, kind, path string, handle func() (reply, error)) {
	pattern := ""
	if c.route != nil {
		pattern = c.route.pattern
	}
	record := Call{Kind: kind, Method: c.r.Method, Path: path, Pattern: pattern, Query: c.r.URL.RawQuery, Body: c.body,
		Time: c.started, Header: c.r.Header.Clone(), Phase: Before}
	record.Header.Del("Authorization")
	record.Actor, record.Installation = g.peek(c.r)
	if act := g.intercept(record); act.given() {
		g.record(record, act.Status)
		act.write(w)
		return
	}
	out, err := handle()
	if err != nil {
		out = c.fail(err)
	}
	record.Actor, record.Installation = c.by.name(), c.by.installID()
	record.Phase, record.Status = After, out.status
	raw, header := c.encode(out)
	if g.spec != nil && kind == "rest" {
		g.spec.check(g, c, out.status, header, raw)
	}
	g.record(record, out.status)
	if act := g.intercept(record); act.given() {
		act.write(w)
		return
	}
	c.write(w, out.status, header, raw)
}

// fail turns an error of a handler into GitHub's shape of it.
func (c *call) fail(err error) reply {
	var e *apiError
	if !errors.As(err, &e) {
		c.g.log.Error().Err(err).Str("path", c.r.URL.Path).Msg("look-alike: handler")
		e = no(http.StatusInternalServerError, "Server Error: %v", err)
	}
	body := obj{"message": e.message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(e.status)}
	if e.errors != nil {
		body["errors"] = e.errors
	}
	return reply{status: e.status, header: e.header, body: body}
}

func (c *call) encode(out reply) ([]byte, http.Header) {
	header := http.Header{}
	header.Set("Server", "github.com")
	header.Set("X-GitHub-Media-Type", "github.v3; format=json")
	header.Set("X-GitHub-Request-Id", strings.ToUpper(randomHex(8)))
	header.Set("X-GitHub-Enterprise-Version", "3.19.0")
	for k, v := range c.g.rateHeaders(c.by) {
		header.Set(k, v)
	}
	for k, v := range out.header {
		header.Set(k, v)
	}
	if c.link != "" {
		header.Set("Link", c.link)
	}
	if out.body == nil {
		return nil, header
	}
	if text, isText := out.body.(string); isText {
		header.Set("Content-Type", "application/vnd.github.v3.diff; charset=utf-8")
		return []byte(text), header
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out.body); err != nil {
		return []byte(`{"message":"Server Error"}`), header
	}
	return bytes.TrimSpace(buf.Bytes()), header
}

// write sends the answer; a GET whose ETag the client has is answered 304.
func (c *call) write(w http.ResponseWriter, status int, header http.Header, raw []byte) {
	for k, v := range header {
		w.Header()[k] = v
	}
	if c.r.Method == http.MethodGet && status == http.StatusOK {
		sum := sha256.Sum256(raw)
		etag := fmt.Sprintf(`W/"%x"`, sum)
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "private, max-age=60, s-maxage=60")
		w.Header().Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
		if have := c.r.Header.Get("If-None-Match"); have != "" && strings.TrimPrefix(have, "W/") == strings.TrimPrefix(etag, "W/") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = w.Write(raw) // the client may have gone
	}
}

// read decodes the JSON body; an empty one and null leave v as it is.
func (c *call) read(v any) error {
	raw := bytes.TrimSpace(c.body)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	err := json.Unmarshal(raw, v)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return no(http.StatusUnprocessableEntity, "Invalid request.\n\nFor '%s', %s is not what was expected.", kind.Field, kind.Value)
	}
	if err != nil {
		return no(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

func (c *call) param(name string) string { return c.params[name] }

func (c *call) number(name string) (int64, error) {
	n, err := strconv.ParseInt(c.params[name], 10, 64)
	if err != nil || n <= 0 {
		return 0, notFound()
	}
	return n, nil
}

// byID finds, in a list, what the path's parameter names.
func byID[T any](c *call, param string, list []T, id func(T) int64) (T, error) {
	var none T
	n, err := c.number(param)
	if err != nil {
		return none, err
	}
	for _, one := range list {
		if id(one) == n {
			return one, nil
		}
	}
	return none, notFound()
}

// found is a handler of what the path names: it is looked for first, and g.mu is held from then on.
func found[T any](find func(*call) (T, error), do func(*call, T) (reply, error)) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		c.g.mu.Lock()
		defer c.g.mu.Unlock()
		one, err := find(c)
		if err != nil {
			return reply{}, err
		}
		return do(c, one)
	}
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

func (c *call) queryInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(c.query(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// page cuts one page out of a list and sets the Link header.
func page[T any](c *call, list []T) []T {
	size := min(c.queryInt("per_page", 30), 100)
	number := c.queryInt("page", 1)
	last := max((len(list)+size-1)/size, 1)
	c.link = c.links(number, last)
	from := min((number-1)*size, len(list))
	return list[from:min(from+size, len(list))]
}

func (c *call) links(number, last int) string {
	var parts []string
	add := func(n int, rel string) {
		q := c.r.URL.Query()
		q.Set("page", strconv.Itoa(n))
		parts = append(parts, c.linkTo(q, rel))
	}
	if number > 1 {
		add(min(number-1, last), "prev")
	}
	if number < last {
		add(number+1, "next")
		add(last, "last")
	}
	if number > 1 {
		add(1, "first")
	}
	return strings.Join(parts, ", ")
}

func (c *call) linkTo(q url.Values, rel string) string {
	return fmt.Sprintf(`<%s%s?%s>; rel="%s"`, c.g.base, c.r.URL.EscapedPath(), q.Encode(), rel)
}
