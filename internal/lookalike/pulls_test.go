package lookalike

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPullCannotBeOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	w.pull("taken", "", map[string]string{"x": "x"})
	must(w.shop.PushTo("free", "ada", map[string]string{"y": "y"}, "y"))(t)
	w.want(201, token, "POST", "/repos/acme/shop/git/refs", map[string]any{"ref": "refs/heads/same", "sha": must(w.shop.Head("main"))(t)})
	for name, tc := range map[string]struct {
		in   map[string]any
		want string
	}{
		"exists":       {map[string]any{"title": "t", "head": "acme:taken", "base": "main"}, "A pull request already exists for acme:taken."},
		"no commits":   {map[string]any{"title": "t", "head": "same", "base": "main"}, "No commits between main and same"},
		"itself":       {map[string]any{"title": "t", "head": "main", "base": "main"}, "No commits between main and main"},
		"unknown head": {map[string]any{"title": "t", "head": "nowhere", "base": "main"}, `"field":"head"`},
		"unknown base": {map[string]any{"title": "t", "head": "free", "base": "nowhere"}, `"field":"base"`},
		"no title":     {map[string]any{"title": " ", "head": "free", "base": "main"}, `"field":"title"`},
		"long body":    {map[string]any{"title": "t", "head": "free", "base": "main", "body": strings.Repeat("é", maxPullRunes+1)}, "body is too long"},
	} {
		if got := w.rest(token, "POST", "/repos/acme/shop/pulls", tc.in); got.status != 422 || !strings.Contains(got.text, tc.want) {
			t.Errorf("%s: got %d %s, want 422 with %s", name, got.status, got.text, tc.want)
		}
	}
}

func TestPullStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	sha := must(w.shop.PushTo("dozens/a", "ada", map[string]string{"src/a.txt": "one\nTWO\nthree\n", "new.txt": "new\n"}, "Change a"))(t)
	w.forget()
	made := w.want(201, token, "POST", "/repos/acme/shop/pulls", map[string]any{"title": "Change a", "head": "dozens/a", "base": "main", "body": "text", "draft": true})
	if made.at("draft") != true || made.at("head.sha") != sha || made.at("user.login") != "dozens[bot]" || made.at("mergeable") != nil || made.at("changed_files") != 2.0 {
		t.Errorf("opened: got %s", made.text)
	}
	w.want(200, token, "PATCH", "/repos/acme/shop/pulls/1", map[string]any{"title": "Change a well", "body": "more"})
	next := must(w.shop.Pull(1).PushAs("grace", map[string]string{"new.txt": Deleted, "run.sh": "#!/bin/sh\n"}, "Tidy"))(t)
	got := w.want(200, token, "GET", "/repos/acme/shop/pulls/1", nil)
	if got.at("head.sha") != next || got.at("commits") != 2.0 || got.at("mergeable") != true || got.at("mergeable_state") != "draft" || got.at("title") != "Change a well" {
		t.Errorf("read: got %s", got.text)
	}
	files := w.want(200, token, "GET", "/repos/acme/shop/pulls/1/files", nil)
	if len(files.list()) != 2 || files.at("0.filename") != "run.sh" || files.at("1.patch") != "@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three" {
		t.Errorf("files: got %s", files.text)
	}
	commits := w.want(200, token, "GET", "/repos/acme/shop/pulls/1/commits", nil)
	if len(commits.list()) != 2 || commits.at("0.sha") != sha || commits.at("1.author.login") != "grace" {
		t.Errorf("commits: got %s", commits.text)
	}
	diff := w.rest(token, "GET", "/repos/acme/shop/pulls/1", nil, "Accept", "application/vnd.github.v3.diff")
	if !strings.Contains(diff.text, "+TWO") || strings.Contains(diff.text, "new.txt") {
		t.Errorf("diff: got %s", diff.text)
	}
	want := []string{"pull_request.opened", "pull_request.edited", "push", "check_suite.requested", "pull_request.synchronize"}
	if got := w.names(); !slices.Equal(got, want) {
		t.Errorf("events:\n got %v\nwant %v", got, want)
	}
	e := w.the("pull_request.synchronize").payload
	if e["before"] != sha || e["after"] != next || dig(e, "pull_request.commits") != 2.0 || dig(e, "pull_request.mergeable") != nil {
		t.Errorf("synchronize: got %v", e)
	}
	if p := w.the("push").payload; p["ref"] != "refs/heads/dozens/a" || dig(p, "head_commit.id") != next || dig(p, "commits.0.removed.0") != "new.txt" ||
		dig(p, "pusher.name") != "grace" || dig(p, "repository.clone_url") != w.shop.CloneURL() {
		t.Errorf("push: got %v", p)
	}
}

func TestPullLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	w.pull("a", "", map[string]string{"a": "a"})
	w.pull("b/c", "", map[string]string{"b": "b"})
	w.try(w.shop.Pull(2).Issue().Close("ada"))
	for query, want := range map[string]int{"": 1, "?state=all": 2, "?state=closed": 1, "?head=acme:a": 1, "?head=acme:b/c": 0,
		"?head=acme:b/c&state=all": 1, "?head=other:a": 0, "?base=main": 1, "?base=x": 0} {
		if got := len(w.want(200, token, "GET", "/repos/acme/shop/pulls"+query, nil).list()); got != want {
			t.Errorf("pulls%s: got %d, want %d", query, got, want)
		}
	}
	w.want(200, token, "PATCH", "/repos/acme/shop/pulls/2", map[string]any{"state": "open"})
	if !w.pullState(w.shop.Pull(2)).Open {
		t.Error("not open again")
	}
	sha := w.pullState(w.shop.Pull(1)).HeadSHA
	if got := w.want(200, token, "GET", "/repos/acme/shop/commits/"+sha+"/pulls", nil).at("0.number"); got != 1.0 {
		t.Errorf("pulls of a commit: got %v", got)
	}
	if got := w.want(200, token, "GET", "/repos/acme/shop/issues/1", nil).at("pull_request.url"); got != w.g.V3URL()+"repos/acme/shop/pulls/1" {
		t.Errorf("as an issue: got %v", got)
	}
}

func TestBranchGonePullCloses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	w.pull("dozens/x", "", map[string]string{"a": "a"})
	w.pull("y", "", map[string]string{"b": "b"})
	w.forget()
	w.want(204, token, "DELETE", "/repos/acme/shop/git/refs/heads/dozens/x", nil)
	w.want(422, token, "DELETE", "/repos/acme/shop/git/refs/heads/dozens/x", nil)
	w.want(422, token, "DELETE", "/repos/acme/shop/git/refs/heads/main", nil)
	w.try(w.shop.DeleteBranch("y", "ada"))
	for _, p := range w.shop.Pulls() {
		if p.Open || p.Merged {
			t.Errorf("pull request #%d: got open %v merged %v, want closed", p.Number, p.Open, p.Merged)
		}
	}
	if got, want := w.names(), []string{"push", "pull_request.closed", "push", "pull_request.closed"}; !slices.Equal(got, want) {
		t.Errorf("events: got %v, want %v", got, want)
	}
	w.want(422, token, "PATCH", "/repos/acme/shop/pulls/1", map[string]any{"state": "open"})
	w.want(200, token, "GET", "/repos/acme/shop/pulls/1/files", nil)
}

func TestRetargetAndUpdateBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.shop.PushTo("release", "ada", map[string]string{"r": "r"}, "r"))(t)
	p := w.pull("x", "", map[string]string{"a": "a"})
	head := w.pullState(p).HeadSHA
	w.want(200, token, "PATCH", "/repos/acme/shop/pulls/1", map[string]any{"base": "release"})
	w.want(422, token, "PATCH", "/repos/acme/shop/pulls/1", map[string]any{"base": "nowhere"})
	w.want(422, token, "PUT", "/repos/acme/shop/pulls/1/update-branch", map[string]any{"expected_head_sha": strings.Repeat("0", 40)})
	w.want(202, token, "PUT", "/repos/acme/shop/pulls/1/update-branch", map[string]any{"expected_head_sha": head})
	state := w.pullState(p)
	log := must(w.shop.Log(state.HeadSHA))(t)
	if state.Base != "release" || !slices.Equal(log[0].Parents, []string{head, must(w.shop.Head("release"))(t)}) {
		t.Errorf("got base %s, parents %v", state.Base, log[0].Parents)
	}
	w.want(422, token, "PUT", "/repos/acme/shop/pulls/1/update-branch", nil)
}

func TestRefsAndCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	main := must(w.shop.Head("main"))(t)
	refs := "/repos/acme/shop/git/refs"
	w.want(201, token, "POST", refs, map[string]any{"ref": "refs/heads/dozens/one", "sha": main})
	w.want(422, token, "POST", refs, map[string]any{"ref": "refs/heads/dozens/one", "sha": main})
	w.want(422, token, "POST", refs, map[string]any{"ref": "refs/heads/a..b", "sha": main})
	w.want(422, token, "POST", refs, map[string]any{"ref": "refs/heads/two", "sha": strings.Repeat("a", 40)})
	next := must(w.shop.PushTo("main", "ada", map[string]string{"src/b.txt": "b"}, "Second\n\nwith a body"))(t)
	w.want(200, token, "PATCH", refs+"/heads/dozens/one", map[string]any{"sha": next})
	w.want(422, token, "PATCH", refs+"/heads/dozens/one", map[string]any{"sha": main})
	w.want(200, token, "PATCH", refs+"/heads/dozens/one", map[string]any{"sha": main, "force": true})
	if got := w.want(200, token, "GET", "/repos/acme/shop/git/ref/heads/dozens/one", nil).at("object.sha"); got != main {
		t.Errorf("ref: got %v, want %s", got, main)
	}
	w.want(404, token, "GET", "/repos/acme/shop/git/ref/heads/dozens", nil)
	if got := len(w.want(200, token, "GET", "/repos/acme/shop/git/matching-refs/heads/dozens/", nil).list()); got != 1 {
		t.Errorf("matching refs: got %d", got)
	}
	if got := len(w.want(200, token, "GET", "/repos/acme/shop/commits?sha=main&path=src/b.txt", nil).list()); got != 1 {
		t.Errorf("commits of a path: got %d", got)
	}
	one := w.want(200, token, "GET", "/repos/acme/shop/commits/main", nil)
	if one.at("commit.message") != "Second\n\nwith a body" || one.at("files.0.filename") != "src/b.txt" || one.at("stats.total") != 1.0 {
		t.Errorf("commit: got %s", one.text)
	}
	w.want(200, token, "GET", "/repos/acme/shop/commits/"+next[:8], nil)
	w.want(422, token, "GET", "/repos/acme/shop/commits/nowhere", nil)
	w.want(200, token, "GET", "/repos/acme/shop/git/commits/"+next, nil)
	tree := w.want(200, token, "GET", "/repos/acme/shop/git/trees/main?recursive=1", nil)
	if len(tree.list()) != 0 || tree.at("tree.0.path") != "README.md" {
		t.Errorf("tree: got %s", tree.text)
	}
	w.want(200, token, "GET", fmt.Sprintf("/repos/acme/shop/git/blobs/%v", tree.at("tree.0.sha")), nil)
	for name, tc := range map[string][3]any{"ahead": {main, "main", 1.0}, "behind": {"main", main, 0.0}, "identical": {"main", "main", 0.0}} {
		got := w.want(200, token, "GET", fmt.Sprintf("/repos/acme/shop/compare/%v...%v", tc[0], tc[1]), nil)
		if got.at("status") != name || got.at("ahead_by") != tc[2] {
			t.Errorf("compare %s: got %v, ahead by %v", name, got.at("status"), got.at("ahead_by"))
		}
	}
	w.want(404, token, "GET", "/repos/acme/shop/compare/main...nowhere", nil)
}

func TestContentsAndBranches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.shop.PushTo("feature/x", "ada", map[string]string{"src/deep/file name.txt": "hello"}, "x"))(t)
	file := w.want(200, token, "GET", "/repos/acme/shop/contents/src/deep/file%20name.txt?ref=feature/x", nil)
	if file.at("content") != "aGVsbG8=\n" || file.at("encoding") != "base64" || file.at("path") != "src/deep/file name.txt" {
		t.Errorf("file: got %s", file.text)
	}
	if got := w.rest(token, "GET", "/repos/acme/shop/contents/README.md", nil, "Accept", "application/vnd.github.raw+json").text; got != "# Shop\n" {
		t.Errorf("raw: got %q", got)
	}
	if got := len(w.want(200, token, "GET", "/repos/acme/shop/contents/src?ref=feature/x", nil).list()); got != 2 {
		t.Errorf("folder: got %d entries, want 2", got)
	}
	w.want(200, token, "GET", "/repos/acme/shop/contents/", nil)
	w.want(200, token, "GET", "/repos/acme/shop/readme", nil)
	w.want(404, token, "GET", "/repos/acme/shop/contents/none", nil)
	w.want(404, token, "GET", "/repos/acme/shop/contents/src?ref=none", nil)
	w.want(404, token, "GET", "/repos/acme/shop/contents/%2e%2e/x", nil)
	w.shop.Protect("main", Protection{Checks: []string{"build"}, Approvals: 1})
	branch := w.want(200, token, "GET", "/repos/acme/shop/branches/main", nil)
	if branch.at("protected") != true || branch.at("protection.required_status_checks.contexts.0") != "build" {
		t.Errorf("branch: got %s", branch.text)
	}
	w.want(200, token, "GET", "/repos/acme/shop/branches/feature/x", nil)
	w.want(404, token, "GET", "/repos/acme/shop/branches/none", nil)
	if got := len(w.want(200, token, "GET", "/repos/acme/shop/branches?protected=false", nil).list()); got != 1 {
		t.Errorf("unprotected branches: got %d, want 1", got)
	}
	if got := w.want(200, token, "GET", "/repos/acme/shop/rules/branches/main", nil).text; got != "[]" {
		t.Errorf("rules: got %s", got)
	}
	w.shop.SetRules("main", map[string]any{"type": "deletion", "ruleset_source_type": "Repository", "ruleset_source": "acme/shop", "ruleset_id": 1})
	w.want(200, token, "GET", "/repos/acme/shop/rules/branches/main", nil)
	empty := must(w.g.CreateEmptyRepo("acme", "empty"))(t)
	w.want(409, token, "GET", "/repos/acme/empty/commits", nil)
	w.want(404, token, "GET", "/repos/acme/empty/contents/x", nil)
	w.want(200, token, "GET", "/repos/acme/empty/branches", nil)
	if got := must(empty.Branches())(t); len(got) != 0 {
		t.Errorf("branches of an empty repository: got %v", got)
	}
}
