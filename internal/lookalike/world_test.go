package lookalike

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a look-alike with one repository, three people and somebody who takes the webhooks.
type world struct {
	*testing.T
	g     *GitHub
	shop  *Repo
	ada   Person // admin, write, read
	grace Person
	eve   Person
	hook  *receiver
}

// newWorld starts one; whatever traffic a test causes must fit GitHub's documents.
func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	opt := Options{Dir: t.TempDir(), Validate: true}
	for _, f := range change {
		f(&opt)
	}
	g, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, g: g, hook: newReceiver(t, g.App().WebhookSecret)}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range g.Violations() {
			t.Errorf("not as GitHub's documents say: %s", v)
		}
	})
	g.SetWebhook(w.hook.URL)
	w.ada, w.grace, w.eve = must(g.AddPerson("ada", "User"))(t), must(g.AddPerson("grace", "User"))(t), must(g.AddPerson("eve", "User"))(t)
	w.shop = must(g.CreateRepo("acme", "shop", map[string]string{"README.md": "# Shop\n", "src/a.txt": "one\ntwo\nthree\n"}))(t)
	for login, role := range map[string]string{"ada": "admin", "grace": "write", "eve": "read"} {
		w.try(w.shop.Grant(login, role))
	}
	return w
}

// anyTraffic lets a test ask wrongly on purpose.
func anyTraffic(o *Options) { o.Validate = false }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) try(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// branch pushes files to a branch as ada, and opens a pull request of it.
func (w *world) pull(branch, body string, files map[string]string) *Pull {
	w.Helper()
	must(w.shop.PushTo(branch, "ada", files, "Change "+branch))(w)
	return must(w.shop.OpenPull("ada", "Title of "+branch, body, branch, "main", false))(w)
}

func (w *world) pullState(p *Pull) PullState {
	w.Helper()
	return must(p.State())(w)
}

// answer is what a request was answered with.
type answer struct {
	status int
	header http.Header
	text   string
	body   any
}

func (a answer) list() []any {
	l, _ := a.body.([]any)
	return l
}

// at digs into the answer: "user.login", "0.name".
func (a answer) at(path string) any { return dig(a.body, path) }

func dig(v any, path string) any {
	for _, key := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			n := atoi(key)
			if n >= len(x) {
				return nil
			}
			v = x[n]
		default:
			return nil
		}
	}
	return v
}

// noFollow answers redirects as they are.
func noFollow() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// rest asks the REST API; body nil sends none.
func (w *world) rest(token, method, path string, body any, header ...string) answer {
	w.Helper()
	return w.ask(token, method, strings.TrimSuffix(w.g.V3URL(), "/")+path, body, header...)
}

func (w *world) ask(token, method, url string, body any, header ...string) answer {
	w.Helper()
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(must(json.Marshal(body))(w))
	}
	req := must(http.NewRequestWithContext(w.Context(), method, url, in))(w)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for n := 0; n+1 < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	res := must(noFollow().Do(req))(w)
	defer res.Body.Close()
	raw := must(io.ReadAll(res.Body))(w)
	out := answer{status: res.StatusCode, header: res.Header, text: string(raw)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") && len(raw) > 0 {
		w.try(json.Unmarshal(raw, &out.body))
	}
	return out
}

// want asks and holds the answer to a status.
func (w *world) want(status int, token, method, path string, body any) answer {
	w.Helper()
	a := w.rest(token, method, path, body)
	if a.status != status {
		w.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.text, status)
	}
	return a
}

// claims are those of a good App token.
func (w *world) claims() map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": fmt.Sprint(w.g.App().ID), "iat": now - 30, "exp": now + 300}
}

func (w *world) jwt() string { return w.sign(w.g.App().PrivateKey, w.claims()) }

func (w *world) sign(keyPEM string, claims map[string]any) string {
	w.Helper()
	block, _ := pem.Decode([]byte(keyPEM))
	key := must(x509.ParsePKCS1PrivateKey(block.Bytes))(w)
	enc := func(v any) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(v))(w)) }
	text := enc(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + enc(claims)
	sum := sha256.Sum256([]byte(text))
	signature := must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]))(w)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// token mints an installation token; body nil is one for everything.
func (w *world) token(body any) string {
	w.Helper()
	a := w.want(201, w.jwt(), "POST", fmt.Sprintf("/app/installations/%d/access_tokens", w.shop.InstallationID()), body)
	return a.at("token").(string)
}

// receiver takes webhooks and checks what must be right about every one.
type receiver struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	got    []event
	status int
}

type event struct {
	name, action, guid string
	header             http.Header
	payload            map[string]any
}

func (e event) String() string { return strings.TrimSuffix(e.name+"."+e.action, ".") }

func newReceiver(t *testing.T, secret string) *receiver {
	r := &receiver{t: t, status: http.StatusAccepted}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		raw, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		sum := hmac.New(sha256.New, []byte(secret))
		sum.Write(raw)
		if got, want := q.Header.Get("X-Hub-Signature-256"), "sha256="+hex.EncodeToString(sum.Sum(nil)); got != want {
			t.Errorf("signature of %s: got %s, want %s", q.Header.Get("X-GitHub-Event"), got, want)
		}
		e := event{name: q.Header.Get("X-GitHub-Event"), guid: q.Header.Get("X-GitHub-Delivery"), header: q.Header}
		if err := json.Unmarshal(raw, &e.payload); err != nil {
			t.Error(err)
		}
		e.action, _ = e.payload["action"].(string)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, e)
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// events are those that arrived since the last forget, once all are sent.
func (w *world) events() []event {
	w.Helper()
	w.try(w.g.Drain(w.Context()))
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	return append([]event(nil), w.hook.got...)
}

// names are the events in short, e.g. "issues.opened".
func (w *world) names() []string {
	w.Helper()
	var out []string
	for _, e := range w.events() {
		out = append(out, e.String())
	}
	return out
}

func (w *world) forget() {
	w.Helper()
	w.events()
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	w.hook.got = nil
}

// the finds the only event of that name.
func (w *world) the(name string) event {
	w.Helper()
	var found []event
	for _, e := range w.events() {
		if e.String() == name {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		w.Fatalf("events %s: got %d, want 1; all: %v", name, len(found), w.names())
	}
	return found[0]
}

// git runs the real git without the user's settings; it answers what it wrote, stderr too.
func runGit(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := runGit(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// remote is the address for git with a password in it.
func (w *world) remote(password string) string {
	return strings.Replace(w.shop.CloneURL(), "http://", "http://x-access-token:"+password+"@", 1)
}
