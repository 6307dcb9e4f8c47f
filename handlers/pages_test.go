package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/work"
)

const script = `<script>alert("x")</script>`

// world is a view of values; its logs grow while they are followed.
type world struct {
	batches []BatchRow
	batch   BatchPage
	err     error

	mu    sync.Mutex
	lines []work.Line
	done  bool
	news  chan struct{} // closed and replaced at each change
}

func newWorld() *world { return &world{news: make(chan struct{})} }

func (v *world) Batches(context.Context) ([]BatchRow, error) { return v.batches, v.err }

func (v *world) Batch(_ context.Context, id string) (BatchPage, error) {
	if v.err == nil && id != v.batch.ID {
		return BatchPage{}, fmt.Errorf("batch %s: %w", id, ErrNotFound)
	}
	return v.batch, v.err
}

func (v *world) add(done bool, lines ...work.Line) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lines, v.done = append(v.lines, lines...), done
	close(v.news)
	v.news = make(chan struct{})
}

func (v *world) Tail(ctx context.Context, task string, fn func(work.Line) error) error {
	if task != "task-1" {
		return fmt.Errorf("log of %s: %w", task, ErrNotFound)
	}
	for next := 0; ; {
		v.mu.Lock()
		lines, done, news := v.lines[next:], v.done, v.news
		v.mu.Unlock()
		for _, l := range lines {
			next++
			if err := fn(l); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serve starts a whole server on loopback. Its log is returned when asked for only by the options.
func serve(t *testing.T, opts ServerOptions) *httptest.Server {
	t.Helper()
	opts.Metrics = NewMetrics()
	var err error
	opts.Webhook, err = Webhook(WebhookOptions{Secrets: []string{secret}, Inbox: &memory{}, Metrics: opts.Metrics})
	if err != nil {
		t.Fatal(err)
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:8080"
	}
	opts.Now = func() time.Time { return testNow }
	server, err := Server(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = server
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	return send(t, r)
}

func filled() *world {
	v := newWorld()
	row := BatchRow{
		ID: "abcd2345", Kind: "batch", Title: "Move to v2 " + script, Repo: "acme/shop", Issue: 12,
		IssueURL: "https://github.test/acme/shop/issues/12", Requester: "ann", Stage: "work",
		Done: 3, Failed: 1, Total: 7, CostMicroUSD: 1_230_000, Started: testNow.Add(-90 * time.Second),
	}
	v.batches = []BatchRow{row, {ID: "old", Kind: "claude", Title: "Old", Repo: "acme/shop", IssueURL: "javascript:alert(1)", Stage: "done", Ended: testNow}}
	v.batch = BatchPage{BatchRow: row, BudgetMicroUSD: 20_000_000, Tasks: []TaskRow{
		{ID: "task-1", Label: "api", Title: script, Stage: "run", Waiting: "question", Detail: "which port?", Host: "host-a",
			PR: 34, PRURL: "https://github.test/acme/shop/pull/34", Checks: "3 of 4 green", CostMicroUSD: 400_000, Turns: 9,
			Started: testNow.Add(-2 * time.Hour), Ended: testNow},
	}}
	return v
}

func TestPagesShow(t *testing.T) {
	t.Parallel()
	srv := serve(t, ServerOptions{View: filled(), Unsandboxed: true})
	for _, tt := range []struct {
		path string
		want []string
		not  []string
	}{
		{"/", []string{
			`href="/batches/abcd2345"`, "Move to v2 &lt;script&gt;", `href="https://github.test/acme/shop/issues/12"`, "acme/shop#12",
			"ann", "3/7", "1 failed", "$1.23", "1 min 30 s", `class="stage live"`, `class="stage good"`, `http-equiv="refresh"`,
		}, []string{script, "javascript:"}},
		{"/batches/abcd2345", []string{
			"3 of 7 done, 1 failed", "$1.23 of $20.00", "api", "waits: question", "which port?", `href="https://github.test/acme/shop/pull/34"`,
			"#34", "3 of 4 green", "$0.40", "9 turns", "2 h 00 min", "host-a", `href="/tasks/task-1/log"`,
		}, []string{script}},
		{"/tasks/task-1/log", []string{`data-events="/tasks/task-1/log/events"`, "<noscript>"}, nil},
	} {
		resp, body := get(t, srv.URL+tt.path)
		if resp.StatusCode != 200 {
			t.Errorf("%s: status %d", tt.path, resp.StatusCode)
		}
		for _, want := range append(tt.want, "agents run without a sandbox", `name="viewport"`) {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%s", tt.path, want, body)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(body, not) {
				t.Errorf("%s: %q in\n%s", tt.path, not, body)
			}
		}
		if got := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
			t.Errorf("%s: policy %q", tt.path, got)
		}
	}
}

func TestPagesOfASandboxedServerDoNotWarn(t *testing.T) {
	t.Parallel()
	srv := serve(t, ServerOptions{View: newWorld()})
	if _, body := get(t, srv.URL+"/"); strings.Contains(body, "sandbox") || !strings.Contains(body, "Nothing has been asked yet") {
		t.Errorf("the empty list is\n%s", body)
	}
}

func TestPagesThatAreNotThere(t *testing.T) {
	t.Parallel()
	srv := serve(t, ServerOptions{View: filled()})
	for _, path := range []string{
		"/nothing", "/batches/unknown", "/batches/a%2Fb", "/batches/" + strings.Repeat("a", 65), "/web/head.html", "/web/list.html",
		"/tasks/unknown/log/events", "/tasks/unknown/log/text", "/tasks/..%2f..%2fetc/log", "/tasks/a%20b/log/text",
	} {
		if resp, body := get(t, srv.URL+path); resp.StatusCode != 404 {
			t.Errorf("%s: status %d, want 404:\n%s", path, resp.StatusCode, body)
		}
	}
	for _, path := range []string{"/web/page.css", "/web/log.js"} {
		if resp, body := get(t, srv.URL+path); resp.StatusCode != 200 || len(body) < 500 {
			t.Errorf("%s: status %d, %d bytes", path, resp.StatusCode, len(body))
		}
	}
}

func TestPagesDoNotTellInternalErrors(t *testing.T) {
	t.Parallel()
	v := newWorld()
	v.err = errors.New("no such table: tasks")
	srv := serve(t, ServerOptions{View: v})
	for _, path := range []string{"/", "/batches/abcd2345"} {
		if resp, body := get(t, srv.URL+path); resp.StatusCode != 500 || strings.Contains(body, "table") {
			t.Errorf("%s: status %d, want 500 without the reason:\n%s", path, resp.StatusCode, body)
		}
	}
}

func said(seq int, text string) work.Line {
	data, err := json.Marshal(map[string]any{"type": "assistant", "message": map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}}})
	if err != nil {
		panic(err)
	}
	return work.Line{Task: "task-1", Generation: 1, Seq: seq, At: testNow, Kind: "claude", Data: data}
}

