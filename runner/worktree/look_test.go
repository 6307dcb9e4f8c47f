package worktree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/work"
)

func TestLook(t *testing.T) {
	t.Parallel()
	change := func(status, path string) work.Change { return work.Change{Status: status, Path: path} }
	tests := []struct {
		name    string
		script  string
		commits int
		changes []work.Change
		added   int
		removed int
	}{
		{name: "nothing", script: "true"},
		{name: "ignored files only", script: "git config core.bare true; mkdir -p .git-x; echo '*' > .git-x/.gitignore"},
		{name: "uncommitted", script: "echo x >> README.md; echo y > src/new.go; rm run.sh", commits: 1,
			changes: []work.Change{change("M", "README.md"), change("D", "run.sh"), change("A", "src/new.go")}, added: 2, removed: 1},
		{name: "committed and not", script: "echo x >> README.md; git commit -qam x; echo y >> README.md; git add .; echo z >> README.md", commits: 2,
			changes: []work.Change{change("M", "README.md")}, added: 3},
		{name: "rename", script: "git mv src/a.go src/z.go", commits: 1, changes: []work.Change{{Status: "R", Path: "src/z.go", Old: "src/a.go"}}},
		{name: "mode", script: "chmod +x README.md", commits: 1, changes: []work.Change{change("M", "README.md")}},
		{name: "another branch", script: "git switch -qc mine; echo x > x; git add x; git commit -qm x; echo y > y", commits: 2,
			changes: []work.Change{change("A", "x"), change("A", "y")}, added: 2},
		{name: "detached", script: "git checkout -q --detach; echo x > x; git add x; git commit -qm x", commits: 1,
			changes: []work.Change{change("A", "x")}, added: 1},
		{name: "branch deleted under it", script: "git update-ref -d HEAD; echo x > x", commits: 1, changes: []work.Change{change("A", "x")}, added: 1},
		{name: "unstaged deletion from the index", script: "git rm -q --cached README.md", commits: 0},
		{name: "forced although ignored", script: "echo out > .gitignore; echo x > out; git add -f out", commits: 1,
			changes: []work.Change{change("A", ".gitignore"), change("A", "out")}, added: 2},
		{name: "forced and committed although ignored", script: "echo out > .gitignore; echo x > out; git add -f out; git commit -qm x; echo y >> out", commits: 2,
			changes: []work.Change{change("A", ".gitignore"), change("A", "out")}, added: 3},
		{name: "ignored", script: "echo out > .gitignore; echo x > out", commits: 1, changes: []work.Change{change("A", ".gitignore")}, added: 1},
		{name: "hidden by assume-unchanged", script: "git update-index --assume-unchanged README.md; echo x >> README.md", commits: 1,
			changes: []work.Change{change("M", "README.md")}, added: 1},
		{name: "hidden by skip-worktree", script: "git update-index --skip-worktree README.md; echo x >> README.md", commits: 1,
			changes: []work.Change{change("M", "README.md")}, added: 1},
		{name: "sparse", script: "git sparse-checkout set --no-cone /README.md; echo x >> README.md", commits: 1,
			changes: []work.Change{change("M", "README.md")}, added: 1},
		{name: "same size and time", script: "touch -r README.md /tmp/ref.$$; printf 'hellO\\n' > README.md; touch -r /tmp/ref.$$ README.md; rm /tmp/ref.$$", commits: 1,
			changes: []work.Change{change("M", "README.md")}, added: 1, removed: 1},
		{name: "index deleted", script: "echo x >> README.md; rm $(git rev-parse --git-path index)", commits: 1,
			changes: []work.Change{change("M", "README.md")}, added: 1},
		{name: "index is rubbish", script: "echo x >> README.md; echo rubbish > $(git rev-parse --git-path index)", commits: 1,
			changes: []work.Change{change("M", "README.md")}, added: 1},
		{name: "index locked", script: "echo x >> README.md; : > $(git rev-parse --git-path index.lock)", commits: 1,
			changes: []work.Change{change("M", "README.md")}, added: 1},
		{name: "file becomes folder", script: "rm README.md; mkdir README.md; echo x > README.md/x", commits: 1,
			changes: []work.Change{change("D", "README.md"), change("A", "README.md/x")}, added: 1, removed: 1},
		{name: "folder becomes file", script: "rm -r src; echo x > src", commits: 1,
			changes: []work.Change{change("A", "src"), change("D", "src/a.go"), change("D", "src/b.go")}, added: 1, removed: 2},
		{name: "folder becomes link inside", script: "mv src real; ln -s real src", commits: 1,
			changes: []work.Change{{Status: "R", Path: "real/a.go", Old: "src/a.go"}, {Status: "R", Path: "real/b.go", Old: "src/b.go"}, change("A", "src")}, added: 1},
		{name: "file becomes link", script: "ln -sf run.sh README.md", commits: 1, changes: []work.Change{change("T", "README.md")}, added: 1, removed: 1},
		{name: "binary", script: `printf 'a\0b' > bin`, commits: 1, changes: []work.Change{change("A", "bin")}},
		{name: "odd names", script: `echo x > 'a b'; echo x > -- ; echo x > ./-rf; echo x > 'q"u'\''o'; echo x > 'ü→日本'; echo x > ':(top)x'; echo x > '*'; echo x > '#c'`, commits: 1,
			changes: []work.Change{change("A", "#c"), change("A", "*"), change("A", "--"), change("A", "-rf"), change("A", ":(top)x"), change("A", "a b"),
				change("A", `q"u'o`), change("A", "ü→日本")}, added: 8},
		{name: "unreadable", script: "mkdir deep; echo x > deep/x; chmod 000 src; echo y > y; chmod 000 y deep", commits: 1,
			changes: []work.Change{change("A", "deep/x"), change("A", "y")}, added: 2},
		{name: ".git deleted", script: "echo x > x; rm .git", commits: 1, changes: []work.Change{change("A", "x")}, added: 1},
		{name: ".git is a repository", script: "echo x > x; rm .git; git init -q .; git add -A; git commit -qm x", commits: 1,
			changes: []work.Change{change("A", "x")}, added: 1},
		{name: "empty commits", script: "git commit -q --allow-empty -m a; git commit -q --allow-empty -m b", commits: 2},
		{name: "fifo", script: "mkfifo pipe; echo x > x", commits: 1, changes: []work.Change{change("A", "x")}, added: 1},
		{name: "line ends", script: "echo '* text=auto eol=crlf' > .gitattributes; printf 'a\\r\\n' > crlf", commits: 1,
			changes: []work.Change{change("A", ".gitattributes"), change("A", "crlf")}, added: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachMode(t, func(t *testing.T, w *world) {
				if w.box != nil && strings.HasPrefix(tt.name, ".git ") {
					t.Skip("a boxed agent cannot reach it")
				}
				tree := w.prepare("one")
				w.agent(tree, tt.script)
				got := w.look(tree)
				want := Look{Head: got.Head, Commits: tt.commits, Changes: tt.changes, Added: tt.added, Removed: tt.removed}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("Look (-want +got):\n%s", diff)
				}
				if tt.commits == 0 && got.Head != w.base {
					t.Errorf("Head = %s, want the base commit %s", got.Head, w.base)
				}
				if tt.name == "ignored files only" || tt.name == "fifo" {
					return // git status has its own opinion of what the script did
				}
				if got, want := w.agent(tree, "git rev-parse HEAD; git branch --show-current; git status --porcelain"), got.Head+"\ndozens/one"; got != want {
					t.Errorf("worktree after Look:\n%s\nwant\n%s", got, want)
				}
				if again := w.look(tree); again.Head != got.Head {
					t.Errorf("second Look = %s, want %s", again.Head, got.Head)
				}
				run(t, w.mirror(), "git", "fsck", "--strict")
			})
		})
	}
}

func TestLookRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		script string
		want   error
		says   string
	}{
		{"unrelated root", "git checkout -q --orphan new; git commit -qm root", ErrForeign, "is not among its ancestors"},
		{"unborn branch", "git checkout -q --orphan new", ErrForeign, "no commit"},
		{"nested repository", "git init -q 'sub dir'; echo x > 'sub dir/x'", ErrNested, `"sub dir"`},
		{"nested repository with commits", "git init -q deep/sub; cd deep/sub; echo x > x; git add x; git commit -qm x", ErrNested, `"deep/sub"`},
		{"nested worktree", "git worktree add -q sub 2>/dev/null", ErrNested, `"sub"`},
		{"gitlink committed", "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub; git commit -qm sub", ErrNested, `"sub"`},
		{"link to a file of the host", "ln -s /etc/passwd leak", ErrUnsafe, `"leak" leads to "/etc/passwd"`},
		{"link to above", "ln -s ../../x src/leak", ErrUnsafe, `"src/leak"`},
		{"link through a link", "ln -s src up; ln -s up/../../x leak", ErrUnsafe, `"leak"`},
		{"link committed", "ln -s /etc/passwd leak; git add leak; git commit -qm leak", ErrUnsafe, `"leak"`},
		{"link into .git", "ln -s .git/config leak", ErrUnsafe, `"leak"`},
		{"line break in a name", "echo x > \"$(printf 'a\\nb')\"", ErrUnsafe, `"a\nb"`},
		{"line break in a committed name", "echo x > \"$(printf 'a\\nb')\"; git add -A; git commit -qm x", ErrUnsafe, `"a\nb"`},
		{"escape in a name", "echo x > \"$(printf 'a\\033[2Jb')\"", ErrUnsafe, `"a\x1b[2Jb"`},
		{"name that is no text", "echo x > \"$(printf 'a\\377b')\"", ErrUnsafe, `"a\xffb"`},
		{"name that turns around", "echo x > \"$(printf 'a\\342\\200\\256b')\"", ErrUnsafe, `"a\u202eb"`},
		{".GIT", "mkdir .GIT; echo x > .GIT/config", ErrUnsafe, `".GIT/config"`},
		{"git~1", "mkdir -p a/git~1; echo x > a/git~1/config", ErrUnsafe, `"a/git~1/config"`},
		{".git with a dot", "mkdir '.git.'; echo x > .git./config", ErrUnsafe, `".git./config"`},
		{".Git committed", `B=$(echo x | git hash-object -w --stdin); S=$(printf '100644 blob %s\tconfig\n' $B | git mktree)
			T=$( (git ls-tree HEAD; printf '040000 tree %s\t.Git\n' $S) | git mktree); git reset -q --soft $(git commit-tree -p HEAD -m x $T)`, ErrUnsafe, `".Git/config"`},
		{"big file", "truncate -s 60M big", ErrTooBig, `"big" has 60 MB, the limit is 50 MB`},
		{"big file committed and removed", "truncate -s 60M big; git add big; git commit -qm big; git rm -q big; git commit -qm gone", ErrTooBig, `"big" has 60 MB`},
		{"many bytes", "for i in 1 2 3 4 5; do truncate -s 45M big$i; done", ErrTooBig, "225 MB"},
		{"many files", "mkdir m; cd m; seq 1 10001 | xargs touch", ErrTooBig, "10002 uncommitted paths"},
		{"folder gone", `cd ..; rm -rf "$OLDPWD"`, ErrLost, "one-abcd2345one"},
		{"folder is a link", `cd ..; mv "$OLDPWD" ../away; ln -s ../away "$OLDPWD"`, ErrLost, "one-abcd2345one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachMode(t, func(t *testing.T, w *world) {
				if w.box != nil && errors.Is(tt.want, ErrLost) {
					t.Skip("a boxed agent cannot reach it")
				}
				tree := w.prepare("one")
				w.agent(tree, "echo mine > mine.txt; cd .; "+strings.Replace(tt.script, "$OLDPWD", tree.Path, -1))
				branch := run(t, w.mirror(), "git", "rev-parse", "dozens/one")
				look, err := w.trees.Look(t.Context(), tree, CommitOptions{})
				if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.says) {
					t.Errorf("Look = %+v, %v; want %v %q", look, err, tt.want, tt.says)
				}
				if got := run(t, w.mirror(), "git", "rev-parse", "dozens/one"); got != branch {
					t.Errorf("branch = %s, want it unchanged at %s", got, branch)
				}
				if !errors.Is(tt.want, ErrLost) && read(t, filepath.Join(tree.Path, "mine.txt")) != "mine\n" {
					t.Error("an edit was lost")
				}
			})
		})
	}
}

