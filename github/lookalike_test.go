package github

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"dozens/batch"
	"dozens/batch/gate"
	"dozens/batch/work"
	"dozens/internal/lookalike"
)

// town is a look-alike GitHub with one repository, and our handle on it.
type town struct {
	hub  *lookalike.GitHub
	shop *lookalike.Repo
	app  *App
	repo *Repo
	base string // commit of main
}

// strictTown holds every request of ours against GitHub's published document.
func strictTown(t *testing.T) *town {
	t.Helper()
	return startTown(t, lookalike.Options{Validate: true})
}

func newTown(t *testing.T) *town {
	t.Helper()
	return startTown(t, lookalike.Options{})
}

func startTown(t *testing.T, opt lookalike.Options) *town {
	t.Helper()
	opt.Dir = t.TempDir()
	hub, err := lookalike.Start(t.Context(), opt)
	if err != nil {
		t.Fatalf("start look-alike: %v", err)
	}
	t.Cleanup(func() {
		_ = hub.Close()
		for _, v := range hub.Violations() {
			if strings.Contains(v, ": request") { // answers and webhooks are the look-alike's own
				t.Error(v)
			}
		}
	})
	for _, login := range []string{"ada", "bob", "eve"} {
		if _, err := hub.AddPerson(login, "User"); err != nil {
			t.Fatal(err)
		}
	}
	shop, err := hub.CreateRepo("acme", "shop", map[string]string{"README.md": "shop\n", ".github/dozens.yml": "merge:\n  mode: auto\n"})
	if err != nil {
		t.Fatal(err)
	}
	for login, role := range map[string]string{"ada": "admin", "bob": "write", "eve": "triage"} {
		if err := shop.Grant(login, role); err != nil {
			t.Fatal(err)
		}
	}
	app, err := New(Config{WebURL: hub.URL(), V3URL: hub.V3URL(), V4URL: hub.V4URL(), AppID: hub.App().ID,
		PrivateKey: work.Secret(hub.App().PrivateKey), RetryWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{hub: hub, shop: shop, app: app}
	w.repo = app.Repo(batch.Repo{ID: shop.ID(), Installation: shop.InstallationID(), Owner: "acme", Name: "shop"})
	if w.base, err = shop.Head("main"); err != nil {
		t.Fatal(err)
	}
	return w
}

// open pushes a branch as our bot and opens its pull request, which is no draft.
func (w *town) open(t *testing.T, branch string) PullRef {
	t.Helper()
	return w.openWith(t, branch, map[string]string{branch + ".txt": "x\n"})
}

func (w *town) openWith(t *testing.T, branch string, files map[string]string) PullRef {
	t.Helper()
	if _, err := w.shop.PushTo(branch, w.hub.App().BotLogin, files, "Add "+branch); err != nil {
		t.Fatal(err)
	}
	ref, err := w.repo.OpenPull(t.Context(), Pull{Head: branch, Base: "main", Title: "Add " + branch, Body: "Because."})
	if err != nil {
		t.Fatalf("OpenPull: %v", err)
	}
	return ref
}

func (w *town) merge(ref PullRef) MergeRequest {
	return MergeRequest{PR: ref.Number, SHA: ref.Head, Title: "Add it", Message: "Because."}
}

// count counts the calls that really arrived.
func (w *town) count(method, pattern string) (n int) {
	for _, c := range w.hub.Calls() {
		if c.Method == method && c.Pattern == pattern {
			n++
		}
	}
	return n
}

const (
	mergePattern   = "/repos/{owner}/{repo}/pulls/{pull_number}/merge"
	pullsPattern   = "/repos/{owner}/{repo}/pulls"
	commentPattern = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
)

func TestTownAppAndRepository(t *testing.T) {
	t.Parallel()
	w, ctx := strictTown(t), t.Context()
	me, err := w.app.Me(ctx)
	want := Me{Login: w.hub.App().BotLogin, ID: w.hub.App().BotID, Slug: w.hub.App().Slug, AppID: w.hub.App().ID}
	if err != nil || me != want {
		t.Errorf("Me: got %+v, %v; want %+v", me, err, want)
	}
	if id, err := w.app.Installation(ctx, "acme", "shop"); err != nil || id != w.shop.InstallationID() {
		t.Errorf("Installation: got %d, %v; want %d", id, err, w.shop.InstallationID())
	}
	if _, err := w.app.Installation(ctx, "acme", "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Installation of nothing: got %v, want %v", err, ErrNotFound)
	}
	info, err := w.repo.Info(ctx)
	if err != nil || info.ID != w.shop.ID() || info.CloneURL != w.shop.CloneURL() || info.DefaultBranch != "main" || !info.Private {
		t.Errorf("Info: got %+v, %v", info, err)
	}
	for login, want := range map[string]string{"ada": "admin", "bob": "write", "eve": "triage", "nobody": "none", me.Login: "none"} {
		if got, err := w.repo.Permission(ctx, login); err != nil || got != want {
			t.Errorf("Permission of %s: got %q, %v; want %q", login, got, err, want)
		}
	}
	if sha, err := w.repo.Branch(ctx, "main"); err != nil || sha != w.base {
		t.Errorf("Branch: got %q, %v; want %q", sha, err, w.base)
	}
	if _, err := w.repo.Branch(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Branch none: got %v, want %v", err, ErrNotFound)
	}
	if text, err := w.repo.File(ctx, ".github/dozens.yml", "main"); err != nil || string(text) != "merge:\n  mode: auto\n" {
		t.Errorf("File: got %q, %v", text, err)
	}
	for _, path := range []string{"none.txt", ".github"} {
		if _, err := w.repo.File(ctx, path, "main"); !errors.Is(err, ErrNotFound) {
			t.Errorf("File %s: got %v, want %v", path, err, ErrNotFound)
		}
	}
}

func TestTownIssue(t *testing.T) {
	t.Parallel()
	w, ctx := strictTown(t), t.Context()
	asked, err := w.shop.OpenIssue("ada", "Broken", "Please", "claude", "good first issue")
	if err != nil {
		t.Fatal(err)
	}
	said, err := asked.Comment("ada", "/claude do it")
	if err != nil {
		t.Fatal(err)
	}
	issue, err := w.repo.Issue(ctx, asked.Number)
	if err != nil || issue.Title != "Broken" || issue.Author.Login != "ada" || !slices.Contains(issue.Labels, "claude") || issue.IsPull || issue.State != "open" {
		t.Errorf("Issue: got %+v, %v", issue, err)
	}
	for range 2 {
		if err := errors.Join(w.repo.ReactComment(ctx, said, "eyes"), w.repo.ReactIssue(ctx, asked.Number, "rocket"),
			w.repo.RemoveLabel(ctx, asked.Number, "good first issue")); err != nil {
			t.Errorf("react and unlabel: %v", err)
		}
	}
	mine, err := w.repo.Comment(ctx, asked.Number, "status:1", "one")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.repo.Comment(ctx, asked.Number, "status:1", "two"); err != nil || again != mine {
		t.Errorf("Comment again: got %d, %v; want %d", again, err, mine)
	}
	if err := w.repo.EditComment(ctx, mine, "status:1", "three"); err != nil {
		t.Errorf("EditComment: %v", err)
	}
	for range 2 {
		if err := w.repo.CloseIssue(ctx, asked.Number); err != nil {
			t.Errorf("CloseIssue: %v", err)
		}
	}
	s, err := asked.State()
	if err != nil || s.Open || s.Reason != "completed" || len(s.Comments) != 2 || len(s.Reactions) != 1 || len(s.Comments[0].Reactions) != 1 || len(s.Labels) != 1 {
		t.Fatalf("issue: got %+v, %v", s, err)
	}
	if got := s.Comments[1].Body; got != "three\n\n<!-- dozens:status:1 -->" {
		t.Errorf("comment: got %q", got)
	}
	if err := asked.DeleteComment("ada", mine); err != nil {
		t.Fatal(err)
	}
	if err := w.repo.EditComment(ctx, mine, "status:1", "four"); !errors.Is(err, ErrNotFound) {
		t.Errorf("EditComment of a deleted one: got %v, want %v", err, ErrNotFound)
	}
}

// Long discussions: the comment of ours is on a later page.
func TestTownCommentAmongMany(t *testing.T) {
	t.Parallel()
	w, ctx := newTown(t), t.Context()
	asked, err := w.shop.OpenIssue("ada", "Long", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		if _, err := asked.Comment("ada", fmt.Sprint("noise ", i)); err != nil {
			t.Fatal(err)
		}
	}
	first, err := w.repo.Comment(ctx, asked.Number, "end", "done")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.repo.Comment(ctx, asked.Number, "end", "done"); err != nil || again != first {
		t.Errorf("got %d, %v; want %d", again, err, first)
	}
}

func TestTownKilledBetweenDeedAndAnswer(t *testing.T) {
	t.Parallel()
	w, ctx := newTown(t), t.Context()
	asked, err := w.shop.OpenIssue("ada", "Broken", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.shop.PushTo("dozens/a", w.hub.App().BotLogin, map[string]string{"a": "a\n"}, "Add a"); err != nil {
		t.Fatal(err)
	}
	drop := lookalike.Action{Drop: true}
	w.hub.Intercept(lookalike.On(lookalike.After, "POST", commentPattern, 1, drop))
	w.hub.Intercept(lookalike.On(lookalike.After, "POST", pullsPattern, 1, drop))
	pull := Pull{Head: "dozens/a", Base: "main", Title: "Add a", Body: "B"}
	if _, err := w.repo.Comment(ctx, asked.Number, "k", "once"); err == nil {
		t.Error("first comment: got nil, want the dropped connection")
	}
	if _, err := w.repo.OpenPull(ctx, pull); err == nil {
		t.Error("first pull request: got nil, want the dropped connection")
	}
	id, err := w.repo.Comment(ctx, asked.Number, "k", "once")
	if got := w.shop.Comments(asked.Number); err != nil || len(got) != 1 || got[0].ID != id {
		t.Errorf("comments: got %+v, %v; want the one of the first try", got, err)
	}
	ref, err := w.repo.OpenPull(ctx, pull)
	if got := w.shop.Pulls(); err != nil || len(got) != 1 || got[0].Number != ref.Number {
		t.Errorf("pull requests: got %d, %v; want the one of the first try", len(got), err)
	}
	pull.Title = "Add a, better"
	if _, err := w.repo.OpenPull(ctx, pull); err != nil || w.shop.Pulls()[0].Title != pull.Title {
		t.Errorf("title: got %q, %v; want %q", w.shop.Pulls()[0].Title, err, pull.Title)
	}
}

func TestTownFacts(t *testing.T) {
	t.Parallel()
	w, ctx := strictTown(t), t.Context()
	w.shop.NullMergeable(2)
	ref := w.open(t, "dozens/a")
	theirs := w.shop.Pull(ref.Number)
	for i := range 150 {
		if err := w.shop.SetCheck(ref.Head, "ci", fmt.Sprint("job ", i), "completed", "success", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		w.shop.SetCheck(ref.Head, "ci", "job 0", "completed", "failure", "2 tests fail", "sum"),
		w.shop.SetStatus(ref.Head, "lint", "pending", ""), w.shop.SetStatus(ref.Head, "lint", "success", "clean")); err != nil {
		t.Fatal(err)
	}
	for range 128 {
		if _, err := theirs.Review("bob", "COMMENT", "hm"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := theirs.Review("bob", "APPROVE", "good"); err != nil {
		t.Fatal(err)
	}
	asks, err := theirs.Review("ada", "REQUEST_CHANGES", "Please", lookalike.LineComment{Path: "dozens/a.txt", Line: 1, Body: "why x?"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo.PostGate(ctx, ref.Head, "task", GateCheck{Status: "in_progress", Title: "Waits"}); err != nil {
		t.Errorf("PostGate: %v", err)
	}
	if err := theirs.Issue().Label("ada", "hold"); err != nil {
		t.Fatal(err)
	}
	f, err := w.repo.Facts(ctx, ref.Number)
	if err != nil || len(f.Unread) != 0 {
		t.Fatalf("Facts: %v, unread %q", err, f.Unread)
	}
	if f.Head != ref.Head || f.HeadRef != "dozens/a" || f.BaseRef != "main" || f.HeadRepo != w.shop.ID() || f.BaseRepo != w.shop.ID() ||
		f.Author.ID != w.hub.App().BotID || !slices.Equal(f.Labels, []string{"hold"}) || f.Commits != 1 || f.State != "open" {
		t.Errorf("pull request: got %+v", f)
	}
	if len(f.Checks) != 151 || len(f.Reviews) != 130 {
		t.Errorf("got %d checks and %d reviews, want 151 and 130", len(f.Checks), len(f.Reviews))
	}
	if !slices.ContainsFunc(f.Checks, func(c gate.Check) bool { return c.Name == "job 0" && c.App == "ci" && c.Conclusion == "failure" }) {
		t.Error("the latest result of job 0, a failure, is missing")
	}
	last := f.Reviews[129]
	if last.ID != asks || last.State != "CHANGES_REQUESTED" || last.Permission != "admin" || last.Commit != ref.Head || f.Reviews[128].Permission != "write" {
		t.Errorf("last review: got %+v", last)
	}
	if len(f.Authors) != 1 || f.Authors[0].ID != w.hub.App().BotID {
		t.Errorf("authors: got %+v, want our bot", f.Authors)
	}
	w.checkFeedback(t, f, asks)
	if f, err = w.repo.Facts(ctx, ref.Number); err != nil || f.Mergeable == nil || !*f.Mergeable {
		t.Errorf("mergeable: got %v, %v; want true once it is computed", f.Mergeable, err)
	}
}

func (w *town) checkFeedback(t *testing.T, f gate.Facts, asks int64) {
	t.Helper()
	failures, err := w.repo.FailedChecks(t.Context(), f)
	if err != nil || len(failures) != 1 || failures[0].Title != "2 tests fail" || failures[0].Summary != "sum" {
		t.Errorf("FailedChecks: got %+v, %v", failures, err)
	}
	back, err := w.repo.ReviewFeedback(t.Context(), f.Number, asks)
	if err != nil || back.By.Login != "ada" || back.Body != "Please" || len(back.Comments) != 1 || back.Comments[0].Body != "why x?" || back.Comments[0].Line != 1 {
		t.Errorf("ReviewFeedback: got %+v, %v", back, err)
	}
}

// Somebody pushes while the facts are read: what is returned speaks of the new commit alone.
func TestTownPushWhileReading(t *testing.T) {
	t.Parallel()
	w, ctx := newTown(t), t.Context()
	ref := w.open(t, "dozens/a")
	if err := w.shop.SetCheck(ref.Head, "ci", "test", "completed", "success", "", ""); err != nil {
		t.Fatal(err)
	}
	moved := ""
	w.hub.Intercept(func(c lookalike.Call) lookalike.Action {
		if moved == "" && c.Phase == lookalike.Before && strings.HasSuffix(c.Path, "/reviews") {
			moved, _ = w.shop.Pull(ref.Number).PushAs("bob", map[string]string{"evil.txt": "x\n"}, "More")
		}
		return lookalike.Action{}
	})
	f, err := w.repo.Facts(ctx, ref.Number)
	if err != nil || f.Head != moved || len(f.Checks) != 0 || len(f.Authors) != 2 {
		t.Errorf("got head %s, %d checks, authors %+v, %v; want %s without checks, by two", f.Head, len(f.Checks), f.Authors, err, moved)
	}
	if _, err := w.repo.Merge(ctx, w.merge(ref)); !errors.Is(err, ErrHeadMoved) {
		t.Errorf("merge of what was seen before: got %v, want %v", err, ErrHeadMoved)
	}
	if s, err := w.shop.Pull(ref.Number).State(); err != nil || s.Merged {
		t.Errorf("state: got merged %v, %v", s.Merged, err)
	}
}

func TestTownMergeToTheEnd(t *testing.T) {
	t.Parallel()
	w, ctx := strictTown(t), t.Context()
	start := time.Now()
	ref := w.open(t, "dozens/a")
	if _, merged, err := w.repo.MergedAs(ctx, ref.Number, "main", start); err != nil || merged {
		t.Errorf("MergedAs before: got %v, %v; want false", merged, err)
	}
	if err := w.repo.RequestReviewers(ctx, ref.Number, []string{"bob"}); err != nil {
		t.Errorf("RequestReviewers: %v", err)
	}
	good := GateCheck{Status: "completed", Conclusion: "success", Title: "Good", Summary: "all"}
	for range 3 {
		if err := w.repo.PostGate(ctx, ref.Head, "task", good); err != nil {
			t.Errorf("PostGate: %v", err)
		}
	}
	sha, err := w.repo.Merge(ctx, w.merge(ref))
	if err != nil {
		t.Fatalf("Merge: %v", err)
	}
	if got, merged, err := w.repo.MergedAs(ctx, ref.Number, "main", start); err != nil || !merged || got != sha {
		t.Errorf("MergedAs: got %q %v %v, want %q", got, merged, err, sha)
	}
	log, err := w.shop.Log("main")
	if err != nil || log[0].SHA != sha || log[0].Subject != fmt.Sprintf("Add it (#%d)", ref.Number) {
		t.Errorf("main: got %+v, %v; want the squash commit with its number", log, err)
	}
	for range 2 {
		if err := w.repo.DeleteBranch(ctx, "dozens/a", ref.Head); err != nil {
			t.Errorf("DeleteBranch: %v", err)
		}
	}
	if branches, err := w.shop.Branches(); err != nil || len(branches) != 1 {
		t.Errorf("branches: got %v, %v; want main alone", branches, err)
	}
	s, err := w.shop.Pull(ref.Number).State()
	if err != nil || !slices.Equal(s.Requested, []string{"bob"}) || s.MergedBy != w.hub.App().BotLogin {
		t.Errorf("pull request: got %+v, %v", s, err)
	}
	checks := w.shop.Checks(ref.Head)
	if len(checks) != 1 || checks[0].Name != gate.CheckName || checks[0].Conclusion != "success" || checks[0].ExternalID != "task" {
		t.Errorf("checks: got %+v, want one verdict", checks)
	}
}

func TestTownDraft(t *testing.T) {
	t.Parallel()
	w, ctx := strictTown(t), t.Context()
	if _, err := w.shop.PushTo("dozens/a", w.hub.App().BotLogin, map[string]string{"a": "a\n"}, "Add a"); err != nil {
		t.Fatal(err)
	}
	ref, err := w.repo.OpenPull(ctx, Pull{Head: "dozens/a", Base: "main", Title: "Add a", Body: "B", Draft: true})
	if err != nil || !ref.Draft || ref.NodeID == "" {
		t.Fatalf("OpenPull: got %+v, %v; want a draft", ref, err)
	}
	if _, err := w.repo.Merge(ctx, w.merge(ref)); !errors.Is(err, ErrRefused) {
		t.Errorf("Merge of a draft: got %v, want %v", err, ErrRefused)
	}
	for range 2 {
		if err := w.repo.Ready(ctx, ref.Number); err != nil {
			t.Errorf("Ready: %v", err)
		}
	}
	if s, err := w.shop.Pull(ref.Number).State(); err != nil || s.Draft {
		t.Errorf("draft: got %v, %v; want it ready", s.Draft, err)
	}
}

func TestTownMergeRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(w *town, ref *PullRef) error
		want    error
	}{
		{"method", func(w *town, _ *PullRef) error { w.shop.MergeMethods("merge"); return nil }, ErrRefused},
		{"queue", func(w *town, _ *PullRef) error {
			w.shop.Protect("main", lookalike.Protection{Queue: true})
			return nil
		}, ErrQueue},
		{"approval missing", func(w *town, _ *PullRef) error {
			w.shop.Protect("main", lookalike.Protection{Approvals: 1})
			return nil
		}, ErrRefused},
		{"conflict", func(w *town, _ *PullRef) error {
			_, err := w.shop.PushTo("main", "ada", map[string]string{"dozens/a.txt": "other\n"}, "Other")
			return err
		}, ErrRefused},
		{"workflow file", func(w *town, ref *PullRef) (err error) {
			ref.Head, err = w.shop.PushTo("dozens/a", "bob", map[string]string{".github/workflows/ci.yml": "on: push\n"}, "CI")
			return err
		}, ErrRefused},
		{"head moved", func(w *town, _ *PullRef) error {
			_, err := w.shop.PushTo("dozens/a", "bob", map[string]string{"more": "x\n"}, "More")
			return err
		}, ErrHeadMoved},
		{"base moving", func(w *town, _ *PullRef) error {
			w.hub.Intercept(lookalike.On(lookalike.Before, "PUT", mergePattern, 9, lookalike.Fault(405, "Base branch was modified. Review and try the merge again.")))
			return nil
		}, ErrBusy},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			ref := w.open(t, "dozens/a")
			if err := c.prepare(w, &ref); err != nil {
				t.Fatal(err)
			}
			_, err := w.repo.Merge(t.Context(), w.merge(ref))
			if (err == nil) != (c.want == nil) || !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got := w.count("PUT", mergePattern); got != 1 {
				t.Errorf("PUTs: got %d, want 1", got)
			}
		})
	}
}

// The answer is lost, but the merge was done: it is found, and not done again.
func TestTownMergeWithALostAnswer(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]lookalike.Action{"502": lookalike.BadGateway(), "dropped": {Drop: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ctx := newTown(t), t.Context()
			start, ref := time.Now(), w.open(t, "dozens/a")
			w.hub.Intercept(lookalike.On(lookalike.After, "PUT", mergePattern, 9, action))
			if _, err := w.repo.Merge(ctx, w.merge(ref)); !errors.Is(err, ErrUncertain) {
				t.Errorf("got %v, want %v", err, ErrUncertain)
			}
			sha, merged, err := w.repo.MergedAs(ctx, ref.Number, "main", start)
			if head, _ := w.shop.Head("main"); err != nil || !merged || sha != head {
				t.Errorf("MergedAs: got %q %v %v, want %q", sha, merged, err, head)
			}
			if got := w.count("PUT", mergePattern); got != 1 {
				t.Errorf("PUTs: got %d, want 1", got)
			}
		})
	}
}

func TestTownRename(t *testing.T) {
	t.Parallel()
	w, ctx := newTown(t), t.Context()
	ref := w.open(t, "dozens/a")
	if err := w.shop.Rename("store"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Comment(ctx, ref.Number, "k", "still here"); err != nil {
		t.Errorf("Comment under the old name: %v", err)
	}
	if got := w.shop.Comments(ref.Number); len(got) != 1 {
		t.Errorf("comments: got %d, want 1", len(got))
	}
	f, err := w.repo.Facts(ctx, ref.Number)
	if err != nil || f.Head != ref.Head {
		t.Errorf("Facts under the old name: got %s, %v", f.Head, err)
	}
	if _, err := w.repo.Merge(ctx, w.merge(ref)); err != nil {
		t.Errorf("Merge after the facts showed the new name: %v", err)
	}
	if info, err := w.repo.Info(ctx); err != nil || info.Name != "store" {
		t.Errorf("Info: got %+v, %v; want store", info, err)
	}
}

func TestTownTokensThatEndEarly(t *testing.T) {
	t.Parallel()
	w, ctx := newTown(t), t.Context()
	ref := w.open(t, "dozens/a")
	w.hub.ExpireTokens()
	if _, err := w.repo.Facts(ctx, ref.Number); err != nil {
		t.Errorf("a read with an ended token: %v", err)
	}
	w.hub.ExpireTokens()
	if err := w.repo.UpdatePull(ctx, ref.Number, "New", "Body"); err != nil || w.shop.Pulls()[0].Title != "New" {
		t.Errorf("a write with an ended token: %v, title %q", err, w.shop.Pulls()[0].Title)
	}
	w.hub.ExpireTokens()
	_, err := w.repo.Merge(ctx, w.merge(ref))
	if !errors.Is(err, ErrForbidden) || w.count("PUT", mergePattern) != 1 {
		t.Errorf("a merge with an ended token: got %v after %d PUTs, want %v after one", err, w.count("PUT", mergePattern), ErrForbidden)
	}
}

func TestTownSuspension(t *testing.T) {
	t.Parallel()
	w, ctx := newTown(t), t.Context()
	ref := w.open(t, "dozens/a")
	w.shop.Suspend()
	if _, err := w.repo.Facts(ctx, ref.Number); !errors.Is(err, ErrSuspended) {
		t.Errorf("with a token: got %v, want %v", err, ErrSuspended)
	}
	if _, _, err := w.repo.GitToken(ctx, Access{Write: true}); !errors.Is(err, ErrSuspended) {
		t.Errorf("GitToken: got %v, want %v", err, ErrSuspended)
	}
	if _, err := w.app.Installation(ctx, "acme", "shop"); !errors.Is(err, ErrSuspended) {
		t.Errorf("Installation: got %v, want %v", err, ErrSuspended)
	}
	w.shop.Unsuspend()
	if _, err := w.repo.Facts(ctx, ref.Number); err != nil {
		t.Errorf("after it was lifted: %v", err)
	}
}

func TestTownLimits(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(30 * time.Minute).Truncate(time.Second)
	for name, action := range map[string]lookalike.Action{
		"primary 403": lookalike.RateLimited(403, until), "primary 429": lookalike.RateLimited(429, until),
		"secondary 403": lookalike.SecondaryLimit(403, 0), "secondary 429": lookalike.SecondaryLimit(429, 0),
		"secondary with time": lookalike.SecondaryLimit(403, 2*time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ctx := newTown(t), t.Context()
			ref := w.open(t, "dozens/a")
			w.hub.Intercept(lookalike.On(lookalike.Before, "PUT", mergePattern, 9, action))
			for range 3 {
				_, err := w.repo.Merge(ctx, w.merge(ref))
				var limit *LimitError
				if !errors.As(err, &limit) || time.Until(limit.Until) < 55*time.Second {
					t.Fatalf("got %v, want a limit of at least about a minute", err)
				}
			}
			if got := w.count("PUT", mergePattern); got != 1 {
				t.Errorf("PUTs: got %d, want 1: nothing goes out while the limit lasts", got)
			}
		})
	}
}

// The token really opens git, this repository alone, and no more once it is revoked.
func TestTownGitToken(t *testing.T) {
	t.Parallel()
	w, ctx := strictTown(t), t.Context()
	other, err := w.hub.CreateRepo("acme", "other", map[string]string{"x": "x\n"})
	if err != nil {
		t.Fatal(err)
	}
	token, expires, err := w.repo.GitToken(ctx, Access{})
	if err != nil || time.Until(expires) < 50*time.Minute {
		t.Fatalf("GitToken: %v, until %s", err, expires)
	}
	if out, err := lsRemote(t, w.shop.CloneURL(), token); err != nil || !strings.Contains(out, w.base) {
		t.Errorf("ls-remote: got %q, %v; want %s", out, err, w.base)
	}
	if _, err := lsRemote(t, other.CloneURL(), token); err == nil {
		t.Error("the token opens another repository")
	}
	for range 2 {
		if err := w.repo.RevokeToken(ctx, token); err != nil {
			t.Errorf("RevokeToken: %v", err)
		}
	}
	if _, err := lsRemote(t, w.shop.CloneURL(), token); err == nil {
		t.Error("the token still opens the repository after it was revoked")
	}
}

func lsRemote(t *testing.T, url string, token work.Secret) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-remote", "--end-of-options", url)
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + string(token)))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic " + basic}
	out, err := cmd.Output()
	return string(out), err
}

