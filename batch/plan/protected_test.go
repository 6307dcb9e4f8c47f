package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProtected(t *testing.T) {
	t.Parallel()
	usual := []string{".github/**", "CODEOWNERS", "docs/CODEOWNERS", "**/.claude/**", "**/.mcp.json", "**/CLAUDE.md", ".gitmodules", "**/.gitattributes"}
	for _, c := range []struct {
		name        string
		globs       []string
		paths, want []string
	}{
		{"nothing is protected", nil, []string{".github/workflows/ci.yml", "a"}, []string{}},
		{"nothing is touched", usual, []string{"src/a.go", "docs/github/x", "CLAUDE.md.txt", "x/.github/y", "src/CODEOWNERS"}, []string{}},
		{"each in its place", usual, []string{"CODEOWNERS", "docs/CODEOWNERS", ".github/CODEOWNERS", "a/b/CLAUDE.md", "CLAUDE.md", ".mcp.json", "a/.gitattributes", ".gitmodules"},
			[]string{".github/CODEOWNERS", ".gitmodules", ".mcp.json", "CLAUDE.md", "CODEOWNERS", "a/.gitattributes", "a/b/CLAUDE.md", "docs/CODEOWNERS"}},
		{"deep below", usual, []string{".github/workflows/deep/er/ci.yml", ".claude/a/b", "x/.claude/settings.json"}, []string{".claude/a/b", ".github/workflows/deep/er/ci.yml", "x/.claude/settings.json"}},
		{"a link in the folder's place", usual, []string{".github", ".claude", "sub/.claude"}, []string{".claude", ".github", "sub/.claude"}},
		{"case does not matter", usual, []string{"claude.MD", ".GitHub/x", "codeowners"}, []string{".GitHub/x", "claude.MD", "codeowners"}},
		{"each once", usual, []string{"CODEOWNERS", "CODEOWNERS"}, []string{"CODEOWNERS"}},
		{"a strange path is protected", []string{"infra/**"}, []string{"a//b", "../x", "./y", "/z", "src/a"}, []string{"../x", "./y", "/z", "a//b"}},
		{"a glob that cannot be read protects all", []string{"infra/**", "a["}, []string{"b", "c"}, []string{"b", "c"}},
		{"a folder's name covers what is below", []string{"infra"}, []string{"infra/a", "infrared"}, []string{"infra/a"}},
	} {
		if diff := cmp.Diff(c.want, Protected(c.globs, c.paths)); diff != "" {
			t.Errorf("%s, want - got +:\n%s", c.name, diff)
		}
	}
}

func TestCheckGlob(t *testing.T) {
	t.Parallel()
	for glob, ok := range map[string]bool{"infra/**": true, "**/*.lock": true, "a[": false, "": false, `a\b`: false, "/etc": false} {
		if err := CheckGlob(glob); (err == nil) != ok {
			t.Errorf("CheckGlob(%q): got %v, want ok %v", glob, err, ok)
		}
	}
}
