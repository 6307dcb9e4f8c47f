package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/say"
	"dozens/batch/work"
	"dozens/runner/claude"
	"dozens/runner/sandbox"
	"dozens/runner/worktree"
)

const (
	overtime = 30 * time.Second // the agent ends a run at its limit by itself; this is for one that does not
	lookTime = 5 * time.Minute
)

// act carries out one order.
type act struct {
	host  *Host
	order *work.Order
	lines *lines
	ctx   context.Context // of the work: ends when it is stopped
	life  context.Context // of the host: lasts until all is reported
}

// run prepares the worktree, runs the agent in it, and looks at what became of it, whatever the agent says.
func (a act) run(r *work.Report) {
	o := a.order
	a.lines.say("preparing the worktree: branch %s, from %s %s", o.Branch, o.Base, short(o.BaseSHA))
	tree, err := a.host.opts.Trees.Prepare(a.ctx, a.spec(), a.credential())
	if err != nil {
		a.failed(r, "the worktree could not be prepared", err)
		return
	}
	home := a.host.sessionHome(o.Task)
	if err := os.MkdirAll(home, 0o700); err != nil {
		a.failed(r, "the session's folder could not be made", err)
		return
	}
	house, err := a.house(tree.Spec)
	if err != nil {
		a.failed(r, "the repository's own instructions could not be read", err)
		return
	}
	a.agent(r, tree, home, house)
	look, err := a.look(tree)
	if o.ReadOnly {
		a.readOnly(r, tree, look, err)
		return
	}
	a.seen(r, look, err)
}

// agent runs the session and takes over what it came to.
func (a act) agent(r *work.Report, tree worktree.Tree, home string, house claude.House) {
	ctx := a.ctx
	if limit := a.order.Limits.Time; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit+overtime, errOvertime)
		defer cancel()
	}
	s := claude.Session{Order: withoutToken(a.order), Dir: tree.Path, Home: home, RunID: a.order.ID(), Binds: binds(tree, a.order.ReadOnly), House: house}
	result, err := a.host.opts.Agent.Run(ctx, s, a.lines.emit)
	if err != nil {
		zerolog.Ctx(a.life).Error().Err(err).Msg("agent not run")
		result.Outcome = work.Fault
		if result.Reason == "" {
			result.Reason = "the agent could not be started on host " + a.host.opts.Name
		}
	}
	r.Outcome, r.Output, r.Reason, r.Usage = result.Outcome, result.Output, result.Reason, result.Usage
	if cause := context.Cause(ctx); ctx.Err() != nil && r.Outcome == work.Stopped {
		r.Reason = cause.Error()
		if errors.Is(cause, errOvertime) {
			r.Outcome = work.Limit
		}
	}
	if err != nil {
		a.lines.say("%s", r.Reason) // else the agent's driver has said how it ended
	}
}

// binds is what the agent's box shows of the tree; who only reads cannot write there.
func binds(tree worktree.Tree, readOnly bool) []sandbox.Bind {
	all := slices.Clone(tree.Binds)
	for i := range all {
		all[i].Write = all[i].Write && !readOnly
	}
	return all
}

// withoutToken is the order as the agent's driver gets it: the token is for the host's git only.
func withoutToken(o *work.Order) work.Order {
	copied := *o
	copied.Token = ""
	return copied
}

// look is our own look at git. It also happens when the run was stopped: what is there is not lost.
func (a act) look(tree worktree.Tree) (worktree.Look, error) {
	ctx, cancel := context.WithTimeout(a.life, lookTime)
	defer cancel()
	title := a.order.Title
	if title == "" {
		title = "Work on " + a.order.Label
	}
	author := a.host.opts.Author
	return a.host.opts.Trees.Look(ctx, tree, worktree.CommitOptions{Message: title, Name: author.Name, Email: author.Email,
		Clean: say.CommitMessage})
}

// seen puts what git says into the report. An agent that is done with something we cannot take is not done.
func (a act) seen(r *work.Report, look worktree.Look, err error) {
	if err != nil {
		reason := a.words("what the agent left could not be looked at", err)
		a.lines.say("%s", reason)
		if r.Outcome == work.Done {
			r.Outcome, r.Reason = work.Fault, reason
			r.Output = nil
		}
		return
	}
	r.Head, r.Changes, r.Commits, r.Added, r.Removed = look.Head, look.Changes, look.Commits, look.Added, look.Removed
	a.lines.say("%d commits, %d files changed, +%d -%d lines; the branch is at %s",
		look.Commits, len(look.Changes), look.Added, look.Removed, short(look.Head))
}

// readOnly ends a session that was to change nothing. What it changed is thrown away with the worktree, which
// is then made anew, and a plan is checked against the files that it speaks of.
func (a act) readOnly(r *work.Report, tree worktree.Tree, look worktree.Look, err error) {
	r.Head = tree.BaseSHA
	if err != nil || look.Head != tree.BaseSHA || len(look.Changes) > 0 {
		a.lines.say("this session was to read only, but %d files changed; the changes are thrown away", len(look.Changes))
		if err := a.host.opts.Trees.Remove(a.life, a.spec(), false); err != nil {
			a.failed(r, "changes of a session that was to read only could not be thrown away", err)
			return
		}
		if r.Outcome != work.Done {
			return
		}
		if tree, err = a.host.opts.Trees.Prepare(a.ctx, a.spec(), a.credential()); err != nil {
			a.failed(r, "the worktree could not be made anew", err)
			return
		}
	}
	if r.Outcome == work.Done {
		a.checkPlan(r, tree)
	}
}

func (a act) spec() worktree.Spec {
	o := a.order
	return worktree.Spec{
		Repo: o.Repo, CloneURL: o.CloneURL, Task: o.Task, Label: o.Label,
		Branch: o.Branch, Base: o.Base, BaseSHA: o.BaseSHA, Pushed: o.Pushed,
	}
}

func (a act) credential() worktree.Credential {
	if a.order.Token == "" {
		return worktree.Credential{}
	}
	return worktree.Credential{Username: "x-access-token", Password: a.order.Token}
}

// sessionHome is the folder that a task's conversation lives in. The task's id was checked on arrival.
func (h *Host) sessionHome(task string) string { return filepath.Join(h.opts.Dir, "sessions", task) }

func short(sha string) string { return sha[:min(len(sha), 10)] }
