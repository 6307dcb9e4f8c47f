package worktree

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"dozens/runner/sandbox"
)

// TestMain lets the test binary play two other programs: the credential helper that git starts, and a host that
// a test kills in the middle of its work.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "git-credential" {
		os.Exit(CredentialMain(os.Args[2:], os.Stdin, os.Stdout))
	}
	if dir := os.Getenv("WORKTREE_TEST_HOST"); dir != "" {
		os.Exit(hostMain(dir, os.Getenv("WORKTREE_TEST_SPEC"), os.Getenv("WORKTREE_TEST_BWRAP"), os.Getenv("WORKTREE_TEST_LOOK") != ""))
	}
	os.Exit(m.Run())
}

// hostMain prepares the worktree, or looks at it.
func hostMain(dir, spec, bwrap string, look bool) int {
	err := host(dir, spec, bwrap, look)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func host(dir, spec, bwrap string, look bool) error {
	var s Spec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return err
	}
	var box *sandbox.Sandbox
	if bwrap != "" {
		var err error
		if box, err = sandbox.Open(sandbox.Options{Bwrap: bwrap}); err != nil {
			return err
		}
	}
	t, err := Open(dir, zerolog.Nop(), Boxed(box))
	if err != nil {
		return err
	}
	defer t.Close()
	if look {
		_, err = t.Look(context.Background(), Tree{Spec: s}, CommitOptions{})
		return err
	}
	_, err = t.Prepare(context.Background(), s, Credential{})
	return err
}
