package worktree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func TestRemove(t *testing.T) {
	t.Parallel()
	kept := func(w *world, tree Tree) string {
		return run(t, w.mirror(), "git", "for-each-ref", "--format=%(refname)", "refs/dozens/kept/")
	}
	tests := []struct {
		name    string
		script  string
		push    bool
		keep    bool
		file    string // a file of the kept commit, with its content; "": nothing is kept
		content string
		folder  string // a file of the folder in kept/
	}{
		{name: "clean", script: "true", keep: true},
		{name: "not kept", script: "echo x > x; git add x; git commit -qm x; echo y > y"},
		{name: "commit", script: "echo x > x; git add x; git commit -qm x", keep: true, file: "x", content: "x"},
		{name: "edit", script: "echo x > x", keep: true, file: "x", content: "x"},
		{name: "pushed", script: "echo x > x", push: true, keep: true},
		{name: "edit after a push", script: "echo x > x", push: true, keep: true, file: "later", content: "later"},
		{name: "detached", script: "git checkout -q --detach; echo x > x; git add x; git commit -qm x", keep: true, file: "x", content: "x"},
		{name: "unrelated root", script: "git checkout -q --orphan new; echo x > x; git add x; git commit -qm x", keep: true, file: "x", content: "x"},
		{name: "unborn branch", script: "git checkout -q --orphan new; echo x > x", keep: true, file: "x", content: "x"},
		{name: "branch, but no folder", script: `echo x > x; git add x; git commit -qm x; rm -rf "$PWD"`, keep: true, file: "x", content: "x"},
		{name: "broken", script: `echo x > x; rm -rf .git "$(git rev-parse --absolute-git-dir)" || true`, keep: true, file: "x", content: "x"},
		{name: "nested repository", script: "echo x > x; git init -q sub; echo s > sub/s", keep: true, file: "x", content: "x", folder: "sub/s"},
		{name: "huge file", script: "echo x > x; truncate -s 60M big", keep: true, file: "x", content: "x", folder: "big"},
		{name: "unreadable", script: "mkdir deep; echo x > deep/x; chmod 000 deep", keep: true, file: "deep/x", content: "x"},
		{name: "unreadable, not kept", script: "mkdir deep; echo x > deep/x; chmod 000 deep; chmod 500 ."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachMode(t, func(t *testing.T, w *world) {
				tree := w.prepare("one")
				if w.box != nil && tt.name == "branch, but no folder" {
					t.Skip("a boxed agent cannot reach it")
				}
				w.agent(tree, tt.script)
				if tt.push {
					head := w.look(tree).Head
					if err := w.trees.Push(t.Context(), tree, head, "", cred()); err != nil {
						t.Fatal(err)
					}
					if tt.file != "" {
						w.agent(tree, "echo later > later")
					}
				}
				for range 2 { // the second time there is nothing left to do
					if err := w.trees.Remove(t.Context(), tree.Spec, tt.keep); err != nil {
						t.Fatal(err)
					}
				}
				if got := kept(w, tree); (got != "") != (tt.file != "") {
					t.Errorf("kept refs = %q", got)
				}
				if tt.file != "" {
					if got := run(t, w.mirror(), "git", "show", tree.kept()+":"+tt.file); got != tt.content {
						t.Errorf("kept %s = %q, want %q", tt.file, got, tt.content)
					}
				}
				folders, err := filepath.Glob(filepath.Join(w.trees.dir, "kept", tree.name()+"-*"))
				if err != nil || (len(folders) == 1) != (tt.folder != "") {
					t.Fatalf("kept folders = %q, %v", folders, err)
				}
				if tt.folder != "" && !exists(filepath.Join(folders[0], tt.folder)) {
					t.Errorf("%s was not kept", tt.folder)
				}
				nothingLeft(t, w, tree)
			})
		})
	}
}

// nothingLeft looks for traces of a removed worktree.
func nothingLeft(t *testing.T, w *world, tree Tree) {
	t.Helper()
	for _, path := range []string{tree.Path, filepath.Join(w.trees.dir, "state", tree.name()), filepath.Join(w.mirror(), "worktrees", tree.name()),
		filepath.Join(w.trees.dir, "locks", "task-"+tree.Task+".lock")} {
		if exists(path) {
			t.Errorf("%s is left", path)
		}
	}
	if got := run(t, w.mirror(), "git", "for-each-ref", "refs/heads/"+tree.Branch); got != "" {
		t.Errorf("the branch is left: %s", got)
	}
	run(t, w.mirror(), "git", "fsck")
}

func TestRemoveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.trees.Remove(t.Context(), w.spec("one"), true); err != nil {
		t.Errorf("Remove of what never was: %v", err)
	}
	for _, label := range []string{"../trees", "a/b", "..", ""} {
		s := w.spec("one")
		s.Label = label
		if err := w.trees.Remove(t.Context(), s, false); !errors.Is(err, ErrSpec) {
			t.Errorf("label %q: %v, want ErrSpec", label, err)
		}
	}
}

