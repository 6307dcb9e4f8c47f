package worktree

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrepareManyAtOnce(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		const n = 30
		var wait sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			wait.Go(func() {
				_, errs[i] = w.trees.Prepare(t.Context(), w.spec(fmt.Sprintf("unit%d", i)), cred())
			})
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := w.fetches.Load(); got != 1 {
			t.Errorf("fetches = %d, want 1", got)
		}
		for i := range n {
			path := filepath.Join(w.trees.dir, "trees", w.spec(fmt.Sprintf("unit%d", i)).name())
			got := run(t, path, "git", "status", "--porcelain", "--branch")
			if want := fmt.Sprintf("## dozens/unit%d", i); got != want {
				t.Errorf("status = %q, want %q", got, want)
			}
		}
		if got := strings.Count(run(t, w.mirror(), "git", "worktree", "list", "--porcelain"), "\nlocked "); got != n {
			t.Errorf("locked worktrees = %d, want %d", got, n)
		}
		run(t, w.mirror(), "git", "fsck", "--strict")
		run(t, w.mirror(), "git", "worktree", "prune", "--expire=now")
		list, err := w.trees.List()
		if err != nil || len(list) != n {
			t.Errorf("List = %d trees, %v; want %d", len(list), err, n)
		}
	})
}

func TestPrepareKeepsWork(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree := w.prepare("one")
		w.agent(tree, "echo mine > mine.txt; echo staged > staged.txt; git add staged.txt; git commit -qm mine --allow-empty; git switch -qc elsewhere")
		before := w.agent(tree, "git status --porcelain; git rev-parse HEAD")
		touch(t, filepath.Join(w.mirror(), "worktrees", tree.name(), "index.lock"))
		touch(t, filepath.Join(w.mirror(), "refs/heads/dozens/one.lock"))
		if again := w.prepare("one"); !cmp.Equal(again, tree) {
			t.Errorf("second Prepare = %+v, want %+v", again, tree)
		}
		if after := w.agent(tree, "git status --porcelain; git rev-parse HEAD"); after != before {
			t.Errorf("after the second Prepare:\n%s\nwant\n%s", after, before)
		}
		w.agent(tree, "git add -A; git commit -qm more")
		if got := w.fetches.Load(); got != 1 {
			t.Errorf("fetches = %d, want 1", got)
		}
	})
}

func TestPrepareFetchesNewBase(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		w.prepare("one")
		w.base = w.commit("main", map[string]string{"later.txt": "later\n"})
		tree := w.prepare("two")
		if got := read(t, filepath.Join(tree.Path, "later.txt")); got != "later\n" {
			t.Errorf("later.txt = %q", got)
		}
		w.prepare("three")
		if got := w.fetches.Load(); got != 2 {
			t.Errorf("fetches = %d, want 2", got)
		}
		old := w.prepare("one") // a worktree that exists gets the new base commit too, to merge it
		w.agent(old, "git merge -q --no-edit "+w.base)
	})
}

func TestPrepareTakesBranchWithoutCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.spec("one")
	s.BaseSHA = ""
	tree, err := w.trees.Prepare(t.Context(), s, cred())
	if err != nil || tree.BaseSHA != w.base {
		t.Fatalf("Prepare = %q, %v; want base %s", tree.BaseSHA, err, w.base)
	}
	w.commit("main", map[string]string{"later.txt": "later\n"})
	if tree, err = w.trees.Prepare(t.Context(), s, cred()); err != nil || tree.BaseSHA != w.base {
		t.Errorf("second Prepare = %q, %v; want the first base %s", tree.BaseSHA, err, w.base)
	}
}

func TestPrepareFindsCommitWithoutBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.spec("one")
	s.BaseSHA = w.commit("gone", map[string]string{"x": "x"})
	w.remote("branch", "-D", "gone")
	if _, err := w.trees.Prepare(t.Context(), s, cred()); err != nil {
		t.Errorf("Prepare of a commit that no branch leads to: %v", err)
	}
}

