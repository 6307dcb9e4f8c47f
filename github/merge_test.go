package github

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const mergePath = "/repos/acme/shop/pulls/7/merge"

func mergeSeven() MergeRequest {
	return MergeRequest{PR: 7, SHA: sha1, Title: "Add a shop (#7)", Message: "Because.\n\nCloses #5"}
}

func TestMergeAnswers(t *testing.T) {
	t.Parallel()
	says := func(status int, message string) http.HandlerFunc { return gives(status, obj{"message": message}) }
	var limit *LimitError
	for _, c := range []struct {
		name string
		how  http.HandlerFunc
		want error // nil: merged
		text string
	}{
		{"200", gives(200, obj{"sha": sha2, "merged": true, "message": "Pull Request successfully merged"}), nil, ""},
		{"200 not merged", gives(200, obj{"merged": false, "message": "hm"}), ErrUncertain, "hm"},
		{"200 cut short", gives(200, `{"sha": "222`), ErrUncertain, ""},
		{"200 without a commit", gives(200, obj{"merged": true}), ErrUncertain, ""},
		{"409 head moved", says(409, "Head branch was modified. Review and try the merge again."), ErrHeadMoved, "Review and try"},
		{"405 head moved", says(405, "Head branch was modified. Review and try the merge again."), ErrHeadMoved, ""},
		{"405 base moved", says(405, "Base branch was modified. Review and try the merge again."), ErrBusy, "Base branch"},
		{"405 in progress", says(405, "Merge already in progress"), ErrBusy, ""},
		{"405 queue", says(405, "Changes must be made through the merge queue"), ErrQueue, "merge queue"},
		{"422 queue", says(422, "Changes must be made through the merge queue"), ErrQueue, ""},
		{"405 method", says(405, "Squash merges are not allowed on this repository."), ErrRefused, "Squash merges"},
		{"405 conflict", says(405, "Pull Request is not mergeable"), ErrRefused, "not mergeable"},
		{"405 checks", says(405, `Required status check "ci" is expected.`), ErrRefused, `"ci" is expected`},
		{"405 not authorized", says(405, "You're not authorized to push to this branch."), ErrRefused, "not authorized"},
		{"403 workflows", says(403, "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission"), ErrRefused, "workflows"},
		{"422", gives(422, obj{"message": "Validation Failed", "errors": []obj{{"resource": "PullRequest", "field": "merge_method", "code": "invalid"}}}), ErrRefused, "merge_method invalid"},
		{"422 with a text for errors", gives(422, obj{"message": "Validation Failed", "errors": "No commits"}), ErrRefused, "No commits"},
		{"404", says(404, "Not Found"), ErrNotFound, ""},
		{"401", says(401, "Bad credentials"), ErrForbidden, ""},
		{"429", says(429, "slow down"), limit, ""},
		{"403 secondary", says(403, "You have exceeded a secondary rate limit"), limit, ""},
		{"301", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/api/v3/repositories/501/pulls/7/merge", 301)
		}, ErrRefused, ""},
		{"307", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/api/v3/repositories/501/pulls/7/merge", 307)
		}, ErrRefused, ""},
		{"303", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/api/v3/repositories/501/pulls/7/merge", 303)
		}, ErrUncertain, ""},
		{"408", says(408, "timeout"), ErrUncertain, ""},
		{"500", says(500, "Server Error"), ErrUncertain, ""},
		{"502", gives(502, "<html>Bad Gateway</html>"), ErrUncertain, ""},
		{"dropped", drops, ErrUncertain, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var puts atomic.Int32
			w.on("PUT "+mergePath, func(rw http.ResponseWriter, r *http.Request) { puts.Add(1); c.how(rw, r) })
			w.on("GET /repositories/501/pulls/7/merge", gives(200, obj{"sha": sha2, "merged": true}))
			w.on("PUT /repositories/501/pulls/7/merge", func(rw http.ResponseWriter, _ *http.Request) { puts.Add(1); give(rw, 200, "{}") })
			sha, err := w.repo.Merge(t.Context(), mergeSeven())
			checkMerge(t, sha, err, c.want)
			if err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("words: got %v, want %q in it", err, c.text)
			}
			if puts.Load() != 1 {
				t.Errorf("PUTs: got %d, want 1", puts.Load())
			}
		})
	}
}

