package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The admin folder MIRROR/worktrees/ID is what `git worktree add` and `git worktree lock` would make. We write
// it ourselves, complete and aside, and rename it into place: git fills its own step by step, and every other
// git that lists the worktrees at that moment fails.

var headShape = regexp.MustCompile(`^(ref: refs/[^\s]+|[0-9a-f]{40}|[0-9a-f]{64})\n?$`)

const lockReason = "a task works here\n"

// adminFiles are the parts of the admin folder that an agent has no reason to change.
func (p *seat) adminFiles() map[string]string {
	return map[string]string{
		"commondir": "../..\n",
		"gitdir":    filepath.Join(p.path, ".git") + "\n",
		"locked":    lockReason, // keeps `git worktree prune` of an agent away
	}
}

func (p *seat) headFile() string { return "ref: " + p.spec.ref() + "\n" }

// register makes the task's branch at commit, the admin folder and the worktree's .git file. What was there
// before goes into the trash.
func (p *seat) register(ctx context.Context, commit string) error {
	l, unlock, err := p.mirror.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := p.mirror.dropLock(p.spec.ref()); err != nil {
		return err
	}
	args := []string{"update-ref", "--no-deref", p.spec.ref(), commit}
	if _, err := p.git(ctx, call{args: args, hold: []*flock{l}}); err != nil {
		return fmt.Errorf("make branch %s: %w", p.spec.Branch, err)
	}
	return p.writeAdmin()
}

// writeAdmin needs the mirror's lock.
func (p *seat) writeAdmin() error {
	if err := p.t.trash.take(p.admin); err != nil {
		return err
	}
	worktrees := filepath.Dir(p.admin)
	if err := os.MkdirAll(worktrees, 0o755); err != nil {
		return err
	}
	aside := filepath.Join(p.t.dir, "state", ".new-"+p.spec.name())
	if err := os.RemoveAll(aside); err != nil { // of a killed process: we hold the task's lock
		return err
	}
	if err := os.Mkdir(aside, 0o755); err != nil {
		return err
	}
	files := p.adminFiles()
	files["HEAD"] = p.headFile()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(aside, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Rename(aside, p.admin); err != nil {
		return fmt.Errorf("register worktree %s: %w", p.spec.name(), err)
	}
	return nil
}

// dropLock removes a lock that a killed git left beside one of our refs.
func (m *mirror) dropLock(ref string) error {
	err := os.Remove(filepath.Join(m.dir, filepath.FromSlash(ref)+".lock"))
	if err == nil || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "not a directory") {
		return nil
	}
	return err
}

// present says whether the worktree's folder is there at all.
func (p *seat) present() error {
	info, err := os.Lstat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrLost, p.spec.name())
	}
	if err != nil {
		return fmt.Errorf("open worktree %s: %w", p.spec.name(), err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a folder", ErrLost, p.spec.name())
	}
	return nil
}

// mend restores what ties the worktree to the mirror, whatever the agent did to it. The agent's edits, its HEAD
// and its index stay. No process of the agent may run.
func (p *seat) mend(ctx context.Context) error {
	if err := os.Chmod(p.path, 0o755); err != nil {
		return fmt.Errorf("repair worktree %s: %w", p.spec.name(), err)
	}
	if err := p.mendLink(); err != nil {
		return fmt.Errorf("repair worktree %s: %w", p.spec.name(), err)
	}
	if err := p.mendAdmin(ctx); err != nil {
		return fmt.Errorf("repair worktree %s: %w", p.spec.name(), err)
	}
	return nil
}

// mendLink restores the .git file. A folder that replaced it goes into the trash: what it was made from is
// still in the worktree.
func (p *seat) mendLink() error {
	link, want := filepath.Join(p.path, ".git"), "gitdir: "+p.admin+"\n"
	if have, err := readPlain(link, 4<<10); err == nil && string(have) == want {
		return nil
	}
	if _, err := os.Lstat(link); err == nil {
		p.t.log.Warn().Str("task", p.spec.Task).Msg("the worktree's .git was replaced; put right")
		if err := p.t.trash.take(link); err != nil {
			return err
		}
	}
	return replaceFile(link, []byte(want))
}

func (p *seat) mendAdmin(ctx context.Context) error {
	info, err := os.Lstat(p.admin)
	head, herr := readPlain(filepath.Join(p.admin, "HEAD"), 4<<10)
	sound := err == nil && info.IsDir() && herr == nil && headShape.Match(head)
	if sound {
		if err := p.mendAdminFiles(); err != nil || string(head) != p.headFile() {
			return err
		}
		if _, err := os.Stat(filepath.Join(p.mirror.dir, filepath.FromSlash(p.spec.ref()))); err == nil {
			return nil
		}
	}
	l, unlock, err := p.mirror.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if !sound {
		p.t.log.Warn().Str("task", p.spec.Task).Msg("the worktree's folder in the mirror was damaged; made anew")
		if err := p.writeAdmin(); err != nil {
			return err
		}
		if err := copyIndex(p.index(), filepath.Join(p.admin, "index")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return p.mendBranch(ctx, l)
}

// mendBranch puts a deleted branch back to the commit we saw last.
func (p *seat) mendBranch(ctx context.Context, l *flock) error {
	tip, err := p.mirror.resolve(ctx, p.spec.ref())
	if err != nil || tip != "" || p.state.Head == "" {
		return err
	}
	p.t.log.Warn().Str("task", p.spec.Task).Str("sha", p.state.Head).Msg("the task's branch was gone; put back")
	args := []string{"update-ref", "--no-deref", p.spec.ref(), p.state.Head}
	_, err = p.git(ctx, call{args: args, hold: []*flock{l}})
	return err
}

func (p *seat) mendAdminFiles() error {
	for name, want := range p.adminFiles() {
		path := filepath.Join(p.admin, name)
		if have, err := readPlain(path, 4<<10); err == nil && string(have) == want {
			continue
		}
		if err := p.t.trash.take(path); err != nil {
			return err
		}
		if err := replaceFile(path, []byte(want)); err != nil {
			return err
		}
	}
	for _, name := range []string{"index.lock", "HEAD.lock", "config.worktree", "logs"} {
		if err := p.t.trash.take(filepath.Join(p.admin, name)); err != nil {
			return err
		}
	}
	return nil
}
