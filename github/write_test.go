package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

const commentsPath = "/repos/acme/shop/issues/5/comments"

// commentStore is an issue's comments, kept as GitHub keeps them.
type commentStore struct {
	mu   sync.Mutex
	list []obj
	drop int // answers to lose after the comment was made
}

func (s *commentStore) add(user obj, body string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, obj{"id": 100 + len(s.list), "user": user, "body": body})
	return 100 + len(s.list) - 1
}

func (s *commentStore) serve(w *world) {
	w.on("GET "+commentsPath, func(rw http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		list := append([]obj(nil), s.list...)
		s.mu.Unlock()
		w.paged(list, bare)(rw, r)
	})
	w.on("POST "+commentsPath, func(rw http.ResponseWriter, r *http.Request) {
		var in struct{ Body string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		id := s.add(bot(), in.Body)
		if s.drop > 0 {
			s.drop--
			panic(http.ErrAbortHandler)
		}
		give(rw, 201, obj{"id": id, "body": in.Body, "user": bot()})
	})
}

func TestCommentIsMadeOncePerKey(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &commentStore{}
	store.serve(w)
	first, err := w.repo.Comment(t.Context(), 5, "plan:abc", "Hello")
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.repo.Comment(t.Context(), 5, "plan:abc", "Hello again")
	if err != nil || second != first {
		t.Errorf("second: got %d, %v; want %d", second, err, first)
	}
	other, err := w.repo.Comment(t.Context(), 5, "plan:ab", "Other")
	if err != nil || other == first {
		t.Errorf("other key: got %d, %v; want a new comment", other, err)
	}
	if got := len(w.sent("POST", commentsPath)); got != 2 {
		t.Errorf("POSTs: got %d, want 2", got)
	}
	if body := store.list[0]["body"].(string); body != "Hello\n\n<!-- dozens:plan:abc -->" {
		t.Errorf("body: got %q", body)
	}
}

func TestCommentKilledBetweenCreateAndAnswer(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &commentStore{drop: 1}
	store.serve(w)
	if _, err := w.repo.Comment(t.Context(), 5, "end:1", "Done"); err == nil {
		t.Fatal("first: got nil, want the dropped connection")
	}
	id, err := w.repo.Comment(t.Context(), 5, "end:1", "Done")
	if err != nil || id != 100 || len(store.list) != 1 {
		t.Errorf("second: got %d, %v and %d comments; want 100 and one comment", id, err, len(store.list))
	}
}

func TestCommentAtOnceIsOneComment(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &commentStore{}
	store.serve(w)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			if _, err := w.repo.Comment(t.Context(), 5, "same", "x"); err != nil {
				t.Errorf("Comment: %v", err)
			}
		})
	}
	group.Wait()
	if len(store.list) != 1 {
		t.Errorf("comments: got %d, want 1", len(store.list))
	}
}

func TestCommentIsFoundOnlyAmongOursAtTheEnd(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &commentStore{}
	store.add(person("mallory", 66), "mine!\n\n"+marker("k"))
	store.add(bot(), "She wrote "+marker("k")+" here\n\n"+marker("other"))
	for i := range 230 { // three pages; ours is on the last
		store.add(person("eve", 67), fmt.Sprint("noise ", i))
	}
	want := store.add(bot(), "ours\r\n\r\n"+marker("k")+"\n")
	store.serve(w)
	got, err := w.repo.Comment(t.Context(), 5, "k", "ours")
	if err != nil || got != int64(want) {
		t.Errorf("got %d, %v; want %d", got, err, want)
	}
	pages := w.sent("GET", commentsPath)
	if len(pages) != 2 || !strings.Contains(pages[1].Query, "page=3") || !strings.Contains(pages[0].Query, "since=2026-04-01") {
		t.Errorf("pages: got %d, want the first and then the newest, since a month ago: %+v", len(pages), pages)
	}
}