func TestPrepareRepairs(t *testing.T) {
	t.Parallel()
	admin := `A=$(git rev-parse --absolute-git-dir); M=$(git rev-parse --path-format=absolute --git-common-dir); `
	tests := []struct{ name, script string }{
		{".git deleted", `rm .git`},
		{".git points elsewhere", `git init -q ../../other; echo "gitdir: $PWD/../../other/.git" > .git`},
		{".git is a repository", `rm .git; git init -q .; git add -A; git commit -qm mine`},
		{".git is a link", `mv .git ../../stolen; ln -s ../../stolen .git`},
		{"admin folder deleted", admin + `rm -rf $A`},
		{"admin folder is a link", admin + `mv $A $A-away; ln -s $A-away $A`},
		{"gitdir changed", admin + `echo /nowhere > $A/gitdir`},
		{"commondir changed", admin + `echo /nowhere > $A/commondir`},
		{"unlocked", admin + `rm $A/locked`},
		{"HEAD is a link", admin + `mv $A/HEAD $A/H; ln -s H $A/HEAD`},
		{"HEAD is empty", admin + `: > $A/HEAD`},
		{"branch deleted", `git update-ref -d refs/heads/dozens/one`},
		{"all of it", admin + `git update-ref -d refs/heads/dozens/one; rm -rf .git $A`},
		{"mirror's config", admin + `git config core.worktree /nowhere; git config --add remote.origin.url http://elsewhere`},
		{"mirror's HEAD", admin + `echo rubbish > $M/HEAD`},
		{"unwritable", `chmod 000 src; chmod 500 .`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachMode(t, func(t *testing.T, w *world) {
				if w.box != nil && (strings.HasPrefix(tt.name, ".git ") || tt.name == "all of it") {
					t.Skip("a boxed agent cannot reach it")
				}
				tree := w.prepare("one")
				w.agent(tree, "echo mine > mine.txt; echo more >> README.md")
				w.agent(tree, tt.script)
				w.prepare("one")
				if got := w.agent(tree, "chmod 755 src; cat mine.txt; git add -A; git commit -qm mine; git rev-parse HEAD^"); got != "mine\n"+w.base {
					t.Errorf("after the repair: %q", got)
				}
				if got := run(t, w.mirror(), "git", "worktree", "list", "--porcelain"); !strings.Contains(got, "branch refs/heads/dozens/one\nlocked") {
					t.Errorf("worktrees of the mirror:\n%s", got)
				}
				if look := w.look(tree); look.Commits != 1 || len(look.Changes) != 2 {
					t.Errorf("Look = %+v, want one commit of two files", look)
				}
			})
		})
	}
}

func TestPrepareAfterLoss(t *testing.T) {
	t.Parallel()
	t.Run("nothing pushed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		tree := w.prepare("one")
		mine := w.agent(tree, "echo mine > mine.txt; git add -A; git commit -qm mine; git rev-parse HEAD")
		w.agent(tree, `cd ..; rm -rf "`+tree.Path+`"`)
		w.prepare("one")
		if got := w.agent(tree, "git rev-parse HEAD; git status --porcelain; cat mine.txt"); got != mine+"\nmine" {
			t.Errorf("worktree = %q, want the branch as it was, %s", got, mine)
		}
	})
	t.Run("on another host", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		tree := w.prepare("one")
		w.agent(tree, "echo mine > mine.txt")
		look := w.look(tree)
		if err := w.trees.Push(t.Context(), tree, look.Head, "", cred()); err != nil {
			t.Fatal(err)
		}
		s := tree.Spec
		s.Pushed = look.Head
		tree, err := w.open(t.TempDir()).Prepare(t.Context(), s, cred())
		if err != nil {
			t.Fatal(err)
		}
		if got := w.agent(tree, "git rev-parse HEAD; git branch --show-current; cat mine.txt"); got != look.Head+"\ndozens/one\nmine" {
			t.Errorf("worktree = %q", got)
		}
	})
	t.Run("branch rewritten", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		tree := w.prepare("one")
		mine := w.agent(tree, "echo mine > mine.txt; git add -A; git commit -qm mine; git rev-parse HEAD")
		w.agent(tree, `cd ..; rm -rf "`+tree.Path+`"`)
		s := tree.Spec
		s.Pushed = w.commit("dozens/one", map[string]string{"theirs.txt": "theirs"})
		if _, err := w.trees.Prepare(t.Context(), s, cred()); err != nil {
			t.Fatal(err)
		}
		if got := w.agent(tree, "git rev-parse HEAD"); got != s.Pushed {
			t.Errorf("HEAD = %s, want the pushed commit %s", got, s.Pushed)
		}
		if got := run(t, w.mirror(), "git", "rev-parse", s.kept()); got != mine {
			t.Errorf("kept = %s, want %s", got, mine)
		}
	})
	t.Run("folder is a link", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		tree := w.prepare("one")
		w.agent(tree, `cd ..; mv "`+tree.Path+`" ../away; ln -s ../away "`+tree.Path+`"`)
		w.prepare("one")
		if info, err := os.Lstat(tree.Path); err != nil || !info.IsDir() {
			t.Errorf("worktree is %v, %v; want a folder", info, err)
		}
	})
	t.Run("notes lost", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		tree := w.prepare("one")
		w.agent(tree, "echo mine > mine.txt")
		if err := os.RemoveAll(filepath.Join(w.trees.dir, "state", tree.name())); err != nil {
			t.Fatal(err)
		}
		w.prepare("one")
		if look := w.look(tree); len(look.Changes) != 1 || look.Changes[0].Path != "mine.txt" {
			t.Errorf("Look = %+v, want mine.txt", look)
		}
	})
}

