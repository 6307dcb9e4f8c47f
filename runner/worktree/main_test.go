package worktree

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/rs/zerolog"
)

// TestMain lets the test binary play two other programs: the credential helper that git starts, and a host that
// a test kills in the middle of Prepare.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "git-credential" {
		os.Exit(CredentialMain(os.Args[2:], os.Stdin, os.Stdout))
	}
	if dir := os.Getenv("WORKTREE_TEST_PREPARE"); dir != "" {
		os.Exit(prepareMain(dir, os.Getenv("WORKTREE_TEST_SPEC")))
	}
	os.Exit(m.Run())
}

func prepareMain(dir, spec string) int {
	var s Spec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	t, err := Open(dir, zerolog.Nop())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer t.Close()
	if _, err := t.Prepare(context.Background(), s, Credential{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
