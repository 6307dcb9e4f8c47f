package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dozens/batch"
)

const issuePath = "/repos/acme/shop/issues/5"

func TestReadsAreRetriedThreeTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fails int32
		how   http.HandlerFunc
		calls int
		ok    bool
	}{
		{"server error, then well", 2, gives(502, "<html>"), 3, true},
		{"dropped, then well", 1, drops, 2, true},
		{"never well", 99, gives(500, obj{"message": "oops"}), 3, false},
		{"refusals are not retried", 99, gives(404, obj{"message": "Not Found"}), 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var left atomic.Int32
			left.Store(c.fails)
			w.on("GET "+issuePath, func(rw http.ResponseWriter, r *http.Request) {
				if left.Add(-1) >= 0 {
					c.how(rw, r)
					return
				}
				give(rw, 200, obj{"number": 5, "title": "t"})
			})
			_, err := w.repo.Issue(t.Context(), 5)
			if (err == nil) != c.ok {
				t.Errorf("error: got %v, want ok %v", err, c.ok)
			}
			if got := len(w.sent("GET", issuePath)); got != c.calls {
				t.Errorf("calls: got %d, want %d", got, c.calls)
			}
		})
	}
}

func TestWritesAreSentOnce(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]http.HandlerFunc{"server error": gives(503, "{}"), "dropped": drops} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on("PATCH "+issuePath, how)
			if err := w.repo.CloseIssue(t.Context(), 5); err == nil {
				t.Error("CloseIssue: got nil, want an error")
			}
			if got := len(w.sent("PATCH", issuePath)); got != 1 {
				t.Errorf("calls: got %d, want 1", got)
			}
		})
	}
}

func TestRetriesEndWithContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.RetryWait = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	w.on("GET "+issuePath, func(rw http.ResponseWriter, _ *http.Request) {
		give(rw, 500, "{}")
		time.AfterFunc(20*time.Millisecond, cancel)
	})
	_, err := w.repo.Issue(ctx, 5)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error: got %v, want canceled", err)
	}
	if got := len(w.sent("GET", issuePath)); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}

func TestTimeLimitIsPerAttemptAndNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Timeout = 60 * time.Millisecond })
	w.on("GET "+issuePath, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w.in(t)
	_, err := w.repo.Issue(t.Context(), 5)
	if err == nil || !strings.Contains(err.Error(), "no answer from GitHub within 60ms") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error: got %v, want our own time limit", err)
	}
	if got := len(w.sent("GET", issuePath)); got != readTries {
		t.Errorf("calls: got %d, want %d", got, readTries)
	}
}

// in signs the installation in beforehand, so that a short time limit of a test does not meet the token call.
func (w *world) in(t *testing.T) {
	t.Helper()
	w.on("GET /repos/acme/shop/git/ref/heads/warm", gives(404, "{}"))
	for range 20 {
		if _, err := w.repo.Branch(t.Context(), "warm"); errors.Is(err, ErrNotFound) {
			return
		}
	}
	t.Fatal("no token")
}

func TestRedirectToForeignHostCarriesNoToken(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 308} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			var reached atomic.Int32
			foreign := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				reached.Add(1)
				give(rw, 200, "{}")
			}))
			defer foreign.Close()
			w := newWorld(t)
			away := func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, foreign.URL+"/x", status) }
			w.on("GET "+issuePath, away)
			w.on("PATCH "+issuePath, away)
			if _, err := w.repo.Issue(t.Context(), 5); !errors.Is(err, errForeignHost) {
				t.Errorf("read: got %v, want %v", err, errForeignHost)
			}
			if err := w.repo.CloseIssue(t.Context(), 5); !errors.Is(err, errForeignHost) {
				t.Errorf("write: got %v, want %v", err, errForeignHost)
			}
			if reached.Load() != 0 {
				t.Errorf("foreign host: got %d calls, want 0", reached.Load())
			}
		})
	}
}

func TestTransportGuardsHostByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://elsewhere.invalid/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.app.installation(testInstID).transport.RoundTrip(req); !errors.Is(err, errForeignHost) {
		t.Errorf("got %v, want %v", err, errForeignHost)
	}
}

func TestRedirectKeepsMethodAndBody(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 308} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on("PATCH "+issuePath, func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "/api/v3/repositories/501/issues/5", status)
			})
			w.mux.HandleFunc("/api/v3/repositories/501/issues/5", gives(200, obj{"number": 5}))
			if err := w.repo.CloseIssue(t.Context(), 5); err != nil {
				t.Fatalf("CloseIssue: %v", err)
			}
			got := w.sent("PATCH", "/repositories/501/issues/5")
			if len(got) != 1 || !strings.Contains(got[0].Body, `"closed"`) || got[0].Auth == "" {
				t.Errorf("moved call: got %+v, want one PATCH with body and token", got)
			}
			if n := len(w.sent("GET", "/repositories/501/issues/5")); n != 0 {
				t.Errorf("GETs: got %d, want 0", n)
			}
		})
	}
}

func TestSeeOtherIsNotFollowedByWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("PATCH "+issuePath, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/api/v3/other", 303) })
	w.on("GET /other", gives(200, obj{"number": 5}))
	if err := w.repo.CloseIssue(t.Context(), 5); err == nil {
		t.Error("CloseIssue: got nil, want an error")
	}
}

func TestRedirectsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET "+issuePath, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/api/v3"+issuePath, 302) })
	if _, err := w.repo.Issue(t.Context(), 5); err == nil {
		t.Error("Issue: got nil, want an error")
	}
	if got := len(w.sent("GET", issuePath)); got != maxRedirects+1 {
		t.Errorf("calls: got %d, want %d", got, maxRedirects+1)
	}
}

func TestSuspendedAndRemovedInstallations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		message string
		want    error
	}{
		{403, "This installation has been suspended", ErrSuspended},
		{404, "Not Found", ErrNotFound},
		{401, "A JSON web token could not be decoded", ErrForbidden},
	} {
		w := newWorld(t)
		w.on("POST /app/installations/99/access_tokens", gives(c.status, obj{"message": c.message}))
		repo := w.app.Repo(batch.Repo{ID: 1, Installation: 99, Owner: "acme", Name: "shop"})
		_, err := repo.Issue(t.Context(), 5)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%d: got %v, want %v with GitHub's words", c.status, err, c.want)
		}
	}
}

func TestUnchangedAnswersAreValidatedNotRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var title atomic.Value
	title.Store("one")
	w.on("GET "+issuePath, func(rw http.ResponseWriter, r *http.Request) {
		tag := `"` + title.Load().(string) + `"`
		rw.Header().Set("ETag", tag)
		rw.Header().Set("Cache-Control", "private, max-age=60, s-maxage=60")
		rw.Header().Set("Vary", "Accept, Authorization")
		rw.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)) // a clock ahead of ours
		if r.Header.Get("If-None-Match") == tag {
			rw.WriteHeader(304)
			return
		}
		give(rw, 200, obj{"number": 5, "title": title.Load()})
	})
	for _, want := range []string{"one", "one", "two"} {
		title.Store(want)
		issue, err := w.repo.Issue(t.Context(), 5)
		if err != nil || issue.Title != want {
			t.Fatalf("got %q, %v; want %q", issue.Title, err, want)
		}
	}
	if got := len(w.sent("GET", issuePath)); got != 3 {
		t.Errorf("calls: got %d, want 3: every answer is validated", got)
	}
	if got := w.app.Calls()["not modified"]; got != 1 {
		t.Errorf("not modified: got %d, want 1", got)
	}
}

func TestETagCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newETagCache()
	one, two := c.of(1), c.of(2)
	one.Set("k", []byte("secret"))
	if _, ok := two.Get("k"); ok {
		t.Error("another installation reads the entry")
	}
	one.Set("big", make([]byte, maxETagEntry+1))
	if _, ok := one.Get("big"); ok {
		t.Error("an oversized entry is kept")
	}
	for i := range 2 * maxETagBytes / maxETagEntry {
		one.Set(strconv.Itoa(i), make([]byte, maxETagEntry))
	}
	if c.bytes > maxETagBytes || c.bytes < maxETagBytes/2 {
		t.Errorf("bytes: got %d, want at most %d and not much less", c.bytes, maxETagBytes)
	}
	for i := range 2 * maxETagEntries {
		one.Set("n"+strconv.Itoa(i), nil)
	}
	if c.lru.Len() > maxETagEntries {
		t.Errorf("entries: got %d, want at most %d", c.lru.Len(), maxETagEntries)
	}
}

func TestWritesTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var now, most atomic.Int32
	w.on("PATCH /repos/acme/shop/issues/{n}", func(rw http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		<-time.After(2 * time.Millisecond) // long enough to overlap
		give(rw, 200, "{}")
	})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if err := w.repo.CloseIssue(t.Context(), i+1); err != nil {
				t.Errorf("CloseIssue: %v", err)
			}
		})
	}
	group.Wait()
	if most.Load() != 1 {
		t.Errorf("writes at once: got %d, want 1", most.Load())
	}
}

