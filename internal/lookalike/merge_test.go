package lookalike

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const mergePattern = "/repos/{owner}/{repo}/pulls/{pull_number}/merge"

// merge asks for a merge through the API.
func (w *world) merge(token string, number int, in map[string]any) answer {
	w.Helper()
	return w.rest(token, "PUT", fmt.Sprintf("/repos/acme/shop/pulls/%d/merge", number), in)
}

func TestSquash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	issue := must(w.shop.OpenIssue("eve", "broken", ""))(t)
	must(w.shop.PushTo("x", "ada", map[string]string{"src/a.txt": "ONE\ntwo\nthree\n"}, "One"))(t)
	head := must(w.shop.PushTo("x", "grace", map[string]string{"n.txt": "n"}, "Two\n\nwhy"))(t)
	w.want(201, token, "POST", "/repos/acme/shop/pulls", map[string]any{"title": "Change", "head": "x", "base": "main", "body": fmt.Sprintf("Fixes #%d.", issue.Number)})
	base := must(w.shop.PushTo("main", "ada", map[string]string{"src/a.txt": "one\ntwo\nTHREE\n"}, "Meanwhile"))(t)
	w.forget()
	a := w.merge(token, 2, map[string]any{"sha": head, "merge_method": "squash", "commit_title": "Change (#2)", "commit_message": "Text\n\nCloses #1"})
	if a.status != 200 || a.at("merged") != true {
		t.Fatalf("merge: got %d %s", a.status, a.text)
	}
	log := must(w.shop.Log("main"))(t)
	c := log[0]
	bot := w.g.App()
	if c.SHA != a.at("sha") || !slices.Equal(c.Parents, []string{base}) || c.Subject != "Change (#2)" || c.Body != "Text\n\nCloses #1" {
		t.Errorf("commit: got %+v", c)
	}
	if c.Author.Name != bot.BotLogin || c.Author.Email != bot.BotEmail || c.Committer.Name != "GitHub" || c.Committer.Email != "noreply@github.com" {
		t.Errorf("by: got %+v and %+v", c.Author, c.Committer)
	}
	if got, _, _ := w.shop.File("main", "src/a.txt"); got != "ONE\ntwo\nTHREE\n" {
		t.Errorf("content: got %q", got)
	}
	state := w.pullState(w.shop.Pull(2))
	if state.Open || !state.Merged || state.MergedBy != bot.BotLogin || state.MergeSHA != c.SHA {
		t.Errorf("pull request: got %+v", state)
	}
	if s := must(issue.State())(t); s.Open || s.ClosedBy != bot.BotLogin {
		t.Errorf("issue: got %+v", s)
	}
	if got, want := w.names(), []string{"pull_request.closed", "issues.closed", "push", "check_suite.requested"}; !slices.Equal(got, want) {
		t.Errorf("events: got %v, want %v", got, want)
	}
	if e := w.the("pull_request.closed").payload; dig(e, "pull_request.merged") != true || dig(e, "pull_request.merge_commit_sha") != c.SHA {
		t.Errorf("closed: got %v", e)
	}
	got := w.want(200, token, "GET", "/repos/acme/shop/pulls/2", nil)
	if got.at("merged") != true || got.at("merged_by.login") != bot.BotLogin || got.at("state") != "closed" || got.at("mergeable_state") != "unknown" {
		t.Errorf("read: got %s", got.text)
	}
	w.want(204, token, "GET", "/repos/acme/shop/pulls/2/merge", nil)
	if n := len(w.want(200, token, "GET", "/repos/acme/shop/pulls/2/files", nil).list()); n != 2 {
		t.Errorf("files after the merge: got %d, want 2", n)
	}
	if again := w.merge(token, 2, nil); again.status != 405 || again.at("message") != "Pull Request is not mergeable" {
		t.Errorf("again: got %d %s", again.status, again.text)
	}
}

func TestSquashDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pull("one", "", map[string]string{"1": "1"})
	w.pull("two", "", map[string]string{"2": "2"})
	must(w.shop.PushTo("two", "grace", map[string]string{"3": "3"}, "More\n\nbody"))(t)
	must(w.shop.Pull(1).Merge("grace", "squash"))(t)
	must(w.shop.Pull(2).Merge("grace", "squash"))(t)
	log := must(w.shop.Log("main"))(t)
	if log[1].Subject != "Change one (#1)" || log[1].Body != "" || log[1].Author.Name != "ada" {
		t.Errorf("of one commit: got %+v", log[1])
	}
	want := "* Change two\n\n* More\n\nbody\n\nCo-authored-by: grace <" + w.grace.Email + ">"
	if log[0].Subject != "Title of two (#2)" || log[0].Body != want {
		t.Errorf("of two commits: got %q %q, want body %q", log[0].Subject, log[0].Body, want)
	}
}

