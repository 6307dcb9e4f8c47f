package github

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/gate"
)

// subject is a pull request with everything around it, as the server answers it.
type subject struct {
	pulls    []obj // one per read; the last is repeated
	runs     []obj
	total    int // of check runs; 0: as many as there are
	suites   []obj
	noSuites bool // the test serves them itself
	statuses []obj
	reviews  []obj
	commits  []obj
	files    []obj // none: one file
	levels   map[string]obj
	reads    int
}

func (s *subject) serve(w *world) {
	w.on("GET /repos/acme/shop/pulls/7", func(rw http.ResponseWriter, _ *http.Request) {
		p := s.pulls[min(s.reads, len(s.pulls)-1)]
		s.reads++
		give(rw, 200, p)
	})
	if s.total == 0 {
		s.total = len(s.runs)
	}
	w.on("GET /repos/acme/shop/commits/{sha}/check-runs", w.paged(s.runs, func(page []obj) any {
		return obj{"total_count": s.total, "check_runs": page}
	}))
	if !s.noSuites {
		w.on("GET /repos/acme/shop/commits/{sha}/check-suites", w.paged(s.suites, func(page []obj) any {
			return obj{"total_count": len(s.suites), "check_suites": page}
		}))
	}
	w.on("GET /repos/acme/shop/commits/{sha}/status", func(rw http.ResponseWriter, r *http.Request) {
		w.paged(s.statuses, func(page []obj) any {
			return obj{"sha": r.PathValue("sha"), "total_count": len(s.statuses), "statuses": page}
		})(rw, r)
	})
	w.on("GET /repos/acme/shop/pulls/7/reviews", w.paged(s.reviews, bare))
	w.on("GET /repos/acme/shop/pulls/7/commits", w.paged(s.commits, bare))
	if s.files == nil {
		s.files = []obj{{"filename": "src/a.go", "status": "modified"}}
	}
	w.on("GET /repos/acme/shop/pulls/7/files", w.paged(s.files, bare))
	w.on("GET /repos/acme/shop/collaborators/{login}/permission", func(rw http.ResponseWriter, r *http.Request) {
		level, known := s.levels[r.PathValue("login")]
		if !known {
			give(rw, 404, obj{"message": "Not Found"})
			return
		}
		give(rw, 200, level)
	})
}

func changed(path, at string) obj {
	return obj{"filename": path, "status": "modified", "sha": sha3, "contents_url": "https://api.github.com/repos/acme/shop/contents/" + path + "?ref=" + at}
}

func factPull(head string) obj {
	p := pullObj(7, bot(), "dozens/a", "main")
	p["head"].(obj)["sha"] = head
	p["commits"] = 0
	return p
}

func run(id int64, app int64, name, status, conclusion string) obj {
	r := obj{"id": id, "name": name, "status": status, "app": obj{"id": app, "slug": fmt.Sprint("app", app)}, "check_suite": obj{"id": app * 10}}
	if conclusion != "" {
		r["conclusion"] = conclusion
	}
	return r
}

func review(id int64, user obj, state string, minute int) obj {
	return obj{"id": id, "user": user, "state": state, "commit_id": sha1,
		"submitted_at": time.Date(2026, 5, 1, 10, minute, 0, 0, time.UTC)}
}

func readFacts(t *testing.T, s *subject) gate.Facts {
	t.Helper()
	w := newWorld(t)
	s.serve(w)
	f, err := w.repo.Facts(t.Context(), 7)
	if err != nil {
		t.Fatalf("Facts: %v", err)
	}
	return f
}

