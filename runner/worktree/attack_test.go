package worktree

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // git's own
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// trap is a program that an agent leaves where git would start it. Outside of a box it makes a file.
type trap struct {
	w        *world
	canary   string // made when the program runs outside
	precious string // a file of the host that links lead to
}

func newTrap(t *testing.T, w *world) trap {
	t.Helper()
	dir := t.TempDir()
	tr := trap{w: w, canary: filepath.Join(dir, "ran"), precious: filepath.Join(dir, "precious")}
	write(t, dir, map[string]string{"precious": "precious\n"})
	return tr
}

// prelude gives a plant's script $E, the program; $C, the common folder; $A, the worktree's own; and $P, a file
// outside.
func (tr trap) prelude(tree Tree) string {
	return `E=$PWD/evil; P=` + tr.precious + `; C=$(git rev-parse --path-format=absolute --git-common-dir); A=$(git rev-parse --absolute-git-dir)
		printf '#!/bin/sh\nmkdir -p ` + filepath.Dir(tr.canary) + ` 2>/dev/null; echo "$0 $*" >> ` + tr.canary + `; cat\n' > evil; chmod +x evil
		echo x >> README.md; git add README.md evil; git commit -qm work; echo y > new.txt
		`
}

func (tr trap) check(t *testing.T) {
	t.Helper()
	if exists(tr.canary) {
		t.Errorf("the agent's program ran outside of the box: %s", read(t, tr.canary))
	}
	if got := read(t, tr.precious); got != "precious\n" {
		t.Errorf("a file outside was written: %q", got)
	}
}

