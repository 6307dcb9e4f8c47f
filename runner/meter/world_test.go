package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

const realKey = "sk-ant-api03-the-real-key-0123456789"

// upstream is the model's side: a real HTTP server on loopback that keeps what it was asked.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
	body []string
}

func startUpstream(tb testing.TB, answer http.HandlerFunc) *upstream {
	tb.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.seen, u.body = append(u.seen, r), append(u.body, string(body))
		u.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	tb.Cleanup(func() {
		u.CloseClientConnections()
		u.Close()
	})
	return u
}

func (u *upstream) requests() ([]*http.Request, []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*http.Request(nil), u.seen...), append([]string(nil), u.body...)
}

// world is a meter in front of an upstream, with one session on a Unix socket and all that was said and logged.
type world struct {
	up      *upstream
	meter   *Meter
	session *Session
	socket  string
	client  *http.Client
	said    *lines
	logged  *lines
}

// lines collects text from many goroutines.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, fmt.Sprintf(format, args...))
}

func (l *lines) Write(p []byte) (int, error) {
	l.add("%s", p)
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, t := range l.text {
		if strings.Contains(t, part) {
			n++
		}
	}
	return n
}

// newWorld starts everything. change may alter the options; budget is in millionths of a dollar.
func newWorld(tb testing.TB, budget int64, answer http.HandlerFunc, change func(*Options)) *world {
	tb.Helper()
	w := &world{up: startUpstream(tb, answer), said: &lines{}, logged: &lines{}}
	o := Options{BaseURL: w.up.URL, APIKey: realKey, Log: zerolog.New(w.logged)}
	if change != nil {
		change(&o)
	}
	m, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	w.meter = m
	w.session, w.socket = w.open(tb, budget)
	w.client = unixClient(tb, w.socket)
	return w
}

// open starts one more session of the world's meter on a socket of its own.
func (w *world) open(tb testing.TB, budget int64) (*Session, string) {
	tb.Helper()
	dir, err := os.MkdirTemp("", "meter") //nolint:usetesting // a socket's path must be short
	if err != nil {
		tb.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := w.meter.Open(l, Budget{MicroUSD: budget, Say: w.said.add})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Close()
		os.RemoveAll(dir)
	})
	return s, socket
}

func unixClient(tb testing.TB, socket string) *http.Client {
	tb.Helper()
	tr := &http.Transport{
		MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	tb.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// request is a model request with the session's token.
func (w *world) request(tb testing.TB, ctx context.Context, path, body string) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://model"+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("X-Api-Key", w.session.Token())
	r.Header.Set("Anthropic-Version", "2023-06-01")
	return r
}

// post asks and reads the whole answer.
func (w *world) post(tb testing.TB, path, body string) (*http.Response, string) {
	tb.Helper()
	return do(tb, w.client, w.request(tb, tb.Context(), path, body))
}

func do(tb testing.TB, c *http.Client, r *http.Request) (*http.Response, string) {
	tb.Helper()
	resp, err := c.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp, string(text)
}

// message is a plain request for a model.
func message(model string) string {
	return `{"model":"` + model + `","max_tokens":1000,"messages":[{"role":"user","content":"hello"}]}`
}

const opus = "claude-opus-5-5"

// whole answers with one JSON message and this usage.
func whole(usage string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":%s}`, usage)
	}
}

// event writes one server-sent event and flushes it.
func event(w http.ResponseWriter, kind, data string) {
	fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, data)
	_ = http.NewResponseController(w).Flush()
}

const (
	started  = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"usage":{"input_tokens":1000,"output_tokens":1}}}`
	piece    = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"some words of an answer, long enough"}}`
	ended    = `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":100}}`
	finished = `{"type":"message_stop"}`
)

// fails says how an answer differs from an error of the API with this status and these words.
func fails(resp *http.Response, body string, status int, words string) string {
	var e struct {
		Type  string
		Error struct{ Type, Message string }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Type != "error" || e.Error.Type == "" {
		return fmt.Sprintf("status %d, not in the API's shape: %s", resp.StatusCode, body)
	}
	if resp.StatusCode != status || !strings.Contains(e.Error.Message, words) {
		return fmt.Sprintf("got %d %q, want %d %q", resp.StatusCode, e.Error.Message, status, words)
	}
	return ""
}
