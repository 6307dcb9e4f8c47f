package github

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch"
	"dozens/batch/work"
)

const (
	testAppID  = 77
	testBotID  = 9077
	testRepoID = 501
	testInstID = 31
	sha1       = "1111111111111111111111111111111111111111"
	sha2       = "2222222222222222222222222222222222222222"
	sha3       = "3333333333333333333333333333333333333333"
)

// testKey is made once: making RSA keys takes long.
var testKey = sync.OnceValue(func() work.Secret {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return work.Secret(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// request is one call as it arrived.
type request struct {
	Method, Path, Query, Auth, Body string
	Header                          http.Header
}

// world is a server with prepared answers and an App that speaks to it.
type world struct {
	t    *testing.T
	app  *App
	repo *Repo
	srv  *httptest.Server
	mux  *http.ServeMux
	logs *bytes.Buffer

	mu       sync.Mutex
	requests []request
	now      time.Time
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	w.requests = append(w.requests, request{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), string(body), r.Header.Clone()})
	w.mu.Unlock()
	w.mux.ServeHTTP(rw, r)
}

// clock is what the App takes for the time.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// sent returns the calls of a method and path below the API's root.
func (w *world) sent(method, path string) []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []request
	for _, r := range w.requests {
		if r.Method == method && r.Path == "/api/v3"+path || r.Method == method && r.Path == path {
			out = append(out, r)
		}
	}
	return out
}

// on answers "METHOD /path" below the API's root.
func (w *world) on(pattern string, h http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	w.mux.HandleFunc(method+" /api/v3"+path, h)
}

// gives answers with a status and a JSON value.
func gives(status int, value any) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { give(rw, status, value) }
}

func give(rw http.ResponseWriter, status int, value any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	if text, ok := value.(string); ok {
		_, _ = io.WriteString(rw, text)
		return
	}
	if value != nil {
		_ = json.NewEncoder(rw).Encode(value)
	}
}

// drops carries out nothing more and closes the connection without an answer.
func drops(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

type obj = map[string]any

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, mux: http.NewServeMux(), logs: &bytes.Buffer{}, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.srv = httptest.NewServer(w)
	t.Cleanup(w.srv.Close)
	cfg := Config{
		WebURL: w.srv.URL, V3URL: w.srv.URL + "/api/v3", V4URL: w.srv.URL + "/api/graphql", AppID: testAppID, PrivateKey: testKey(),
		Timeout: 10 * time.Second, RetryWait: time.Millisecond, Now: w.clock,
		Log: zerolog.New(zerolog.SyncWriter(w.logs)).Level(zerolog.DebugLevel),
	}
	for _, f := range change {
		f(&cfg)
	}
	app, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	w.app = app
	w.repo = app.Repo(batch.Repo{ID: testRepoID, Installation: testInstID, Owner: "acme", Name: "shop"})
	w.identity()
	return w
}

// identity answers who the App is, and signs its installation in.
func (w *world) identity() {
	w.on(fmt.Sprintf("POST /app/installations/%d/access_tokens", testInstID), func(rw http.ResponseWriter, r *http.Request) {
		give(rw, 201, obj{"token": "ghs_verysecret", "expires_at": time.Now().Add(time.Hour)})
	})
	w.on("GET /app", gives(200, obj{"id": testAppID, "slug": "dozens"}))
	w.on("GET /app/installations", gives(200, []obj{{"id": testInstID}}))
	w.on("GET /users/{login}", gives(200, obj{"id": testBotID, "login": "dozens[bot]", "type": "Bot"}))
}

func bot() obj { return obj{"login": "dozens[bot]", "id": testBotID, "type": "Bot"} }

func person(login string, id int64) obj { return obj{"login": login, "id": id, "type": "User"} }

// paged answers a list in GitHub's pages, with Link headers. wrap puts a page into the answer's object.
func (w *world) paged(items []obj, wrap func([]obj) any) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		page, size := 1, 30
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		_, _ = fmt.Sscan(r.URL.Query().Get("per_page"), &size)
		last := max(1, (len(items)+size-1)/size)
		if page < last {
			link := func(n int, rel string) string {
				q := r.URL.Query()
				q.Set("page", fmt.Sprint(n))
				return fmt.Sprintf(`<%s%s?%s>; rel="%s"`, w.srv.URL, r.URL.Path, q.Encode(), rel)
			}
			rw.Header().Set("Link", link(page+1, "next")+", "+link(last, "last"))
		}
		from, to := min((page-1)*size, len(items)), min(page*size, len(items))
		give(rw, 200, wrap(items[from:to]))
	}
}

func bare(items []obj) any { return items }
