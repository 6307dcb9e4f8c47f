package lookalike

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestOwnCheckRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	p := w.pull("x", "", map[string]string{"a": "a"})
	head := w.pullState(p).HeadSHA
	w.forget()
	runs := "/repos/acme/shop/check-runs"
	made := w.want(201, token, "POST", runs, map[string]any{"name": "dozens/gate", "head_sha": head, "status": "in_progress", "external_id": "t1",
		"details_url": "http://example.com/log", "output": map[string]any{"title": "Waiting", "summary": "for checks"}})
	one := fmt.Sprintf("%s/%d", runs, int64(made.at("id").(float64)))
	if made.at("app.slug") != "dozens" || made.at("pull_requests.0.number") != 1.0 || made.at("check_suite.head_branch") != "x" {
		t.Errorf("made: got %s", made.text)
	}
	w.want(200, token, "PATCH", one, map[string]any{"output": map[string]any{"title": "Still", "summary": "waiting"}})
	w.want(200, token, "PATCH", one, map[string]any{"status": "completed", "conclusion": "success", "output": map[string]any{"title": "Good", "summary": "all"}})
	if got, want := w.names(), []string{"check_run.created", "check_run.completed", "check_suite.completed"}; !slices.Equal(got, want) {
		t.Errorf("events: got %v, want %v", got, want)
	}
	want := CheckState{ID: int64(made.at("id").(float64)), App: "dozens", Name: "dozens/gate", SHA: head, ExternalID: "t1", Status: "completed",
		Conclusion: "success", Title: "Good", Summary: "all", DetailsURL: "http://example.com/log"}
	if got := w.shop.Checks(head); len(got) != 1 || got[0] != want {
		t.Errorf("checks: got %+v, want %+v", got, want)
	}
	w.want(200, token, "GET", one, nil)
	w.want(422, token, "POST", runs, map[string]any{"name": "x", "head_sha": strings.Repeat("a", 40)})
	w.want(403, w.ada.Token, "POST", runs, map[string]any{"name": "x", "head_sha": head})
	w.try(w.shop.SetCheck(head, "ci", "build", "queued", "", "", ""))
	theirs := w.shop.Checks(head)[1].ID
	w.want(403, token, "PATCH", fmt.Sprintf("%s/%d", runs, theirs), map[string]any{"status": "completed", "conclusion": "success"})
}

func TestWrongChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyTraffic)
	token := w.token(nil)
	head := must(w.shop.Head("main"))(t)
	for name, change := range map[string]map[string]any{
		"long summary":     {"output": map[string]any{"title": "x", "summary": strings.Repeat("x", 65536)}},
		"annotations":      {"output": map[string]any{"title": "x", "summary": "x", "annotations": make([]any, 51)}},
		"status":           {"status": "done"},
		"conclusion":       {"conclusion": "fine"},
		"actions":          {"actions": make([]any, 4)},
		"no conclusion":    {"status": "completed"},
		"no name":          {"name": ""},
		"unknown commit":   {"head_sha": strings.Repeat("a", 40)},
		"not a commit id":  {"head_sha": "main"},
		"name of bad type": {"name": 5},
	} {
		in := map[string]any{"name": "x", "head_sha": head}
		for k, v := range change {
			in[k] = v
		}
		if got := w.rest(token, "POST", "/repos/acme/shop/check-runs", in); got.status != 422 {
			t.Errorf("%s: got %d %s, want 422", name, got.status, got.text)
		}
	}
	if err := w.shop.SetCheck("main", "ci", "x", "queued", "", "", ""); err == nil {
		t.Error("SetCheck on no commit id: no error")
	}
	if err := w.shop.SetStatus(head, "x", "fine", ""); err == nil {
		t.Error("SetStatus to no state: no error")
	}
}

func TestCommitChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	p := w.pull("feature/x", "", map[string]string{"a": "a"})
	head := w.pullState(p).HeadSHA
	for n := range 5 {
		name := fmt.Sprintf("check %d", n)
		w.try(w.shop.SetCheck(head, "ci", name, "completed", "failure", "no", "bad"))
		w.try(w.shop.SetCheck(head, "ci", name, "completed", "success", "yes", "good"))
	}
	w.try(w.shop.SetCheck(head, "other", "check 0", "queued", "", "", ""))
	for query, want := range map[string]float64{"": 6, "?filter=all": 11, "?check_name=check%200": 2, "?status=queued": 1, "?per_page=2&page=2": 6} {
		if got := w.want(200, token, "GET", "/repos/acme/shop/commits/feature/x/check-runs"+query, nil).at("total_count"); got != want {
			t.Errorf("check runs%s: got %v, want %v", query, got, want)
		}
	}
	page := w.want(200, token, "GET", "/repos/acme/shop/commits/"+head+"/check-runs?per_page=4&page=2", nil)
	if got := len(page.at("check_runs").([]any)); got != 2 || !strings.Contains(page.header.Get("Link"), `rel="prev"`) {
		t.Errorf("second page: got %d runs, Link %s", got, page.header.Get("Link"))
	}
	suites := w.want(200, token, "GET", "/repos/acme/shop/commits/"+head+"/check-suites", nil)
	if suites.at("total_count") != 3.0 || suites.at("check_suites.0.app.slug") != "dozens" || suites.at("check_suites.0.status") != "queued" ||
		suites.at("check_suites.0.latest_check_runs_count") != 0.0 || suites.at("check_suites.1.conclusion") != "success" {
		t.Errorf("suites: got %s", suites.text)
	}
	suite := fmt.Sprintf("/repos/acme/shop/check-suites/%d", int64(suites.at("check_suites.1.id").(float64)))
	w.want(200, token, "GET", suite, nil)
	if got := w.want(200, token, "GET", suite+"/check-runs", nil).at("total_count"); got != 5.0 {
		t.Errorf("runs of the suite: got %v, want 5", got)
	}
	w.want(200, token, "GET", "/repos/acme/shop/actions/runs?head_sha="+head, nil)
	w.want(404, token, "GET", "/repos/acme/shop/actions/runs/1", nil)
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	p := w.pull("x", "", map[string]string{"a": "a"})
	head := w.pullState(p).HeadSHA
	combined := "/repos/acme/shop/commits/" + head + "/status"
	if got := w.want(200, token, "GET", combined, nil).at("state"); got != "pending" {
		t.Errorf("no statuses: got %v, want pending", got)
	}
	w.forget()
	w.want(403, token, "POST", "/repos/acme/shop/statuses/"+head, map[string]any{"state": "success"})
	w.want(201, w.ada.Token, "POST", "/repos/acme/shop/statuses/"+head, map[string]any{"state": "success", "context": "lint"})
	w.try(w.shop.SetStatus(head, "build", "failure", "broken"))
	if got := w.want(200, token, "GET", combined, nil); got.at("state") != "failure" || got.at("total_count") != 2.0 {
		t.Errorf("combined: got %s", got.text)
	}
	w.try(w.shop.SetStatus(head, "build", "success", "mended"))
	if got := w.want(200, token, "GET", combined, nil).at("state"); got != "success" {
		t.Errorf("mended: got %v", got)
	}
	if got := len(w.want(200, token, "GET", "/repos/acme/shop/commits/x/statuses", nil).list()); got != 3 {
		t.Errorf("statuses: got %d, want 3", got)
	}
	if got, want := w.names(), []string{"status", "status", "status"}; !slices.Equal(got, want) {
		t.Errorf("events: got %v", got)
	}
	if e := w.events()[1].payload; e["context"] != "build" || dig(e, "branches.0.name") != "x" || dig(e, "commit.sha") != head {
		t.Errorf("status event: got %v", e)
	}
	want := []StatusState{{"lint", "success", ""}, {"build", "success", "mended"}}
	if got := w.shop.Statuses(head); !slices.Equal(got, want) {
		t.Errorf("statuses: got %v, want %v", got, want)
	}
}

func TestActors(t *testing.T) {
	t.Parallel()
	reviewed := make(chan string, 10)
	tested := make(chan error, 10)
	w := newWorld(t, func(o *Options) {
		o.CI = func(ctx context.Context, job CIJob) {
			tested <- job.Run(ctx, "build", func(context.Context) (string, string, string) {
				text, _, err := job.ReadFile("src/a.txt")
				files, _ := job.Files()
				if err != nil || !strings.Contains(text, "GOOD") {
					return "failure", "No", fmt.Sprintf("%d files", len(files))
				}
				return "success", "Yes", ""
			})
		}
		o.Reviewer = func(_ context.Context, job ReviewJob) {
			_, err := job.Pull.Review("grace", "APPROVE", "")
			reviewed <- fmt.Sprintf("%s %v %v", job.Action, job.Draft, err)
		}
	})
	p := w.pull("x", "", map[string]string{"src/a.txt": "bad"})
	w.try(<-tested)
	if got := <-reviewed; got != "opened false <nil>" {
		t.Errorf("reviewer: got %s", got)
	}
	if got := w.shop.Checks(w.pullState(p).HeadSHA)[0]; got.Conclusion != "failure" || got.App != "ci" || got.Summary != "3 files" && got.Summary != "2 files" {
		t.Errorf("CI on the first head: got %+v", got)
	}
	sha := must(p.PushAs("ada", map[string]string{"src/a.txt": "GOOD"}, "Good"))(t)
	w.try(<-tested)
	if got := <-reviewed; got != "synchronize false <nil>" {
		t.Errorf("reviewer: got %s", got)
	}
	if got := w.shop.Checks(sha)[0].Conclusion; got != "success" {
		t.Errorf("CI on the second head: got %s", got)
	}
	w.try(p.SetDraft("ada", true))
	w.try(p.SetDraft("ada", false))
	if got := <-reviewed; got != "ready_for_review false <nil>" {
		t.Errorf("reviewer: got %s", got)
	}
	must(p.Review("grace", "REQUEST_CHANGES", "hm"))(t)
	if got := len(w.pullState(p).Reviews); got != 4 {
		t.Errorf("reviews: got %d, want 4", got)
	}
}

func TestCloseEndsActors(t *testing.T) {
	t.Parallel()
	g := must(Start(t.Context(), Options{Dir: t.TempDir()}))(t)
	must(g.AddPerson("ada", "User"))(t)
	r := must(g.CreateRepo("acme", "shop", map[string]string{"a": "a"}))(t)
	started := make(chan struct{})
	var ended atomic.Bool
	r.SetCI(func(ctx context.Context, _ CIJob) {
		close(started)
		if Sleep(ctx, time.Hour) {
			t.Error("the sleep was not cut short")
		}
		ended.Store(true)
	})
	must(r.PushTo("x", "ada", map[string]string{"b": "b"}, "b"))(t)
	must(r.OpenPull("ada", "t", "", "x", "main", false))(t)
	<-started
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if !ended.Load() {
		t.Error("Close did not wait for the CI")
	}
	if err := g.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