// plants are what an agent that may write its git folder can leave for other people's git.
func plants() map[string]string {
	all := map[string]string{
		"hooks": `mkdir -p $C/hooks; for h in pre-commit post-commit commit-msg pre-push reference-transaction post-index-change post-checkout post-merge post-rewrite pre-auto-gc
			do cp evil $C/hooks/$h; done; git config --unset core.hooksPath || true`,
		"hooksPath":             `mkdir -p h; cp evil h/post-index-change; cp evil h/reference-transaction; cp evil h/post-checkout; git config core.hooksPath $PWD/h`,
		"fsmonitor":             `git config core.fsmonitor $E`,
		"fsmonitor by include":  `printf '[core]\n\tfsmonitor = %s\n' $E > inc; git config include.path $PWD/inc; git config includeIf.gitdir:/.path $PWD/inc`,
		"config.worktree":       `git config extensions.worktreeConfig true; git config --worktree core.fsmonitor $E; cp $A/config.worktree $C/config.worktree`,
		"commondir":             `git init -q --bare o.git; git -C o.git config core.fsmonitor $E; echo $PWD/o.git > $A/commondir; rm -rf o.git/refs/heads`,
		"filters":               `for k in clean smudge process; do git config filter.x.$k $E; done; git config filter.x.required true; echo '* filter=x' > .gitattributes; mkdir -p $C/info; cp .gitattributes $C/info/attributes`,
		"textconv":              `git config diff.x.textconv $E; git config diff.x.command $E; echo '* diff=x' > .gitattributes; mkdir -p $C/info; cp .gitattributes $C/info/attributes`,
		"external diff":         `git config diff.external $E`,
		"merge driver":          `git config merge.x.driver $E; echo '* merge=x' > .gitattributes`,
		"transport":             `git config core.sshCommand $E; git config core.gitProxy $E; git config core.askPass $E; git config credential.helper "!$E"; git config protocol.ext.allow always; git config url.ext::$E.insteadOf http`,
		"remote":                `git config remote.origin.url ext::$E; git config remote.origin.uploadpack $E; git config remote.origin.receivepack $E; git config remote.origin.vcs evil; git config remote.pushDefault origin`,
		"alternate refs":        `git config core.alternateRefsCommand $E; git config core.alternateRefsPrefixes refs/`,
		"alternates":            `mkdir -p alt/pack; echo $PWD/alt >> $C/objects/info/alternates; echo $P >> $C/objects/info/alternates; echo / >> $C/objects/info/alternates`,
		"promisor":              `git config remote.origin.promisor true; git config extensions.partialClone origin; git config remote.origin.url ext::$E; git config protocol.ext.allow always`,
		"signing":               `git config gpg.program $E; git config commit.gpgSign true; git config gpg.ssh.defaultKeyCommand $E; git config push.gpgSign true`,
		"core.worktree":         `git config core.worktree $(dirname $P); git config core.bare false`,
		"programs":              `git config alias.status "!$E"; git config core.pager $E; git config core.editor $E; git config sequence.editor $E; git config interactive.diffFilter $E; git config pager.log $E; git config uploadpack.packObjectsHook $E; git config maintenance.strategy incremental`,
		"links for files":       `for f in $A/ORIG_HEAD $A/COMMIT_EDITMSG $A/FETCH_HEAD $A/MERGE_MSG $C/FETCH_HEAD $C/packed-refs.new $A/index.lock $A/HEAD.lock; do ln -sf $P $f; done; mkdir -p $A/logs; ln -sf $P $A/logs/HEAD`,
		"link for MERGE_HEAD":   `ln -sf $P $A/MERGE_HEAD`,
		"link for HEAD":         `rm $A/HEAD; ln -s $P $A/HEAD`,
		"link for index":        `rm $A/index; ln -s $P $A/index`,
		"link for config":       `rm $C/config; ln -s $P $C/config`,
		"link for refs":         `mv $C/refs $C/r; ln -s $(dirname $P) $C/refs`,
		"link for objects":      `mv $C/objects $C/o; ln -s $(dirname $P) $C/objects`,
		"link for worktrees":    `mv $C/worktrees $C/w; ln -s $(dirname $P) $C/worktrees`,
		"link for packed-refs":  `rm -f $C/packed-refs; ln -s $P $C/packed-refs`,
		"pipe for index":        `rm $A/index; mkfifo $A/index`,
		"pipe for MERGE_HEAD":   `mkfifo $A/MERGE_HEAD`,
		"folder for HEAD":       `rm $A/HEAD; mkdir $A/HEAD`,
		"nothing is readable":   `chmod 000 $C/config $C/HEAD $A $C/objects`,
		"all is gone":           `rm -rf $C/* 2>/dev/null || true`,
		"replace":               `git replace $(git rev-parse HEAD:README.md) $(git rev-parse HEAD:evil)`,
		"grafts":                `mkdir -p $C/info; git rev-parse HEAD > $C/info/grafts; git rev-parse HEAD > $C/shallow`,
		"other tasks' refs":     `git update-ref refs/heads/dozens/two HEAD; git update-ref refs/remotes/origin/main HEAD; git update-ref refs/dozens/kept/abcd2345two HEAD; git pack-refs --all; git update-ref refs/remotes/origin/dozens/two HEAD`,
		"other tasks' worktree": `mkdir -p $C/worktrees/two-abcd2345two; git rev-parse HEAD > $C/worktrees/two-abcd2345two/HEAD; cp $A/index $C/worktrees/two-abcd2345two/index; git worktree prune --expire=now`,
		"wrong blob":            `B=$(git rev-parse HEAD~:run.sh); git gc -q; mkdir -p $C/objects/$(echo $B | cut -c1-2); N=$(git hash-object -w evil); [ -f $C/objects/$(echo $N | cut -c1-2)/$(echo $N | cut -c3-) ] || git unpack-objects -q < /dev/null || true; cp $C/objects/$(echo $N | cut -c1-2)/$(echo $N | cut -c3-) $C/objects/$(echo $B | cut -c1-2)/$(echo $B | cut -c3-) 2>/dev/null || true`,
		"nested repository": `git init -q sub; cd sub; git config core.fsmonitor $E; git config filter.x.clean $E; echo '* filter=x' > .gitattributes; echo x > x; git add .gitattributes; git commit -qm x; cd ..
			git update-index --add --cacheinfo 160000,$(git -C sub rev-parse HEAD),sub; git commit -qm sub`,
		"attributes of the tree": `printf '* filter=lfs diff=lfs merge=lfs -text\n' > .gitattributes; printf '[filter "lfs"]\n\tclean = %s\n' $E > .gitconfig; cp .gitconfig .lfsconfig`,
	}
	all["everything"] = strings.Join([]string{all["hooks"], all["fsmonitor"], all["filters"], all["textconv"], all["transport"], all["alternate refs"], all["replace"], all["signing"], all["programs"],
		all["other tasks' refs"], all["links for files"], all["core.worktree"]}, "\n")
	return all
}