// checkMerge knows all kinds, so that an error of two kinds is found too.
func checkMerge(t *testing.T, sha string, err, want error) {
	t.Helper()
	if want == nil {
		if err != nil || sha != sha2 {
			t.Errorf("got %q, %v; want %q", sha, err, sha2)
		}
		return
	}
	var limit *LimitError
	if errors.As(want, &limit) {
		if !errors.As(err, &limit) || errors.Is(err, ErrUncertain) {
			t.Errorf("got %v, want only a limit", err)
		}
		return
	}
	for _, kind := range []error{ErrHeadMoved, ErrBusy, ErrQueue, ErrRefused, ErrUncertain, ErrNotFound, ErrForbidden} {
		if got, want := errors.Is(err, kind), errors.Is(want, kind); got != want {
			t.Errorf("%v: is %q: got %v, want %v", err, kind, got, want)
		}
	}
}

func TestMergeSendsWhatTheGateSaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("PUT "+mergePath, gives(200, obj{"sha": sha2, "merged": true}))
	if _, err := w.repo.Merge(t.Context(), mergeSeven()); err != nil {
		t.Fatal(err)
	}
	body := w.sent("PUT", mergePath)[0].Body
	for _, want := range []string{`"sha":"` + sha1 + `"`, `"merge_method":"squash"`, `"commit_title":"Add a shop (#7)"`, `Closes #5`} {
		if !strings.Contains(body, want) {
			t.Errorf("body lacks %s: %s", want, body)
		}
	}
}

func TestMergeTitleEndsWithTheNumber(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"Add a shop":                       "Add a shop (#7)",
		"Add a shop (#7)":                  "Add a shop (#7)",
		"Add (#7) twice":                   "Add (#7) twice (#7)",
		"two\nlines":                       "two lines (#7)",
		strings.Repeat("é", 300):           strings.Repeat("é", 244) + "… (#7)",
		strings.Repeat("x", 248) + " (#7)": strings.Repeat("x", 244) + "… (#7)",
	} {
		if got := mergeTitle(MergeRequest{PR: 7, Title: title}); got != want {
			t.Errorf("%q: got %q, want %q", title, got, want)
		}
	}
}

func TestMergeTimeoutIsUncertain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Timeout = 80 * time.Millisecond })
	w.on("PUT "+mergePath, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w.in(t)
	_, err := w.repo.Merge(t.Context(), mergeSeven())
	checkMerge(t, "", err, ErrUncertain)
	if got := len(w.sent("PUT", mergePath)); got != 1 {
		t.Errorf("PUTs: got %d, want 1", got)
	}
}

func TestMergeCancelledUnderWayIsUncertain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.on("PUT "+mergePath, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := w.repo.Merge(ctx, mergeSeven())
	checkMerge(t, "", err, ErrUncertain)
}

func TestMergeThatNeverLeftIsNotUncertain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token http.HandlerFunc
		ctx   func(context.Context) context.Context
	}{
		"token call fails": {token: gives(502, "<html>")},
		"token call drops": {token: drops},
		"already cancelled": {ctx: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on("PUT "+mergePath, gives(200, obj{"sha": sha2, "merged": true}))
			repo, ctx := w.repo, t.Context()
			if c.token != nil {
				w.on("POST /app/installations/99/access_tokens", c.token)
				other := w.repo.repo
				other.Installation = 99
				repo = w.app.Repo(other)
			}
			if c.ctx != nil {
				ctx = c.ctx(ctx)
			}
			_, err := repo.Merge(ctx, mergeSeven())
			if err == nil || errors.Is(err, ErrUncertain) {
				t.Errorf("got %v, want an error that is certain", err)
			}
			if got := len(w.sent("PUT", mergePath)); got != 0 {
				t.Errorf("PUTs: got %d, want 0", got)
			}
		})
	}
}

func TestMergeRefusesBadOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, m := range []MergeRequest{{PR: 7}, {PR: 7, SHA: "HEAD"}, {PR: 7, SHA: sha1, Method: "octopus"}} {
		if _, err := w.repo.Merge(t.Context(), m); err == nil {
			t.Errorf("%+v: got nil, want an error", m)
		}
	}
	if len(w.requests) != 0 {
		t.Errorf("calls: got %d, want 0", len(w.requests))
	}
}

// A server that closes a kept connection just as the merge is written must not see it twice.
func TestMergeOnAStaleConnectionIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var puts atomic.Int32
	w.on("GET "+issuePath, gives(200, obj{"number": 5}))
	w.on("PUT "+mergePath, func(rw http.ResponseWriter, r *http.Request) {
		puts.Add(1)
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err == nil {
			_ = conn.Close() // end of file where an answer was expected
		}
	})
	if _, err := w.repo.Issue(t.Context(), 5); err != nil { // opens the connection
		t.Fatal(err)
	}
	_, err := w.repo.Merge(t.Context(), mergeSeven())
	checkMerge(t, "", err, ErrUncertain)
	if puts.Load() != 1 {
		t.Errorf("PUTs: got %d, want 1", puts.Load())
	}
}