// The file list, the label and the permission as the look-alike has them.
func TestTownProtectedFiles(t *testing.T) {
	t.Parallel()
	w, ctx := strictTown(t), t.Context()
	ref := w.open(t, "a")
	f, err := w.repo.Facts(ctx, ref.Number)
	if err != nil || !slices.Equal(f.Files, []string{"a.txt"}) || len(f.Unread) != 0 {
		t.Errorf("got files %q, unread %q, %v; want a.txt alone", f.Files, f.Unread, err)
	}
	for range 2 {
		if err := w.repo.AddLabel(ctx, ref.Number, "dozens:protected"); err != nil {
			t.Fatal(err)
		}
	}
	if f, err = w.repo.Facts(ctx, ref.Number); err != nil || !slices.Equal(f.Labels, []string{"dozens:protected"}) {
		t.Errorf("got labels %q, %v", f.Labels, err)
	}
	if may, err := w.repo.MayPushWorkflows(ctx); may || err != nil {
		t.Errorf("may push workflows: got %v, %v, want false", may, err)
	}
	if _, _, err := w.repo.GitToken(ctx, Access{Write: true, Workflows: true}); !errors.Is(err, ErrRefused) {
		t.Errorf("token for workflows: got %v, want %v", err, ErrRefused)
	}
	flow := w.openWith(t, "flow", map[string]string{".github/workflows/ci.yml": "on: push\n"})
	if _, err := w.repo.Merge(ctx, w.merge(flow)); !errors.Is(err, ErrRefused) {
		t.Errorf("merge of workflows: got %v, want %v", err, ErrRefused)
	}
	if err := w.hub.Allow("workflows", "write"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Merge(ctx, w.merge(flow)); !errors.Is(err, ErrRefused) {
		t.Errorf("merge of workflows by an old token: got %v, want %v", err, ErrRefused)
	}
	if err := w.repo.RenewToken(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Merge(ctx, w.merge(flow)); err != nil {
		t.Errorf("merge of workflows by a new token: %v", err)
	}
	if may, err := w.repo.MayPushWorkflows(ctx); !may || err != nil {
		t.Errorf("may push workflows once granted: got %v, %v, want true", may, err)
	}
	token, _, err := w.repo.GitToken(ctx, Access{Write: true, Workflows: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo.RevokeToken(ctx, token); err != nil {
		t.Error(err)
	}
}
