package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cage is a program in its box. Stdin, Stdout, Stderr, Cancel and WaitDelay are set as for any exec.Cmd; all else
// belongs to the package. Its exit code is the program's own, or 128 and the number of the signal that ended it.
type Cage struct {
	*exec.Cmd

	sandbox   *Sandbox
	box       Box
	pipes     pipes
	places    []place   // where the binds must be found
	group     *group    // nil: no cgroup
	complaint beginning // of what was written to standard error, when nobody else wants it

	bwrap int // pidfd of bubblewrap, from its start to Wait; else -1

	over     chan struct{} // closed when the program has ended
	gone     chan struct{} // closed when nothing of the box is left
	found    chan int      // the first process of the box,
	tied     chan error    // and what came of tying it to our thread
	thread   sync.WaitGroup
	watchers sync.WaitGroup

	mu      sync.Mutex
	phase   phase
	first   int      // pidfd of the first process of the box, with which all others end; set while running
	pid     int      // of that process, on the host
	proc    *os.File // the box's own /proc, which shows its processes and no others; set while running
	stopped bool     // it was asked to end or killed before it ended by itself
	reason  string
}

// ourName is what bubblewrap is called in the host's list of processes when it is ours.
const ourName = "dozens-box"

// phase is how far a cage has come.
type phase int

const (
	prepared phase = iota
	making         // bubblewrap makes the box
	running        // its first process is known
	finished
)

// Command prepares a program in a box; no shell sees its arguments. Nothing is started. When ctx ends, the box is
// killed, unless the caller sets another Cancel.
func (s *Sandbox) Command(ctx context.Context, b Box, program string, args ...string) (*Cage, error) {
	if err := b.complete(); err != nil {
		return nil, err
	}
	argv := append([]string{program}, args...)
	if b.Egress != "" {
		if len(s.forwarder) == 0 {
			return nil, errors.New("a box with egress, but no forwarder is set")
		}
		egress := Bind{From: b.Egress}
		fd, err := egress.pin()
		if err != nil {
			return nil, err
		}
		shut(fd)
		argv = slices.Concat([]string{forwarderAt}, s.forwarder[1:], []string{egressSocket, "--"}, argv)
	}
	c := &Cage{
		sandbox: s, box: b, bwrap: -1,
		over: make(chan struct{}), gone: make(chan struct{}), found: make(chan int), tied: make(chan error),
	}
	// What a box may see of these stands in its process list; the paths of the host are in the file --args.
	args = append([]string{"--args", "3", "--json-status-fd", "4", "--block-fd", "5", "--seccomp", "6", "--"}, argv...)
	c.Cmd = exec.CommandContext(ctx, s.bwrap, args...)
	c.Cmd.Args[0] = ourName
	c.Cmd.Env = []string{} // a box's variables must not reach the loader of bubblewrap
	c.Cmd.Dir = "/"
	c.Cmd.SysProcAttr = &syscall.SysProcAttr{}
	c.Cmd.Cancel = c.Kill
	return c, nil
}

// Run starts the program and waits for its end.
func (c *Cage) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it wrote to its standard output.
func (c *Cage) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("output of a box: Stdout is already set")
	}
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// CombinedOutput runs the program and returns what it wrote to its standard output and error.
func (c *Cage) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("output of a box: Stdout or Stderr is already set")
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// Wait waits until the program has ended, then ends all else in the box and waits for that too. The error is that of
// exec.Cmd; it wraps ErrBox when the program was never started.
func (c *Cage) Wait() error {
	if c.bwrap >= 0 {
		// Bubblewrap ends with the program. What else is in the box may hold the outputs, for whose end Cmd.Wait waits.
		awaitEnd(c.bwrap)
		shut(c.bwrap)
		c.bwrap = -1
		_ = c.kill()
	}
	err := c.Cmd.Wait()
	c.mu.Lock()
	stopped := c.stopped
	c.mu.Unlock()
	close(c.over)
	c.finish()
	if err != nil && !stopped && !c.pipes.began() {
		err = fmt.Errorf("%w: %w%s", ErrBox, err, c.words())
	}
	c.pipes.close()
	return err
}

// words is what bubblewrap complained about, as far as it is ours to read. A program that began may have written it too.
func (c *Cage) words() string {
	if len(c.complaint) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", []byte(c.complaint))
}

// beginning keeps the first bytes that are written to it.
type beginning []byte

func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), 500-len(*b))]...)
	return len(p), nil
}

// finish ends what is left of the box and waits for it.
func (c *Cage) finish() {
	_ = c.kill()
	c.watchers.Wait()
	c.mu.Lock()
	if c.phase == running {
		awaitEnd(c.first)
		shut(c.first)
		c.proc.Close()
	}
	c.phase = finished
	if c.reason == "" {
		c.reason = c.group.reason(c.box.Limits)
	}
	c.mu.Unlock()
	c.group.remove(c.sandbox.log)
	unpin(c.places)
	c.sandbox.forget(c)
	close(c.gone)
	c.thread.Wait()
}

// awaitEnd waits until the process has ended. That of the first process of a box comes after that of all others.
func awaitEnd(pidfd int) {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Kill ends every process in the box at once. The error is os.ErrProcessDone when there is none.
func (c *Cage) Kill() error {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	return c.kill()
}

func (c *Cage) kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case making: // bubblewrap must not die before it says what it started; then release sees that it was stopped
		return nil
	case running:
		c.group.kill()
		if err := unix.PidfdSendSignal(c.first, unix.SIGKILL, nil, 0); err == nil {
			return nil
		}
	case prepared, finished:
	}
	return os.ErrProcessDone
}

// Stop asks the program to end, with SIGTERM to its process group. When it is only about to begin, Stop waits for
// that. The error is os.ErrProcessDone when it has ended.
func (c *Cage) Stop() error {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	for tick := time.NewTicker(time.Millisecond); ; {
		if done, err := c.terminate(); done {
			tick.Stop()
			return err
		}
		<-tick.C
	}
}

// terminate sends SIGTERM, and says that it is done unless the program has not begun yet.
func (c *Cage) terminate() (done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case making:
		return true, nil // release sees that it was stopped
	case running:
	case prepared, finished:
		return true, os.ErrProcessDone
	}
	if err := unix.PidfdSendSignal(c.first, 0, nil, 0); err != nil {
		return true, os.ErrProcessDone
	}
	if err := unix.Faccessat(int(c.proc.Fd()), program, unix.F_OK, 0); err != nil {
		return false, nil
	}
	// The program is in the group of the first process, which does not hear SIGTERM itself. It was there a moment ago,
	// and numbers of processes are not given away again so soon.
	if err := unix.Kill(-c.pid, unix.SIGTERM); err != nil {
		return true, os.ErrProcessDone
	}
	return true, nil
}

// program is the number of the program in its own PID namespace: it is the second process there.
const program = "2"

// end kills the box and keeps the reason, the first one that was given.
func (c *Cage) end(reason string) {
	c.mu.Lock()
	if c.reason == "" {
		c.reason = reason
		c.sandbox.log.Warn().Str("reason", reason).Msg("box is ended")
	}
	c.mu.Unlock()
	_ = c.Kill()
}

// Reason says why the box was ended when it went over a limit, and is empty otherwise.
func (c *Cage) Reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}
