package worktree

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// GitVersion asks the git in PATH for its version.
func GitVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("run git: %w", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "git version")), nil
}