// TestPlants lets an agent leave each plant, and does all that a host ever does afterwards: nothing of it runs
// outside, and no other task notices.
func TestPlants(t *testing.T) {
	t.Parallel()
	for name, script := range plants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, "boxed")
			one, two := w.prepare("one"), w.prepare("two")
			w.agent(two, "echo two > two.txt; git add two.txt; git commit -qm two")
			w.look(two)
			before := others(t, w)
			tr := newTrap(t, w)
			w.agent(one, tr.prelude(one)+script)

			look, err := w.trees.Look(t.Context(), one, CommitOptions{})
			if err == nil {
				if err := w.trees.Push(t.Context(), one, look.Head, "", cred()); err != nil {
					t.Errorf("Push: %v", err)
				}
				if look.Commits == 0 || run(t, w.mirror(), "git", "show", look.Head+":new.txt") != "y" {
					t.Errorf("Look = %+v, want the agent's edits", look)
				}
			} else if !strings.HasPrefix(name, "nested") {
				t.Errorf("Look: %v", err)
			}
			w.prepare("one")
			if got := w.agent(one, "cd $(git rev-parse --git-common-dir); git config --get core.fsmonitor || true; git config --get filter.x.clean || true; ls"); err == nil && strings.Contains(got, "evil") {
				t.Errorf("the next run finds %q", got)
			}
			_, _ = w.try(one, tr.prelude(one)+script) // some cannot be planted again where they lie
			w.prepare("one")                          // as after an agent that was stopped before a look
			if err := w.trees.Remove(t.Context(), one.Spec, true); err != nil {
				t.Errorf("Remove: %v", err)
			}
			if err := w.trees.Sweep(t.Context(), func(task string) bool { return task == two.Task }); err != nil {
				t.Errorf("Sweep: %v", err)
			}
			tr.check(t)
			if after := others(t, w); after != before {
				t.Errorf("other tasks' refs and the mirror's settings:\n%s\nwant\n%s", after, before)
			}
			if got := read(t, filepath.Join(two.Path, "two.txt")); got != "two\n" {
				t.Errorf("the other task's file: %q", got)
			}
			run(t, w.mirror(), "git", "fsck", "--strict")
		})
	}
}

// TestPlantsFire is the control: the same program, left in a folder that our git is not kept away from, does run.
func TestPlantsFire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree, tr := w.prepare("one"), newTrap(t, w)
	w.agent(tree, tr.prelude(tree)+plants()["fsmonitor"]+"\ngit status >/dev/null")
	if !exists(tr.canary) {
		t.Error("the trap does not work")
	}
}

// others is all of the mirror that belongs to other tasks, and its settings.
func others(t *testing.T, w *world) string {
	t.Helper()
	refs := run(t, w.mirror(), "git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/dozens/two", "refs/remotes/origin/main", "refs/replace", "refs/tags",
		"refs/stash", "refs/dozens/kept/abcd2345two", "refs/remotes/origin/dozens/two")
	top := run(t, w.mirror(), "sh", "-c", "ls; ls objects/info; ls worktrees | grep -v ^one-; cat config HEAD worktrees/two-*/HEAD")
	return refs + "\n" + top
}

