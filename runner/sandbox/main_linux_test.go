package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"dozens/internal/testenv"
)

// role names the part that this test binary plays when it is started by a test: a hostile program in a box, or a host.
const role = "BOX_TEST_ROLE"

func TestMain(m *testing.M) {
	if play, ok := roles()[os.Getenv(role)]; ok {
		play(os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, o Options) *Sandbox {
	t.Helper()
	o.Bwrap = testenv.Bwrap(t)
	s, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

// searchPath is what boxes of tests have as PATH.
const searchPath = "PATH=/usr/local/bin:/usr/bin:/bin"

// shell runs a script in a box and returns what it wrote to both outputs.
func shell(t testing.TB, b Box, script string) (string, error) {
	t.Helper()
	if b.Dir == "" {
		b.Dir = "/tmp"
	}
	if b.Env == nil {
		b.Env = []string{searchPath}
	}
	c, err := open(t, Options{}).Command(t.Context(), b, "/bin/sh", "-c", script)
	if err != nil {
		t.Fatalf("Command: %v", err)
	}
	out, err := c.CombinedOutput()
	if errors.Is(err, ErrBox) {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out), err
}

// inside is where a box finds this test binary.
const inside = "/opt/test"

// actor prepares this test binary in a role in a box.
func actor(t testing.TB, s *Sandbox, b Box, part string, args ...string) *Cage {
	t.Helper()
	if b.Dir == "" {
		b.Dir = "/tmp"
	}
	b.Env = append(b.Env, searchPath, role+"="+part)
	b.Binds = append(b.Binds, Bind{From: self(t), To: inside})
	c, err := s.Command(t.Context(), b, inside, args...)
	if err != nil {
		t.Fatalf("Command: %v", err)
	}
	return c
}

// act runs this test binary in a role in a box.
func act(t testing.TB, b Box, part string, args ...string) string {
	t.Helper()
	out, err := actor(t, open(t, Options{}), b, part, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q in a box: %v: %s", part, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// folder is a new one whose path has no links, as a bind needs it.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// exitCode is that of a program that ended by itself.
func exitCode(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		t.Fatalf("the box ended with %v, want an exit code", err)
	}
	return exit.ExitCode()
}

// TestAsOrdinaryUser runs all tests of this package once more as nobody: a host needs no root.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	if os.Geteuid() != 0 {
		t.Skip("the other tests already run as an ordinary user")
	}
	dir := t.TempDir()
	err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.Mkdir(dir+"/tmp", 0o700), os.Chown(dir+"/tmp", 65534, 65534))
	if err != nil {
		t.Fatal(err)
	}
	if err := copyFile(self(t), dir+"/sandbox.test"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), dir+"/sandbox.test", "-test.v", "-test.run="+ordinary)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir + "/tmp", "TMPDIR=" + dir + "/tmp", "CI=" + os.Getenv("CI")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the kernel ends the child with the thread that started it
	out, err := cmd.CombinedOutput()
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
	if n := strings.Count(string(out), "\n--- PASS: "); n < 20 {
		t.Errorf("as nobody %d tests passed, want all:\n%s", n, out)
	}
}

// ordinary are the tests that TestAsOrdinaryUser runs.
const ordinary = "^Test(Box|Limit|End|Bind|Try)"

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// roles are what this test binary can play.
func roles() map[string]func(args []string) {
	return map[string]func([]string){
		"socket": roleSocket, "dial": roleDial, "call": roleCall, "bomb": roleBomb, "eat": roleEat, "hoard": roleHoard,
		"host": roleHost, "forward": roleForward,
	}
}

// say reports from a role.
func say(what any) { fmt.Fprintln(os.Stdout, what) }

// background is the context of a role.
func background() context.Context { return context.Background() }
