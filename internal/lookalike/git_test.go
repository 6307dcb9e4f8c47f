package lookalike

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestCloneAndPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	dir := t.TempDir()
	mustGit(t, dir, "clone", "-q", w.remote(token), "c")
	c := filepath.Join(dir, "c")
	w.try(os.WriteFile(filepath.Join(c, "new.txt"), []byte(strings.Repeat("line\n", 400000)), 0o600)) // larger than http.postBuffer
	mustGit(t, c, "add", "-A")
	mustGit(t, c, "commit", "-q", "-m", "New file")
	w.forget()
	mustGit(t, c, "push", "-q", "origin", "HEAD:refs/heads/dozens/new")
	sha := mustGit(t, c, "rev-parse", "HEAD")
	if got := must(w.shop.Head("dozens/new"))(t); got != sha {
		t.Errorf("branch: got %s, want %s", got, sha)
	}
	if p := w.the("push").payload; p["created"] != true || dig(p, "sender.login") != "dozens[bot]" || dig(p, "head_commit.id") != sha || dig(p, "commits.0.added.0") != "new.txt" {
		t.Errorf("push: got %v", p)
	}
	w.want(201, token, "POST", "/repos/acme/shop/pulls", map[string]any{"title": "t", "head": "dozens/new", "base": "main"})
	mustGit(t, c, "commit", "-q", "--allow-empty", "-m", "More")
	mustGit(t, c, "push", "-q", "origin", "HEAD:dozens/new")
	if got, want := w.pullState(w.shop.Pull(1)).HeadSHA, mustGit(t, c, "rev-parse", "HEAD"); got != want {
		t.Errorf("head of the pull request: got %s, want %s", got, want)
	}
	if e := w.the("pull_request.synchronize").payload; e["before"] != sha || dig(e, "sender.type") != "Bot" {
		t.Errorf("synchronize: got %v", e)
	}
	mustGit(t, c, "commit", "-q", "--amend", "--allow-empty", "-m", "Other")
	if out, err := runGit(t, c, "push", "origin", "HEAD:dozens/new"); err == nil || !strings.Contains(out, "non-fast-forward") {
		t.Errorf("push of another history: got %v %s", err, out)
	}
	w.forget()
	mustGit(t, c, "push", "-q", "--force", "origin", "HEAD:dozens/new")
	if p := w.the("push").payload; p["forced"] != true {
		t.Errorf("forced: got %v", p["forced"])
	}
	mustGit(t, c, "fetch", "-q", "origin", "refs/pull/1/head")
	if got, want := mustGit(t, c, "rev-parse", "FETCH_HEAD"), mustGit(t, c, "rev-parse", "HEAD"); got != want {
		t.Errorf("refs/pull/1/head: got %s, want %s", got, want)
	}
	mustGit(t, c, "push", "-q", "origin", ":dozens/new")
	if w.pullState(w.shop.Pull(1)).Open {
		t.Error("branch deleted by push: the pull request is still open")
	}
	mustGit(t, c, "push", "-q", "origin", "HEAD:refs/tags/v1")
}

func TestGitRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	good := w.token(nil)
	mustGit(t, dir, "clone", "-q", w.remote(good), "c")
	c := filepath.Join(dir, "c")
	mustGit(t, c, "commit", "-q", "--allow-empty", "-m", "x")
	must(w.g.CreateRepo("acme", "bank", map[string]string{"a": "a"}))(t)
	read := w.token(map[string]any{"permissions": map[string]string{"contents": "read"}})
	bank := w.token(map[string]any{"repositories": []string{"bank"}})
	gone := w.token(nil)
	w.want(204, gone, "DELETE", "/installation/token", nil)
	for name, tc := range map[string]struct{ url, want string }{
		"nobody":        {w.shop.CloneURL(), "could not read Username"},
		"wrong token":   {w.remote("ghs_wrong"), "Authentication failed"},
		"revoked token": {w.remote(gone), "Authentication failed"},
		"read only":     {w.remote(read), "403"},
		"other repo":    {w.remote(bank), "not found"},
		"reader":        {w.remote(w.eve.Token), "403"},
	} {
		if out, err := runGit(t, c, "push", tc.url, "HEAD:refs/heads/"+strings.ReplaceAll(name, " ", "-")); err == nil || !strings.Contains(out, tc.want) {
			t.Errorf("%s: got %v %s, want %s", name, err, out, tc.want)
		}
	}
	mustGit(t, c, "ls-remote", w.remote(read))
	mustGit(t, c, "push", "-q", w.remote(w.grace.Token), "HEAD:refs/heads/grace")
	w.shop.Protect("main", Protection{})
	if out, err := runGit(t, c, "push", w.remote(good), "HEAD:main"); err == nil || !strings.Contains(out, "GH006") {
		t.Errorf("protected: got %v %s", err, out)
	}
	w.try(os.MkdirAll(filepath.Join(c, ".github/workflows"), 0o700))
	w.try(os.WriteFile(filepath.Join(c, ".github/workflows/ci.yml"), []byte("on: push\n"), 0o600))
	mustGit(t, c, "add", "-A")
	mustGit(t, c, "commit", "-q", "-m", "workflow")
	if out, err := runGit(t, c, "push", w.remote(good), "HEAD:refs/heads/flow"); err == nil || !strings.Contains(out, "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission") {
		t.Errorf("workflow: got %v %s", err, out)
	}
	mustGit(t, c, "push", "-q", w.remote(w.ada.Token), "HEAD:refs/heads/flow")
	if out, err := runGit(t, c, "push", w.remote(good), "HEAD:refs/pull/9/head"); err == nil {
		t.Errorf("push to refs/pull: went through: %s", out)
	}
	w.shop.SetPublic(true)
	mustGit(t, c, "ls-remote", w.shop.CloneURL())
}

