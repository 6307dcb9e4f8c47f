package worktree

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFiles reads a commit of all kinds of entries, without a worktree.
func TestFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	origin := filepath.Join(w.root, "owner", "repo.git")
	run(t, dir, "git", "clone", "-q", origin, ".")
	write(t, dir, map[string]string{"AGENTS.md": "agents\n", ".claude/skills/a/SKILL.md": "a\n", ".claude/skills/b c/SKILL.md": "b\n", "docs/ü.md": "ü\n", "big": strings.Repeat("x", 1000), "empty": ""})
	run(t, dir, "sh", "-ec", `ln -s AGENTS.md CLAUDE.md; ln -s /etc/passwd out; ln -s ../../up out2; ln -s loop loop; ln -s nowhere dangling; ln -s CLAUDE.md twice; ln -s .claude/skills skills; ln -s AGENTS.md/x notdir
		ln -s ../README.md .claude/r.md; echo x > "$(printf 'a\nb')"; mkdir sub; git add -A; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),module; git commit -qm x; git push -q origin HEAD:main`)
	w.base = run(t, dir, "git", "rev-parse", "HEAD")
	tree := w.prepare("one")
	removeAll(t, tree.Path)
	paths := []string{"CLAUDE.md", "AGENTS.md", "out", "missing", "out2", "loop", "dangling", "twice", "notdir", ".claude/r.md", "docs/ü.md", ".claude", "module", "skills/a/SKILL.md", "big", "empty",
		"../../x", "/etc/passwd", "a\nb", ".git/config", "", "HEAD:README.md", "AGENTS.md", "README.md"}
	got, err := w.trees.Files(t.Context(), tree.Spec, w.base, paths, 999)
	want := map[string][]byte{"CLAUDE.md": []byte("agents\n"), "AGENTS.md": []byte("agents\n"), "twice": []byte("agents\n"), ".claude/r.md": []byte("hello\n"),
		"docs/ü.md": []byte("ü\n"), "skills/a/SKILL.md": []byte("a\n"), "empty": {}, "README.md": []byte("hello\n")}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Files: %v, (-want +got):\n%s", err, diff)
	}
	for prefix, want := range map[string][]string{
		".claude/skills": {".claude/skills/a/SKILL.md", ".claude/skills/b c/SKILL.md"}, "skills/": {"skills/a/SKILL.md", "skills/b c/SKILL.md"},
		"missing": nil, "README.md": nil, "module": nil, "..": nil, "out": nil, "docs": {"docs/ü.md"}, "src": {"src/a.go", "src/b.go"},
	} {
		got, err := w.trees.ListFiles(t.Context(), tree.Spec, w.base, prefix)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ListFiles %q: %v, (-want +got):\n%s", prefix, err, diff)
		}
	}
	if all, err := w.trees.ListFiles(t.Context(), tree.Spec, w.base, ""); err != nil || len(all) != 19 {
		t.Errorf("ListFiles of all: %d %q, %v", len(all), all, err)
	}
	for commit, want := range map[string]error{"HEAD": ErrSpec, "--all": ErrSpec, strings.Repeat("12", 20): ErrGone} {
		if _, err := w.trees.Files(t.Context(), tree.Spec, commit, nil, 1); !errors.Is(err, want) {
			t.Errorf("Files of %s: %v, want %v", commit, err, want)
		}
	}
	if files, err := w.trees.Files(t.Context(), tree.Spec, w.base, nil, 1); err != nil || len(files) != 0 {
		t.Errorf("Files of nothing: %v, %v", files, err)
	}
	if _, err := os.Lstat(filepath.Join(w.trees.dir, "trees", tree.name())); err == nil {
		t.Error("a worktree was made")
	}
}
