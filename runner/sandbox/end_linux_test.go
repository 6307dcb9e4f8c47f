package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// await waits until a condition holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	for tick := time.NewTicker(5 * time.Millisecond); !holds(); {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the test ended before the condition held")
		}
	}
}

// mark is a number of seconds that no other process of this machine sleeps.
func mark() string { return fmt.Sprintf("%d.%d", 1000+rand.IntN(9000), os.Getpid()) }

// marked are the processes of this machine with the text in their arguments, tests' own binaries aside.
func marked(text string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte(text)) && f != fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
			found = append(found, f+" "+string(line))
		}
	}
	return found
}

// started starts a script in a box and waits until it has said "up".
func started(t *testing.T, ctx context.Context, script string) *Cage {
	t.Helper()
	c, err := open(t, Options{}).Command(ctx, Box{Dir: "/", Env: []string{searchPath}}, "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	t.Cleanup(func() { r.Close() })
	c.Stdout = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("it said %q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	return c
}

// stubborn is a process in a session of its own that does not hear SIGTERM.
func stubborn(seconds string) string {
	return `setsid sh -c 'trap "" TERM HUP INT; while :; do sleep ` + seconds + `; done' & `
}

func TestEndLeavesNothing(t *testing.T) {
	t.Parallel()
	m := mark()
	c := started(t, t.Context(), stubborn(m)+"echo up; sleep 0.2; exit 7")
	if code := exitCode(t, c.Wait()); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	if left := marked(m); len(left) > 0 {
		t.Errorf("after Wait there is left: %q", left)
	}
	if c.Reason() != "" {
		t.Errorf("the reason is %q", c.Reason())
	}
	if err := c.Kill(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Kill after the end: %v", err)
	}
	if err := c.Stop(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Stop after the end: %v", err)
	}
}

// No thread of this program stays in a box that it looked into, not even the main one.
func TestEndLeavesOurThreadsAlone(t *testing.T) {
	t.Parallel()
	for range 10 {
		if out, err := shell(t, Box{Limits: Limits{Memory: 1 << 30}}, "true"); err != nil {
			t.Fatal(err, out)
		}
	}
	ours, err := os.Readlink("/proc/thread-self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	if main, err := os.Readlink("/proc/self/ns/mnt"); err != nil || main != ours {
		t.Errorf("the main thread is in %s, %v, want %s", main, err, ours)
	}
	await(t, func() bool { // a thread ends a moment after its goroutine; other tests have boxes too
		links, _ := filepath.Glob("/proc/self/task/*/ns/mnt")
		return !slices.ContainsFunc(links, func(link string) bool {
			ns, err := os.Readlink(link)
			return err == nil && ns != ours
		})
	})
}

func TestEndByStop(t *testing.T) {
	t.Parallel()
	m := mark()
	c := started(t, t.Context(), stubborn(m)+`trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done`)
	if err := c.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if code := exitCode(t, c.Wait()); code != 5 {
		t.Errorf("exit code %d, want the program's own 5", code)
	}
	if left := marked(m); len(left) > 0 {
		t.Errorf("after Stop and Wait there is left: %q", left)
	}
}

// Stop reaches a program that is only about to begin.
func TestEndByStopAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	for range 10 {
		c, err := s.Command(t.Context(), Box{Dir: "/"}, "/bin/sleep", "60")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if code := exitCode(t, c.Wait()); code != 143 {
			t.Errorf("exit code %d, want 143 for SIGTERM", code)
		}
	}
}

func TestEndByKill(t *testing.T) {
	t.Parallel()
	m := mark()
	c := started(t, t.Context(), stubborn(m)+`trap "" TERM; echo up; while :; do sleep 1; done`)
	if err := c.Kill(); err != nil {
		t.Errorf("Kill: %v", err)
	}
	if code := exitCode(t, c.Wait()); code != 137 {
		t.Errorf("exit code %d, want 137 for SIGKILL", code)
	}
	if left := marked(m); len(left) > 0 {
		t.Errorf("after Kill and Wait there is left: %q", left)
	}
}

func TestEndByContext(t *testing.T) {
	t.Parallel()
	m := mark()
	ctx, cancel := context.WithCancel(t.Context())
	c := started(t, ctx, stubborn(m)+`echo up; sleep `+m)
	cancel()
	if err := c.Wait(); err == nil {
		t.Error("Wait: no error though the context ended")
	}
	if left := marked(m); len(left) > 0 {
		t.Errorf("after the context's end there is left: %q", left)
	}
	c, err := open(t, Options{}).Command(ctx, Box{Dir: "/"}, "/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run after the context's end: %v", err)
	}
}

// The context may end at any moment of the start.
func TestEndWhileStarting(t *testing.T) {
	t.Parallel()
	s, m := open(t, Options{}), mark()
	for range 30 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(30_000))*time.Microsecond)
		c, err := s.Command(ctx, Box{Dir: "/"}, "/bin/sleep", m)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(); err == nil {
			t.Error("Run: no error though the context ended")
		}
		cancel()
		if left := marked(m); len(left) > 0 {
			t.Errorf("there is left: %q", left)
		}
	}
}

// When this program is killed, at any moment, nothing of its boxes stays.
func TestEndOfTheHost(t *testing.T) {
	t.Parallel()
	rounds := 60
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		m := mark()
		killHost(t, m)
		if left := remaining(t, m, 10*time.Second); len(left) > 0 {
			t.Fatalf("after the host was killed there is left: %q", left)
		}
	}
}

// remaining waits until no marked process counts any more, but not for ever, and returns those that are left.
func remaining(t *testing.T, m string, patience time.Duration) (left []string) {
	t.Helper()
	limit := time.Now().Add(patience)
	await(t, func() bool {
		left = marked(m)
		return len(left) == 0 || time.Now().After(limit)
	})
	return left
}

// killHost starts a host that starts boxes, and kills it after a moment.
func killHost(t *testing.T, m string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self(t), m, "0.0"+strconv.Itoa(rand.IntN(10)))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), role + "=host"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("the host said %q, %v", line, err)
	}
	<-time.After(time.Duration(rand.IntN(60_000)) * time.Microsecond)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestEndOfABoxThatNeverBegan(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	for name, tt := range map[string]struct {
		box     Box
		program string
		says    string
	}{
		"no such folder":  {Box{Dir: "/nowhere"}, "/bin/true", "chdir"},
		"no such program": {Box{Dir: "/"}, "/bin/nothing", "execvp /bin/nothing"},
	} {
		c, err := s.Command(t.Context(), tt.box, tt.program)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(); !errors.Is(err, ErrBox) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want ErrBox with %q", name, err, tt.says)
		}
	}
	// A program that fails by itself is not a box that failed.
	c, err := s.Command(t.Context(), Box{Dir: "/"}, "/bin/false")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); errors.Is(err, ErrBox) || exitCode(t, err) != 1 {
		t.Errorf("/bin/false in a box: %v", err)
	}
}

func TestEndKeepsOutputWhole(t *testing.T) {
	t.Parallel()
	c, err := open(t, Options{}).Command(t.Context(), Box{Dir: "/", Env: []string{searchPath}}, "/bin/sh", "-c", "head -c 3000000 /dev/zero; cat >&2")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader("typed"), &stdout, &stderr
	if err := c.Run(); err != nil || stdout.Len() != 3_000_000 || stderr.String() != "typed" {
		t.Errorf("got %d bytes and %q, %v", stdout.Len(), stderr.String(), err)
	}
}