// TestAgentGit uses all of git that agents use.
func TestAgentGit(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree := w.prepare("one")
		got := w.agent(tree, `git status --porcelain --branch; git log --oneline | wc -l; git blame README.md | wc -l; git diff origin/main... ; git diff --stat origin/main
			echo a > a; git add a; git commit -qm a; echo b >> a; git commit -qam b; git commit -q --amend -m b2
			git switch -qc side HEAD~1; echo s > s; git add s; git commit -qm s; git switch -q dozens/one
			git merge -q --no-edit side; git reset -q --hard HEAD~1; git rebase -q side; git cherry-pick --allow-empty HEAD >/dev/null 2>&1 || git cherry-pick --skip
			echo t >> a; git stash -q; git stash pop -q; git checkout -q a; git tag v1; git tag -a v2 -m v2; git branch other; git branch -D other >/dev/null
			git config user.nickname x; git config --get user.nickname; git gc -q; git repack -adq; git prune
			git worktree add -q --detach /tmp/more.$$; git worktree list | wc -l; git worktree remove /tmp/more.$$
			git format-patch -q --stdout origin/main | git mailinfo /dev/null /dev/null >/dev/null; git rev-list --count origin/main..HEAD; git grep -l hello; git ls-files | wc -l; git notes add -m n
			git archive HEAD >/dev/null; git bisect start HEAD origin/main >/dev/null; git bisect reset >/dev/null 2>&1; git fsck >/dev/null 2>&1; git clean -fdxq; git status --porcelain --branch`)
		want := "## dozens/one\n1\n1\nx\n3\n3\nREADME.md\n6\n## dozens/one"
		if got != want {
			t.Errorf("git says\n%s\nwant\n%s", got, want)
		}
		if look := w.look(tree); look.Commits != 3 || len(look.Changes) != 2 {
			t.Errorf("Look = %+v, want three commits and two files", look)
		}
	})
}

// TestTakeRefuses commits what must not get into the mirror, twice: what was refused once is not known afterwards.
func TestTakeRefuses(t *testing.T) {
	t.Parallel()
	tree := `commit() { T=$( (git ls-tree HEAD; printf "$1") | git mktree --missing); git reset -q --soft $(git commit-tree -p HEAD -m x $T); }; B=$(echo x | git hash-object -w --stdin)
		S=$(printf "100644 blob $B\tconfig\n" | git mktree); `
	tests := []struct {
		name, script string
		want         error
		says         string
	}{
		{".git", tree + `commit "040000 tree $S\t.git\n"`, ErrUnsafe, ".git"},
		{".GIT in a later commit taken back", tree + `commit "040000 tree $S\t.GIT\n"; git reset -q --soft $(git commit-tree -p HEAD -m back HEAD~1^{tree})`, ErrUnsafe, `".GIT/config"`},
		{"dots", tree + `commit "100644 blob $B\t..\n"`, ErrUnsafe, ".."},
		{"same name twice", tree + `T=$(printf "100644 blob $B\ta\n100644 blob $B\ta\n" | git mktree); git reset -q --soft $(git commit-tree -p HEAD -m x $T)`, ErrUnsafe, "contains duplicate file entries"},
		{"submodule URL that is an option", `printf '[submodule "a"]\n\tpath = a\n\turl = -u./evil\n' > .gitmodules; git add .gitmodules; git commit -qm x`, ErrUnsafe, "gitmodulesUrl"},
		{"submodule name that leads out", `printf '[submodule "../../x"]\n\tpath = a\n\turl = https://example.com/x\n' > .gitmodules; git add .gitmodules; git commit -qm x`, ErrUnsafe, "gitmodulesName"},
		{"settings of submodules by link", tree + `L=$(printf README.md | git hash-object -w --stdin); commit "120000 blob $L\t.gitmodules\n"`, ErrUnsafe, `".gitmodules" is a symbolic link`},
		{"missing blob", tree + `commit "100644 blob 1234567890123456789012345678901234567890\ta\n"`, ErrUnsafe, "1234567890123456789012345678901234567890"},
		{"missing parent", `git reset -q --soft $(printf "tree $(git rev-parse HEAD^{tree})\nparent 1234567890123456789012345678901234567890\nparent $(git rev-parse HEAD)\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n" |
			git hash-object -t commit -w --stdin --literally)`, ErrUnsafe, "1234567890123456789012345678901234567890"},
		{"object deleted", `echo big > big; git add big; git commit -qm x; echo more > big; git commit -qam y; B=$(git rev-parse HEAD~:big); rm -f $(git rev-parse --git-common-dir)/objects/$(echo $B | cut -c1-2)/$(echo $B | cut -c3-)`, ErrUnsafe, ""},
		{"link that a later commit takes back", `ln -s /etc/passwd leak; git add leak; git commit -qm x; git rm -q leak; git commit -qm y`, ErrUnsafe, `"leak" leads to "/etc/passwd"`},
		{"repository that a later commit takes back", `git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub; git commit -qm x; git rm -q --cached sub; git commit -qm y`, ErrNested, `"sub"`},
		{"name that a later commit takes back", `echo x > "$(printf 'a\033b')"; git add -A; git commit -qm x; git rm -q a*; git commit -qm y`, ErrUnsafe, `"a\x1bb"`},
		{"link in a merge", `git switch -qc side; echo s > s; git add s; git commit -qm s; git switch -q dozens/one; echo o > o; git add o; git commit -qm o; git merge -q --no-commit --no-ff side; ln -s /etc/passwd leak; git add leak
			git commit -qm m; git rm -q leak; git commit -qm y`, ErrUnsafe, `"leak"`},
		{"big file that unfolds", `truncate -s 900M big; git -c core.bigFileThreshold=1m add big; git commit -qm x; rm big; git commit -qam y`, ErrTooBig, `900 MB`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, "boxed")
			one := w.prepare("one")
			before := listing(t, w.mirror())
			w.agent(one, tt.script)
			for range 2 {
				look, err := w.trees.Look(t.Context(), one, CommitOptions{})
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("Look = %+v, %v; want %v %q", look, err, tt.want, tt.says)
				}
				if after := listing(t, w.mirror()); after != before {
					t.Errorf("the mirror holds\n%s\nwant\n%s", after, before)
				}
				w.prepare("one")
			}
			if left, err := filepath.Glob(filepath.Join(w.trees.dir, "state", one.name(), "take-*")); err != nil || len(left) > 0 {
				t.Errorf("left over: %q, %v", left, err)
			}
		})
	}
}

