package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ClaudeVersion is the version of Claude Code that the tests are written against.
const ClaudeVersion = "2.1.330"

// findClaude looks once per test binary: without a network each look could take minutes.
//
//nolint:gochecknoglobals // set once, by itself
var findClaude = sync.OnceValues(lookForClaude)

// Claude is the path of the real claude program in ClaudeVersion: $DOZENS_TEST_CLAUDE, or the one in PATH, or the one
// in the user's cache folder, where npm installs it when it is missing. Without any of them the test is skipped,
// and fails when CI=true.
func Claude(t testing.TB) string {
	t.Helper()
	path, err := findClaude()
	if err == nil {
		return path
	}
	words := fmt.Sprintf("this test drives the real Claude Code %s, which is not here: %v. "+
		"Install npm, or set DOZENS_TEST_CLAUDE to the program's path.", ClaudeVersion, err)
	if os.Getenv("CI") == "true" || os.Getenv("DOZENS_TEST_CLAUDE") != "" {
		t.Fatal(words)
	}
	t.Skip(words)
	return ""
}

func lookForClaude() (string, error) {
	if path := os.Getenv("DOZENS_TEST_CLAUDE"); path != "" {
		return path, checkClaude(path)
	}
	if path, err := exec.LookPath("claude"); err == nil && checkClaude(path) == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
	}
	return installClaude(filepath.Join(cache, "dozens"))
}

// checkClaude says what is wrong with a program as the claude of the tests.
func checkClaude(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "DISABLE_AUTOUPDATER=1"}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", path, err)
	}
	if got, _, _ := strings.Cut(strings.TrimSpace(string(out)), " "); got != ClaudeVersion {
		return fmt.Errorf("%s is version %s", path, got)
	}
	return nil
}

// installClaude returns the program in the cache folder and puts it there first when it is missing. Test
// binaries of several packages do it one after the other.
func installClaude(cache string) (string, error) {
	dir := filepath.Join(cache, "claude-"+ClaudeVersion)
	if path, err := installedClaude(dir); err == nil {
		return path, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("there is no npm to install it with")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := lockFile(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, err := installedClaude(dir); err == nil {
		return path, nil
	}
	return npmInstallClaude(npm, cache, dir)
}

func npmInstallClaude(npm, cache, dir string) (string, error) {
	// Only a finished installation gets the name that is looked for.
	fresh, err := os.MkdirTemp(cache, "claude-new-")
	if err != nil {
		return "", fmt.Errorf("make folder for claude: %w", err)
	}
	defer os.RemoveAll(fresh)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", fresh, "--ignore-scripts", "--no-audit", "--no-fund",
		"--fetch-retries", "1", "@anthropic-ai/claude-code@"+ClaudeVersion)
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install: %w: %s", err, out[max(0, len(out)-500):])
	}
	if _, err := installedClaude(fresh); err != nil {
		return "", fmt.Errorf("after npm install: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clear %s: %w", dir, err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return "", fmt.Errorf("put claude in place: %w", err)
	}
	return installedClaude(dir)
}

// installedClaude is the program that npm put below dir: the machine's own, which needs no node.
func installedClaude(dir string) (string, error) {
	packages := filepath.Join(dir, "node_modules", "@anthropic-ai")
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	path := filepath.Join(packages, "claude-code-"+runtime.GOOS+"-"+arch, "claude")
	if _, err := os.Stat(path); err != nil {
		return "", err
	}
	return path, checkClaude(path)
}

// lockFile waits until this process alone holds the file.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
