package worktree

import (
	"context"
	"errors"
	"fmt"
)

// salvage takes what only the shadow has when no Look can: its worktree is lost, it is broken, or the task ends.
// Commits that build on the task's branch move it, others are kept. The shadow is gone afterwards; one that cannot be
// read lies in kept/ for a person to look at.
func (p *seat) salvage(ctx context.Context) error {
	if !p.shaded() {
		return nil
	}
	if err := p.clearWork(); err != nil {
		return err
	}
	h, err := p.shadowHeads(ctx)
	for _, commit := range []string{h.head, h.branch} {
		if err == nil && commit != "" {
			err = p.letIn(ctx, commit, p.advance)
		}
	}
	if !lasting(err) {
		return err
	}
	if err != nil || h.unread {
		p.t.log.Warn().Str("task", p.spec.Task).Err(err).Msg("the agent's git folder cannot be read")
	}
	return p.unshade(err != nil || h.unread)
}

// lasting says that trying again would not help, or that there is no error.
func lasting(err error) bool {
	if errors.Is(explain(err, Credential{}), ErrDisk) {
		return false
	}
	for _, kind := range []error{nil, ErrForeign, ErrUnsafe, ErrTooBig} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return exited(err, 1) || exited(err, 128) || exited(err, 129)
}

// letIn takes a commit into the mirror and does with it what then must be done, under the mirror's lock.
func (p *seat) letIn(ctx context.Context, commit string, then func(context.Context, string) error) error {
	h, err := p.take(ctx, commit)
	if err != nil {
		return err
	}
	defer h.drop()
	_, unlock, err := p.mirror.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.admit(); err != nil {
		return err
	}
	return then(ctx, commit)
}

// advance moves the task's branch to a commit that builds on it, and keeps any other.
func (p *seat) advance(ctx context.Context, commit string) error {
	tip, err := p.mirror.resolve(ctx, p.spec.ref())
	if err != nil || tip == commit {
		return err
	}
	if tip != "" {
		grown, err := p.mirror.descends(ctx, commit, tip)
		if err != nil {
			return err
		}
		if grown {
			return p.mirror.setRef(ctx, p.spec.ref(), commit)
		}
	}
	return p.keep(ctx, commit)
}

// keepTip keeps the commits of the agent's branch that its HEAD does not build on, as far as they can be taken.
func (p *seat) keepTip(ctx context.Context, left heads, commit string) (whole bool, err error) {
	tip := left.branch
	if tip == "" || tip == left.head || tip == commit { // what was taken builds on the HEAD
		return true, nil
	}
	covered, err := gitFunc(p.ours).descends(ctx, commit, tip)
	if covered {
		return true, nil
	}
	if err == nil {
		err = p.letIn(ctx, tip, p.keep)
	}
	if err != nil && !lasting(err) {
		return false, fmt.Errorf("keep commits that the agent left: %w", err)
	}
	if err != nil {
		p.t.log.Warn().Str("task", p.spec.Task).Err(err).Msg("commits that the agent left cannot be taken")
	}
	return err == nil, nil
}
