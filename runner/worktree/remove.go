package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Remove takes away the task's worktree and its branch on this host. With keep, commits and edits that are not
// on the server, as far as we know, stay in the mirror under refs/dozens/kept/TASK, and what does not fit into a
// commit (nested repositories, huge files) makes the whole folder go to kept/ instead of the trash. Removing
// what is not there succeeds. No process of the task's agent may run.
func (t *Trees) Remove(ctx context.Context, s Spec, keep bool) error {
	if err := checkName(s.Label, s.Task); err != nil {
		return fmt.Errorf("remove worktree: %w", err)
	}
	if s.Repo.ID <= 0 {
		return fmt.Errorf("remove worktree %s: %w: repository id %d", s.name(), ErrSpec, s.Repo.ID)
	}
	p, err := t.sit(ctx, s)
	if err != nil {
		return fmt.Errorf("remove worktree %s: %w", s.name(), err)
	}
	defer p.lock.remove()
	if p.spec.Branch == "" {
		p.spec.Branch = p.state.Spec.Branch
	}
	if p.spec.Branch != "" {
		if err := checkBranch(p.spec.Branch); err != nil {
			return fmt.Errorf("remove worktree %s: %w", s.name(), err)
		}
	}
	if err := p.remove(ctx, keep); err != nil {
		return fmt.Errorf("remove worktree %s: %w", s.name(), explain(err, Credential{}))
	}
	return nil
}

func (p *seat) remove(ctx context.Context, keep bool) error {
	grave := p.t.trash.take
	if _, err := os.Lstat(p.mirror.dir); errors.Is(err, fs.ErrNotExist) {
		// Without a mirror nothing can be kept as a commit.
		if keep {
			grave = p.asideTree
		}
		return errors.Join(grave(p.path), p.unshade(keep), p.t.trash.take(p.notes))
	}
	if err := p.mirror.ensure(ctx, ""); err != nil {
		return err
	}
	if keep {
		whole, err := p.preserve(ctx)
		if err != nil {
			return err
		}
		if !whole {
			grave = p.asideTree
		}
	}
	if err := p.unregister(ctx); err != nil {
		return err
	}
	if err := grave(p.path); err != nil {
		return err
	}
	if err := p.unshade(false); err != nil {
		return err
	}
	return p.t.trash.take(p.notes)
}

func (p *seat) asideTree(path string) error { return p.aside(path, filepath.Base(path)) }

// aside moves a folder of the task to where nothing is deleted.
func (p *seat) aside(path, as string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.IsDir() {
		err = os.Chmod(path, 0o700) // a folder that its owner may not write cannot change its parent
	}
	if err != nil {
		return fmt.Errorf("keep folder: %w", err)
	}
	to := filepath.Join(p.t.dir, "kept", as+"-"+time.Now().UTC().Format("20060102T150405.000000000"))
	if err := os.Rename(path, to); err != nil {
		return fmt.Errorf("keep folder: %w", err)
	}
	p.t.log.Warn().Str("task", p.spec.Task).Str("path", to).Msg("leftovers that do not fit into a commit were kept as a folder")
	return nil
}

// unregister removes the admin folder and the task's branch.
func (p *seat) unregister(ctx context.Context) error {
	l, unlock, err := p.mirror.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := p.t.trash.take(p.admin); err != nil {
		return err
	}
	if p.spec.Branch == "" {
		return nil
	}
	if err := p.mirror.dropLock(p.spec.ref()); err != nil {
		return err
	}
	_, err = p.git(ctx, call{args: []string{"update-ref", "--no-deref", "-d", p.spec.ref()}, hold: []*flock{l}})
	return err
}

// preserve keeps what only this host has. whole says that everything fitted into commits.
func (p *seat) preserve(ctx context.Context) (whole bool, err error) {
	whole = true
	if err := p.present(); err == nil && (p.state.Ready || p.state.Head == "") {
		if whole, err = p.preserveTree(ctx); err != nil {
			return false, err
		}
	} else if err != nil && !errors.Is(err, ErrLost) {
		return false, err
	}
	if p.spec.Branch == "" {
		return whole, p.unshade(true)
	}
	if err := p.salvage(ctx); err != nil { // says itself what it could not take, and keeps that
		return false, err
	}
	tip, err := p.mirror.resolve(ctx, p.spec.ref())
	if err != nil || tip == "" {
		return whole, err
	}
	return whole, p.keep(ctx, tip)
}

// preserveTree keeps the worktree's HEAD with all that was left uncommitted.
func (p *seat) preserveTree(ctx context.Context) (whole bool, err error) {
	if p.spec.Branch == "" { // nothing says what it was: only the folder itself can be kept
		return false, nil
	}
	if err := p.mend(ctx); err != nil {
		return false, err
	}
	release, err := p.t.core(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	left, err := p.left(ctx)
	if err != nil && (errors.Is(err, ErrForeign) || p.t.box != nil && lasting(err)) {
		// An unborn branch, or none that can be read: its files count, on top of what the branch was.
		if left.head, err = p.mirror.resolve(ctx, p.spec.ref()); err == nil && left.head == "" {
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	f, err := p.snapshot(ctx, left.head, CommitOptions{Message: "Edits that were left when the task ended"}, lenient)
	if ctx.Err() != nil {
		return false, err
	}
	if err == nil {
		err = p.letIn(ctx, f.commit, p.keep)
	}
	if err != nil {
		p.t.log.Warn().Str("task", p.spec.Task).Err(err).Msg("leftovers cannot be committed")
		return false, p.keepHead(ctx, left.head)
	}
	for _, why := range f.left {
		p.t.log.Warn().Str("task", p.spec.Task).Msg("not in the kept commit: " + why)
	}
	return len(f.left) == 0, nil
}

// keepHead keeps the commit that leftovers could not be put on. With a sandbox salvage does it.
func (p *seat) keepHead(ctx context.Context, head string) error {
	if p.t.box != nil {
		return nil
	}
	return p.keep(ctx, head)
}