func TestTrash(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "dead-of-an-earlier-process"), map[string]string{"x": "x"})
	write(t, filepath.Join(away, "tree"), map[string]string{"a/b/c": "x", "file": "x"})
	run(t, away, "sh", "-c", "ln -s /etc tree/link; chmod 000 tree/a/b tree/file; chmod 500 tree/a tree")
	tr := openTrash(dir, zerolog.Nop())
	for _, name := range []string{"tree", "tree", "never was"} {
		if err := tr.take(filepath.Join(away, name)); err != nil {
			t.Errorf("take %s: %v", name, err)
		}
	}
	tr.close()
	for _, d := range []string{dir, away} {
		if left, err := os.ReadDir(d); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v; want nothing", left, err)
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		live, dead, lost, stray := w.prepare("live"), w.prepare("dead"), w.prepare("lost"), w.prepare("stray")
		w.agent(live, "echo mine > mine")
		w.agent(dead, "echo x > x; git add x; git commit -qm x; echo y > y")
		w.agent(lost, "echo x > x")
		w.agent(stray, "echo x > x; git checkout -q --detach")
		for _, tree := range []Tree{lost, stray} { // nobody knows any more what these are
			if err := os.RemoveAll(filepath.Join(w.trees.dir, "state", tree.name())); err != nil {
				t.Fatal(err)
			}
		}
		half := w.spec("half")
		p := w.trees.place(half)
		if err := p.note(state{Spec: half, Head: w.base}); err != nil {
			t.Fatal(err)
		}
		write(t, p.path, map[string]string{"README.md": "hel"})
		locks := []string{"packed-refs.lock", "config.lock", "HEAD.lock", "gc.pid", "refs/heads/dozens/live.lock", "objects/pack/tmp_pack_x"}
		for _, name := range locks {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(w.mirror(), name)), 0o755); err != nil {
				t.Fatal(err)
			}
			touch(t, filepath.Join(w.mirror(), name))
		}
		if w.box == nil {
			w.agent(live, "git worktree add -q --detach ../../agents-own")
		}
		for range 2 {
			if err := w.trees.Sweep(t.Context(), func(task string) bool { return task == live.Task }); err != nil {
				t.Fatal(err)
			}
		}
		if look := w.look(live); len(look.Changes) != 1 {
			t.Errorf("the live worktree: %+v", look)
		}
		for _, name := range locks {
			if exists(filepath.Join(w.mirror(), name)) {
				t.Errorf("%s is left", name)
			}
		}
		if got := run(t, w.mirror(), "git", "show", dead.kept()+":x", dead.kept()+":y"); got != "x\ny" {
			t.Errorf("kept of the dead task: %q", got)
		}
		if got := run(t, w.mirror(), "git", "show", lost.kept()+":x"); got != "x" {
			t.Errorf("kept of the unknown task: %q", got)
		}
		if w.box != nil { // the host's own notes of it cannot be led astray
			if got := run(t, w.mirror(), "git", "show", stray.kept()+":x"); got != "x" {
				t.Errorf("kept of the detached task: %q", got)
			}
		} else if folders, err := filepath.Glob(filepath.Join(w.trees.dir, "kept", stray.name()+"-*")); err != nil || len(folders) != 1 || read(t, filepath.Join(folders[0], "x")) != "x\n" {
			t.Errorf("kept folders = %q, %v", folders, err)
		}
		for _, tree := range []Tree{dead, lost, {Path: p.path, Spec: half}} {
			nothingLeft(t, w, tree)
		}
		entries, err := os.ReadDir(filepath.Join(w.mirror(), "worktrees"))
		if err != nil || len(entries) != 1 {
			t.Errorf("worktrees of the mirror: %v, %v; want one", entries, err)
		}
		list, err := w.trees.List()
		if err != nil || len(list) != 1 || !cmp.Equal(list[0], live) {
			t.Errorf("List = %+v, %v; want the live one", list, err)
		}
	})
}

func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		one, two := w.prepare("one"), w.prepare("two")
		w.agent(one, "echo x > x")
		objects := filepath.Join(w.mirror(), "objects")
		if err := os.Rename(objects, objects+"-away"); err != nil {
			t.Fatal(err)
		}
		if err := w.trees.Sweep(t.Context(), func(string) bool { return false }); err == nil {
			t.Error("a broken mirror was swept without an error")
		}
		if !exists(filepath.Join(one.Path, "x")) || !exists(two.Path) {
			t.Error("a worktree that could not be kept was removed")
		}
		if err := os.Rename(objects+"-away", objects); err != nil {
			t.Fatal(err)
		}
		if err := w.trees.Sweep(t.Context(), func(string) bool { return false }); err != nil {
			t.Error(err)
		}
		nothingLeft(t, w, one)
		nothingLeft(t, w, two)
	})
}

// TestManyTasksAtOnce takes tasks through their whole life side by side, while another goroutine sweeps.
func TestManyTasksAtOnce(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		const n = 12
		var wait sync.WaitGroup
		errs := make([]error, n)
		one := func(label string) error {
			tree, err := w.trees.Prepare(t.Context(), w.spec(label), cred())
			if err != nil {
				return err
			}
			if out, err := w.try(tree, "echo x > "+label+"; git add .; git commit -qm x; echo y >> "+label); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			look, err := w.trees.Look(t.Context(), tree, CommitOptions{})
			if err != nil {
				return err
			}
			if look.Commits != 2 || len(look.Changes) != 1 {
				return fmt.Errorf("%s: %+v", label, look)
			}
			if err := w.trees.Push(t.Context(), tree, look.Head, "", cred()); err != nil {
				return err
			}
			return w.trees.Remove(t.Context(), tree.Spec, true)
		}
		for i := range n {
			wait.Go(func() { errs[i] = one(fmt.Sprintf("unit%d", i)) })
		}
		var swept error
		wait.Go(func() { swept = w.trees.Sweep(t.Context(), func(string) bool { return true }) })
		wait.Wait()
		if err := errors.Join(append(errs, swept)...); err != nil {
			t.Fatal(err)
		}
		if got := len(strings.Fields(w.remote("for-each-ref", "--format=%(refname)", "refs/heads/dozens/"))); got != n {
			t.Errorf("remote branches = %d, want %d", got, n)
		}
		if got := run(t, w.mirror(), "git", "for-each-ref", "refs/heads/", "refs/dozens/"); got != "" {
			t.Errorf("refs left: %s", got)
		}
		run(t, w.mirror(), "git", "fsck")
	})
}