func TestMergeAndRebase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pull("m", "", map[string]string{"1": "1"})
	w.pull("r", "", map[string]string{"2": "2"})
	must(w.shop.PushTo("r", "grace", map[string]string{"3": "3"}, "Second"))(t)
	base := must(w.shop.Head("main"))(t)
	merged := must(w.shop.Pull(1).Merge("ada", "merge"))(t)
	log := must(w.shop.Log("main"))(t)
	if log[0].SHA != merged || !slices.Equal(log[0].Parents, []string{base, w.pullState(w.shop.Pull(1)).HeadSHA}) ||
		log[0].Subject != "Merge pull request #1 from acme/m" || log[0].Body != "Title of m" {
		t.Errorf("merge: got %+v", log[0])
	}
	must(w.shop.Pull(2).Merge("ada", "rebase"))(t)
	log = must(w.shop.Log("main"))(t)
	if log[0].Subject != "Second" || log[0].Author.Name != "grace" || log[1].Subject != "Change r" || !slices.Equal(log[1].Parents, []string{merged}) {
		t.Errorf("rebase: got %+v", log[:2])
	}
}

func TestMergeAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	clash := w.pull("clash", "", map[string]string{"README.md": "theirs\n"})
	must(w.shop.PushTo("main", "ada", map[string]string{"README.md": "ours\n"}, "Ours"))(t)
	fine := w.pull("fine", "", map[string]string{"f": "f"})
	draft := w.pull("draft", "", map[string]string{"d": "d"})
	w.try(draft.SetDraft("ada", true))
	shut := w.pull("shut", "", map[string]string{"s": "s"})
	w.try(shut.Issue().Close("ada"))
	flow := w.pull("flow", "", map[string]string{".github/workflows/ci.yml": "on: push\n"})
	for name, tc := range map[string]struct {
		pull    *Pull
		in      map[string]any
		status  int
		message string
	}{
		"conflict": {clash, nil, 405, "Pull Request is not mergeable"},
		"draft":    {draft, nil, 405, "Pull Request is still a draft"},
		"closed":   {shut, nil, 405, "Pull Request is not mergeable"},
		"moved":    {fine, map[string]any{"sha": strings.Repeat("0", 40)}, 409, "Head branch was modified. Review and try the merge again."},
		"workflow": {flow, nil, 403, "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission"},
	} {
		if got := w.merge(token, tc.pull.Number, tc.in); got.status != tc.status || got.at("message") != tc.message {
			t.Errorf("%s: got %d %s, want %d %s", name, got.status, got.text, tc.status, tc.message)
		}
	}
	if got := w.want(200, token, "GET", fmt.Sprintf("/repos/acme/shop/pulls/%d", clash.Number), nil); got.at("mergeable") != false || got.at("mergeable_state") != "dirty" {
		t.Errorf("conflict: got mergeable %v %v", got.at("mergeable"), got.at("mergeable_state"))
	}
	w.shop.MergeMethods("merge")
	if got := w.merge(token, fine.Number, map[string]any{"merge_method": "squash"}); got.status != 405 || got.at("message") != "Squash merges are not allowed on this repository." {
		t.Errorf("method: got %d %s", got.status, got.text)
	}
	if got := w.rest(token, "PUT", "/repos/acme/shop/pulls/999/merge", nil); got.status != 404 {
		t.Errorf("unknown: got %d", got.status)
	}
	weak := w.token(map[string]any{"permissions": map[string]string{"pull_requests": "write", "contents": "read"}})
	if got := w.merge(weak, fine.Number, nil); got.status != 403 {
		t.Errorf("without contents:write: got %d", got.status)
	}
}

func TestProtectedBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	w.shop.Protect("main", Protection{Checks: []string{"build"}, Approvals: 1, Strict: true, Dismiss: true})
	p := w.pull("x", "", map[string]string{"a": "a"})
	head := w.pullState(p).HeadSHA
	steps := []struct {
		do      func()
		message string
	}{
		{func() {}, `Required status check "build" is expected.`},
		{func() { w.try(w.shop.SetCheck(head, "ci", "build", "in_progress", "", "", "")) }, `Required status check "build" is in progress.`},
		{func() { w.try(w.shop.SetCheck(head, "ci", "build", "completed", "failure", "", "")) }, `Required status check "build" is failing.`},
		{func() { w.try(w.shop.SetCheck(head, "ci", "build", "completed", "success", "", "")) }, "At least 1 approving review is required by reviewers with write access."},
		{func() { must(p.Review("eve", "APPROVE", ""))(t) }, "At least 1 approving review is required by reviewers with write access."},
		{func() { must(p.Review("grace", "REQUEST_CHANGES", "no"))(t) }, "Changes have been requested on this pull request by reviewers with write access."},
		{func() {
			must(p.Review("grace", "APPROVE", ""))(t)
			must(w.shop.PushTo("main", "ada", map[string]string{"m": "m"}, "m"))(t)
		}, "Head branch is out of date. Review and try the merge again."},
	}
	for n, step := range steps {
		step.do()
		if got := w.merge(token, p.Number, nil); got.status != 405 || got.at("message") != step.message {
			t.Errorf("step %d: got %d %s, want 405 %s", n, got.status, got.text, step.message)
		}
	}
	if got := w.want(200, token, "GET", "/repos/acme/shop/pulls/1", nil).at("mergeable_state"); got != "behind" {
		t.Errorf("state: got %v, want behind", got)
	}
	must(p.PushAs("ada", map[string]string{"b": "b"}, "b"))(t)
	if got := w.pullState(p).Reviews[2].State; got != "DISMISSED" {
		t.Errorf("approval after a push: got %s, want DISMISSED", got)
	}
	if got := w.want(200, token, "GET", "/repos/acme/shop/pulls/1", nil).at("mergeable_state"); got != "blocked" {
		t.Errorf("state: got %v, want blocked", got)
	}
	w.shop.Protect("main", Protection{Queue: true})
	if got := w.merge(token, p.Number, nil); got.status != 405 || !strings.Contains(got.text, "Changes must be made through the merge queue") {
		t.Errorf("queue: got %d %s", got.status, got.text)
	}
}

func TestMergeableStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	p := w.pull("x", "", map[string]string{"a": "a"})
	head := w.pullState(p).HeadSHA
	state := func() any { return w.want(200, token, "GET", "/repos/acme/shop/pulls/1", nil).at("mergeable_state") }
	if got := state(); got != "clean" {
		t.Errorf("no checks: got %v, want clean", got)
	}
	w.try(w.shop.SetStatus(head, "lint", "pending", "wait"))
	if got := state(); got != "unstable" {
		t.Errorf("pending status: got %v, want unstable", got)
	}
	w.try(w.shop.SetStatus(head, "lint", "success", ""))
	if got := state(); got != "clean" {
		t.Errorf("good status: got %v, want clean", got)
	}
	w.shop.NullMergeable(2)
	for n, want := range []any{nil, nil, true} {
		if got := w.want(200, token, "GET", "/repos/acme/shop/pulls/1", nil).at("mergeable"); got != want {
			t.Errorf("read %d: got mergeable %v, want %v", n, got, want)
		}
	}
	must(w.shop.PushTo("main", "ada", map[string]string{"m": "m"}, "m"))(t)
	if got := state(); got != "unknown" {
		t.Errorf("after the base moved: got %v, want unknown", got)
	}
}

func TestMergeThroughGatewayError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	w.pull("x", "", map[string]string{"a": "a"})
	w.pull("y", "", map[string]string{"b": "b"})
	w.g.Intercept(On(After, "PUT", mergePattern, 1, BadGateway()))
	if got := w.merge(token, 1, nil); got.status != 502 {
		t.Errorf("got %d, want 502", got.status)
	}
	if !w.pullState(w.shop.Pull(1)).Merged {
		t.Error("502 after the merge: not merged, want merged")
	}
	busy := Fault(405, "Base branch was modified. Review and try the merge again.")
	w.g.Intercept(On(Before, "PUT", mergePattern, 2, busy))
	for n, want := range []int{405, 405, 200} {
		if got := w.merge(token, 2, nil); got.status != want {
			t.Errorf("try %d: got %d %s, want %d", n, got.status, got.text, want)
		}
	}
	if got := len(must(w.shop.Log("main"))(t)); got != 5 {
		t.Errorf("commits on main: got %d, want 5", got)
	}
}