func TestLookMerge(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree := w.prepare("one")
		w.agent(tree, "echo mine >> README.md; git commit -qam mine")
		mine := w.look(tree)
		tree.BaseSHA = w.commit("main", map[string]string{"README.md": "hello\ntheirs\n", "other.txt": "x\n"})
		if _, err := w.trees.Look(t.Context(), tree, CommitOptions{}); err == nil {
			t.Error("a base commit that is not there was accepted")
		}
		tree, err := w.trees.Prepare(t.Context(), tree.Spec, cred())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.trees.Look(t.Context(), tree, CommitOptions{}); !errors.Is(err, ErrForeign) {
			t.Errorf("before the merge: %v, want ErrForeign", err)
		}
		w.agent(tree, "git merge -q "+tree.BaseSHA+" >/dev/null || true; git reset -q --merge; ! git merge -q --no-edit "+tree.BaseSHA+" 2>/dev/null")
		// The merge stands in conflict: HEAD does not build on the new base, and nothing says that the agent solved it.
		if _, err := w.trees.Look(t.Context(), tree, CommitOptions{}); !errors.Is(err, ErrForeign) {
			t.Errorf("in the merge: %v, want ErrForeign", err)
		}
		w.agent(tree, "printf 'hello\\nmine\\ntheirs\\n' > README.md; git add README.md")
		look := w.look(tree)
		want := []work.Change{{Path: "README.md", Status: "M"}}
		if diff := cmp.Diff(want, look.Changes); diff != "" || look.Commits != 2 || look.Added != 1 {
			t.Errorf("Look of a solved merge = %+v, want only our own change against the new base", look)
		}
		if got := w.agent(tree, "git rev-parse HEAD^1 HEAD^2"); got != mine.Head+"\n"+tree.BaseSHA {
			t.Errorf("parents = %q", got)
		}
	})
}