func TestMergedAs(t *testing.T) {
	t.Parallel()
	commit := func(sha, message string) obj { return obj{"sha": sha, "commit": obj{"message": message}} }
	since := time.Date(2026, 5, 1, 11, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		pull   obj
		base   []obj
		sha    string
		merged bool
	}{
		{"merged", obj{"number": 7, "state": "closed", "merged": true, "merge_commit_sha": sha2}, nil, sha2, true},
		{"open, and on the base", obj{"number": 7, "state": "open", "merge_commit_sha": sha3},
			[]obj{commit(sha1, "Other (#17)"), commit(sha2, "Add a shop (#7)\n\nCloses #5")}, sha2, true},
		{"open, and others on the base", obj{"number": 7, "state": "open", "merge_commit_sha": sha3},
			[]obj{commit(sha1, "Other (#17)"), commit(sha2, "Mentions (#7) inside"), commit(sha3, "Body\n\n(#7)"), commit(sha3, `Revert "Add a shop (#7)"`)}, "", false},
		{"closed unmerged", obj{"number": 7, "state": "closed", "merge_commit_sha": sha3}, []obj{commit(sha2, "Add a shop (#7)")}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on("GET /repos/acme/shop/pulls/7", gives(200, c.pull))
			w.on("GET /repos/acme/shop/commits", w.paged(c.base, bare))
			sha, merged, err := w.repo.MergedAs(t.Context(), 7, "main", since)
			if err != nil || sha != c.sha || merged != c.merged {
				t.Errorf("got %q %v %v, want %q %v", sha, merged, err, c.sha, c.merged)
			}
			for _, r := range w.sent("GET", "/repos/acme/shop/commits") {
				if !strings.Contains(r.Query, "sha=main") || !strings.Contains(r.Query, "since=2026-05-01T10%3A55") {
					t.Errorf("query: got %s, want the base and the time less the skew", r.Query)
				}
			}
		})
	}
}

func TestDeleteBranch(t *testing.T) {
	t.Parallel()
	const ref, refs = "GET /repos/acme/shop/git/ref/heads/dozens/a", "/repos/acme/shop/git/refs/heads/dozens/a"
	at := func(sha string) http.HandlerFunc {
		return gives(200, obj{"ref": "refs/heads/dozens/a", "object": obj{"sha": sha}})
	}
	for _, c := range []struct {
		name    string
		ref     http.HandlerFunc
		sha     string
		pulls   []obj
		delete  http.HandlerFunc
		want    error
		deletes int
	}{
		{"there", at(sha1), sha1, nil, gives(204, nil), nil, 1},
		{"anywhere", at(sha2), "", nil, gives(204, nil), nil, 1},
		{"moved", at(sha2), sha1, nil, gives(204, nil), ErrHeadMoved, 0},
		{"gone before", gives(404, obj{"message": "Not Found"}), sha1, nil, nil, nil, 0},
		{"gone meanwhile", at(sha1), sha1, nil, gives(422, obj{"message": "Reference does not exist"}), nil, 1},
		{"gone, 404", at(sha1), sha1, nil, gives(404, obj{"message": "Not Found"}), nil, 1},
		{"protected", at(sha1), sha1, nil, gives(422, obj{"message": "Cannot delete a protected branch"}), ErrRefused, 1},
		{"is a base", at(sha1), sha1, []obj{{"number": 8, "base": obj{"ref": "dozens/a"}}}, nil, ErrRefused, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on(ref, c.ref)
			w.on("GET /repos/acme/shop/pulls", w.paged(c.pulls, bare))
			if c.delete != nil {
				w.on("DELETE "+refs, c.delete)
			}
			err := w.repo.DeleteBranch(t.Context(), "dozens/a", c.sha)
			if (c.want == nil) != (err == nil) || !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got := len(w.sent("DELETE", refs)); got != c.deletes {
				t.Errorf("DELETEs: got %d, want %d", got, c.deletes)
			}
		})
	}
}

func TestDeadServerOnReadsIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.srv.Close()
	if _, err := w.repo.Branch(t.Context(), "main"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want an error that is not ErrNotFound", err)
	}
}
