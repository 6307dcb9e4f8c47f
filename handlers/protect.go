package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

const cookieName = "dozens"

// guard decides who sees the page: with a token, who shows it; without one, only people at this machine.
type guard struct {
	token    string
	loopback bool // the listener cannot be reached from other machines
	refused  func(w http.ResponseWriter, r *http.Request, why string)
}

func newGuard(listen, token string, refused func(http.ResponseWriter, *http.Request, string)) *guard {
	return &guard{token: token, loopback: isLoopback(listen), refused: refused}
}

// protect lets through what may pass.
func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.token == "" && !g.loopback:
			g.refused(w, r, "This page is closed, because the server can be reached from other machines and no token is set. "+
				"Set DOZENS_WEB_TOKEN, or listen on 127.0.0.1.")
		case g.token == "" && !fromHere(r):
			g.refused(w, r, "This page is open only at this machine, under 127.0.0.1 or localhost. "+
				"Set DOZENS_WEB_TOKEN to reach it through a proxy or under another name.")
		case g.token == "" || g.shown(r):
			next.ServeHTTP(w, r)
		case g.same(r.URL.Query().Get("token")):
			g.welcome(w, r)
		default:
			g.refused(w, r, "This page asks for a token: add ?token=… once, with the value of DOZENS_WEB_TOKEN.")
		}
	})
}

// shown says whether the request carries the token, as a cookie or as a bearer.
func (g *guard) shown(r *http.Request) bool {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && g.same(bearer) {
		return true
	}
	c, err := r.Cookie(cookieName)
	return err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(g.cookie())) == 1
}

// welcome sets the cookie and leads on to the same page without the token. It does so by a page and not by a redirect:
// browsers send a strict cookie only when the last step came from ourselves.
func (g *guard) welcome(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: g.cookie(), Path: "/", MaxAge: 30 * 24 * 60 * 60,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Refresh", "0; url=/"+strings.TrimLeft(r.URL.EscapedPath(), "/"))
	say("Welcome. If nothing happens, open the page again without the token.")(w, r)
}

// cookie is derived from the token, so that the token itself is not kept in browsers.
func (g *guard) cookie() string {
	mac := hmac.New(sha256.New, []byte(g.token))
	mac.Write([]byte("web page cookie")) // a hash never returns an error
	return hex.EncodeToString(mac.Sum(nil))
}

// same compares by hashes, so that neither content nor length shows in the time taken.
func (g *guard) same(token string) bool {
	want, got := sha256.Sum256([]byte(g.token)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// isLoopback says whether an address to listen on can be reached from this machine only.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && isLocalName(host)
}

// fromHere says whether a browser on this machine asks for this machine: not a foreign name that was made to point
// here, and not a proxy that passes on what others ask.
func fromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return isLocalName(strings.Trim(host, "[]"))
}

func isLocalName(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
