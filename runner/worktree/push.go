package worktree

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Push brings the commit head, and nothing else, to the task's branch on the server. expected is the commit the
// remote branch must stand at, empty when it must not exist. Pushing what is already there succeeds. Only the
// mirror is needed; the worktree may be gone.
//
// Errors: ErrSpec, ErrMoved (a *MovedError with the remote's commit), ErrRefused (with the server's words),
// ErrAuth, ErrGone, and others that may pass.
func (t *Trees) Push(ctx context.Context, tree Tree, head, expected string, c Credential) error {
	if err := tree.check(); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	if !shaShape.MatchString(head) || expected != "" && !shaShape.MatchString(expected) {
		return fmt.Errorf("push: %w: commit %q, expected %q", ErrSpec, head, expected)
	}
	p, err := t.sit(ctx, tree.Spec)
	if err != nil {
		return fmt.Errorf("push %s: %w", tree.Branch, err)
	}
	defer p.leave()
	if err := p.push(ctx, head, expected, c); err != nil {
		return fmt.Errorf("push %s: %w", tree.Branch, err)
	}
	return nil
}

func (p *seat) push(ctx context.Context, head, expected string, c Credential) error {
	if err := p.mirror.ensure(ctx, p.spec.CloneURL); err != nil {
		return err
	}
	if has, err := p.mirror.has(ctx, head); err != nil || !has {
		return errors.Join(err, fmt.Errorf("%w: commit %s is not on this host", ErrGone, head))
	}
	r, done, err := p.t.reach(ctx, p.spec.CloneURL, c)
	if err != nil {
		return err
	}
	defer done()
	args := []string{"push", "--porcelain", "--no-progress", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no",
		"--force-with-lease=" + p.spec.ref() + ":" + expected, "--", p.spec.CloneURL, head + ":" + p.spec.ref()}
	s, err := p.git(ctx, call{args: args, remote: r, within: networkTime})
	if err == nil {
		p.remember(ctx, head)
		return nil
	}
	return p.pushFault(ctx, err, string(s.out), head, expected, c)
}

// remember notes in the mirror what the server has, so that Remove need not keep it. The next fetch would say
// the same: it may fail.
func (p *seat) remember(ctx context.Context, head string) {
	_, unlock, err := p.mirror.lock(ctx)
	if err == nil {
		defer unlock()
		err = p.mirror.setRef(ctx, "refs/remotes/origin/"+p.spec.Branch, head)
	}
	if err != nil {
		p.t.log.Warn().Err(err).Str("task", p.spec.Task).Msg("pushed commit not noted")
	}
}

// pushFault finds out what the server answered. Lines of --porcelain: flag TAB from:to TAB summary. Whether the
// branch moved is asked, not read from the words: servers have many for it.
func (p *seat) pushFault(ctx context.Context, err error, out, head, expected string, c Credential) error {
	why, ok := rejection(out)
	if ctx.Err() != nil || !ok {
		return explain(err, c)
	}
	remote, rerr := p.remoteHead(ctx, c)
	if rerr != nil {
		return errors.Join(explain(err, c), rerr)
	}
	if remote == head {
		return nil
	}
	if remote != expected {
		return &MovedError{Remote: remote}
	}
	var f *fault
	if errors.As(err, &f) {
		why += ": " + f.words
	}
	return fmt.Errorf("%w: %s", ErrRefused, redact(clean(why), c))
}

func rejection(out string) (why string, ok bool) {
	for line := range strings.Lines(out) {
		if fields := strings.SplitN(strings.TrimRight(line, "\n"), "\t", 3); len(fields) == 3 && fields[0] == "!" {
			return fields[2], true
		}
	}
	return "", false
}

// RemoteHead asks the server where the task's branch stands; empty when it does not exist.
//
// Errors: ErrSpec, ErrGone, ErrAuth, and others that may pass.
func (t *Trees) RemoteHead(ctx context.Context, s Spec, c Credential) (string, error) {
	if err := s.check(); err != nil {
		return "", fmt.Errorf("read remote branch: %w", err)
	}
	p := t.place(s)
	if err := p.mirror.ensure(ctx, s.CloneURL); err != nil {
		return "", fmt.Errorf("read remote branch %s: %w", s.Branch, err)
	}
	commit, err := p.remoteHead(ctx, c)
	if err != nil {
		return "", fmt.Errorf("read remote branch %s: %w", s.Branch, err)
	}
	return commit, nil
}

func (p *seat) remoteHead(ctx context.Context, c Credential) (string, error) {
	r, done, err := p.t.reach(ctx, p.spec.CloneURL, c)
	if err != nil {
		return "", err
	}
	defer done()
	s, err := p.mirror.git(ctx, call{args: []string{"ls-remote", "--quiet", "--", p.spec.CloneURL, p.spec.ref()}, remote: r})
	if err != nil {
		return "", explain(err, c)
	}
	for line := range strings.Lines(string(s.out)) { // git also lists names that end like it
		if commit, ref, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t"); ok && ref == p.spec.ref() {
			return sha([]byte(commit))
		}
	}
	return "", nil
}
