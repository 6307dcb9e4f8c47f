package worktree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dozens/runner/sandbox"
)

// Prepare returns the task's worktree, and makes it if it is not there. A worktree that an agent has already
// worked in is returned as it is, edits and all, only its ties to the mirror are put right; a half-made one is
// made anew. The base commit is in the mirror afterwards, in either case. No process of the task's agent may
// run meanwhile.
//
// Errors: ErrSpec, ErrEmptyRepo, ErrGone, ErrAuth, ErrDisk, and others that may pass.
func (t *Trees) Prepare(ctx context.Context, s Spec, c Credential) (Tree, error) {
	if err := s.check(); err != nil {
		return Tree{}, fmt.Errorf("prepare worktree: %w", err)
	}
	p, err := t.sit(ctx, s)
	if err != nil {
		return Tree{}, fmt.Errorf("prepare worktree %s: %w", s.name(), err)
	}
	defer p.leave()
	if err := p.prepare(ctx, c); err != nil {
		return Tree{}, fmt.Errorf("prepare worktree %s: %w", s.name(), err)
	}
	return p.tree(), nil
}

func (p *seat) prepare(ctx context.Context, c Credential) error {
	if err := p.mirror.ensure(ctx, p.spec.CloneURL); err != nil {
		return err
	}
	if p.spec.BaseSHA == "" && p.state.Spec.Base == p.spec.Base {
		p.spec.BaseSHA = p.state.Spec.BaseSHA // a second call means the same commit as the first
	}
	base, err := p.mirror.need(ctx, p.spec, c)
	if err != nil {
		return err
	}
	p.spec.BaseSHA = base
	there := p.present()
	if there != nil && !errors.Is(there, ErrLost) {
		return there
	}
	if there == nil && (p.state.Ready || p.state.Head == "") {
		err = p.reopen(ctx)
	} else {
		err = p.fresh(ctx)
	}
	if err != nil {
		return err
	}
	return p.shade(ctx)
}

// reopen takes an existing worktree as it is. One that we have no notes of is taken over: its edits may be all
// that is left of somebody's work.
func (p *seat) reopen(ctx context.Context) error {
	if err := p.mirror.dropLock(p.spec.ref()); err != nil {
		return err
	}
	next := state{Spec: p.spec, Head: p.state.Head, Ready: true}
	if next.Head == "" {
		next.Head = p.start()
		p.state = next
	}
	if err := p.mend(ctx); err != nil {
		return err
	}
	return p.note(next)
}

// start is the commit a new worktree begins with.
func (p *seat) start() string {
	if p.spec.Pushed != "" {
		return p.spec.Pushed
	}
	return p.spec.BaseSHA
}

// fresh makes the worktree. The notes say Ready only when everything is there: a crash before that leaves
// nothing that anybody worked on.
func (p *seat) fresh(ctx context.Context) error {
	if err := p.salvage(ctx); err != nil {
		return err
	}
	commit, err := p.restart(ctx)
	if err != nil {
		return err
	}
	release, err := p.t.core(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := p.room(ctx, commit); err != nil {
		return err
	}
	if err := p.note(state{Spec: p.spec, Head: commit}); err != nil {
		return err
	}
	if err := p.t.trash.take(p.path); err != nil {
		return err
	}
	if err := p.register(ctx, commit); err != nil {
		return explain(err, Credential{})
	}
	if err := p.checkout(ctx, commit); err != nil {
		_ = p.t.trash.take(p.path) // gives the space back; the next call makes it anew either way
		return explain(err, Credential{})
	}
	return p.note(state{Spec: p.spec, Head: commit, Ready: true})
}

// restart decides where a new worktree begins: where the branch was left, if a worktree with commits was lost,
// else at the pushed or base commit. Commits that nobody else has are kept.
func (p *seat) restart(ctx context.Context) (string, error) {
	start := p.start()
	tip, err := p.mirror.resolve(ctx, p.spec.ref())
	if err != nil || tip == "" || tip == start {
		return start, err
	}
	if p.state.Ready && p.state.Spec.Branch == p.spec.Branch {
		if ok, err := p.mirror.descends(ctx, tip, start); ok || err != nil {
			return tip, err
		}
	}
	return start, p.keep(ctx, tip)
}

// checkout writes the files through our own index and gives the worktree a copy of it.
func (p *seat) checkout(ctx context.Context, commit string) error {
	if err := os.Mkdir(p.path, 0o755); err != nil {
		return err
	}
	if err := p.mendLink(); err != nil {
		return err
	}
	for _, name := range []string{"index", "index.lock"} {
		if err := p.t.trash.take(filepath.Join(p.notes, name)); err != nil {
			return err
		}
	}
	if err := p.writeFiles(ctx, commit); err != nil {
		return fmt.Errorf("check out %s: %w", commit, err)
	}
	return copyIndex(p.index(), filepath.Join(p.admin, "index"))
}

// writeFiles fills the empty worktree and our own index. With a sandbox git does it in a box, as it does whatever uses
// the index later: to git, files with another owner than before are changed, and a box shows other owners.
func (p *seat) writeFiles(ctx context.Context, commit string) error {
	c := call{args: []string{"read-tree", "--reset", "-u", commit}, tree: p.path, index: p.index()}
	if p.t.box == nil {
		_, err := p.git(ctx, c)
		return err
	}
	if err := p.clearWork(); err != nil {
		return err
	}
	c.index, c.gitDir = p.scratch(), p.mirror.dir
	c.box = &box{binds: []sandbox.Bind{{From: p.mirror.dir}, {From: p.work(""), Write: true}, {From: p.path, Write: true}}}
	if _, err := p.t.git(ctx, c); err != nil {
		return err
	}
	return p.adoptIndex()
}
