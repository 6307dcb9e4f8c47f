package worktree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// call is one run of git.
type call struct {
	args   []string
	gitDir string   // always given: git must never look for a folder itself
	common string   // of a worktree's admin folder: the mirror
	tree   string   // work tree; "": none
	index  string   // index file; "": the git folder's own
	env    []string // more environment
	stdin  io.Reader
	stdout *os.File      // where the output goes; nil: it is returned
	limit  int64         // most bytes of returned output; 0: 1 MiB
	box    *box          // of a call that reads what an agent wrote; nil: on the host
	remote *remote       // of a call that talks to a server
	hold   []*flock      // locks that the process inherits
	within time.Duration // 0: ten minutes
}

// remote is the server a call talks to.
type remote struct {
	url    *url.URL
	helper string // shell words of the credential helper; "": no credential
}

const (
	callTime    = 10 * time.Minute
	networkTime = time.Hour
	graceTime   = 5 * time.Second
	outputLimit = 1 << 20
	wordsLimit  = 8 << 10
)

var errOutput = errors.New("more output than expected")

// said is what a run of git wrote.
type said struct {
	out []byte
	err []byte // bounded
}

// git runs one command to its end. A cancelled ctx ends git and all it started.
func (t *Trees) git(ctx context.Context, c call) (said, error) {
	within := c.within
	if within == 0 {
		within = callTime
	}
	verb := "git " + c.args[0]
	late := fmt.Errorf("%s took longer than %s", verb, within)
	if c.box != nil && c.box.limits.Memory > 0 {
		late = fmt.Errorf("%w: %w", ErrTooBig, late) // an agent wrote what it reads
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, late)
	defer cancel()
	p, err := t.process(ctx, c)
	if err != nil {
		return said{}, fmt.Errorf("%s: %w", verb, err)
	}
	p.cmd.Stdin = c.stdin
	limit := c.limit
	if limit == 0 {
		limit = outputLimit
	}
	stdout, stderr := &bounded{limit: limit, fail: true}, &bounded{limit: wordsLimit}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if c.stdout != nil {
		p.cmd.Stdout = c.stdout
	}
	p.cmd.WaitDelay = graceTime
	err = p.run()
	result := said{out: stdout.Bytes(), err: stderr.Bytes()}
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		p.kill() // what did not listen
		return result, fmt.Errorf("%s: %w", verb, context.Cause(ctx))
	}
	if stdout.full {
		return result, fmt.Errorf("%s: %w than %d bytes", verb, errOutput, limit)
	}
	if why := p.why(); why != "" {
		return result, fmt.Errorf("%s: %w: %s", verb, ErrTooBig, why)
	}
	f := newFault(verb, err, result)
	if c.box != nil && f.code == 1 && strings.HasPrefix(f.words, "bwrap: ") {
		f.code = -1 // the box was not made: this is not git's answer
	}
	return result, f
}

// process is a git that is ready to run, on the host or in a box.
type process struct {
	cmd  *exec.Cmd
	run  func() error
	kill func()        // everything that is left of it
	why  func() string // the limit of a box that it broke
}

func (t *Trees) process(ctx context.Context, c call) (process, error) {
	if c.box != nil {
		return t.boxed(ctx, c)
	}
	cmd := exec.CommandContext(ctx, "git", t.arguments(c)...)
	cmd.Env = t.environment(c)
	cmd.Dir = t.dir
	if c.tree != "" {
		cmd.Dir = c.tree
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // git removes its lock files
	for _, l := range c.hold {
		cmd.ExtraFiles = append(cmd.ExtraFiles, l.file)
	}
	kill := func() {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH when all are gone
		}
	}
	return process{cmd: cmd, run: cmd.Run, kill: kill, why: func() string { return "" }}, nil
}

// bounded keeps the first limit bytes. With fail it then ends the process by refusing more.
type bounded struct {
	bytes.Buffer
	limit int64
	fail  bool
	full  bool
}

// Write keeps what fits.
func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - int64(b.Len())
	if int64(len(p)) <= room {
		return b.Buffer.Write(p)
	}
	b.full = true
	if b.fail {
		return 0, errOutput
	}
	b.Buffer.Write(p[:room])
	return len(p), nil
}

// fault is git's own failure, with its words.
type fault struct {
	verb  string
	code  int // -1: it was not started or was killed
	words string
	cause error
}

func newFault(verb string, err error, s said) *fault {
	f := &fault{verb: verb, code: -1, words: clean(string(s.err)), cause: err}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		f.code = exit.ExitCode()
	}
	return f
}

// Error gives git's words without anything that could move a terminal.
func (f *fault) Error() string {
	words := f.words
	if words == "" {
		words = f.cause.Error()
	}
	if f.code > 0 {
		return f.verb + ": exit " + strconv.Itoa(f.code) + ": " + words
	}
	return f.verb + ": " + words
}

func (f *fault) Unwrap() error { return f.cause }

// exited says that git ended by itself with this code.
func exited(err error, code int) bool {
	var f *fault
	return errors.As(err, &f) && f.code == code
}

const cleanLimit = 1000

// clean makes foreign words fit for a log line or a comment: one line, bounded, no control characters.
func clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	s = strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if strange(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > cleanLimit {
		s = strings.ToValidUTF8(s[:cleanLimit], "") + "…"
	}
	return strings.TrimSpace(s)
}
