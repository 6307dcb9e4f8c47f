package worktree

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestShadowHoldsOnlyItsOwn lists what an agent finds of other tasks and of the host.
func TestShadowHoldsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, "boxed")
	one, two := w.prepare("one"), w.prepare("two")
	w.agent(two, "echo two > two.txt; git add two.txt; git commit -qm two")
	w.look(two)
	later := w.commit("main", map[string]string{"later.txt": "x"})
	three := w.spec("three")
	three.BaseSHA = later
	if _, err := w.trees.Prepare(t.Context(), three, cred()); err != nil {
		t.Fatal(err)
	}
	want := w.base + " refs/heads/dozens/one\n" + w.base + " refs/remotes/origin/main"
	if got := w.agent(one, `git for-each-ref --format='%(objectname) %(refname)'`); got != want {
		t.Errorf("refs:\n%s\nwant\n%s", got, want)
	}
	if got := w.agent(one, `cd $(git rev-parse --git-common-dir); ls worktrees; ls ../../trees`); got != one.name()+"\n"+one.name() {
		t.Errorf("worktrees: %q", got)
	}
	for _, script := range []string{"rm .git", "mv .git x", "echo x > .git", "ln -f .git x", "rm -rf " + two.Path + "/README.md; [ -e " + two.Path + " ]",
		"echo x > $(git rev-parse --git-common-dir)/base/x", "rm -f $(git rev-parse --git-common-dir)/base/pack/*.idx", "chmod 777 $(git rev-parse --git-common-dir)/base"} {
		if out, err := w.try(one, script); err == nil {
			t.Errorf("%s: went well: %s", script, out)
		}
	}
}

// TestShadowStaysUntilTaken ends a run before anybody looked: its commits, branches and staged files are there for the
// next one, and gone when they have been taken.
func TestShadowStaysUntilTaken(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, "boxed")
	tree := w.prepare("one")
	w.agent(tree, "echo x > x; git add x; git commit -qm x; git branch mine; git stash list; echo s > s; git add s; git config user.nickname me")
	if got := run(t, w.mirror(), "git", "rev-parse", "dozens/one"); got != w.base {
		t.Errorf("the mirror's branch moved to %s before a look", got)
	}
	w.prepare("one")
	if got := w.agent(tree, "git log --format=%s -1; git status --porcelain; git config user.nickname; git rev-parse mine >/dev/null"); got != "x\nA  s\nme" {
		t.Errorf("after the second Prepare: %q", got)
	}
	head := w.look(tree).Head
	if exists(tree.shadow()) {
		t.Error("the shadow is there after it was taken")
	}
	w.prepare("one")
	if got := w.agent(tree, "git rev-parse HEAD; git status --porcelain; git config user.nickname || echo none; git for-each-ref --format='%(refname)'"); got != head+"\nnone\nrefs/heads/dozens/one\nrefs/remotes/origin/main" {
		t.Errorf("after the look: %q", got)
	}
}

