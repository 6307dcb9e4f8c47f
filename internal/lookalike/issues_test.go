package lookalike

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestIssueStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	w.forget()
	issue := must(w.shop.OpenIssue("eve", "It breaks", "Please *help*", "bug"))(t)
	w.try(issue.Label("ada", "claude"))
	id := must(issue.Comment("ada", "/claude do it"))(t)
	w.try(issue.EditComment("ada", id, "/claude do it now"))
	path := fmt.Sprintf("/repos/acme/shop/issues/%d", issue.Number)
	got := w.want(200, token, "GET", path, nil)
	if got.at("title") != "It breaks" || got.at("user.login") != "eve" || got.at("labels.1.name") != "claude" || got.at("comments") != 1.0 {
		t.Errorf("issue: got %s", got.text)
	}
	if got := w.want(200, token, "GET", fmt.Sprintf("/repos/acme/shop/issues/comments/%d", id), nil).at("body"); got != "/claude do it now" {
		t.Errorf("comment: got %v", got)
	}
	answer := w.want(201, token, "POST", path+"/comments", map[string]any{"body": "working"})
	mine := fmt.Sprintf("/repos/acme/shop/issues/comments/%v", int64(answer.at("id").(float64)))
	if answer.at("user.login") != "dozens[bot]" || answer.at("user.type") != "Bot" || answer.at("performed_via_github_app.slug") != "dozens" {
		t.Errorf("own comment: got %s", answer.text)
	}
	w.want(200, token, "PATCH", mine, map[string]any{"body": "done"})
	w.try(issue.Unlabel("ada", "claude"))
	w.try(issue.Close("ada"))
	want := []string{"issues.opened", "issues.labeled", "issues.labeled", "issue_comment.created", "issue_comment.edited",
		"issue_comment.created", "issue_comment.edited", "issues.unlabeled", "issues.closed"}
	if got := w.names(); !slices.Equal(got, want) {
		t.Errorf("events:\n got %v\nwant %v", got, want)
	}
	e := w.the("issues.unlabeled")
	if dig(e.payload, "label.name") != "claude" || dig(e.payload, "sender.login") != "ada" || dig(e.payload, "installation.id") != float64(w.shop.InstallationID()) {
		t.Errorf("unlabeled: got %v", e.payload)
	}
	state := must(issue.State())(t)
	if state.Open || state.ClosedBy != "ada" || state.Reason != "completed" || len(state.Comments) != 2 || state.Comments[1].Body != "done" {
		t.Errorf("state: got %+v", state)
	}
	w.want(204, token, "DELETE", mine, nil)
	w.want(404, token, "GET", mine, nil)
	w.want(200, token, "PATCH", path, map[string]any{"state": "open"})
	w.want(200, token, "PATCH", path, map[string]any{"state": "closed", "state_reason": "not_planned"})
	if got := must(issue.State())(t).Reason; got != "not_planned" {
		t.Errorf("reason: got %s", got)
	}
}

func TestReactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	issue := must(w.shop.OpenIssue("ada", "t", "b"))(t)
	id := must(issue.Comment("ada", "hello"))(t)
	for _, path := range []string{fmt.Sprintf("/repos/acme/shop/issues/%d/reactions", issue.Number), fmt.Sprintf("/repos/acme/shop/issues/comments/%d/reactions", id)} {
		w.want(201, token, "POST", path, map[string]any{"content": "eyes"})
		w.want(200, token, "POST", path, map[string]any{"content": "eyes"})
		made := w.want(201, token, "POST", path, map[string]any{"content": "rocket"})
		if got := len(w.want(200, token, "GET", path, nil).list()); got != 2 {
			t.Errorf("%s: got %d reactions, want 2", path, got)
		}
		w.want(204, token, "DELETE", fmt.Sprintf("%s/%d", path, int64(made.at("id").(float64))), nil)
	}
	got := must(issue.State())(t)
	want := []ReactionState{{Author: "dozens[bot]", Content: "eyes"}}
	if !slices.Equal(got.Reactions, want) || !slices.Equal(got.Comments[0].Reactions, want) {
		t.Errorf("reactions: got %v and %v, want %v", got.Reactions, got.Comments[0].Reactions, want)
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.shop.OpenIssue("ada", "t", "b"))(t)
	const issue = "/repos/acme/shop/issues/1"
	w.want(201, token, "POST", "/repos/acme/shop/labels", map[string]any{"name": "claude", "color": "aabbcc", "description": "d"})
	w.want(422, token, "POST", "/repos/acme/shop/labels", map[string]any{"name": "Claude"})
	w.want(200, token, "POST", issue+"/labels", map[string]any{"labels": []string{"claude", "new one"}})
	w.want(200, token, "DELETE", issue+"/labels/new%20one", nil)
	if got := w.want(404, token, "DELETE", issue+"/labels/new%20one", nil).at("message"); got != "Label does not exist" {
		t.Errorf("message: got %v", got)
	}
	w.want(200, token, "PUT", issue+"/labels", map[string]any{"labels": []string{"bug"}})
	if got := must(w.shop.Issue(1).State())(t).Labels; !slices.Equal(got, []string{"bug"}) {
		t.Errorf("labels: got %v", got)
	}
	w.want(200, token, "GET", issue+"/labels", nil)
	w.want(200, token, "PATCH", "/repos/acme/shop/labels/bug", map[string]any{"new_name": "defect"})
	w.want(200, token, "GET", "/repos/acme/shop/labels/defect", nil)
	w.want(204, token, "DELETE", "/repos/acme/shop/labels/defect", nil)
	if got := must(w.shop.Issue(1).State())(t).Labels; len(got) != 0 {
		t.Errorf("labels after deletion: got %v", got)
	}
	w.want(204, token, "DELETE", issue+"/labels", nil)
	w.want(200, token, "GET", "/repos/acme/shop/labels", nil)
}

func TestPaging(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	for n := range 25 {
		must(w.shop.OpenIssue("ada", fmt.Sprintf("issue %d", n+1), ""))(t)
	}
	var titles []string
	url := w.g.V3URL() + "repos/acme/shop/issues?per_page=10&direction=asc"
	next := regexp.MustCompile(`<([^>]+)>; rel="next"`)
	pages := 0
	for url != "" {
		a := w.ask(token, "GET", url, nil)
		for n := range a.list() {
			titles = append(titles, a.at(fmt.Sprintf("%d.title", n)).(string))
		}
		url = ""
		if found := next.FindStringSubmatch(a.header.Get("Link")); found != nil {
			url = found[1]
		}
		pages++
	}
	if pages != 3 || len(titles) != 25 || titles[0] != "issue 1" || titles[24] != "issue 25" {
		t.Errorf("got %d pages, %d titles: %v", pages, len(titles), titles)
	}
	beyond := w.want(200, token, "GET", "/repos/acme/shop/issues?per_page=10&page=9", nil)
	if len(beyond.list()) != 0 || !strings.Contains(beyond.header.Get("Link"), `rel="prev"`) {
		t.Errorf("beyond the end: got %s, Link %s", beyond.text, beyond.header.Get("Link"))
	}
	w.want(200, token, "GET", "/repos/acme/shop/issues?labels=bug&state=all&creator=ada", nil)
	w.want(200, token, "GET", "/repos/acme/shop/issues/comments?sort=created&direction=desc", nil)
}

func TestLongTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	issue := must(w.shop.OpenIssue("ada", "t", "short"))(t)
	path := fmt.Sprintf("/repos/acme/shop/issues/%d", issue.Number)
	long := strings.Repeat("x", maxCommentBytes+1)
	w.want(201, token, "POST", path+"/comments", map[string]any{"body": long[1:]})
	w.want(422, token, "POST", path+"/comments", map[string]any{"body": long})
	w.want(422, token, "POST", path+"/comments", map[string]any{"body": " "})
	w.want(422, token, "POST", "/repos/acme/shop/issues", map[string]any{"title": "t", "body": long})
	w.want(200, token, "PATCH", path, map[string]any{"body": long})
	if got := must(issue.State())(t).Body; got != "short" {
		t.Errorf("a body too long: got one of %d bytes kept, want the old one", len(got))
	}
}

