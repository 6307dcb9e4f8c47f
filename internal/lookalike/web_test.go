package lookalike

import (
	"strings"
	"testing"
)

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issue := must(w.shop.OpenIssue("ada", "It <b>breaks</b>", "See **this**:\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))"))(t)
	must(issue.Comment("ada", "| a | b |\n|---|---|\n| 1 | 2 |"))(t)
	p := w.pull("x", "Closes #1", map[string]string{"src/a.txt": "one\n<i>\n"})
	must(p.Review("grace", "APPROVE", "fine", LineComment{Path: "src/a.txt", Line: 2, Body: "sure?"}))(t)
	w.try(w.shop.SetCheck(w.pullState(p).HeadSHA, "ci", "build", "completed", "success", "All good", "12 tests"))
	for path, wants := range map[string][]string{
		"/":                       {"acme/shop"},
		"/acme/shop":              {"It &lt;b&gt;breaks", "Title of x", "README.md"},
		"/acme/shop/issues":       {"It &lt;b&gt;breaks"},
		"/acme/shop/pulls":        {"Title of x"},
		"/acme/shop/issues/1":     {"<strong>this</strong>", "<td>1</td>", "open"},
		"/acme/shop/pull/2":       {"approved", "build", "All good", "12 tests", "sure?", "&#43;&lt;i&gt;", "-two", "Change x"},
		"/acme/shop/commits/main": {"Initial commit"},
		"/acme/shop/commits/x":    {"Change x"},
		"/avatars/u/1":            {"<svg"},
		"/acme/shop/commit/" + must(w.shop.Head("x"))(t): {"Change x"},
	} {
		got := w.ask("", "GET", w.g.URL()+path, nil)
		for _, want := range wants {
			if got.status != 200 || !strings.Contains(got.text, want) {
				t.Errorf("%s: got %d, want %q in %s", path, got.status, want, got.text)
			}
		}
		if strings.Contains(got.text, "<script") || strings.Contains(got.text, "javascript:") || strings.Contains(got.text, "<b>breaks") {
			t.Errorf("%s: what people wrote became HTML: %s", path, got.text)
		}
		if got.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no policy", path)
		}
	}
	for _, path := range []string{"/acme/none", "/acme/shop/issues/99", "/acme/shop/commits/none", "/x", "/acme/shop/settings"} {
		if got := w.ask("", "GET", w.g.URL()+path, nil); got.status != 404 {
			t.Errorf("%s: got %d, want 404", path, got.status)
		}
	}
	if got := w.ask("", "POST", w.g.URL()+"/acme/shop", map[string]any{}); got.status != 405 {
		t.Errorf("POST: got %d, want 405", got.status)
	}
}
