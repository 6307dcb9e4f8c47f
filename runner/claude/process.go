package claude

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
	"time"
)

// marker is the environment variable by which every process of a run is known, wherever it went.
const marker = "DOZENS_RUN"

// afterlife bounds how long a dead run's leftovers and pipes may keep us.
const afterlife = 10 * time.Second

// command is one process to be run to its end.
type command struct {
	files  files
	doors  doors
	args   []string
	stdin  string
	stdout func(line)
	stderr func(line)
}

// program is the agent's process: bare, or in a box.
type program struct {
	*exec.Cmd
	start  func() error
	wait   func() error
	reason func() string // why the box ended it; empty: it did not
}

// prepare makes the process of a run, not yet started.
func (d *Driver) prepare(ctx context.Context, s Session, c command) (program, error) {
	if _, err := os.Stat(d.binary); err != nil {
		return program{}, fmt.Errorf("start %s: %w", d.binary, ErrNotFound)
	}
	if d.box != nil {
		cage, err := d.box.Command(ctx, d.boxed(s, c.files, c.doors), d.program(), c.args...)
		if err != nil {
			return program{}, err
		}
		cage.Cancel = cage.Stop
		return program{Cmd: cage.Cmd, start: cage.Start, wait: cage.Wait, reason: cage.Reason}, nil
	}
	cmd := exec.CommandContext(ctx, d.binary, c.args...)
	cmd.Dir = s.Dir
	cmd.Env = d.environ(s, c.files, c.doors)
	ownGroup(cmd)
	cmd.Cancel = func() error { return stopGroup(cmd.Process) }
	return program{Cmd: cmd, start: cmd.Start, wait: cmd.Wait, reason: func() string { return "" }}, nil
}

// ended is how a process ended.
type ended struct {
	state  *os.ProcessState
	reason string // why the box ended it; empty: it did not
}

// execute runs the program until it has ended and nothing it started is left. When ctx ends, the program is asked to
// stop and killed after the grace time. The error says that it could not be started at all.
func (d *Driver) execute(ctx context.Context, s Session, c command) (ended, error) {
	p, err := d.prepare(ctx, s, c)
	if err != nil {
		return ended{}, err
	}
	p.Stdin = strings.NewReader(c.stdin)
	p.WaitDelay = d.grace

	// The pipes are ours, not os/exec's: so Wait returns when the program ends, even while a child of it
	// still holds them, and whoever holds them is killed next.
	out, err := newPipe()
	if err != nil {
		return ended{}, err
	}
	errs, err := newPipe()
	if err != nil {
		out.close()
		return ended{}, err
	}
	p.Stdout, p.Stderr = out.write, errs.write

	err = d.startAndWait(p, func() {
		out.follow(c.stdout)
		errs.follow(c.stderr)
	})
	if err != nil {
		out.close()
		errs.close()
		return ended{}, err
	}
	d.bury(ctx, s.RunID, p.Process)
	out.finish()
	errs.finish()
	return ended{state: p.ProcessState, reason: p.reason()}, nil
}

// startAndWait starts the program, calls started, and waits for its end. The kernel kills the program when the
// thread that started it dies; so that this means our own death and nothing else, the thread stays ours.
func (d *Driver) startAndWait(p program, started func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.start(); err != nil {
		return fmt.Errorf("start %s: %w", d.binary, err)
	}
	started()
	// How it ended is in the state; the error adds nothing but that ctx ended or that stdin was not read.
	_ = p.wait()
	return nil
}

// bury kills what a dead program left behind. It does so also when ctx has ended.
func (d *Driver) bury(ctx context.Context, runID string, leader *os.Process) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterlife)
	defer cancel()
	killGroup(leader)
	if err := reap(ctx, func(id string) bool { return id == runID }); err != nil {
		d.log.Error().Err(err).Str("run", runID).Msg("processes of a run are left behind")
	}
}

// pipe brings a child's output to us.
type pipe struct {
	read, write *os.File
	done        sync.WaitGroup
}

func newPipe() (*pipe, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	return &pipe{read: r, write: w}, nil
}

// follow hands each line to take, in a goroutine of its own, until the pipe ends.
func (p *pipe) follow(take func(line)) {
	p.done.Go(func() { readLines(p.read, take) })
	p.write.Close()
}

// finish waits until all that was written is read. A writer that could not be killed is not waited for any longer
// than afterlife.
func (p *pipe) finish() {
	_ = p.read.SetReadDeadline(time.Now().Add(afterlife))
	p.done.Wait()
	p.read.Close()
}

// close gives up a pipe that nobody follows.
func (p *pipe) close() {
	p.read.Close()
	p.write.Close()
}

// Reap kills every process of the run that is still there, until none is, and removes the run's files; for the
// host's start after a crash. A process is known by the mark in the environment it was started with: only Linux
// shows it, elsewhere only the files go.
func (d *Driver) Reap(ctx context.Context, runID string) error {
	if !runName.MatchString(runID) {
		return fmt.Errorf("reap: %q is not the id of a run", runID)
	}
	err := reap(ctx, func(id string) bool { return id == runID })
	return errors.Join(err, os.RemoveAll(folderOf(runID)))
}

// ReapAll does the same for all runs whose id starts with prefix. An empty prefix means every run of this user on
// this machine, those of another host included.
func (d *Driver) ReapAll(ctx context.Context, prefix string) error {
	errs := []error{reap(ctx, func(id string) bool { return strings.HasPrefix(id, prefix) })}
	folders, _ := filepath.Glob(folderOf("*")) // a fixed pattern
	for _, f := range folders {
		if strings.HasPrefix(f, folderOf(prefix)) {
			errs = append(errs, os.RemoveAll(f))
		}
	}
	return errors.Join(errs...)
}