func TestWritesAreSpaced(t *testing.T) {
	t.Parallel()
	const spacing = 40 * time.Millisecond
	w := newWorld(t, func(c *Config) { c.WriteSpacing = spacing })
	w.on("PATCH "+issuePath, gives(200, "{}"))
	w.in(t)
	start := time.Now()
	for range 3 {
		if err := w.repo.CloseIssue(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 2*spacing {
		t.Errorf("three writes took %s, want at least %s", took, 2*spacing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.repo.CloseIssue(ctx, 5); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for the turn: got %v, want the deadline", err)
	}
}

func TestLogShowsCallsAndNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET "+issuePath, gives(200, obj{"number": 5}))
	if _, err := w.repo.Issue(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	logs := w.logs.String()
	for _, want := range []string{`"method":"GET"`, `"path":"/api/v3` + issuePath + `"`, `"status":200`, `"ms":`} {
		if !strings.Contains(logs, want) {
			t.Errorf("log lacks %s:\n%s", want, logs)
		}
	}
	for _, secret := range []string{"ghs_", "Bearer", "Authorization", "eyJ"} {
		if strings.Contains(logs, secret) {
			t.Errorf("log holds %q:\n%s", secret, logs)
		}
	}
}

func TestRoutesAreBounded(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/api/v3/repos/pulls/merge/pulls/12/merge":     "/repos/*/*/pulls/*/merge",
		"/repos/a/b/contents/pulls/.github/dozens.yml": "/repos/*/*/contents/*",
		"/repos/a/b/git/ref/heads/x/y":                 "/repos/*/*/git/ref/*",
		"/repos/a/b/commits/" + sha1 + "/check-runs":   "/repos/*/*/commits/*/check-runs",
		"/repos/a/b/issues/5/labels/merge":             "/repos/*/*/issues/*/labels/*",
		"/api/v3/users/dozens[bot]":                    "/users/*",
		"/api/v3/app/installations/3/access_tokens":    "/app/installations/*/access_tokens",
		"/api/graphql":                                  "/api/graphql",
		"/api/v3/app/hook/deliveries/12":                "/app/hook/deliveries/*",
		"/repos/a/b/collaborators/somebody/permission":  "/repos/*/*/collaborators/*",
		"/api/v3/repos/a/b/pulls/1/reviews/22/comments": "/repos/*/*/pulls/*/reviews/*/comments",
	} {
		if got := route(path); got != want {
			t.Errorf("route(%q): got %q, want %q", path, got, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no app":       {PrivateKey: testKey()},
		"no key":       {AppID: 1},
		"not a key":    {AppID: 1, PrivateKey: "hush-hush"},
		"not a URL":    {AppID: 1, PrivateKey: testKey(), V3URL: "api.github.com"},
		"credentials":  {AppID: 1, PrivateKey: testKey(), V3URL: "https://me:hush-hush@api.github.com"},
		"other scheme": {AppID: 1, PrivateKey: testKey(), V4URL: "file:///etc/passwd"},
	} {
		_, err := New(c)
		if err == nil {
			t.Errorf("%s: got nil, want an error", name)
			continue
		}
		if strings.Contains(fmt.Sprint(err), "PRIVATE") || strings.Contains(fmt.Sprint(err), "hush-hush") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
}

func TestBadHandlesFailWithoutACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, r := range []batch.Repo{
		{ID: 1, Owner: "acme", Name: "shop"},
		{ID: 1, Installation: testInstID, Owner: "acme/../x", Name: "shop"},
		{ID: 1, Installation: testInstID, Owner: "acme", Name: ".."},
	} {
		if _, err := w.app.Repo(r).Issue(t.Context(), 5); err == nil {
			t.Errorf("%+v: got nil, want an error", r)
		}
	}
	if len(w.requests) != 0 {
		t.Errorf("calls: got %d, want 0", len(w.requests))
	}
}

func TestRedirectRules(t *testing.T) {
	t.Parallel()
	a := &App{hosts: map[string]bool{"api.h": true}}
	for _, c := range []struct {
		from, to, method string
		steps            int
		ok               bool
	}{
		{"https://api.h/a", "https://api.h/b", "GET", 1, true},
		{"https://api.h/a", "https://API.H/b", "GET", maxRedirects, true},
		{"https://api.h/a", "https://api.h/b", "GET", maxRedirects + 1, false},
		{"https://api.h/a", "http://api.h/b", "GET", 1, false},
		{"https://api.h/a", "https://api.h.evil/b", "GET", 1, false},
		{"https://api.h/a", "https://api.h:8443/b", "GET", 1, false},
		{"https://api.h/a", "https://api.h/b", "POST", 1, false}, // begun as a GET
	} {
		first, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.from, nil)
		if err != nil {
			t.Fatal(err)
		}
		next, err := http.NewRequestWithContext(t.Context(), c.method, c.to, nil)
		if err != nil {
			t.Fatal(err)
		}
		via := make([]*http.Request, c.steps)
		for i := range via {
			via[i] = first
		}
		if err := a.checkRedirect(next, via); (err == nil) != c.ok {
			t.Errorf("%s %s to %s after %d: got %v, want ok %v", c.method, c.from, c.to, c.steps, err, c.ok)
		}
	}
}