func TestPrepareErrors(t *testing.T) {
	t.Parallel()
	redirect := func(w *world) {
		f := func(rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, "http://localhost:1"+r.URL.Path, http.StatusMovedPermanently)
			return true
		}
		w.before.Store(&f)
	}
	tests := []struct {
		name  string
		setup func(w *world)
		spec  func(s *Spec)
		cred  Credential
		want  error
		words string
	}{
		{name: "empty repository", setup: func(w *world) { w.remote("update-ref", "-d", "refs/heads/main") }, cred: cred(), want: ErrEmptyRepo},
		{name: "empty repository, no commit named", setup: func(w *world) { w.remote("update-ref", "-d", "refs/heads/main") },
			spec: func(s *Spec) { s.BaseSHA = "" }, cred: cred(), want: ErrEmptyRepo},
		{name: "repository gone", spec: func(s *Spec) { s.CloneURL += "x" }, cred: cred(), want: ErrGone},
		{name: "commit gone", spec: func(s *Spec) { s.BaseSHA = strings.Repeat("12", 20) }, cred: cred(), want: ErrGone},
		{name: "pushed commit gone", spec: func(s *Spec) { s.Pushed = strings.Repeat("12", 20) }, cred: cred(), want: ErrGone},
		{name: "branch gone", spec: func(s *Spec) { s.BaseSHA, s.Base = "", "nope" }, cred: cred(), want: ErrGone},
		{name: "wrong token", cred: Credential{Username: user, Password: "ghs_anotherSecret"}, want: ErrAuth},
		{name: "no token", want: ErrAuth},
		{name: "redirect", setup: redirect, cred: cred(), words: "redirects are not followed"},
		{name: "no server", setup: func(w *world) { w.server.Close() }, cred: cred(), words: "git fetch: exit 128"},
		{name: "token of two lines", cred: Credential{Username: user, Password: "x\nhost=y"}, want: ErrSpec},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.spec("one")
			if tt.setup != nil {
				tt.setup(w)
			}
			if tt.spec != nil {
				tt.spec(&s)
			}
			_, err := w.trees.Prepare(t.Context(), s, tt.cred)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.words) {
				t.Fatalf("Prepare = %v, want %v %q", err, tt.want, tt.words)
			}
			if strings.Contains(err.Error(), "ghs_") {
				t.Errorf("the error shows the token: %v", err)
			}
			if exists(filepath.Join(w.trees.dir, "trees", s.name())) {
				t.Error("a worktree was begun")
			}
		})
	}
}

func TestPrepareRecoversFromOthersCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, bad := make(chan error, 1), make(chan error, 1)
	asked, let := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hold := func(http.ResponseWriter, *http.Request) bool {
		once.Do(func() { close(asked) })
		<-let
		return false
	}
	w.before.Store(&hold)
	go func() {
		_, err := w.trees.Prepare(t.Context(), w.spec("bad"), Credential{Username: user, Password: "ghs_revoked"})
		bad <- err
	}()
	<-asked
	go func() {
		_, err := w.trees.Prepare(t.Context(), w.spec("good"), cred())
		good <- err
	}()
	m := w.trees.mirror(7)
	for joined := false; !joined; runtime.Gosched() { // until both wait for the one fetch
		m.mu.Lock()
		joined = m.flight != nil && m.flight.waiting == 2
		m.mu.Unlock()
	}
	close(let)
	if err := <-bad; !errors.Is(err, ErrAuth) {
		t.Errorf("bad credential: %v, want ErrAuth", err)
	}
	if err := <-good; err != nil {
		t.Errorf("good credential: %v", err)
	}
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
