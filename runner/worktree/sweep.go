package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// List returns the worktrees that are ready on this host, by name.
func (t *Trees) List() ([]Tree, error) {
	entries, err := os.ReadDir(filepath.Join(t.dir, "state"))
	if err != nil {
		return nil, fmt.Errorf("list worktrees: %w", err)
	}
	var list []Tree
	for _, e := range entries {
		s, err := readState(filepath.Join(t.dir, "state", e.Name()))
		if err != nil || !s.Ready || s.Spec.name() != e.Name() {
			continue // half-made: Prepare or Sweep deal with it
		}
		if p := t.place(s.Spec); p.present() == nil {
			list = append(list, p.tree())
		}
	}
	return list, nil
}

// Sweep puts the data folder in order, and is meant for the start of a host, when no agent runs: it removes
// locks and packs that killed processes left, and the worktrees of tasks that are not live, like Remove with
// keep. It goes on after an error and returns them all.
func (t *Trees) Sweep(ctx context.Context, live func(task string) bool) error {
	var errs []error
	mirrors, err := t.mirrorsHere()
	errs = append(errs, err)
	for _, m := range mirrors {
		if err := m.sweep(ctx); err != nil {
			errs = append(errs, fmt.Errorf("sweep mirror %d: %w", m.id, err))
		}
	}
	names, err := t.namesHere()
	errs = append(errs, err)
	for _, name := range names {
		if ctx.Err() != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
		if err := t.sweepTree(ctx, name, mirrors, live); err != nil {
			errs = append(errs, fmt.Errorf("sweep worktree %s: %w", name, err))
		}
	}
	for _, m := range mirrors {
		if err := m.sweepAdmin(ctx); err != nil {
			errs = append(errs, fmt.Errorf("sweep mirror %d: %w", m.id, err))
		}
	}
	return errors.Join(errs...)
}

func (t *Trees) mirrorsHere() ([]*mirror, error) {
	entries, err := os.ReadDir(filepath.Join(t.dir, "mirrors"))
	if err != nil {
		return nil, fmt.Errorf("list mirrors: %w", err)
	}
	var list []*mirror
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), ".git")
		if id, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && id > 0 {
			list = append(list, t.mirror(id))
		}
	}
	return list, nil
}

// namesHere are all worktrees of which a folder, notes or an agent's git folder are there.
func (t *Trees) namesHere() ([]string, error) {
	var list []string
	seen := map[string]bool{}
	for _, sub := range []string{"trees", "state", "shadow"} {
		entries, err := os.ReadDir(filepath.Join(t.dir, sub))
		if err != nil {
			return nil, fmt.Errorf("list worktrees: %w", err)
		}
		for _, e := range entries {
			if !seen[e.Name()] {
				seen[e.Name()] = true
				list = append(list, e.Name())
			}
		}
	}
	return list, nil
}

func (t *Trees) sweepTree(ctx context.Context, name string, mirrors []*mirror, live func(string) bool) error {
	if strings.HasPrefix(name, ".") { // an admin folder that was never renamed into place
		path := filepath.Join(t.dir, "state", name)
		if olderThan(path, time.Minute) {
			return t.trash.take(path)
		}
		return nil
	}
	s, known := t.specOf(name, mirrors, live)
	if known && live(s.Task) {
		return nil // Prepare repairs it when the task goes on
	}
	if known {
		return t.Remove(ctx, s, true)
	}
	p := &seat{t: t, spec: s, shadow: filepath.Join(t.dir, "shadow", name)}
	return errors.Join(p.asideTree(filepath.Join(t.dir, "trees", name)), p.unshade(true))
}

// specOf finds out what a worktree is: from its notes, else from its name and the mirror that knows it.
func (t *Trees) specOf(name string, mirrors []*mirror, live func(string) bool) (Spec, bool) {
	if s, err := readState(filepath.Join(t.dir, "state", name)); err == nil && s.Spec.name() == name {
		return s.Spec, true
	}
	var s Spec
	for i, r := range name { // a label may have dashes, and so may a task: a live one wins, else the shortest
		if r != '-' || i == 0 || checkName(name[:i], name[i+1:]) != nil {
			continue
		}
		s.Label, s.Task = name[:i], name[i+1:]
		if live(s.Task) {
			break
		}
	}
	if s.Task == "" {
		s.Label, s.Task = "unknown", "unknown"
		return s, false
	}
	for _, m := range mirrors {
		head, err := readPlain(filepath.Join(m.dir, "worktrees", name, "HEAD"), 4<<10)
		if err != nil {
			continue
		}
		s.Repo.ID = m.id
		branch, ok := strings.CutPrefix(strings.TrimSpace(string(head)), "ref: refs/heads/")
		if ok && checkBranch(branch) == nil {
			s.Branch = branch
		}
		return s, s.Branch != "" || live(s.Task)
	}
	return s, live(s.Task)
}

// sweep removes what killed processes left in the mirror.
func (m *mirror) sweep(ctx context.Context) error {
	if err := m.ensure(ctx, ""); err != nil {
		return err
	}
	_, unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range []string{"packed-refs.lock", "packed-refs.new", "config.lock", "HEAD.lock", "shallow.lock", "gc.pid", "gc.pid.lock",
		"objects/maintenance.lock", "objects/info/commit-graph.lock"} {
		if err := os.Remove(filepath.Join(m.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err = filepath.WalkDir(filepath.Join(m.dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".lock") {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		return err
	}
	l, err := tryLock(m.lockPath("fetch"))
	if l == nil || err != nil {
		return err // a fetch is under way: it cleans up itself
	}
	defer l.release()
	return m.sweepPacks()
}

// sweepAdmin removes worktrees from the mirror's list that have no folder among ours: an agent's own, or what a
// crash left. Their branches stay.
func (m *mirror) sweepAdmin(ctx context.Context) error {
	_, unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(filepath.Join(m.dir, "worktrees"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, noTree := os.Lstat(filepath.Join(m.t.dir, "trees", e.Name()))
		_, noNotes := os.Lstat(filepath.Join(m.t.dir, "state", e.Name()))
		if noTree == nil || noNotes == nil {
			continue
		}
		if err := m.t.trash.take(filepath.Join(m.dir, "worktrees", e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func olderThan(path string, age time.Duration) bool {
	info, err := os.Lstat(path)
	return err == nil && time.Since(info.ModTime()) > age
}
