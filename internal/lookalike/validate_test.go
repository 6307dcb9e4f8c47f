package lookalike

import (
	"net/http"
	"strings"
	"testing"
)

// TestValidatorCatches shows that traffic which is not GitHub's does not pass unseen.
func TestValidatorCatches(t *testing.T) {
	t.Parallel()
	g := must(Start(t.Context(), Options{Dir: t.TempDir(), Validate: true}))(t)
	defer func() { _ = g.Close() }()
	ada := must(g.AddPerson("ada", "User"))(t)
	r := must(g.CreateRepo("acme", "shop", map[string]string{"a": "a"}))(t)
	if err := r.Grant("ada", "admin"); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, g: g, shop: r, ada: ada}
	must(r.OpenIssue("ada", "t", "b"))(t)
	if v := g.Violations(); len(v) != 0 {
		t.Fatalf("before: %v", v)
	}
	for name, tc := range map[string]struct {
		method, path string
		body         any
		want         string
	}{
		"wrong merge method":   {"PUT", "/repos/acme/shop/pulls/1/merge", map[string]any{"merge_method": "squish"}, "/merge_method"},
		"missing comment body": {"POST", "/repos/acme/shop/issues/1/comments", map[string]any{}, `"body" is missing`},
		"unknown field":        {"POST", "/repos/acme/shop/issues/1/comments", map[string]any{"body": "x", "text": "x"}, "unknown field text"},
		"unknown parameter":    {"GET", "/repos/acme/shop/issues?status=open", nil, "unknown query parameter status"},
		"wrong parameter":      {"GET", "/repos/acme/shop/issues?state=done", nil, "state"},
		"unknown operation":    {"GET", "/repos/acme/shop/milestones", nil, "no such operation"},
	} {
		before := len(g.Violations())
		w.rest(ada.Token, tc.method, tc.path, tc.body)
		found := g.Violations()[before:]
		if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), tc.want) {
			t.Errorf("%s: got %q, want %q", name, found, tc.want)
		}
	}
}

func TestValidatorChecksAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyTraffic)
	s := must(loadSpec())(t)
	must(w.shop.OpenIssue("ada", "t", "b"))(t)
	good := w.want(200, w.token(nil), "GET", "/repos/acme/shop/issues/1", nil).text
	route, params := match(w.g.routes, "GET", "/repos/acme/shop/issues/1")
	req := must(http.NewRequestWithContext(t.Context(), "GET", w.g.V3URL()+"repos/acme/shop/issues/1", nil))(t)
	c := &call{g: w.g, r: req, route: route, params: params}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	for name, tc := range map[string]struct {
		status int
		text   string
		want   string
	}{
		"good":           {200, good, ""},
		"number as text": {200, strings.Replace(good, `"number":1`, `"number":"1"`, 1), "/number"},
		"no title":       {200, strings.Replace(good, `"title":`, `"titel":`, 1), "/title"},
		"wrong status":   {202, good, "status is not supported"},
		"plain error":    {500, `{"error":"x"}`, "common shape"},
	} {
		found := strings.Join(s.exchange(c, tc.status, header, []byte(tc.text)), "\n")
		if tc.want == "" && found != "" || !strings.Contains(found, tc.want) {
			t.Errorf("%s: got %q, want %q", name, found, tc.want)
		}
	}
	for name, tc := range map[string][4]string{
		"unknown":  {"issues", "exploded", `{}`, "not in the document"},
		"no issue": {"issues", "opened", `{"action":"opened"}`, `"issue" is missing`},
	} {
		if found := strings.Join(s.checkEvent(tc[0], tc[1], []byte(tc[2])), "\n"); !strings.Contains(found, tc[3]) {
			t.Errorf("event %s: got %q, want %q", name, found, tc[3])
		}
	}
}

// TestEveryRouteIsDocumented holds the table of routes against the document.
func TestEveryRouteIsDocumented(t *testing.T) {
	t.Parallel()
	s := must(loadSpec())(t)
	served := map[string]bool{}
	for _, r := range (&GitHub{}).allRoutes() {
		item := s.api.Paths.Value(r.specPath())
		if item == nil || item.GetOperation(r.method) == nil {
			t.Errorf("%s %s is not in GitHub's document", r.method, r.pattern)
		}
		served[r.method+" "+r.specPath()] = true
	}
	for path, item := range s.api.Paths.Map() {
		for method := range item.Operations() {
			if !served[method+" "+path] {
				t.Errorf("%s %s is in the pruned document and not served", method, path)
			}
		}
	}
}