func TestRenamedClone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.remote(w.token(nil))
	w.try(w.shop.Rename("store"))
	dir := t.TempDir()
	mustGit(t, dir, "clone", "-q", old, "c")
	if _, err := os.Stat(filepath.Join(dir, "c", "README.md")); err != nil {
		t.Error(err)
	}
}

func TestGitIntercepts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	mustGit(t, dir, "clone", "-q", w.remote(w.token(nil)), "c")
	c := filepath.Join(dir, "c")
	mustGit(t, c, "commit", "-q", "--allow-empty", "-m", "x")
	const pattern = "/{owner}/{repo}.git/git-receive-pack"
	remove := w.g.Intercept(On(Before, "POST", pattern, 9, Action{Drop: true})) // git's transport tries again by itself
	if out, err := runGit(t, c, "push", "origin", "HEAD:refs/heads/x"); err == nil {
		t.Errorf("dropped before: went through: %s", out)
	}
	if got := must(w.shop.Head("x"))(t); got != "" {
		t.Error("dropped before: the branch is there")
	}
	remove()
	w.g.Intercept(On(After, "POST", pattern, 1, BadGateway()))
	if out, err := runGit(t, c, "push", "origin", "HEAD:refs/heads/x"); err == nil {
		t.Errorf("502 after: git is content: %s", out)
	}
	if got, want := must(w.shop.Head("x"))(t), mustGit(t, c, "rev-parse", "HEAD"); got != want {
		t.Errorf("502 after: got %s, want %s", got, want)
	}
	var kinds []string
	for _, call := range w.g.Calls() {
		if call.Kind == "git" && call.Actor == "dozens[bot]" {
			kinds = append(kinds, call.Pattern)
		}
	}
	if !slices.Contains(kinds, pattern) || !slices.Contains(kinds, "/{owner}/{repo}.git/git-upload-pack") {
		t.Errorf("recorded: got %v", kinds)
	}
}

func TestFiftyPushAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	dir := t.TempDir()
	mustGit(t, dir, "clone", "-q", w.remote(token), "c")
	c := filepath.Join(dir, "c")
	tree := mustGit(t, c, "rev-parse", "HEAD^{tree}")
	const agents = 50
	var wg sync.WaitGroup
	errs := make(chan error, agents)
	for n := range agents {
		sha := mustGit(t, c, "commit-tree", tree, "-p", "HEAD", "-m", fmt.Sprint("agent ", n))
		wg.Go(func() {
			branch := fmt.Sprintf("dozens/agent-%02d", n)
			if out, err := runGit(t, c, "push", "-q", "origin", sha+":refs/heads/"+branch); err != nil {
				errs <- fmt.Errorf("%s: %w: %s", branch, err, out)
				return
			}
			got := w.rest(token, "POST", "/repos/acme/shop/pulls", map[string]any{"title": branch, "head": branch, "base": "main"})
			if got.status != 201 || got.at("head.sha") != sha {
				errs <- fmt.Errorf("%s: %d %s", branch, got.status, got.text)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if got := len(w.shop.Pulls()); got != agents {
		t.Errorf("pull requests: got %d, want %d", got, agents)
	}
}