func TestEditComment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("PATCH /repos/acme/shop/issues/comments/100", gives(200, obj{"id": 100}))
	w.on("PATCH /repos/acme/shop/issues/comments/101", gives(404, obj{"message": "Not Found"}))
	if err := w.repo.EditComment(t.Context(), 100, "k", "new"); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if body := w.sent("PATCH", "/repos/acme/shop/issues/comments/100")[0].Body; !strings.Contains(body, "new") || !strings.Contains(body, "dozens:k") {
		t.Errorf("body: got %s, want text and mark", body)
	}
	if err := w.repo.EditComment(t.Context(), 101, "k", "new"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: got %v, want %v", err, ErrNotFound)
	}
}

func TestKeysCannotLeaveTheirMark(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, key := range []string{"", "a b", "x-->", "a--b", "k\n", strings.Repeat("k", 300)} {
		if _, err := w.repo.Comment(t.Context(), 5, key, "x"); !errors.Is(err, errBadName) {
			t.Errorf("%q: got %v, want %v", key, err, errBadName)
		}
	}
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"runes":        strings.Repeat("€", 40_000),
		"lines":        strings.Repeat("a line of text\n", 9_000),
		"a code block": "```\n" + strings.Repeat("code\n", 30_000) + "```\n",
		"not UTF-8":    strings.Repeat("a\xff", 40_000),
	} {
		got := marked(text, "k")
		if len(got) > maxBody || len(got) < maxBody-2_000 || !utf8.ValidString(got) {
			t.Errorf("%s: %d bytes, valid %v; want at most %d, not much less, valid", name, len(got), utf8.ValidString(got), maxBody)
		}
		if !strings.HasSuffix(got, marker("k")) || !strings.Contains(got, "was cut here") || openFence(got) {
			t.Errorf("%s: ends with %q; want a word about the cut and the mark, outside of code", name, got[len(got)-150:])
		}
	}
	if got := marked("short", "k"); strings.Contains(got, "cut") {
		t.Errorf("short text: got %q", got)
	}
}

// pullStore is a repository's pull requests.
type pullStore struct {
	mu      sync.Mutex
	list    []obj
	drop    int
	noDraft bool
}

func pullObj(n int, user obj, head, base string) obj {
	repo := obj{"id": testRepoID}
	return obj{"number": n, "node_id": fmt.Sprintf("PR_%d", n), "state": "open", "user": user, "title": "T", "body": "B",
		"head": obj{"ref": head, "sha": sha1, "repo": repo}, "base": obj{"ref": base, "repo": repo}}
}

func (s *pullStore) serve(w *world) {
	w.on("GET /repos/acme/shop/pulls", func(rw http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var found []obj
		for _, p := range s.list {
			if "acme:"+p["head"].(obj)["ref"].(string) == r.URL.Query().Get("head") {
				found = append(found, p)
			}
		}
		w.paged(found, bare)(rw, r)
	})
	w.on("POST /repos/acme/shop/pulls", s.create)
	w.on("PATCH /repos/acme/shop/pulls/{n}", gives(200, "{}"))
}

func (s *pullStore) create(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		Title, Body, Head, Base string
		Draft                   bool
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	if in.Draft && s.noDraft {
		give(rw, 422, obj{"message": "Draft pull requests are not supported in this repository."})
		return
	}
	p := pullObj(20+len(s.list), bot(), in.Head, in.Base)
	p["title"], p["body"], p["draft"] = in.Title, in.Body, in.Draft
	s.list = append(s.list, p)
	if s.drop > 0 {
		s.drop--
		panic(http.ErrAbortHandler)
	}
	give(rw, 201, p)
}

func aPull() Pull { return Pull{Head: "dozens/a", Base: "main", Title: "T", Body: "B", Draft: true} }

