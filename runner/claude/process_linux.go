package claude

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// ownGroup makes the process the leader of a group of its own that does not outlive us.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap kills the processes of these runs until none is left.
func reap(ctx context.Context, ours func(runID string) bool) error {
	wait := time.Millisecond
	for {
		left, err := killMarked(ours)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("reap processes %v: %w", left, ctx.Err())
		case <-time.After(wait):
			wait = min(2*wait, 100*time.Millisecond)
		}
	}
}

// killMarked looks once at every process and kills those of the runs. It returns the ids of those it saw.
func killMarked(ours func(runID string) bool) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	family := ancestors()
	var seen []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || slices.Contains(family, pid) || !marked(pid, ours) {
			continue
		}
		seen = append(seen, pid)
		// The handle pins the process: looked at once more, it cannot be another one that took over the number.
		if p, err := os.FindProcess(pid); err == nil {
			if marked(pid, ours) {
				_ = p.Kill()
			}
			_ = p.Release()
		}
	}
	return seen, nil
}

// marked says whether the process was started with the mark of such a run. One that is not ours to read, or
// is dead and waits for its parent, is not.
func marked(pid int, ours func(runID string) bool) bool {
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if id, ok := bytes.CutPrefix(v, []byte(marker+"=")); ok && ours(string(id)) {
			return true
		}
	}
	return false
}

// ancestors is this process and those above it: when an agent works on this program itself, they carry a mark too.
func ancestors() []int {
	var family []int
	for pid := os.Getpid(); pid > 0 && !slices.Contains(family, pid); pid = parent(pid) {
		family = append(family, pid)
	}
	return family
}

// parent is the parent's process id, 0 when there is none or it cannot be read.
func parent(pid int) int {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	// "PID (NAME) STATE PARENT …", where NAME may hold anything.
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	id, _ := strconv.Atoi(string(fields[1]))
	return id
}
