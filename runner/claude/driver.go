package claude

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/work"
	"dozens/runner/meter"
	"dozens/runner/sandbox"
)

// Tested is the version of Claude Code that this driver is tested against.
const Tested = "2.1.330"

// ErrNotFound says that there is no claude program to run; its text says how to get one.
var ErrNotFound = errors.New("claude is not installed: run `npm install -g @anthropic-ai/claude-code@" + Tested +
	"` on this host, or set DOZENS_AGENT to the program's path")

// ErrBusy says that another run of the same session is under way on this host.
var ErrBusy = errors.New("another run of this session is under way")

// Options are what a Driver needs. Only Binary has no use as a zero value outside of a usual installation.
type Options struct {
	Binary string   // path of the claude program; empty: the one in PATH
	Args   []string // put before claude's own arguments, for a binary that plays claude under a verb
	Env    []string // NAME=value of the host that an agent may see; see FromEnviron
	// Box confines agents; nil: they run with the rights, files and network of this user.
	Box    *sandbox.Sandbox
	Limits sandbox.Limits // of one run; held by Box
	// Meter is the agents' way to the model; nil: they get the host's credential and find their own.
	Meter *meter.Meter
	Name  string // git identity of the agent's commits
	Email string
	Grace time.Duration // between asking a run to stop and killing it; zero: 5 s
	Log   zerolog.Logger
}

// Driver runs Claude Code. It is safe for many runs at once.
type Driver struct {
	binary string // absolute
	args   []string
	env    []string // of every agent; without the host's credential when there is a meter
	box    *sandbox.Sandbox
	limits sandbox.Limits
	meter  *meter.Meter
	grace  time.Duration
	log    zerolog.Logger
	hidden []string // values that no log may show
}

// New returns a Driver. The error wraps ErrNotFound when there is no such program.
func New(o Options) (*Driver, error) {
	if o.Binary == "" {
		o.Binary = "claude"
	}
	found, err := exec.LookPath(o.Binary)
	if err != nil {
		return nil, fmt.Errorf("%w (looked for %s)", ErrNotFound, o.Binary)
	}
	// The run's folder is the worktree: a relative path would name a file of the repository.
	binary, err := filepath.Abs(found)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", o.Binary, err)
	}
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	return &Driver{
		binary: binary, args: o.Args, env: append(hostEnv(o.Env, o.Meter != nil, o.Box != nil), identity(o.Name, o.Email)...),
		box: o.Box, limits: o.Limits, meter: o.Meter, grace: o.Grace, log: o.Log, hidden: secretValues(o.Env),
	}, nil
}

// Session is one run to be made. The caller owns both folders and keeps them until Run has returned.
type Session struct {
	Order work.Order
	Dir   string         // absolute path of the worktree
	Home  string         // absolute path of the session's own folder, the same for all its runs; made when missing
	RunID string         // work.Offer.ID(): marks every process of the run
	Path  []string       // absolute folders put before PATH
	Binds []sandbox.Bind // what the agent sees of the host beside its home: the worktree and its git folders
	House House          // what the repository tells every agent
}

// Result is what came of a run.
type Result struct {
	Outcome work.Outcome
	Output  json.RawMessage // the structured result, valid against the order's schema; nil when there is none
	Reason  string          // words for people; empty when Done; bounded and without secrets
	Usage   work.Usage      // of this run only
	Resumed bool            // the session went on with an earlier conversation
}

// Version asks the program for its version, such as "2.1.330". With a box it is asked in one, as it will run.
func (d *Driver) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	args := append(d.args[:len(d.args):len(d.args)], "--version")
	env := append(d.env[:len(d.env):len(d.env)], "DISABLE_AUTOUPDATER=1")
	if d.box != nil {
		return d.versionInBox(ctx, args, env)
	}
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Env = env
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", d.binary, err)
	}
	return firstWord(out), nil
}

func (d *Driver) versionInBox(ctx context.Context, args, env []string) (string, error) {
	cage, err := d.box.Command(ctx, sandbox.Box{Dir: "/tmp", Binds: d.programBinds(), Env: append(env, "HOME=/tmp")}, d.program(), args...)
	if err != nil {
		return "", fmt.Errorf("ask %s for its version in the sandbox: %w", d.binary, err)
	}
	var words bytes.Buffer
	cage.Stderr, cage.WaitDelay = &words, time.Second
	out, err := cage.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version in the sandbox: %w: %s", d.binary, err, cut(strings.TrimSpace(words.String()), 500))
	}
	return firstWord(out), nil
}

func firstWord(out []byte) string {
	word, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return word
}