func TestLookUnfinishedMerge(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree := w.prepare("one")
		w.agent(tree, "git switch -qc side; echo side > README.md; git commit -qam side; git switch -q dozens/one; echo mine > README.md; git commit -qam mine; ! git merge -q side")
		look := w.look(tree)
		if diff := cmp.Diff([]string{"README.md"}, look.Unmerged); diff != "" {
			t.Errorf("Unmerged: %s", diff)
		}
		if got := w.agent(tree, "git log -1 --format='%s %an %ae %cn'; git rev-list --count --merges HEAD; git status --porcelain"); got != "left over Dozens bot@example.com Dozens\n1" {
			t.Errorf("commit = %q", got)
		}
	})
}

func TestLookKeepsRewrittenBranch(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree := w.prepare("one")
		old := w.agent(tree, "echo a > a; git add a; git commit -qm a; git rev-parse HEAD")
		w.agent(tree, "git checkout -q --detach "+w.base+"; echo b > b")
		if look := w.look(tree); look.Commits != 1 || look.Changes[0].Path != "b" {
			t.Errorf("Look = %+v, want b", look)
		}
		if got := run(t, w.mirror(), "git", "rev-parse", tree.kept()); got != old {
			t.Errorf("kept = %s, want %s", got, old)
		}
	})
}