func TestAssignees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	w.want(201, token, "POST", "/repos/acme/shop/issues", map[string]any{"title": "t", "assignees": []string{"ada", "nobody"}, "labels": []string{"bug"}})
	w.want(201, token, "POST", "/repos/acme/shop/issues/1/assignees", map[string]any{"assignees": []string{"grace"}})
	w.want(200, token, "DELETE", "/repos/acme/shop/issues/1/assignees", map[string]any{"assignees": []string{"ada"}})
	if got := must(w.shop.Issue(1).State())(t); !slices.Equal(got.Assignees, []string{"grace"}) || got.Author != "dozens[bot]" {
		t.Errorf("got %+v", got)
	}
}

func TestWrongRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyTraffic)
	token := w.token(nil)
	issue := must(w.shop.OpenIssue("ada", "t", "b"))(t)
	path := fmt.Sprintf("/repos/acme/shop/issues/%d", issue.Number)
	w.want(404, token, "GET", "/repos/acme/shop/nothing", nil)
	w.want(404, token, "GET", "/repos/acme/shop/issues/999", nil)
	w.want(422, token, "POST", path+"/comments", map[string]any{"body": 5})
	w.want(422, token, "POST", path+"/comments", map[string]any{})
	w.want(422, token, "POST", path+"/reactions", map[string]any{"content": "nice"})
	w.want(422, token, "POST", "/repos/acme/shop/issues", map[string]any{"title": ""})
	a := w.rest(token, "POST", path+"/comments", nil)
	if a.status != 422 || a.at("documentation_url") == nil || a.at("status") != "422" || a.at("errors.0.field") != "body" {
		t.Errorf("shape of an error: got %d %s", a.status, a.text)
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	issue := must(w.shop.OpenIssue("ada", "t", "b"))(t)
	path := fmt.Sprintf("/repos/acme/shop/issues/%d", issue.Number)
	tag := w.want(200, token, "GET", path, nil).header.Get("ETag")
	if got := w.rest(token, "GET", path, nil, "If-None-Match", tag); got.status != 304 || got.text != "" {
		t.Errorf("unchanged: got %d %s, want 304", got.status, got.text)
	}
	must(issue.Comment("ada", "x"))(t)
	if got := w.rest(token, "GET", path, nil, "If-None-Match", tag); got.status != 200 {
		t.Errorf("changed: got %d, want 200", got.status)
	}
}

func TestRenamedRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.shop.OpenIssue("ada", "t", "b"))(t)
	w.try(w.shop.Rename("store"))
	get := w.rest(token, "GET", "/repos/acme/shop/issues?state=all", nil)
	post := w.rest(token, "POST", "/repos/acme/shop/issues/1/comments", map[string]any{"body": "hi"})
	if get.status != 301 || post.status != 307 {
		t.Fatalf("got %d for GET and %d for POST, want 301 and 307", get.status, post.status)
	}
	if want := fmt.Sprintf("%srepositories/%d/issues/1/comments", w.g.V3URL(), w.shop.ID()); post.header.Get("Location") != want {
		t.Errorf("Location: got %s, want %s", post.header.Get("Location"), want)
	}
	if got := w.ask(token, "POST", post.header.Get("Location"), map[string]any{"body": "hi"}); got.status != 201 {
		t.Errorf("followed: got %d %s", got.status, got.text)
	}
	if got := w.want(200, token, "GET", fmt.Sprintf("/repositories/%d", w.shop.ID()), nil).at("full_name"); got != "acme/store" {
		t.Errorf("by id: got %v", got)
	}
	w.want(404, must(w.g.AddPerson("mallory", "User"))(t).Token, "GET", "/repos/acme/shop", nil)
	if got := dig(w.the("repository.renamed").payload, "changes.repository.name.from"); got != "shop" {
		t.Errorf("renamed from: got %v", got)
	}
	must(w.g.CreateRepo("acme", "shop", map[string]string{"a": "b"}))(t)
	w.want(200, token, "GET", "/repos/acme/shop", nil)
	w.try(w.shop.Delete())
	w.want(404, token, "GET", "/repos/acme/store", nil)
}
