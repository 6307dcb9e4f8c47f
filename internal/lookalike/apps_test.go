package lookalike

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAppTokenIsVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	otherPEM := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)}))
	now := time.Now().Unix()
	for name, tc := range map[string]struct {
		key    string
		change map[string]any
		want   int
	}{
		"good":            {want: 200},
		"number as iss":   {change: map[string]any{"iss": w.g.App().ID}, want: 200},
		"other key":       {key: otherPEM, want: 401},
		"other app":       {change: map[string]any{"iss": "1"}, want: 401},
		"expired":         {change: map[string]any{"exp": now - 1}, want: 401},
		"too far ahead":   {change: map[string]any{"exp": now + 700}, want: 401},
		"from the future": {change: map[string]any{"iat": now + 60}, want: 401},
		"no iat":          {change: map[string]any{"iat": nil}, want: 401},
	} {
		claims := w.claims()
		for k, v := range tc.change {
			claims[k] = v
		}
		key := tc.key
		if key == "" {
			key = w.g.App().PrivateKey
		}
		if got := w.rest(w.sign(key, claims), "GET", "/app", nil); got.status != tc.want {
			t.Errorf("%s: got %d %s, want %d", name, got.status, got.text, tc.want)
		}
	}
	if got := w.want(200, w.jwt(), "GET", "/app", nil).at("slug"); got != "dozens" {
		t.Errorf("slug: got %v, want dozens", got)
	}
}

func TestTokenScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bank := must(w.g.CreateRepo("acme", "bank", map[string]string{"a": "a"}))(t)
	narrow := w.token(map[string]any{"repository_ids": []int64{w.shop.ID()}, "permissions": map[string]string{"contents": "read"}})
	w.want(200, narrow, "GET", "/repos/acme/shop/contents/README.md", nil)
	w.want(404, narrow, "GET", "/repos/acme/bank", nil)
	w.want(403, narrow, "POST", "/repos/acme/shop/issues", map[string]any{"title": "x"})
	w.want(403, narrow, "POST", "/repos/acme/shop/git/refs", map[string]any{"ref": "refs/heads/x", "sha": must(w.shop.Head("main"))(t)})
	w.want(403, narrow, "GET", "/repos/acme/shop/commits/main/check-runs", nil)
	if got := w.want(200, narrow, "GET", "/installation/repositories", nil).at("total_count"); got != 1.0 {
		t.Errorf("repositories of the narrow token: got %v, want 1", got)
	}
	wide := w.token(nil)
	if got := w.want(200, wide, "GET", "/installation/repositories", nil).at("total_count"); got != 2.0 {
		t.Errorf("repositories of the wide token: got %v, want 2", got)
	}
	w.want(403, wide, "GET", "/user", nil)
	tokens := fmt.Sprintf("/app/installations/%d/access_tokens", w.shop.InstallationID())
	w.want(422, w.jwt(), "POST", tokens, map[string]any{"repositories": []string{"nowhere"}})
	w.want(422, w.jwt(), "POST", tokens, map[string]any{"permissions": map[string]string{"workflows": "write"}})
	w.want(404, w.jwt(), "POST", "/app/installations/999999/access_tokens", nil)
	bank.Uninstall()
	w.want(404, wide, "GET", "/repos/acme/bank", nil)
}

func TestTokenEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.token(nil), w.token(nil)
	w.want(204, a, "DELETE", "/installation/token", nil)
	w.want(401, a, "GET", "/repos/acme/shop", nil)
	w.want(200, b, "GET", "/repos/acme/shop", nil)
	w.g.ExpireTokens()
	w.want(401, b, "GET", "/repos/acme/shop", nil)
	c := w.token(nil)
	w.shop.Suspend()
	tokens := fmt.Sprintf("/app/installations/%d/access_tokens", w.shop.InstallationID())
	for _, got := range []answer{w.rest(c, "GET", "/repos/acme/shop", nil), w.rest(w.jwt(), "POST", tokens, nil)} {
		if got.status != 403 || got.at("message") != "This installation has been suspended" {
			t.Errorf("suspended: got %d %s", got.status, got.text)
		}
	}
	w.shop.Unsuspend()
	w.want(200, c, "GET", "/repos/acme/shop", nil)
	if got := strings.Join(w.names(), " "); !strings.Contains(got, "installation.suspend installation.unsuspend") {
		t.Errorf("events: got %s", got)
	}
}

