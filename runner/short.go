package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"dozens/batch/work"
	"dozens/runner/sandbox"
	"dozens/runner/worktree"
)

// publish pushes the accepted commit to the task's branch. Doing it again when it is there changes nothing.
func (a act) publish(r *work.Report) {
	o := a.order
	tree, err := a.host.opts.Trees.Prepare(a.ctx, a.spec(), a.credential())
	if err != nil {
		a.failed(r, "the worktree could not be opened for the push", err)
		return
	}
	err = a.host.opts.Trees.Push(a.ctx, tree, o.Head, o.Expected, a.credential())
	var moved *worktree.MovedError
	switch {
	case err == nil:
		r.Outcome, r.Head = work.Pushed, o.Head
		a.lines.say("pushed %s to branch %s", short(o.Head), o.Branch)
	case errors.As(err, &moved):
		r.Outcome, r.Reason, r.Head = work.Rejected, a.words("the push was not accepted", err), moved.Remote
		a.lines.say("%s", r.Reason)
	case errors.Is(err, worktree.ErrRefused):
		r.Outcome, r.Reason = work.Rejected, a.words("the push was not accepted", err)
		a.lines.say("%s", r.Reason)
	default:
		a.failed(r, "the push did not succeed", err)
	}
}

// cleanup removes the task's worktree and, unless the work is to be kept, its conversation.
func (a act) cleanup(r *work.Report) {
	if err := a.host.opts.Trees.Remove(a.ctx, a.spec(), a.order.Keep); err != nil {
		a.failed(r, "the worktree could not be removed", err)
		return
	}
	if !a.order.Keep {
		if err := sandbox.DeleteAll(a.host.sessionHome(a.order.Task)); err != nil {
			a.failed(r, "the session's folder could not be removed", err)
			return
		}
	}
	r.Outcome = work.Cleaned
}

// failed puts the end of work into the report that could not be carried out.
func (a act) failed(r *work.Report, what string, err error) {
	zerolog.Ctx(a.life).Warn().Err(err).Msg(what)
	switch {
	case a.ctx.Err() != nil:
		r.Outcome, r.Reason = work.Stopped, context.Cause(a.ctx).Error()
	case errors.Is(err, worktree.ErrGone), errors.Is(err, worktree.ErrEmptyRepo):
		r.Outcome, r.Reason = work.Gone, a.words(what, err)
	default:
		r.Outcome, r.Reason = work.Fault, a.words(what, err)
	}
	a.lines.say("%s", r.Reason)
}

// advice says for each kind of failure what it means to the people who read it.
func advice() []struct {
	err  error
	text string
} {
	return []struct {
		err  error
		text string
	}{
		{worktree.ErrEmptyRepo, "the repository has no commits yet"},
		{worktree.ErrGone, "the repository or the commit it was to begin at is not there any more"},
		{worktree.ErrAuth, "GitHub did not let this host at the repository"},
		{worktree.ErrDisk, "the host's disk is too full"},
		{worktree.ErrForeign, "the agent's commits do not descend from where the task began"},
		{worktree.ErrNested, "the agent put a git repository inside the worktree"},
		{worktree.ErrUnsafe, "the agent left a path that cannot be accepted"},
		{worktree.ErrTooBig, "the change is too big"},
		{worktree.ErrSecret, "the change holds something that looks like a credential, which the base branch does not have"},
		{worktree.ErrLost, "the task's worktree is gone"},
		{worktree.ErrMoved, "somebody else pushed to the task's branch"},
		{worktree.ErrRefused, "GitHub refused the push"},
		{worktree.ErrSpec, "the order cannot be carried out as it is"},
	}
}

// words explains a failure to people. What git or the system said is added where it names a path or a rule.
func (a act) words(what string, err error) string {
	for _, known := range advice() {
		if errors.Is(err, known.err) {
			return fmt.Sprintf("%s: %s (%s)", what, known.text, cut(err.Error(), 1000))
		}
	}
	return fmt.Sprintf("%s on host %s; its log says more (task %s)", what, a.host.opts.Name, a.order.Task)
}
