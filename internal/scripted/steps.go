package scripted

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// do carries out one step and tells whether the run has ended with it.
func (a *agent) do(ctx context.Context, s Step) (ended bool, err error) {
	switch s.Do {
	case Write, Append, Delete, DeleteGit:
		return false, a.file(s)
	case Shell, Commit, Checkout:
		_, err := a.shell(ctx, commandOf(s))
		return false, err
	case Background:
		return false, a.background(s.Text)
	case Say, Stdout, Stderr, Flood, LongLine:
		a.print(s)
		return false, nil
	case Pause, WaitFor, Hang, Deaf:
		return false, a.wait(ctx, s)
	case Exit:
		return true, exit{s.N}
	case Signal:
		_ = syscall.Kill(os.Getpid(), syscall.Signal(s.N)) // the next line is for a signal that does not end us
		return true, exit{1}
	default:
		return true, a.ending(ctx, s)
	}
}

// ending carries out a step that ends the run with a result.
func (a *agent) ending(ctx context.Context, s Step) error {
	said := map[string]string{"summary": s.Text}
	switch s.Do {
	case Ask:
		said["status"], said["question"] = "question", s.Text
	case Blocked:
		said["status"] = "blocked"
	case Result:
		return a.finish(s.Output)
	case Plain:
		a.say(s.Text)
		return a.end(map[string]any{"subtype": "success", "is_error": false, "result": s.Text})
	case APIError:
		return a.refuse(s.N, s.Text)
	case Demo:
		return a.demo(ctx)
	default:
		return fmt.Errorf("the script has an unknown step %q", s.Do)
	}
	output, err := json.Marshal(said)
	if err != nil {
		return err
	}
	return a.finish(output)
}

// path is a step's path as the file system knows it.
func (a *agent) path(p string) string {
	if name, ok := strings.CutPrefix(p, "~/"); ok {
		return filepath.Join(os.Getenv("HOME"), name)
	}
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.dir, p)
}

// file changes one file, and says so as claude's tools would.
func (a *agent) file(s Step) error {
	path := a.path(s.Path)
	switch s.Do {
	case Delete:
		return os.RemoveAll(path)
	case DeleteGit:
		return os.RemoveAll(a.path(".git"))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if s.Do == Append {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s.Text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	a.use("Write", map[string]any{"file_path": path, "content": s.Text}, "File written: "+path, err != nil)
	return err
}

// commandOf is the shell command of a step.
func commandOf(s Step) string {
	quoted := "'" + strings.ReplaceAll(s.Text, "'", `'\''`) + "'"
	switch s.Do {
	case Commit:
		return "git add -A && git commit -q -m " + quoted
	case Checkout:
		return "git checkout -q -b " + quoted
	default:
		return s.Text
	}
}

// shell runs a command in the worktree, in a process group that ends with the run, and prints it as a use of Bash.
// A command that fails is no error of the agent.
func (a *agent) shell(ctx context.Context, command string) (output string, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = a.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	a.use("Bash", map[string]any{"command": command}, string(out), err != nil)
	return string(out), nil
}

// background leaves a process behind that no signal to our group reaches.
func (a *agent) background(command string) error {
	cmd := exec.Command("sh", "-c", command) //nolint:noctx // it is meant to outlive the run
	cmd.Dir = a.dir
	cmd.Stdout, cmd.Stderr = a.stdout, a.stderr // it holds our pipes, too
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// print puts something on stdout or stderr.
func (a *agent) print(s Step) {
	switch s.Do {
	case Say:
		a.say(s.Text)
	case Stdout:
		_, _ = fmt.Fprint(a.stdout, s.Text) // nobody reads
	case Stderr:
		_, _ = fmt.Fprint(a.stderr, s.Text) // nobody reads
	case Flood:
		text := strings.Repeat("x", 1000)
		for range s.N << 10 {
			a.line(map[string]any{"type": "stream_event", "text": text})
		}
	case LongLine:
		a.line(map[string]any{"type": "stream_event", "text": string(bytes.Repeat([]byte("x"), s.N<<20))})
	}
}

// wait carries out the steps that only pass time.
func (a *agent) wait(ctx context.Context, s Step) error {
	switch s.Do {
	case Pause:
		return sleep(ctx, time.Duration(s.N)*time.Millisecond)
	case Deaf:
		signal.Ignore(syscall.SIGTERM)
		return nil
	case WaitFor:
		for {
			if _, err := os.Stat(a.path(s.Path)); err == nil {
				return nil
			}
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
	default:
		return sleep(ctx, 24*time.Hour)
	}
}

// sleep waits unless the run is to end.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
