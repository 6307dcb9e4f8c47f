package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tether holds a box by tracing its first process (ptrace(2)). All its methods must be called on one thread, and the
// kernel kills the box when that thread ends, so also when this program is killed.
//
// Bubblewrap's --die-with-parent would leave boxes behind: it ties the first process to itself only after it has started
// the program, and when it is killed while it makes the box, the first process waits for it for ever. Until the tether
// is there, a box ends because we give no filter (see pipes).
//
// It also holds back the program for the moment in which the first process has files open that lead out of the box:
// bubblewrap closes its /proc of the host only after it has started the program, which could reach it as /proc/1/fd/3.
type tether struct {
	pid int
}

// tie takes hold of the process.
func tie(pid int) (tether, error) {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACEFORK, 0, 0)
	if errno != 0 {
		return tether{}, fmt.Errorf("trace process %d: %w", pid, errno)
	}
	return tether{pid}, nil
}

// follow lets the process run until it has ended.
func (t tether) follow() {
	if t.begin() {
		t.rest()
	}
}

// begin follows the process until the program has begun. It says whether there is still something to follow.
//
// It never waits for the process alone: that cannot end as long as a program that died in our hands is not waited for.
func (t tether) begin() bool {
	held := 0
	for {
		switch status, err := wait(t.pid, unix.WNOHANG); {
		case err != nil || ended(status):
			return false
		case status.Stopped():
			_ = unix.PtraceCont(t.pid, 0)
		}
		for _, child := range children(t.pid) { // they begin stopped
			switch status, err := wait(child, unix.WNOHANG); {
			case err != nil: // it was released, or is none of ours yet
			case ended(status):
				return true
			case status.Stopped():
				held = child
			}
		}
		// The first process has put the filter on itself right after it has closed its files. A program that was killed
		// cannot be released, and is waited for next.
		if held != 0 && filtered(t.pid) && unix.PtraceDetach(held) == nil {
			return true
		}
		pause := unix.Timespec{Nsec: 500_000} // a box takes several milliseconds to make,
		if held != 0 {
			pause.Nsec = 50_000 // and its first process a few microseconds
		}
		_ = unix.Nanosleep(&pause, nil)
	}
}

// rest follows the process when the program runs by itself.
func (t tether) rest() {
	for {
		status, err := wait(t.pid, 0)
		if err != nil || ended(status) {
			return
		}
		// A signal, such as Stop's for the whole group: the first process of a box hears none.
		_ = unix.PtraceCont(t.pid, 0)
	}
}

func ended(s unix.WaitStatus) bool { return s != nothingNew && (s.Exited() || s.Signaled()) }

// children are the processes that a process of one thread has started (proc_tid_children(5)).
func children(pid int) []int {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(line)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// nothingNew is a status that is neither stopped nor ended.
const nothingNew = ^unix.WaitStatus(0)

// wait waits for a process that we trace to stop or end.
func wait(pid, options int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		n, err := unix.Wait4(pid, &status, unix.WALL|options, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return nothingNew, nil
		default:
			return status, nil
		}
	}
}

// filtered says whether the process is under a filter (proc_pid_status(5)).
func filtered(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && bytes.Contains(status, []byte("\nSeccomp:\t2"))
}

// mayTrace tries whether we may trace processes that we start.
func mayTrace() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(context.Background(), "/bin/cat") // it waits for input
	cmd.Env = []string{}
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a program to trace: %w", err)
	}
	t, err := tie(cmd.Process.Pid)
	_ = cmd.Process.Kill()
	if err == nil {
		t.rest()
	}
	_ = cmd.Wait() // it was killed
	if err != nil {
		return &Trouble{
			What: "this program may not trace the processes that it starts, and so not hold a box",
			Hint: "set kernel.yama.ptrace_scope to 1 or 0, and in a container allow ptrace (--cap-add SYS_PTRACE)",
			Err:  err,
		}
	}
	if _, err := os.Stat("/proc/thread-self/children"); err != nil {
		return &Trouble{What: "the kernel does not tell the children of a process", Hint: "use a kernel with CONFIG_PROC_CHILDREN", Err: err}
	}
	return nil
}