// TestUnfinishedCommits are in the shadow alone. Whatever happens to the worktree, they are not lost.
func TestUnfinishedCommits(t *testing.T) {
	t.Parallel()
	commit := "echo x > x; git add x; git commit -qm x; "
	tests := []struct {
		name, script string
		after        func(t *testing.T, w *world, tree Tree) // what happens to the host
		kept         string                                  // a file that a kept ref holds; "": the shadow is kept as a folder
	}{
		{"task ends", commit, func(*testing.T, *world, Tree) {}, "x"},
		{"branch left behind", commit + "git checkout -q --detach HEAD~; echo y > y", func(*testing.T, *world, Tree) {}, "x"},
		{"worktree lost", commit, func(t *testing.T, _ *world, tree Tree) { removeAll(t, tree.Path) }, "x"},
		{"worktree lost, prepared again", commit, func(t *testing.T, w *world, tree Tree) {
			removeAll(t, tree.Path)
			w.prepare("one")
			if got := read(t, filepath.Join(tree.Path, "x")); got != "x\n" {
				t.Errorf("x = %q, want the worktree where the branch was left", got)
			}
		}, "x"},
		{"worktree lost, another branch", "git checkout -q --detach; " + commit, func(t *testing.T, w *world, tree Tree) {
			removeAll(t, tree.Path)
			w.prepare("one")
		}, "x"},
		{"notes lost", commit, func(t *testing.T, w *world, tree Tree) {
			removeAll(t, filepath.Join(w.trees.dir, "state", tree.name()))
		}, "x"},
		{"folder of the worktree damaged", commit + "rm -rf $(git rev-parse --absolute-git-dir)", func(*testing.T, *world, Tree) {}, "x"},
		{"unreadable", commit + "echo '[' > $(git rev-parse --git-common-dir)/config", func(*testing.T, *world, Tree) {}, ""},
		{"unreadable, prepared again", commit + "echo '[' > $(git rev-parse --git-common-dir)/config", func(t *testing.T, w *world, tree Tree) {
			w.prepare("one")
			if got := w.agent(tree, "git status --porcelain"); got != "?? x" {
				t.Errorf("status = %q", got)
			}
		}, ""},
		{"malformed", "T=$(git cat-file tree HEAD | git hash-object -t tree -w --stdin); git reset -q --soft $(printf \"tree $T\\nparent $(git rev-parse HEAD)\\nauthor x\\ncommitter x\\n\\nx\\n\" | git hash-object -t commit -w --stdin --literally)",
			func(*testing.T, *world, Tree) {}, ""},
		{"opened without a sandbox", commit, func(t *testing.T, w *world, tree Tree) {
			bare, err := Open(w.trees.dir, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			defer bare.Close()
			if _, err := bare.Prepare(t.Context(), tree.Spec, cred()); err != nil {
				t.Error(err)
			}
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, "boxed")
			tree := w.prepare("one")
			w.agent(tree, tt.script)
			tt.after(t, w, tree)
			if err := w.trees.Remove(t.Context(), tree.Spec, true); err != nil {
				t.Fatal(err)
			}
			folders, err := filepath.Glob(filepath.Join(w.trees.dir, "kept", "git-of-"+tree.name()+"-*"))
			if err != nil || (len(folders) > 0) != (tt.kept == "") {
				t.Errorf("kept folders: %q, %v", folders, err)
			}
			found := false
			for _, ref := range strings.Fields(run(t, w.mirror(), "git", "for-each-ref", "--format=%(refname)", tree.kept()+"*")) {
				out, err := command(w.mirror(), "git", "show", ref+":"+tt.kept).CombinedOutput()
				found = found || err == nil && string(out) == "x\n"
			}
			if tt.kept != "" && !found {
				t.Error("the commit was not kept")
			}
			nothingLeft(t, w, tree)
			if exists(tree.shadow()) {
				t.Error("the shadow is left")
			}
		})
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// TestSweepShadows finds shadows that nothing else leads to.
func TestSweepShadows(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, "boxed")
	one, two := w.prepare("one"), w.prepare("two")
	w.agent(one, "echo x > x; git add x; git commit -qm x")
	for _, path := range []string{one.Path, filepath.Join(w.trees.dir, "state", one.name()), filepath.Join(w.mirror(), "worktrees", one.name())} {
		removeAll(t, path)
	}
	if err := w.trees.Sweep(t.Context(), func(task string) bool { return task == two.Task }); err != nil {
		t.Fatal(err)
	}
	if folders, err := filepath.Glob(filepath.Join(w.trees.dir, "kept", "git-of-"+one.name()+"-*")); err != nil || len(folders) != 1 || exists(one.shadow()) {
		t.Errorf("kept folders: %q, %v", folders, err)
	}
	if !exists(two.shadow()) {
		t.Error("a live task's shadow was swept")
	}
}

// TestFromBareToBoxed takes a data folder over that was used without a sandbox.
func TestFromBareToBoxed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree := w.prepare("one")
	mine := w.agent(tree, "echo x > x; git add x; git commit -qm x; git checkout -q --detach; echo y > y; git add y; git commit -qm y; echo z > z; git rev-parse HEAD")
	w.box = openBox(t)
	w.trees = w.open(w.trees.dir)
	tree = w.prepare("one")
	if got := w.agent(tree, "git rev-parse HEAD; git status --porcelain; git rev-parse dozens/one^"); got != mine+"\n?? z\n"+w.base {
		t.Errorf("in the box: %q", got)
	}
	if look := w.look(tree); look.Commits != 3 || len(look.Changes) != 3 {
		t.Errorf("Look = %+v, want three commits of three files", look)
	}
}

// TestCancelEndsBox cancels a look while git waits for what never comes.
func TestCancelEndsBox(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, "boxed")
	tree := w.prepare("one")
	w.agent(tree, "C=$(git rev-parse --git-common-dir); rm $C/config; mkfifo $C/config")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := w.trees.Look(ctx, tree, CommitOptions{}); done <- err }()
	for len(boxesOf(tree)) == 0 {
		select {
		case err := <-done:
			t.Fatalf("Look = %v before it was cancelled", err)
		default:
		}
	}
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("Look = %v, want it cancelled", err)
	}
	if left := boxesOf(tree); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
}

// boxesOf finds boxed processes that work with the tree's git folder.
func boxesOf(tree Tree) []string { return processesWith("GIT_DIR=" + tree.Binds[2].To) }