func TestFaultShapes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	const pattern = "/repos/{owner}/{repo}"
	until := time.Now().Add(time.Minute)
	for name, tc := range map[string]struct {
		act    Action
		status int
		header string
		value  string
	}{
		"primary":           {RateLimited(403, until), 403, "X-RateLimit-Reset", fmt.Sprint(until.Unix())},
		"primary 429":       {RateLimited(429, until), 429, "X-RateLimit-Remaining", "0"},
		"secondary":         {SecondaryLimit(403, time.Minute), 403, "Retry-After", "60"},
		"secondary without": {SecondaryLimit(429, 0), 429, "Retry-After", ""},
	} {
		remove := w.g.Intercept(On(Before, "GET", pattern, 1, tc.act))
		got := w.rest(token, "GET", "/repos/acme/shop", nil)
		if got.status != tc.status || got.header.Get(tc.header) != tc.value || !strings.Contains(got.text, "rate limit") {
			t.Errorf("%s: got %d, %s %q: %s", name, got.status, tc.header, got.header.Get(tc.header), got.text)
		}
		remove()
	}
	w.g.Intercept(On(Before, "POST", "/repos/{owner}/{repo}/issues", 1, Action{Drop: true}))
	req := must(http.NewRequestWithContext(t.Context(), "POST", w.g.V3URL()+"repos/acme/shop/issues", strings.NewReader(`{"title":"x"}`)))(t)
	if res, err := http.DefaultClient.Do(req); err == nil {
		_ = res.Body.Close()
		t.Errorf("dropped: got an answer %d", res.StatusCode)
	}
	if len(w.shop.Issues()) != 0 {
		t.Error("dropped before: the issue was opened")
	}
}

func TestInterceptSeesTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	var opened int
	w.g.Intercept(func(c Call) Action {
		if c.Pattern == "/repos/{owner}/{repo}/issues" && c.Method == "POST" {
			opened = len(w.shop.Issues())
			if c.Actor != "dozens[bot]" || c.Installation != w.shop.InstallationID() || !strings.Contains(string(c.Body), "hello") || c.Header.Get("Authorization") != "" {
				t.Errorf("call: got %+v", c)
			}
			if want := map[Phase]int{Before: 0, After: 1}[c.Phase]; opened != want {
				t.Errorf("%s: got %d issues, want %d", c.Phase, opened, want)
			}
		}
		return Action{}
	})
	w.want(201, token, "POST", "/repos/acme/shop/issues", map[string]any{"title": "hello"})
	last := w.g.Calls()[len(w.g.Calls())-1]
	if last.Status != 201 || last.Kind != "rest" || last.Path != "/repos/acme/shop/issues" || opened != 1 {
		t.Errorf("recorded: got %+v", last)
	}
}

func TestClosingWords(t *testing.T) {
	t.Parallel()
	r := &repository{name: "shop", owner: &account{login: "acme"}}
	for text, want := range map[string][]int{
		"Closes #1":                     {1},
		"fix #2, fixed: #3 resolves #4": {2, 3, 4},
		"close acme/shop#5":             {5},
		"closes other/shop#6":           nil,
		"see #7":                        nil,
		"prefixes #8":                   nil,
		"Closed #9.\nRESOLVED #10":      {9, 10},
	} {
		if got := closing(r, text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestMergedByPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issue := must(w.shop.OpenIssue("ada", "t", ""))(t)
	p := w.pull("x", "closes #1", map[string]string{"a": "a"})
	w.shop.DeleteBranchOnMerge(true)
	q := w.pull("y", "", map[string]string{"b": "b"})
	dir := t.TempDir()
	mustGit(t, dir, "clone", "-q", w.remote(w.ada.Token), "c")
	mustGit(t, dir+"/c", "merge", "-q", "--no-ff", "-m", "by hand", "origin/x")
	mustGit(t, dir+"/c", "push", "-q", "origin", "HEAD:main")
	if s := w.pullState(p); !s.Merged || s.MergedBy != "ada" {
		t.Errorf("pull request: got %+v", s)
	}
	if must(issue.State())(t).Open {
		t.Error("issue: still open")
	}
	must(q.Merge("ada", "squash"))(t)
	if got := must(w.shop.Head("y"))(t); got != "" {
		t.Errorf("branch y: got %s, want it deleted", got)
	}
}
