package worktree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// flight is one fetch that several callers wait for.
type flight struct {
	done    chan struct{}
	err     error
	waiting int
	cancel  context.CancelFunc
}

// need brings the commit into the mirror; without a commit it brings the base branch and says where it stands.
// It asks the server only if it must, and once for all who ask at the same time.
func (m *mirror) need(ctx context.Context, s Spec, c Credential) (base string, err error) {
	if s.BaseSHA == "" {
		return m.tip(ctx, s, c)
	}
	wanted := []string{s.BaseSHA}
	if s.Pushed != "" && s.Pushed != s.BaseSHA {
		wanted = append(wanted, s.Pushed)
	}
	for _, commit := range wanted {
		if err := m.needCommit(ctx, commit, s, c); err != nil {
			return "", err
		}
	}
	return s.BaseSHA, nil
}

// fetchTries bounds how often one call fetches: a fetch that was under way already may be too old.
const fetchTries = 3

func (m *mirror) needCommit(ctx context.Context, commit string, s Spec, c Credential) error {
	for range fetchTries {
		if has, err := m.has(ctx, commit); has || err != nil {
			return err
		}
		led, err := m.fetch(ctx, s, c)
		if err != nil && (led || ctx.Err() != nil) {
			return err // an error of somebody else's fetch may be of their credential: try with ours
		}
		if led {
			break
		}
	}
	if has, err := m.has(ctx, commit); has || err != nil {
		return err
	}
	if err := m.notEmpty(ctx); err != nil {
		return err
	}
	// No branch leads to it (any more), but the server may still have it.
	err := m.fetchRefs(ctx, s, c, commit)
	if err != nil {
		return fmt.Errorf("fetch commit %s: %w", commit, err)
	}
	if has, err := m.has(ctx, commit); has || err != nil {
		return err
	}
	return fmt.Errorf("%w: commit %s", ErrGone, commit)
}

// tip fetches and says where the base branch stands.
func (m *mirror) tip(ctx context.Context, s Spec, c Credential) (string, error) {
	if led, err := m.fetch(ctx, s, c); err != nil {
		if led || ctx.Err() != nil {
			return "", err
		}
		if _, err := m.fetch(ctx, s, c); err != nil {
			return "", err
		}
	}
	if err := m.notEmpty(ctx); err != nil {
		return "", err
	}
	base, err := m.resolve(ctx, "refs/remotes/origin/"+s.Base)
	if err == nil && base == "" {
		return "", fmt.Errorf("%w: base branch %q", ErrGone, s.Base)
	}
	return base, err
}

func (m *mirror) notEmpty(ctx context.Context) error {
	s, err := m.git(ctx, call{args: []string{"for-each-ref", "--count=1", "--format=%(refname)", "refs/remotes/origin/"}})
	if err == nil && len(s.out) == 0 {
		return ErrEmptyRepo
	}
	return err
}

// fetch updates all remote branches, or joins a fetch that is under way. led says that it was this caller's own.
func (m *mirror) fetch(ctx context.Context, s Spec, c Credential) (led bool, err error) {
	m.mu.Lock()
	f := m.flight
	if f == nil {
		led = true
		life, cancel := context.WithCancel(m.t.life)
		f = &flight{done: make(chan struct{}), cancel: cancel}
		m.flight = f
		go m.fly(life, f, s, c)
	}
	f.waiting++
	m.mu.Unlock()
	select {
	case <-f.done:
		return led, f.err
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		if m.flight == f {
			m.flight = nil
		}
	}
	return led, context.Cause(ctx)
}

func (m *mirror) fly(ctx context.Context, f *flight, s Spec, c Credential) {
	err := m.fetchRefs(ctx, s, c, "--prune", remoteRefs)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flight == f {
		m.flight = nil
	}
	f.err = err
	f.cancel()
	close(f.done)
}

// fetchRefs runs git fetch under the mirror's fetch lock, so that what a killed process left behind ends first.
func (m *mirror) fetchRefs(ctx context.Context, s Spec, c Credential, what ...string) error {
	r, done, err := m.t.reach(ctx, s.CloneURL, c)
	if err != nil {
		return err
	}
	defer done()
	l, err := lockFile(ctx, m.lockPath("fetch"))
	if err != nil {
		return err
	}
	defer l.release()
	if err := m.sweepPacks(); err != nil {
		return err
	}
	args := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"}
	var refs []string
	for _, w := range what {
		if w == "--prune" {
			args = append(args, w)
		} else {
			refs = append(refs, w)
		}
	}
	args = append(append(args, "--", s.CloneURL), refs...)
	_, err = m.git(ctx, call{args: args, remote: r, hold: []*flock{l}, within: networkTime})
	if err != nil {
		return fmt.Errorf("fetch %s: %w", s.Repo.FullName(), explain(err, c))
	}
	return nil
}

// sweepPacks deletes what a killed fetch left. The caller holds the fetch lock.
func (m *mirror) sweepPacks() error {
	for _, pattern := range []string{"tmp_pack_*", "tmp_idx_*", "tmp_rev_*", ".tmp-*"} {
		left, err := filepath.Glob(filepath.Join(m.dir, "objects", "pack", pattern))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove a killed fetch's pack: %w", err)
			}
		}
	}
	return nil
}