func TestFactsOfAPull(t *testing.T) {
	t.Parallel()
	p := factPull(sha1)
	p["mergeable"], p["mergeable_state"], p["draft"], p["commits"] = true, "clean", true, 2
	p["labels"] = []obj{{"name": "hold"}}
	f := readFacts(t, &subject{pulls: []obj{p},
		runs:     []obj{run(1, 15, "test", "completed", "success"), run(2, testAppID, gate.CheckName, "in_progress", "")},
		statuses: []obj{{"id": 5, "context": "lint", "state": "pending"}, {"id": 6, "context": "build", "state": "success", "description": "well"}},
		reviews:  []obj{review(1, person("alice", 1), "APPROVED", 1)},
		commits: []obj{
			{"sha": sha1, "author": bot(), "committer": bot(), "commit": obj{"author": obj{"name": "dozens"}}},
			{"sha": sha2, "author": nil, "committer": person("bob", 2), "commit": obj{"author": obj{"name": "Eve", "email": "e@x.y"}}},
		},
		levels: map[string]obj{"alice": {"permission": "write", "role_name": "maintain", "user": person("alice", 1)}},
	})
	yes := true
	want := gate.Facts{Number: 7, Title: "T", State: "open", Draft: true, Head: sha1, HeadRef: "dozens/a", HeadRepo: testRepoID,
		BaseRef: "main", BaseRepo: testRepoID, Author: gate.Actor{Login: "dozens[bot]", ID: testBotID, Type: "Bot"}, Labels: []string{"hold"},
		Mergeable: &yes, MergeState: "clean", Commits: 2, Files: []string{"src/a.go"}, ReadAt: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		Checks: []gate.Check{
			{Name: "test", App: "app15", Source: "check", Status: "completed", Conclusion: "success", ID: 1},
			{Name: "lint", Source: "status", Status: "pending", ID: 5},
			{Name: "build", Source: "status", Status: "completed", Conclusion: "success", Summary: "well", ID: 6},
		},
		Reviews: []gate.Review{{ID: 1, By: gate.Actor{Login: "alice", ID: 1, Type: "User"}, Permission: "maintain", State: "APPROVED",
			Commit: sha1, At: time.Date(2026, 5, 1, 10, 1, 0, 0, time.UTC)}},
		Authors: []gate.Actor{{Login: "dozens[bot]", ID: testBotID, Type: "Bot"}, {}, {Login: "bob", ID: 2, Type: "User"}},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestFactsReadAllPages(t *testing.T) {
	t.Parallel()
	s := &subject{pulls: []obj{factPull(sha1)}, levels: map[string]obj{}}
	for i := range 150 {
		s.runs = append(s.runs, run(int64(i+1), 15, fmt.Sprint("job ", i), "completed", "success"))
	}
	s.runs[149]["conclusion"] = "failure"
	for i := range 120 {
		s.statuses = append(s.statuses, obj{"id": i + 1, "context": fmt.Sprint("ctx ", i), "state": "success"})
	}
	for i := range 130 {
		s.reviews = append(s.reviews, review(int64(i+1), person("alice", 1), "COMMENTED", 1))
	}
	s.reviews[129]["state"] = "CHANGES_REQUESTED"
	s.levels["alice"] = obj{"permission": "admin"}
	f := readFacts(t, s)
	if len(f.Checks) != 270 || len(f.Reviews) != 130 || len(f.Unread) != 0 {
		t.Fatalf("got %d checks, %d reviews, unread %v; want 270, 130, none", len(f.Checks), len(f.Reviews), f.Unread)
	}
	if last := f.Checks[149]; last.Conclusion != "failure" {
		t.Errorf("last check run: got %+v, want the failure", last)
	}
	if last := f.Reviews[129]; last.State != "CHANGES_REQUESTED" || last.Permission != "admin" {
		t.Errorf("last review: got %+v, want the change request by an admin", last)
	}
}

func TestSameCheckTwice(t *testing.T) {
	t.Parallel()
	at := func(r obj, suite, start, end int) obj {
		r["check_suite"] = obj{"id": suite}
		r["started_at"] = time.Date(2026, 5, 1, 10, start, 0, 0, time.UTC)
		if end > 0 {
			r["completed_at"] = time.Date(2026, 5, 1, 10, end, 0, 0, time.UTC)
		}
		return r
	}
	for _, c := range []struct {
		name string
		runs []obj
		want []string
	}{
		{"the latest, not the best", []obj{run(1, 15, "t", "completed", "success"), run(2, 15, "t", "completed", "failure")}, []string{"2 failure"}},
		{"the latest, in whatever order", []obj{run(2, 15, "t", "completed", "success"), run(1, 15, "t", "completed", "failure")}, []string{"2 success"}},
		{"a rerun is running", []obj{run(1, 15, "t", "completed", "success"), run(2, 15, "t", "in_progress", "")}, []string{"2 "}},
		{"two apps", []obj{run(1, 15, "t", "completed", "failure"), run(2, 16, "t", "completed", "success")}, []string{"1 failure", "2 success"}},
		{"our name, another app", []obj{run(1, 15, gate.CheckName, "completed", "success")}, []string{"1 success"}},
		{"ours", []obj{run(1, testAppID, gate.CheckName, "completed", "failure")}, nil},
		{"push and pull request side by side", []obj{
			at(run(1, 15, "t", "completed", "failure"), 1, 0, 9), at(run(2, 15, "t", "completed", "success"), 2, 1, 5)}, []string{"1 failure", "2 success"}},
		{"side by side, one still running", []obj{
			at(run(1, 15, "t", "in_progress", ""), 1, 0, 0), at(run(2, 15, "t", "completed", "success"), 2, 1, 5)}, []string{"1 ", "2 success"}},
		{"another suite later", []obj{
			at(run(1, 15, "t", "completed", "failure"), 1, 0, 3), at(run(2, 15, "t", "completed", "success"), 2, 4, 5)}, []string{"2 success"}},
		{"cancelled in favour of the next suite", []obj{
			at(run(1, 15, "t", "completed", "cancelled"), 1, 0, 5), at(run(2, 15, "t", "completed", "success"), 2, 4, 6)}, []string{"2 success"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, check := range readFacts(t, &subject{pulls: []obj{factPull(sha1)}, runs: c.runs}).Checks {
				got = append(got, fmt.Sprintf("%d %s", check.ID, check.Conclusion))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestEmptySuites(t *testing.T) {
	t.Parallel()
	suite := func(id int, slug, sha, status, conclusion string) obj {
		return obj{"id": id, "head_sha": sha, "status": status, "conclusion": conclusion, "app": obj{"id": 15, "slug": slug}}
	}
	started := run(1, 15, "t", "completed", "success")
	started["check_suite"] = obj{"id": 4}
	f := readFacts(t, &subject{pulls: []obj{factPull(sha1)}, runs: []obj{started}, suites: []obj{
		suite(1, "other-ci", sha1, "queued", ""),
		suite(2, actionsApp, sha1, "queued", ""),
		suite(3, actionsApp, sha2, "completed", "action_required"),
		suite(4, actionsApp, sha1, "completed", "action_required"), // has a run
		suite(5, "other-ci", sha1, "completed", "action_required"),
		suite(6, actionsApp, sha1, "completed", "action_required"),
	}})
	if len(f.Checks) != 2 {
		t.Fatalf("got %+v, want the run and one held suite", f.Checks)
	}
	held := f.Checks[1]
	if held.ID != 6 || held.Name != actionsApp || held.Status != "completed" || held.Conclusion != "action_required" {
		t.Errorf("held suite: got %+v", held)
	}
}

func TestServerWithoutSuites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		suites http.HandlerFunc
		want   string // the beginning of what was not read
	}{
		{"knows no suites", gives(404, obj{"message": "Not Found"}), ""},
		{"a proxy's own page", gives(404, "<h1>not here</h1>"), ""},
		{"may not see them", gives(403, obj{"message": "Resource not accessible by integration"}), "check suites:"},
		{"gone half way", func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page") == "2" {
				give(rw, 404, "{}")
				return
			}
			rw.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, r.Host, r.URL.Path))
			give(rw, 200, obj{"total_count": 2, "check_suites": []obj{{"id": 1}}})
		}, "check suites:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on("GET /repos/acme/shop/commits/{sha}/check-suites", c.suites)
			s := &subject{pulls: []obj{factPull(sha1)}, runs: []obj{run(1, 15, "t", "completed", "success")}, noSuites: true}
			s.serve(w)
			f, err := w.repo.Facts(t.Context(), 7)
			if err != nil || len(f.Checks) != 1 || f.Checks[0].Name != "t" {
				t.Fatalf("got %+v, %v; want the check run", f.Checks, err)
			}
			if c.want == "" && len(f.Unread) > 0 || c.want != "" && (len(f.Unread) != 1 || !strings.HasPrefix(f.Unread[0], c.want)) {
				t.Errorf("unread: got %q, want %q", f.Unread, c.want)
			}
		})
	}
}