func TestOpenPullOnce(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &pullStore{}
	store.serve(w)
	first, err := w.repo.OpenPull(t.Context(), aPull())
	if err != nil || !first.Draft || first.Number != 20 || first.Head != sha1 || first.NodeID != "PR_20" || first.Author.ID != testBotID {
		t.Fatalf("first: got %+v, %v", first, err)
	}
	again, err := w.repo.OpenPull(t.Context(), aPull())
	if err != nil || again != first {
		t.Errorf("again: got %+v, %v; want %+v", again, err, first)
	}
	if got := len(w.sent("PATCH", "/repos/acme/shop/pulls/20")); got != 0 {
		t.Errorf("unchanged, updates: got %d, want 0", got)
	}
	changed := aPull()
	changed.Title = "New title"
	if _, err := w.repo.OpenPull(t.Context(), changed); err != nil {
		t.Error(err)
	}
	if got := len(w.sent("PATCH", "/repos/acme/shop/pulls/20")); got != 1 || len(store.list) != 1 {
		t.Errorf("changed title: got %d updates and %d pulls, want 1 and 1", got, len(store.list))
	}
}

func TestOpenPullKilledBetweenCreateAndAnswer(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &pullStore{drop: 1}
	store.serve(w)
	if _, err := w.repo.OpenPull(t.Context(), aPull()); err == nil {
		t.Fatal("first: got nil, want the dropped connection")
	}
	ref, err := w.repo.OpenPull(t.Context(), aPull())
	if err != nil || ref.Number != 20 || len(store.list) != 1 {
		t.Errorf("second: got %+v, %v and %d pulls; want number 20 and one", ref, err, len(store.list))
	}
}

func TestOpenPullWithoutDrafts(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &pullStore{noDraft: true}
	store.serve(w)
	ref, err := w.repo.OpenPull(t.Context(), aPull())
	if err != nil || ref.Draft || ref.Number != 20 {
		t.Errorf("got %+v, %v; want an open pull request that is no draft", ref, err)
	}
}

func TestOpenPullRefusals(t *testing.T) {
	t.Parallel()
	w, store := newWorld(t), &pullStore{list: []obj{pullObj(3, person("mallory", 66), "dozens/a", "main")}}
	store.serve(w)
	if _, err := w.repo.OpenPull(t.Context(), aPull()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "mallory") {
		t.Errorf("somebody else's: got %v, want %v", err, ErrRefused)
	}
	w = newWorld(t)
	w.on("GET /repos/acme/shop/pulls", gives(200, []obj{}))
	w.on("POST /repos/acme/shop/pulls", gives(422, obj{"message": "Validation Failed",
		"errors": []obj{{"message": "No commits between main and dozens/a"}}}))
	if _, err := w.repo.OpenPull(t.Context(), aPull()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "No commits") {
		t.Errorf("nothing to merge: got %v, want GitHub's words", err)
	}
	bad := aPull()
	bad.Head = "--upload-pack=x"
	if _, err := w.repo.OpenPull(t.Context(), bad); !errors.Is(err, errBadName) {
		t.Errorf("bad branch: got %v, want %v", err, errBadName)
	}
}

