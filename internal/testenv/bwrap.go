package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// findBwrap looks once per test binary.
//
//nolint:gochecknoglobals // set once, by itself
var findBwrap = sync.OnceValues(workingBwrap)

// Bwrap is the path of bubblewrap: the one in PATH, after installing Debian's package when there is none and we
// may. Without it the test is skipped, and fails when CI=true.
func Bwrap(t testing.TB) string {
	t.Helper()
	path, err := findBwrap()
	if err == nil {
		return path
	}
	words := fmt.Sprintf("this test makes real boxes with bubblewrap, which is not here: %v", err)
	if os.Getenv("CI") == "true" {
		t.Fatal(words)
	}
	t.Skip(words)
	return ""
}

// HasBwrap says whether boxes can be made here. With CI=true they have to be.
func HasBwrap() bool {
	_, err := findBwrap()
	return err == nil || os.Getenv("CI") == "true"
}

// workingBwrap is bubblewrap that can make a box: in many containers it cannot.
func workingBwrap() (string, error) {
	path, err := lookForBwrap()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--", "true")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a box: %w: %s", err, out)
	}
	return path, nil
}

func lookForBwrap() (string, error) {
	if path, err := exec.LookPath("bwrap"); err == nil {
		return path, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", errors.New("it is not in PATH, and we cannot install it: that needs apt-get and root")
	}
	unlock, err := lockFile(filepath.Join(os.TempDir(), "dozens-apt.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, err := exec.LookPath("bwrap"); err == nil { // another test binary was faster
		return path, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, apt, "install", "-y", "--no-install-recommends", "bubblewrap")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get install bubblewrap: %w: %s", err, out[max(0, len(out)-500):])
	}
	return exec.LookPath("bwrap")
}
