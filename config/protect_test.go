package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestEgress(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for host, want := range map[string]string{
		"registry.npmjs.org": "", "Proxy.Example.com:8443": "", "*.example.com": "", "xn--bcher-kva.example": "", "a.b:65535": "", "1.example.com": "",
		"": "not the full name", "localhost": "not the full name", "*": "not the full name", "*.com": "not the full name", "a.*.com": "not the full name", "*a.example.com": "not the full name",
		"example.com.": "not the full name", ".example.com": "not the full name", "a..b": "not the full name", "-a.com": "not the full name", "a-.com": "not the full name", "a_b.com": "not the full name",
		"a b.com": "not the full name", "bücher.example": "not the full name", long + ".com": "not the full name", strings.Repeat("a.", 126) + "com": "not the full name",
		"127.0.0.1": "not the full name", "10.0.0.1:443": "not the full name", "127.1": "not the full name", "0x7f.0x1": "not the full name", "169.254.169.254": "not the full name",
		"[::1]": "no valid port", "::1": "no valid port", "[::1]:443": "no valid port", "example.com:": "no valid port", "example.com:0": "no valid port", "example.com:65536": "no valid port",
		"example.com:080": "no valid port", "example.com:+80": "no valid port", "example.com:https": "no valid port",
		"https://example.com": "more than a host", "example.com/path": "more than a host", "user@example.com": "not the full name",
	} {
		_, err := ParseRepository(fmt.Appendf(nil, "egress: [%q]", host))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("egress %q: got %v, want %q", host, err, want)
		}
	}
	for n, ok := range map[int]bool{50: true, 51: false} {
		text := "egress: [" + strings.Repeat("a.example, ", n) + "]"
		if _, err := ParseRepository([]byte(text)); (err == nil) != ok {
			t.Errorf("%d hosts: got %v, want ok %v", n, err, ok)
		}
	}
}

func TestProtectedSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"merge: {protected_approvers: [grace, Ada-L]}", ""},
		{"merge: {protected_approvers: [acme/security]}", `merge.protected_approvers[0] (line 1): "acme/security" is a team; name its people`},
		{"merge: {protected_approvers: ['renovate[bot]']}", "is a bot; name people"},
		{"merge: {protected_approvers: ['@ada']}", "without @"}, {"merge: {protected_approvers: ['']}", "is not the name of an account"},
		{"labels: {protected: ''}", "is empty"}, {"labels: {protected: Claude}", "is the same label as one that starts work"}, {"labels: {protected: batch}", "is the same label"},
		{"labels: {protected: Hold}", "keeps pull requests from being merged"}, {"labels: {protected: do-not-merge/x}", "keeps pull requests from being merged"},
		{"paths: {protected: []}", ""}, {"paths: {protected: ['infra/**', '**/*.{lock,sum}']}", ""},
		{"paths: {protected: ['/etc']}", "is not a path within the repository"}, {`paths: {protected: ['a\b']}`, "is not a valid glob"}, {"paths: {protected: ['a[']}", "is not a valid glob"},
	} {
		_, err := ParseRepository([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("parse %q: got %v, want %q", c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("parse %q: got more than one problem:\n%v", c.text, err)
		}
	}
}
