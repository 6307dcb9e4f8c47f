package handlers

import (
	"net/http"
	"strings"
	"testing"
)

func TestPageIsForWhom(t *testing.T) {
	t.Parallel()
	const open, token = "127.0.0.1:8080", "t0ken"
	for _, tt := range []struct {
		name, listen, token string
		header              []string
		want                int
	}{
		{"loopback", open, "", nil, 200},
		{"loopback, IPv6", "[::1]:8080", "", nil, 200},
		{"loopback by name", "localhost:8080", "", []string{"Host", "localhost:8080"}, 200},
		{"a name that was made to point here", open, "", []string{"Host", "evil.test"}, 403},
		{"through a proxy", open, "", []string{"X-Forwarded-For", "203.0.113.9"}, 403},
		{"reachable, no token set", "0.0.0.0:8080", "", nil, 403},
		{"reachable by an empty host", ":8080", "", nil, 403},
		{"reachable, address not readable", "", "", nil, 200}, // serve() puts in loopback for ""
		{"a token, none shown", "0.0.0.0:8080", token, nil, 403},
		{"a token counts on loopback too", open, token, nil, 403},
		{"wrong bearer", "0.0.0.0:8080", token, []string{"Authorization", "Bearer no"}, 403},
		{"bearer", "0.0.0.0:8080", token, []string{"Authorization", "Bearer " + token}, 200},
		{"wrong cookie", "0.0.0.0:8080", token, []string{"Cookie", "dozens=" + token}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, ServerOptions{View: filled(), Listen: tt.listen, Token: tt.token})
			for _, path := range []string{"/", "/batches/abcd2345", "/tasks/task-1/log", "/web/log.js", "/metrics"} {
				resp, body := get(t, srv.URL+path, tt.header...)
				if resp.StatusCode != tt.want {
					t.Errorf("%s: status %d, want %d", path, resp.StatusCode, tt.want)
				}
				if tt.want == 403 && (strings.Contains(body, "ann") || !strings.Contains(body, "DOZENS_WEB_TOKEN") || strings.Contains(body, token)) {
					t.Errorf("%s: the refusal says\n%s", path, body)
				}
			}
		})
	}
}

func TestTokenInTheAddressBecomesACookie(t *testing.T) {
	t.Parallel()
	srv := serve(t, ServerOptions{View: filled(), Listen: "0.0.0.0:8080", Token: "t0ken"})
	resp, body := get(t, srv.URL+"/batches/abcd2345?token=t0ken")
	cookies := resp.Cookies()
	if resp.StatusCode != 200 || len(cookies) != 1 {
		t.Fatalf("status %d, cookies %v, want one", resp.StatusCode, cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, "t0ken") {
		t.Errorf("cookie %v: want it strict, not for scripts, and not the token itself", c)
	}
	if got := resp.Header.Get("Refresh"); got != "0; url=/batches/abcd2345" || strings.Contains(body, "t0ken") {
		t.Errorf("leads to %q, want the page without the token", got)
	}
	if resp, body := get(t, srv.URL+"/", "Cookie", c.Name+"="+c.Value); resp.StatusCode != 200 || !strings.Contains(body, "ann") {
		t.Errorf("with the cookie: status %d", resp.StatusCode)
	}
	if resp, _ := get(t, srv.URL+"/?token=guess"); resp.StatusCode != 403 || len(resp.Cookies()) != 0 {
		t.Errorf("wrong token: status %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
}