// event is one server-sent event as a browser sees it.
type event struct{ id, name, data string }

func readEvent(t *testing.T, from *bufio.Reader) event {
	t.Helper()
	var e event
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("after %+v: %v", e, err)
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch key {
		case "id":
			e.id = strings.TrimSpace(value)
		case "event":
			e.name = strings.TrimSpace(value)
		case "data":
			e.data = strings.TrimSpace(value)
		case "":
			if e.id != "" || e.name != "" || e.data != "" {
				return e
			}
		}
	}
}

func follow(t *testing.T, ctx context.Context, url, last string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %q", got)
	}
	return bufio.NewReader(resp.Body)
}

func TestLogLateReaderGetsEverything(t *testing.T) {
	t.Parallel()
	v := newWorld()
	v.add(false, said(1, "one "+script), said(2, "two"))
	srv := serve(t, ServerOptions{View: v})
	url := srv.URL + "/tasks/task-1/log/events"

	late := follow(t, t.Context(), url, "")
	for i, want := range []event{
		{id: "1.1", data: `[{"kind":"said","at":"12:00:00","text":"one \u003cscript\u003ealert(\"x\")\u003c/script\u003e"}]`},
		{id: "1.2", data: `[{"kind":"said","at":"12:00:00","text":"two"}]`},
	} {
		if got := readEvent(t, late); got != want {
			t.Errorf("event %d: %+v, want %+v", i, got, want)
		}
	}
	v.add(false, said(3, "three"))
	if got := readEvent(t, late); got.id != "1.3" {
		t.Errorf("the new line came as %+v, want 1.3", got)
	}

	// A browser that lost the connection goes on behind what it has; a new run starts at sequence 1 again.
	again := follow(t, t.Context(), url, "1.2")
	if got := readEvent(t, again); got.id != "1.3" {
		t.Errorf("after 1.2 came %+v, want 1.3", got)
	}
	next := said(1, "again")
	next.Generation = 2
	v.add(true, next)
	for _, r := range []*bufio.Reader{late, again} {
		if got := readEvent(t, r); got.id != "2.1" {
			t.Errorf("the new run's line came as %+v, want 2.1", got)
		}
		if got := readEvent(t, r); got.name != "end" {
			t.Errorf("at the end came %+v", got)
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v, want EOF", err)
		}
	}
}