// The list did not show it yet, the creation says it exists, then the list shows it.
func TestOpenPullThatAppearsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shown := false
	w.on("GET /repos/acme/shop/pulls", func(rw http.ResponseWriter, _ *http.Request) {
		if !shown {
			give(rw, 200, []obj{})
			return
		}
		give(rw, 200, []obj{pullObj(9, bot(), "dozens/a", "main")})
	})
	w.on("POST /repos/acme/shop/pulls", func(rw http.ResponseWriter, _ *http.Request) {
		shown = true
		give(rw, 422, obj{"message": "Validation Failed", "errors": []obj{{"message": "A pull request already exists for acme:dozens/a."}}})
	})
	ref, err := w.repo.OpenPull(t.Context(), aPull())
	if err != nil || ref.Number != 9 {
		t.Errorf("got %+v, %v; want number 9", ref, err)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		drafts []bool // what each read of the pull request says
		answer http.HandlerFunc
		want   error
		ok     bool
	}{
		{"draft", []bool{true}, gives(200, obj{"data": obj{"markPullRequestReadyForReview": obj{"pullRequest": obj{"isDraft": false}}}}), nil, true},
		{"ready already", []bool{false}, nil, nil, true},
		{"answer lost", []bool{true, false}, drops, nil, true},
		{"refused", []bool{true, true}, gives(200, obj{"errors": []obj{{"message": "Resource not accessible by integration"}}}), ErrForbidden, false},
		{"limited", []bool{true, true}, gives(200, obj{"errors": []obj{{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}}}), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, reads := newWorld(t), 0
			w.on("GET /repos/acme/shop/pulls/7", func(rw http.ResponseWriter, _ *http.Request) {
				p := pullObj(7, bot(), "dozens/a", "main")
				p["draft"] = c.drafts[min(reads, len(c.drafts)-1)]
				reads++
				give(rw, 200, p)
			})
			if c.answer != nil {
				w.mux.HandleFunc("POST /api/graphql", c.answer)
			}
			err := w.repo.Ready(t.Context(), 7)
			if (err == nil) != c.ok || (c.want != nil && !errors.Is(err, c.want)) {
				t.Errorf("got %v, want ok %v, kind %v", err, c.ok, c.want)
			}
			var limit *LimitError
			if (c.name == "limited") != errors.As(err, &limit) {
				t.Errorf("limit: got %v", err)
			}
			for _, r := range w.sent("POST", "/api/graphql") {
				if !strings.Contains(r.Body, "PR_7") || r.Auth == "" || !strings.HasPrefix(r.Header.Get("User-Agent"), "dozens") {
					t.Errorf("call: got %+v, want the node id, a token and our name", r)
				}
			}
		})
	}
}

func TestRequestReviewersOneByOneWhenRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("POST /repos/acme/shop/pulls/7/requested_reviewers", func(rw http.ResponseWriter, r *http.Request) {
		var in struct{ Reviewers []string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		for _, login := range in.Reviewers {
			if login == "stranger" {
				give(rw, 422, obj{"message": "Reviews may only be requested from collaborators."})
				return
			}
		}
		give(rw, 201, "{}")
	})
	err := w.repo.RequestReviewers(t.Context(), 7, []string{"alice", "stranger", "bob"})
	if err == nil || !strings.Contains(err.Error(), "stranger") || strings.Contains(err.Error(), "alice") {
		t.Errorf("got %v, want an error that names stranger alone", err)
	}
	if got := len(w.sent("POST", "/repos/acme/shop/pulls/7/requested_reviewers")); got != 4 {
		t.Errorf("calls: got %d, want 4", got)
	}
	if err := w.repo.RequestReviewers(t.Context(), 7, nil); err != nil {
		t.Errorf("nobody: got %v, want nil", err)
	}
}

func TestLabelsAndReactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("DELETE /repos/acme/shop/issues/5/labels/{name}", func(rw http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != "needs work/now?" {
			give(rw, 404, obj{"message": "Label does not exist"})
			return
		}
		give(rw, 200, "[]")
	})
	for _, label := range []string{"needs work/now?", "not there"} {
		if err := w.repo.RemoveLabel(t.Context(), 5, label); err != nil {
			t.Errorf("%q: got %v, want nil", label, err)
		}
	}
	w.on("POST /repos/acme/shop/issues/comments/100/reactions", gives(200, obj{"id": 1}))
	w.on("POST /repos/acme/shop/issues/5/reactions", gives(201, obj{"id": 1}))
	if err := w.repo.ReactComment(t.Context(), 100, "eyes"); err != nil {
		t.Errorf("ReactComment: %v", err)
	}
	if err := w.repo.ReactIssue(t.Context(), 5, "rocket"); err != nil {
		t.Errorf("ReactIssue: %v", err)
	}
	if err := w.repo.ReactIssue(t.Context(), 5, "applause"); err == nil {
		t.Error("unknown reaction: got nil, want an error")
	}
}