func TestReviewersPermissions(t *testing.T) {
	t.Parallel()
	f := readFacts(t, &subject{pulls: []obj{factPull(sha1)},
		levels: map[string]obj{
			"alice": {"permission": "write", "role_name": "push-and-more"}, "bob": {"permission": "read", "role_name": "triage"},
			"taken": {"permission": "admin", "user": person("taken", 999)},
		},
		reviews: []obj{
			review(4, person("alice", 1), "COMMENTED", 9), // after her approval, which stands
			review(1, person("alice", 1), "APPROVED", 1),
			review(2, person("bob", 2), "CHANGES_REQUESTED", 2),
			review(3, person("carol", 3), "APPROVED", 3), // nobody here
			review(5, person("dave", 4), "APPROVED", 4), review(6, person("dave", 4), "DISMISSED", 5),
			review(7, person("taken", 5), "APPROVED", 6), // the login is another account's now
			review(8, nil, "APPROVED", 7),                // a deleted account
			review(9, person("erin", 6), "PENDING", 8),
		}})
	got := map[int64]string{}
	var order []int64
	for _, r := range f.Reviews {
		got[r.ID] = r.Permission
		order = append(order, r.ID)
	}
	want := map[int64]string{1: "write", 4: "write", 2: "triage", 3: "none", 5: "", 6: "", 7: "", 8: "none"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
	if !slices.Equal(order, []int64{1, 2, 3, 5, 6, 7, 8, 4}) {
		t.Errorf("order: got %v, want by time of submission", order)
	}
	if len(f.Unread) != 1 || !strings.Contains(f.Unread[0], "taken") {
		t.Errorf("unread: got %q, want the permission of taken", f.Unread)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	paths := map[string]string{
		"check runs": "/commits/{sha}/check-runs", "check suites": "/commits/{sha}/check-suites", "commit statuses": "/commits/{sha}/status",
		"reviews": "/pulls/7/reviews", "commits": "/pulls/7/commits", "changed files": "/pulls/7/files",
	}
	for broken := range paths {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on("GET /repos/acme/shop/pulls/7", gives(200, factPull(sha1)))
			for name, path := range paths {
				if name == broken {
					w.on("GET /repos/acme/shop"+path, gives(403, obj{"message": "Resource not accessible by integration"}))
				} else {
					w.on("GET /repos/acme/shop"+path, gives(200, map[bool]string{true: "{}", false: "[]"}[strings.Contains(path, "sha")]))
				}
			}
			f, err := w.repo.Facts(t.Context(), 7)
			if err != nil || len(f.Unread) != 1 || !strings.HasPrefix(f.Unread[0], broken+":") {
				t.Errorf("got unread %q, %v; want one entry on %s", f.Unread, err, broken)
			}
		})
	}
}