func TestLogOpensBeforeTheFirstLine(t *testing.T) {
	t.Parallel()
	v := newWorld()
	srv := serve(t, ServerOptions{View: v})
	r := follow(t, t.Context(), srv.URL+"/tasks/task-1/log/events", "") // returns: the header has come
	v.add(true, said(1, "one"))
	if got := readEvent(t, r); got.id != "1.1" {
		t.Errorf("got %+v, want 1.1", got)
	}
}

func TestLogAsText(t *testing.T) {
	t.Parallel()
	v := newWorld()
	v.add(true, said(1, "one\ntwo\x1b[31m"), work.Line{Generation: 1, Seq: 2, At: testNow, Kind: "host", Text: "run over"})
	srv := serve(t, ServerOptions{View: v})
	resp, body := get(t, srv.URL+"/tasks/task-1/log/text")
	want := "12:00:00 said    \n    one\n    two\n12:00:00 host    \n    run over\n(end of the log)\n"
	if body != want || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %q with %v, want %q", body, resp.Header, want)
	}
}

func TestLogReaderWhoLeavesEndsTheTail(t *testing.T) {
	t.Parallel()
	v := &leaving{world: newWorld(), left: make(chan error, 1)}
	v.add(false, said(1, "one"))
	srv := serve(t, ServerOptions{View: v})
	ctx, leave := context.WithCancel(t.Context())
	readEvent(t, follow(t, ctx, srv.URL+"/tasks/task-1/log/events", ""))
	leave()
	if err := <-v.left; !errors.Is(err, context.Canceled) {
		t.Errorf("tail ended with %v, want context canceled", err)
	}
}

// leaving says when a tail has ended.
type leaving struct {
	*world
	left chan error
}

func (l *leaving) Tail(ctx context.Context, task string, fn func(work.Line) error) error {
	err := l.world.Tail(ctx, task, fn)
	l.left <- err
	return err
}

func TestServeEndsLiveLogs(t *testing.T) {
	t.Parallel()
	v := newWorld()
	v.add(false, said(1, "one"))
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hook, err := Webhook(WebhookOptions{Secrets: []string{secret}, Inbox: &memory{}})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := Server(ServerOptions{Webhook: hook, View: v, Listen: ln.Addr().String(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, srv, ln) }()

	r := follow(t, t.Context(), "http://"+ln.Addr().String()+"/tasks/task-1/log/events", "")
	readEvent(t, r)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("serve ended with %v", err)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Errorf("the log broke off with %v, want a clean end", err)
	}
}