func TestTokenLivesAnHour(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var later atomic.Int64
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return start.Add(time.Duration(later.Load())) } })
	token := w.token(nil)
	later.Store(int64(59 * time.Minute))
	w.want(200, token, "GET", "/repos/acme/shop", nil)
	later.Store(int64(61 * time.Minute))
	w.want(401, token, "GET", "/repos/acme/shop", nil)
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := must(w.g.AddPerson("mallory", "User"))(t)
	w.want(404, "", "GET", "/repos/acme/shop", nil)
	w.want(401, "wrong", "GET", "/repos/acme/shop", nil)
	w.want(404, stranger.Token, "GET", "/repos/acme/shop", nil)
	w.want(200, w.eve.Token, "GET", "/repos/acme/shop", nil)
	w.want(403, w.eve.Token, "PUT", "/repos/acme/shop/issues/1/labels", map[string]any{"labels": []string{"x"}})
	w.shop.SetPublic(true)
	w.want(200, "", "GET", "/repos/acme/shop", nil)
	w.want(401, "", "POST", "/repos/acme/shop/issues", map[string]any{"title": "x"})
	w.want(200, w.ada.Token, "GET", "/user", nil)
	w.want(200, "", "GET", "/users/ada", nil)
	w.want(404, "", "GET", "/users/nobody", nil)
}

func TestPermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.g.AddPerson("tri", "User"))(t)
	must(w.g.AddPerson("main", "User"))(t)
	must(w.g.AddPerson("out", "User"))(t)
	w.try(w.shop.Grant("tri", "triage"))
	w.try(w.shop.Grant("main", "maintain"))
	for login, want := range map[string][2]string{"ada": {"admin", "admin"}, "grace": {"write", "write"}, "eve": {"read", "read"},
		"tri": {"read", "triage"}, "main": {"write", "maintain"}, "out": {"none", "none"}} {
		a := w.want(200, token, "GET", "/repos/acme/shop/collaborators/"+login+"/permission", nil)
		if got := [2]string{a.at("permission").(string), a.at("role_name").(string)}; got != want {
			t.Errorf("%s: got %v, want %v", login, got, want)
		}
	}
	w.want(404, token, "GET", "/repos/acme/shop/collaborators/dozens[bot]/permission", nil)
	w.want(404, token, "GET", "/repos/acme/shop/collaborators/nobody/permission", nil)
	w.want(200, token, "GET", "/repos/acme/shop/collaborators", nil)
	w.want(204, token, "GET", "/repos/acme/shop/collaborators/ada", nil)
	w.want(404, token, "GET", "/repos/acme/shop/collaborators/out", nil)
	w.want(204, token, "GET", "/repos/acme/shop/assignees/ada", nil)
	w.want(200, token, "GET", "/repos/acme/shop/assignees", nil)
}

func TestAppReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/app/installations", fmt.Sprintf("/app/installations/%d", w.shop.InstallationID()), "/repos/acme/shop/installation",
		"/orgs/acme/installation", "/app/hook/config", "/rate_limit", "/meta"} {
		w.want(200, w.jwt(), "GET", path, nil)
	}
	w.want(404, w.jwt(), "GET", "/repos/acme/nowhere/installation", nil)
	w.want(401, w.token(nil), "GET", "/app", nil)
	head := w.want(200, w.token(nil), "GET", "/repos/acme/shop", nil).header
	if head.Get("X-RateLimit-Limit") != "5000" || head.Get("X-RateLimit-Remaining") != "4999" {
		t.Errorf("rate headers: got %s of %s", head.Get("X-RateLimit-Remaining"), head.Get("X-RateLimit-Limit"))
	}
}