// TestLookAfterReset goes back to a commit that was taken before, and then on from a commit of the server.
func TestLookAfterReset(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree := w.prepare("one")
		w.agent(tree, "echo a > a; git add a; git commit -qm a")
		first := w.look(tree).Head
		w.agent(tree, "echo b > b; git add b; git commit -qm b")
		second := w.look(tree).Head
		w.agent(tree, "git reset -q --hard HEAD~1")
		if look := w.look(tree); look.Head != first || look.Commits != 1 {
			t.Errorf("Look = %+v, want the first commit, %s", look, first)
		}
		if w.box != nil { // without one the agent's reset moves the mirror's branch itself
			if got := run(t, w.mirror(), "git", "rev-parse", tree.kept()); got != second {
				t.Errorf("kept = %s, want %s", got, second)
			}
		}
		w.agent(tree, "git reset -q --hard origin/main")
		if look := w.look(tree); look.Head != w.base || look.Commits != 0 {
			t.Errorf("Look = %+v, want the base commit", look)
		}
		run(t, w.mirror(), "git", "fsck", "--strict")
	})
}

// TestLookRunsNothing plants programs wherever git would start them.
func TestLookRunsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree := w.prepare("one")
	mark := filepath.Join(t.TempDir(), "ran")
	evil := filepath.Join(t.TempDir(), "evil")
	if err := os.WriteFile(evil, []byte("#!/bin/sh\n[ -z \"$CONTROL\" ] && echo ran $* >> "+mark+"\ncat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := `E=` + evil + `; export CONTROL=1
		plant() {
			git $1 config core.fsmonitor $E; git $1 config core.hooksPath $(dirname $E); git $1 config core.sshCommand $E; git $1 config credential.helper $E
			git $1 config filter.x.clean $E; git $1 config filter.x.smudge $E; git $1 config filter.x.required true; git $1 config diff.x.textconv $E
			git $1 config diff.external $E; git $1 config core.alternateRefsCommand $E; git $1 config gpg.program $E; git $1 config commit.gpgSign true
			git $1 config merge.x.driver $E; git $1 config core.askPass $E; git $1 config core.pager $E; git $1 config core.editor $E
			git $1 config url.ext::$E.insteadOf http; git $1 config protocol.ext.allow always; git $1 config core.worktree /nowhere
			git $1 config include.path $E.conf; git $1 config extensions.worktreeConfig true; git $1 config remote.origin.uploadpack $E; git $1 config http.proxy http://127.0.0.1:1
		}
		for h in pre-commit post-commit pre-push reference-transaction post-index-change post-checkout post-rewrite prepare-commit-msg commit-msg; do cp $E $(dirname $E)/$h; done
		C=$(git rev-parse --path-format=absolute --git-common-dir); A=$(git rev-parse --absolute-git-dir); mkdir -p $C/hooks $C/info $C/logs/refs/heads $C/objects/info
		cp $(dirname $E)/* $C/hooks/
		printf '* filter=x diff=x merge=x\n' | tee .gitattributes > $C/info/attributes
		echo /nowhere/objects > $C/objects/info/alternates
		echo precious > $(dirname $E)/precious; mkdir -p $A/logs
		ln -sf $(dirname $E)/precious $A/logs/HEAD; ln -sf $(dirname $E)/precious $A/COMMIT_EDITMSG; ln -sf $(dirname $E)/precious $C/FETCH_HEAD; ln -sf $(dirname $E)/precious $A/ORIG_HEAD
		mkdir -p $C/logs/refs/heads/dozens; ln -sf $(dirname $E)/precious $C/logs/refs/heads/dozens/one
		echo x >> README.md; echo y > new.txt
		plant; cp $C/config $A/config.worktree; cp $C/config $C/config.worktree`
	w.agent(tree, script)
	look := w.look(tree)
	if len(look.Changes) != 3 {
		t.Errorf("Look = %+v, want three changes", look)
	}
	if err := w.trees.Push(t.Context(), tree, look.Head, "", cred()); err != nil {
		t.Error(err)
	}
	w.prepare("one")
	w.base = w.commit("main", map[string]string{"later.txt": "x"})
	w.prepare("two")
	if err := w.trees.Remove(t.Context(), tree.Spec, true); err != nil {
		t.Error(err)
	}
	if exists(mark) {
		t.Errorf("the agent's program ran: %s", read(t, mark))
	}
	if got := read(t, filepath.Join(filepath.Dir(evil), "precious")); got != "precious\n" {
		t.Errorf("a file outside was written: %q", got)
	}
}
