package meter

import (
	"net/http"
	"net/textproto"
	"strings"
)

// passed says whether a header of a session goes on to the model's side. It is a list of what is known to be harmless,
// not of what is known to harm: gateways take their orders by headers (another target host, another account, another
// cache), and those are the operator's to give.
func passed(name string) bool {
	switch name {
	case "Accept", "User-Agent", "Anthropic-Version", "Anthropic-Beta", "Anthropic-Dangerous-Direct-Browser-Access", "X-App",
		"X-Client-Request-Id":
		return true
	}
	return strings.HasPrefix(name, "X-Stainless-") || strings.HasPrefix(name, "X-Claude-Code-")
}

// upstreamHeader is what is sent to the model's side, without the credential.
func (m *Meter) upstreamHeader(from http.Header) http.Header {
	h := http.Header{}
	for name, values := range from {
		if passed(textproto.CanonicalMIMEHeaderKey(name)) {
			h[name] = values
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Accept-Encoding", "identity") // a packed answer could not be counted while it passes
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "dozens")
	}
	for name, values := range m.extra {
		if name == "Anthropic-Beta" {
			values = append(values[:len(values):len(values)], h[name]...) // a list: both count
		}
		h[name] = values
	}
	return h
}

// answerHeader copies what a session may see of an answer's headers: no cookies, nothing about whose account it is, and
// nothing that belongs to the other connection.
func (m *Meter) answerHeader(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
			"Transfer-Encoding", "Upgrade", "Content-Length", "Content-Encoding", "Set-Cookie", "Www-Authenticate", "Alt-Svc",
			"Strict-Transport-Security", "Location", "Anthropic-Organization-Id", "Date":
			continue
		}
		for _, v := range values {
			to.Add(name, m.hide(v))
		}
	}
}
