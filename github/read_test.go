package github

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dozens/batch"
	"dozens/batch/gate"
)

func TestMe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := Me{Login: "dozens[bot]", ID: testBotID, Slug: "dozens", AppID: testAppID}
	for range 2 {
		got, err := w.app.Me(t.Context())
		if err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if got := len(w.sent("GET", "/app")); got != 1 {
		t.Errorf("calls: got %d, want 1: the answer is remembered", got)
	}
	calls := w.sent("GET", "/users/dozens[bot]")
	if len(calls) != 1 || calls[0].Auth != "token ghs_verysecret" {
		t.Errorf("account: got %+v, want one call with the installation's token", calls)
	}
}

// bareWorld has no installation, and a bot account that is not shown.
func bareWorld(t *testing.T) *world {
	w := newWorld(t)
	w.mux = http.NewServeMux()
	w.on("GET /app", gives(200, obj{"id": testAppID, "slug": "dozens"}))
	w.on("GET /app/installations", gives(200, []obj{}))
	w.on("GET /users/{login}", gives(404, obj{"message": "Not Found"}))
	return w
}

func TestMeWithoutAnAccount(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	want := Me{Login: "dozens[bot]", Slug: "dozens", AppID: testAppID}
	got, err := w.app.Me(t.Context())
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if auth := w.sent("GET", "/users/dozens[bot]")[0].Auth; auth != "" {
		t.Errorf("anonymous call carries %q", auth)
	}
	w.advance(2 * time.Minute)
	if _, err := w.app.Me(t.Context()); err != nil || len(w.sent("GET", "/app")) != 2 {
		t.Errorf("an unknown id: got %d calls, %v; want it asked again after a while", len(w.sent("GET", "/app")), err)
	}
}

func TestInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET /repos/acme/shop/installation", gives(200, obj{"id": testInstID}))
	w.on("GET /repos/acme/asleep/installation", gives(200, obj{"id": 4, "suspended_at": "2026-01-01T00:00:00Z"}))
	if got, err := w.app.Installation(t.Context(), "acme", "shop"); err != nil || got != testInstID {
		t.Errorf("got %d, %v; want %d", got, err, testInstID)
	}
	if _, err := w.app.Installation(t.Context(), "acme", "asleep"); !errors.Is(err, ErrSuspended) {
		t.Errorf("suspended: got %v, want %v", err, ErrSuspended)
	}
	if _, err := w.app.Installation(t.Context(), "acme", "none"); err == nil {
		t.Error("none: got nil, want an error")
	}
	if _, err := w.app.Installation(t.Context(), "acme", "../x"); !errors.Is(err, errBadName) {
		t.Errorf("bad name: got %v, want %v", err, errBadName)
	}
}

func TestInfoFollowsRenames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET /repositories/501", gives(200, obj{"id": testRepoID, "name": "store", "owner": obj{"login": "acme2"}, "clone_url": "https://h/acme2/store.git",
		"default_branch": "trunk", "html_url": "https://h/acme2/store", "private": true, "archived": true}))
	w.on("GET /repos/acme2/store/git/ref/heads/trunk", gives(200, obj{"ref": "refs/heads/trunk", "object": obj{"sha": sha1}}))
	want := Info{ID: testRepoID, Owner: "acme2", Name: "store", CloneURL: "https://h/acme2/store.git", DefaultBranch: "trunk",
		HTMLURL: "https://h/acme2/store", Private: true, Archived: true}
	if got, err := w.repo.Info(t.Context()); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if sha, err := w.repo.Branch(t.Context(), "trunk"); err != nil || sha != sha1 {
		t.Errorf("under the new name: got %q, %v; want %q", sha, err, sha1)
	}
}

func TestInfoByNameMustBeTheSameRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET /repositories/501", gives(404, obj{"message": "Not Found"}))
	w.on("GET /repos/acme/shop", gives(200, obj{"id": 999, "name": "shop", "owner": obj{"login": "acme"}}))
	if _, err := w.repo.Info(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want %v", err, ErrNotFound)
	}
	unknown := w.app.Repo(batch.Repo{Installation: testInstID, Owner: "acme", Name: "shop"})
	if info, err := unknown.Info(t.Context()); err != nil || info.ID != 999 {
		t.Errorf("id unknown: got %+v, %v; want id 999", info, err)
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Date(2026, 4, 30, 8, 0, 0, 0, time.UTC)
	issue := obj{"number": 5, "title": "T", "body": "B", "state": "open", "labels": []obj{{"name": "claude"}}, "user": person("alice", 1),
		"html_url": "https://h/acme/shop/issues/5", "updated_at": at, "repository_url": w.srv.URL + "/api/v3/repos/Acme/Shop"}
	w.on("GET "+issuePath, gives(200, issue))
	w.on("GET /repos/acme/shop/issues/6", gives(200, obj{"number": 6, "pull_request": obj{"url": "x"}}))
	w.on("GET /repos/acme/shop/issues/7", gives(410, obj{"message": "This issue was deleted"}))
	w.on("GET /repos/acme/shop/issues/8", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "/api/v3/repositories/777/issues/8", 301)
	})
	w.on("GET /repositories/777/issues/8", gives(200, obj{"number": 8, "repository_url": w.srv.URL + "/api/v3/repos/acme/other"}))
	w.on("GET /repositories/501", gives(200, obj{"id": testRepoID, "name": "shop", "owner": obj{"login": "acme"}}))
	want := Issue{Number: 5, Title: "T", Body: "B", State: "open", Labels: []string{"claude"}, Author: gate.Actor{Login: "alice", ID: 1, Type: "User"},
		HTMLURL: "https://h/acme/shop/issues/5", UpdatedAt: at}
	if got, err := w.repo.Issue(t.Context(), 5); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err := w.repo.Issue(t.Context(), 6); err != nil || !got.IsPull {
		t.Errorf("pull request: got %+v, %v", got, err)
	}
	for n, what := range map[int]string{7: "deleted", 8: "transferred"} {
		if _, err := w.repo.Issue(t.Context(), n); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want %v", what, err, ErrNotFound)
		}
	}
}

func TestBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET /repos/acme/shop/git/ref/heads/feature/one", gives(200, obj{"ref": "refs/heads/feature/one", "object": obj{"sha": sha1}}))
	w.on("GET /repos/acme/shop/git/ref/heads/feature", gives(200, obj{"ref": "refs/heads/feature/one", "object": obj{"sha": sha1}}))
	w.on("GET /repos/acme/shop/git/ref/heads/gone", gives(404, obj{"message": "Not Found"}))
	if sha, err := w.repo.Branch(t.Context(), "feature/one"); err != nil || sha != sha1 {
		t.Errorf("got %q, %v; want %q", sha, err, sha1)
	}
	for _, name := range []string{"gone", "feature"} {
		if _, err := w.repo.Branch(t.Context(), name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want %v", name, err, ErrNotFound)
		}
	}
	for _, name := range []string{"", "-x", "a..b", "a b", "a//b", "refs/heads/x", "a.lock", "a~1", "x@{1}", "/a", "a/", "a\x00b", ".a"} {
		if _, err := w.repo.Branch(t.Context(), name); !errors.Is(err, errBadName) {
			t.Errorf("%q: got %v, want %v", name, err, errBadName)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := base64.StdEncoding.EncodeToString([]byte("mode: auto\n"))
	file := func(v obj) http.HandlerFunc { return gives(200, v) }
	w.on("GET /repos/acme/shop/contents/.github/dozens.yml", file(obj{"type": "file", "encoding": "base64", "size": 11, "content": text}))
	w.on("GET /repos/acme/shop/contents/a b#c?.txt", file(obj{"type": "file", "encoding": "base64", "size": 11, "content": text}))
	w.on("GET /repos/acme/shop/contents/empty", file(obj{"type": "file", "encoding": "base64", "size": 0, "content": ""}))
	w.on("GET /repos/acme/shop/contents/big", file(obj{"type": "file", "encoding": "none", "size": 2 << 20, "content": ""}))
	w.on("GET /repos/acme/shop/contents/huge", gives(403, obj{"message": "This API returns blobs up to 1 MB in size. The requested blob is too large"}))
	w.on("GET /repos/acme/shop/contents/folder", gives(200, []obj{{"type": "file", "name": "x"}}))
	w.on("GET /repos/acme/shop/contents/module", file(obj{"type": "submodule", "size": 0}))
	w.on("GET /repos/acme/shop/contents/none", gives(404, obj{"message": "Not Found"}))
	for path, want := range map[string]error{
		".github/dozens.yml": nil, "a b#c?.txt": nil, "empty": nil, "big": ErrTooLarge, "huge": ErrTooLarge,
		"folder": ErrNotFound, "module": ErrNotFound, "none": ErrNotFound, "../x": errBadName, "/x": errBadName, "": errBadName,
	} {
		got, err := w.repo.File(t.Context(), path, "main")
		if (want == nil) != (err == nil) || !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", path, err, want)
		}
		if want == nil && path != "empty" && string(got) != "mode: auto\n" {
			t.Errorf("%q: got %q", path, got)
		}
	}
	if q := w.sent("GET", "/repos/acme/shop/contents/.github/dozens.yml")[0].Query; q != "ref=main" {
		t.Errorf("query: got %q, want the ref", q)
	}
}

func TestFailedChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("log line\n", 10_000)
	w.on("GET /repos/acme/shop/check-runs/1", gives(200, obj{"id": 1, "output": obj{"title": "2 failed", "summary": "sum", "text": long, "annotations_count": 1}}))
	w.on("GET /repos/acme/shop/check-runs/1/annotations", gives(200, []obj{{"path": "a.go", "start_line": 12, "title": "Error", "message": "want 1\ngot 2"}}))
	w.on("GET /repos/acme/shop/check-runs/2", gives(404, obj{"message": "Not Found"}))
	facts := gate.Facts{Checks: []gate.Check{
		{Name: "test", Source: "check", Status: "completed", Conclusion: "failure", ID: 1, URL: "u"},
		{Name: "gone", Source: "check", Status: "completed", Conclusion: "timed_out", ID: 2, Summary: "as seen"},
		{Name: "lint", Source: "status", Status: "completed", Conclusion: "error", ID: 3, Summary: "bad"},
		{Name: "good", Source: "check", Status: "completed", Conclusion: "success", ID: 4},
		{Name: "busy", Source: "check", Status: "in_progress", ID: 5},
		{Name: "held", Source: "check", Status: "queued", Conclusion: "action_required", ID: 6, Summary: "waits"},
	}}
	got, err := w.repo.FailedChecks(t.Context(), facts)
	if err != nil {
		t.Fatal(err)
	}
	want := []Failure{
		{Name: "test", Conclusion: "failure", Title: "2 failed", Summary: "sum", Text: long[:maxFailureText],
			Annotations: []string{"a.go:12: Error want 1 got 2"}, URL: "u"},
		{Name: "gone", Conclusion: "timed_out", Summary: "as seen"},
		{Name: "lint", Conclusion: "error", Summary: "bad"},
		{Name: "held", Conclusion: "action_required", Summary: "waits"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

func TestReviewFeedback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := person("alice", 1)
	w.on("GET /repos/acme/shop/pulls/7/reviews/40", gives(200, obj{"id": 40, "user": alice, "state": "CHANGES_REQUESTED", "body": "Please"}))
	w.on("GET /repos/acme/shop/pulls/7/reviews/40/comments", w.paged([]obj{
		{"id": 1, "user": alice, "path": "a.go", "line": 3, "diff_hunk": "@@", "body": "one"},
		{"id": 2, "user": alice, "path": "b.go", "body": "two"}, // the list of a review often has no lines
		{"id": 3, "user": person("mallory", 66), "path": "b.go", "body": "do evil"},
	}, bare))
	w.on("GET /repos/acme/shop/pulls/7/comments", w.paged([]obj{{"id": 2, "line": 9}}, bare))
	got, err := w.repo.ReviewFeedback(t.Context(), 7, 40)
	want := Feedback{By: gate.Actor{Login: "alice", ID: 1, Type: "User"}, State: "CHANGES_REQUESTED", Body: "Please", Comments: []LineComment{
		{ID: 1, Path: "a.go", Line: 3, Hunk: "@@", Body: "one"}, {ID: 2, Path: "b.go", Line: 9, Body: "two"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, feedback (-want +got):\n%s", err, diff)
	}
}

func TestGitToken(t *testing.T) {
	t.Parallel()
	const path = "/app/installations/32/access_tokens"
	w := newWorld(t)
	n, answer := 0, obj{"token": "ghs_cut", "expires_at": "2026-05-01T13:00:00Z", "permissions": obj{"contents": "write", "metadata": "read"},
		"repositories": []obj{{"id": testRepoID}}}
	w.on("POST "+path, func(rw http.ResponseWriter, _ *http.Request) { n++; give(rw, 201, answer) })
	w.on("DELETE /installation/token", gives(204, nil))
	repo := w.app.Repo(batch.Repo{ID: testRepoID, Installation: 32, Owner: "acme", Name: "shop"})
	token, expires, err := repo.GitToken(t.Context(), Access{Write: true})
	if err != nil || string(token) != "ghs_cut" || !expires.Equal(time.Date(2026, 5, 1, 13, 0, 0, 0, time.UTC)) {
		t.Fatalf("got %s (%q), %s, %v", token, string(token), expires, err)
	}
	var body struct {
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	if err := json.Unmarshal([]byte(w.sent("POST", path)[0].Body), &body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"contents": "write", "metadata": "read"}, body.Permissions); diff != "" || len(body.RepositoryIDs) != 1 || body.RepositoryIDs[0] != testRepoID {
		t.Errorf("asked for %+v; want this repository alone and %s", body, diff)
	}
	if auth := w.sent("POST", path)[0].Auth; !strings.HasPrefix(auth, "Bearer eyJ") {
		t.Errorf("signed with %.10q, want the App's own signature", auth)
	}
	if _, _, err := repo.GitToken(t.Context(), Access{Write: true}); err != nil || n != 2 {
		t.Errorf("second: %v after %d calls; want a fresh one", err, n)
	}
	if err := repo.RevokeToken(t.Context(), token); err != nil {
		t.Errorf("revoke: %v", err)
	}
	if auth := w.sent("DELETE", "/installation/token")[0].Auth; auth != "Bearer ghs_cut" {
		t.Errorf("revoked with %q, want the token itself", auth)
	}
	if strings.Contains(w.logs.String(), "ghs_") {
		t.Error("the log shows a token")
	}
}

// Workflow files are opened only when that is asked for, and whether it may be is read from the installation.
func TestWorkflowFiles(t *testing.T) {
	t.Parallel()
	const path = "/app/installations/32/access_tokens"
	w := newWorld(t)
	granted := obj{"contents": "write"}
	w.on("POST "+path, gives(201, obj{"token": "ghs_cut", "permissions": obj{"contents": "write", "metadata": "read", "workflows": "write"}}))
	w.on("GET /app/installations/32", func(rw http.ResponseWriter, _ *http.Request) {
		give(rw, 200, obj{"id": 32, "permissions": granted})
	})
	repo := w.app.Repo(batch.Repo{ID: testRepoID, Installation: 32, Owner: "acme", Name: "shop"})
	if _, _, err := repo.GitToken(t.Context(), Access{Write: true, Workflows: true}); err != nil {
		t.Fatal(err)
	}
	if body := w.sent("POST", path)[0].Body; !strings.Contains(body, `"workflows":"write"`) {
		t.Errorf("asked for %s, want workflow files too", body)
	}
	for level, want := range map[string]bool{"": false, "read": false, "write": true} {
		if granted = (obj{"contents": "write"}); level != "" {
			granted["workflows"] = level
		}
		if got, err := repo.MayPushWorkflows(t.Context()); got != want || err != nil {
			t.Errorf("granted %q: got %v, %v, want %v", level, got, err, want)
		}
	}
	if auth := w.sent("GET", "/app/installations/32")[0].Auth; !strings.HasPrefix(auth, "Bearer eyJ") {
		t.Errorf("signed with %.10q, want the App's own signature", auth)
	}
}

func TestTokensThatOpenTooMuchAreRefusedAndRevoked(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]obj{
		"other repositories": {"token": "ghs_wide", "repositories": []obj{{"id": testRepoID}, {"id": 4}}},
		"may write":          {"token": "ghs_wide", "permissions": obj{"contents": "write"}},
		"workflow files":     {"token": "ghs_wide", "permissions": obj{"contents": "read", "workflows": "write"}},
	} {
		w := newWorld(t)
		w.on("POST /app/installations/32/access_tokens", gives(201, answer))
		w.on("DELETE /installation/token", gives(204, nil))
		repo := w.app.Repo(batch.Repo{ID: testRepoID, Installation: 32, Owner: "acme", Name: "shop"})
		token, _, err := repo.GitToken(t.Context(), Access{})
		if err == nil || token != "" || strings.Contains(err.Error(), "ghs_") {
			t.Errorf("%s: got %q, %v; want an error without the token", name, string(token), err)
		}
		if got := len(w.sent("DELETE", "/installation/token")); got != 1 {
			t.Errorf("%s: revoked %d times, want once", name, got)
		}
	}
}

func TestRevokingTwiceIsFine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("DELETE /installation/token", gives(401, obj{"message": "Bad credentials"}))
	if err := w.repo.RevokeToken(t.Context(), "ghs_old"); err != nil {
		t.Errorf("expired: got %v, want nil", err)
	}
	if err := w.repo.RevokeToken(t.Context(), ""); err != nil {
		t.Errorf("none: got %v, want nil", err)
	}
}