func TestMissingItemsAreNamed(t *testing.T) {
	t.Parallel()
	p := factPull(sha1)
	p["commits"] = 3
	f := readFacts(t, &subject{pulls: []obj{p}, total: 9, runs: []obj{run(1, 15, "t", "completed", "success")},
		commits: []obj{{"sha": sha1, "author": bot()}}})
	if len(f.Unread) != 2 || !strings.HasPrefix(f.Unread[0], "check runs: 1 of 9") || !strings.HasPrefix(f.Unread[1], "commits: 1 of 3") {
		t.Errorf("unread: got %q, want check runs and commits", f.Unread)
	}
}

func TestFactsUnderALimitAreAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET /repos/acme/shop/pulls/7", gives(200, factPull(sha1)))
	w.on("GET /repos/acme/shop/commits/{sha}/check-runs", gives(429, "{}"))
	var limit *LimitError
	if _, err := w.repo.Facts(t.Context(), 7); !errors.As(err, &limit) {
		t.Errorf("got %v, want a limit", err)
	}
}

func TestHeadThatMoves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		heads  []string
		want   string
		unread int
	}{
		{"once", []string{sha1, sha2, sha2}, sha2, 0},
		{"twice", []string{sha1, sha2, sha3, sha3}, sha3, 0},
		{"for ever", []string{sha1, sha2, sha1, sha2, sha1}, sha1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &subject{}
			for _, head := range c.heads {
				s.pulls = append(s.pulls, factPull(head))
			}
			f := readFacts(t, s)
			if f.Head != c.want || len(f.Unread) != c.unread {
				t.Errorf("got head %s, unread %q; want %s and %d", f.Head, f.Unread, c.want, c.unread)
			}
		})
	}
}

func TestMergedPull(t *testing.T) {
	t.Parallel()
	p := factPull(sha1)
	p["merged"], p["state"], p["merge_commit_sha"] = true, "closed", sha3
	p["head"].(obj)["repo"] = nil
	f := readFacts(t, &subject{pulls: []obj{p}})
	if !f.Merged || f.MergeCommit != sha3 || f.HeadRepo != 0 {
		t.Errorf("got %+v, want merged as %s from a repository that is gone", f, sha3)
	}
}

func TestPermissionIsRememberedForAMinute(t *testing.T) {
	t.Parallel()
	const path = "/repos/acme/shop/collaborators/Alice/permission"
	w := newWorld(t)
	level := "write"
	w.on("GET "+path, func(rw http.ResponseWriter, _ *http.Request) { give(rw, 200, obj{"permission": level}) })
	ask := func(want string, calls int) {
		t.Helper()
		got, err := w.repo.Permission(t.Context(), "Alice")
		if err != nil || got != want || len(w.sent("GET", path)) != calls {
			t.Errorf("got %q, %v after %d calls; want %q after %d", got, err, len(w.sent("GET", path)), want, calls)
		}
	}
	ask("write", 1)
	level = "none"
	w.advance(59 * time.Second)
	ask("write", 1)
	w.advance(2 * time.Second)
	ask("none", 2)
	if got, err := w.repo.Permission(t.Context(), "dozens[bot]"); err != nil || got != "none" {
		t.Errorf("unknown: got %q, %v; want none", got, err)
	}
	if _, err := w.repo.Permission(t.Context(), "../../app"); !errors.Is(err, errBadName) {
		t.Errorf("bad login: got %v, want %v", err, errBadName)
	}
}