// listing names all files of a folder.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		list = append(list, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, "\n")
}

// TestForgedPack gives git a pack whose index calls evil content by the name of another file's.
func TestForgedPack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file string }{{"of the base commit", "run.sh"}, {"that is not there", ""}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, "boxed")
			one, two := w.prepare("one"), w.prepare("two")
			name := strings.Repeat("12", 20)
			if tt.file != "" {
				name = run(t, w.mirror(), "git", "rev-parse", w.base+":"+tt.file)
			}
			forge(t, one.Path, name, "evil content\n")
			w.agent(one, `C=$(git rev-parse --git-common-dir); cp forged.pack $C/objects/pack/pack-`+name+`.pack; cp forged.idx $C/objects/pack/pack-`+name+`.idx; rm forged.*
				git update-index --add --cacheinfo 100755,`+name+`,copy.sh; git commit -qm x; git cat-file blob `+name+` | grep -q evil`)
			look, err := w.trees.Look(t.Context(), one, CommitOptions{})
			if tt.file == "" && !errors.Is(err, ErrUnsafe) {
				t.Errorf("Look = %+v, %v; want ErrUnsafe", look, err)
			}
			if tt.file != "" && err == nil {
				if got := run(t, w.mirror(), "git", "show", look.Head+"^:copy.sh"); strings.Contains(got, "evil") {
					t.Errorf("copy.sh = %q", got)
				}
			}
			if got := read(t, filepath.Join(w.prepare("three").Path, "run.sh")) + read(t, filepath.Join(two.Path, "run.sh")); strings.Contains(got, "evil") {
				t.Errorf("another task's run.sh = %q", got)
			}
			run(t, w.mirror(), "git", "fsck", "--strict")
		})
	}
}

