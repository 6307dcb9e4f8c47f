package say

import (
	"strings"
	"testing"

	"dozens/batch/task"
)

func TestProtectGolden(t *testing.T) {
	t.Parallel()
	stopped := task.Task{Label: "ci", Workflows: []string{".github/workflows/ci.yml", ".github/workflows/`x`|@everyone.yml"}}
	for name, got := range map[string]string{
		"guarded":      Guarded([]string{".github/dozens.yml", "CODEOWNERS"}, nil),
		"guarded-many": Guarded(strings.Split(strings.Repeat("CLAUDE.md ", 24)+"docs/@everyone`.md", " "), []string{"grace", "linus"}),
		"barred":       Barred(stopped),
		"still-barred": StillBarred([]string{"ci", "docs"}),
	} {
		golden(t, name, got)
	}
}