// forge writes forged.pack and forged.idx: one object under a wrong name.
func forge(t *testing.T, dir, name, content string) {
	t.Helper()
	tmp := t.TempDir()
	run(t, tmp, "git", "init", "-q", "--bare", ".")
	write(t, tmp, map[string]string{"evil": content})
	blob := run(t, tmp, "git", "hash-object", "-w", "evil")
	run(t, tmp, "sh", "-ec", "echo "+blob+" | git pack-objects -q p")
	packs, err := filepath.Glob(filepath.Join(tmp, "p-*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs: %q, %v", packs, err)
	}
	idx := []byte(read(t, strings.TrimSuffix(packs[0], ".pack")+".idx"))
	have, err1 := hex.DecodeString(blob)
	want, err2 := hex.DecodeString(name)
	at := bytes.Index(idx, have)
	if err1 != nil || err2 != nil || at != 8+1024 {
		t.Fatalf("index: %v, %v, %d", err1, err2, at)
	}
	copy(idx[at:], want)
	for i := range 256 { // how many names begin with at most this byte
		idx[8+4*i+3] = 0
		if i >= int(want[0]) {
			idx[8+4*i+3] = 1
		}
	}
	sum := sha1.Sum(idx[:len(idx)-20]) //nolint:gosec // git's own
	copy(idx[len(idx)-20:], sum[:])
	for to, text := range map[string][]byte{"forged.pack": []byte(read(t, packs[0])), "forged.idx": idx} {
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLookReadsNothingOfTheHost lets an agent lead git to what only the host can see: another repository's objects, and
// a file that a link stands for. Git that reads the agent's folders finds nothing there.
func TestLookReadsNothingOfTheHost(t *testing.T) {
	t.Parallel()
	private := func(t *testing.T, w *world) (repo, commit, blob string) {
		repo = t.TempDir()
		run(t, repo, "git", "clone", "-q", filepath.Join(w.root, "owner", "repo.git"), ".")
		write(t, repo, map[string]string{"private.txt": "private\n"})
		run(t, repo, "sh", "-ec", "git add -A; git commit -qm private")
		return filepath.Join(repo, ".git"), run(t, repo, "git", "rev-parse", "HEAD"), run(t, repo, "git", "rev-parse", "HEAD:private.txt")
	}
	t.Run("a commit", func(t *testing.T) {
		t.Parallel()
		w := newWorldIn(t, "boxed")
		tree := w.prepare("one")
		repo, commit, _ := private(t, w)
		w.agent(tree, "C=$(git rev-parse --git-common-dir); echo "+repo+"/objects >> $C/objects/info/alternates; echo "+commit+" > $(git rev-parse --absolute-git-dir)/HEAD")
		if look, err := w.trees.Look(t.Context(), tree, CommitOptions{}); !errors.Is(err, ErrForeign) {
			t.Errorf("Look = %+v, %v; want ErrForeign", look, err)
		}
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		w := newWorldIn(t, "boxed")
		tree := w.prepare("one")
		repo, _, blob := private(t, w)
		w.agent(tree, "C=$(git rev-parse --git-common-dir); echo "+repo+"/objects >> $C/objects/info/alternates; T=$( (git ls-tree HEAD; printf '100644 blob "+blob+
			"\\tprivate.txt\\n') | git mktree --missing); git reset -q --soft $(git commit-tree -p HEAD -m x $T)")
		if look, err := w.trees.Look(t.Context(), tree, CommitOptions{}); !errors.Is(err, ErrUnsafe) {
			t.Errorf("Look = %+v, %v; want ErrUnsafe", look, err)
		}
		if _, err := command(w.mirror(), "git", "cat-file", "-e", blob).CombinedOutput(); err == nil {
			t.Error("the private file is in the mirror")
		}
	})
	t.Run("a link for the branch", func(t *testing.T) {
		t.Parallel()
		w := newWorldIn(t, "boxed")
		side := w.commit("main", map[string]string{"side.txt": "x"})
		tree := w.prepare("one")
		file := filepath.Join(t.TempDir(), "commit")
		write(t, filepath.Dir(file), map[string]string{"commit": side + "\n"})
		w.agent(tree, "C=$(git rev-parse --git-common-dir); rm -f $C/packed-refs; mkdir -p $C/refs/heads/dozens; ln -s "+file+" $C/refs/heads/dozens/one")
		if look := w.look(tree); look.Head != w.base {
			t.Errorf("Look = %+v, want nothing new", look)
		}
	})
}
