package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dozens/runner/sandbox"
)

// box is what a boxed git sees of the host. It has no network.
type box struct {
	binds  []sandbox.Bind
	limits sandbox.Limits
}

const (
	boxTime   = 5 * time.Minute
	askTime   = time.Minute // for a question to the agent's git folder, where anything may lie in wait
	boxMemory = 2 << 30
	boxFile   = 1 << 30 // bytes of one file that a boxed git writes
)

// limits bound a git that reads an agent's objects: some are made to unfold.
func limits() sandbox.Limits { return sandbox.Limits{Memory: boxMemory, FileSize: boxFile} }

// boxed prepares a git in a box. It ends with this process, so locks need not outlive us in it.
func (t *Trees) boxed(ctx context.Context, c call) (process, error) {
	b := sandbox.Box{Dir: "/", Binds: c.box.binds, Env: t.environment(c), Limits: c.box.limits}
	if c.tree != "" {
		b.Dir = c.tree
	}
	cage, err := t.box.Command(ctx, b, "git", t.arguments(c)...)
	if err != nil {
		return process{}, err
	}
	run := func() error {
		if err := cage.Start(); err != nil {
			return fmt.Errorf("start a box: %s", err.Error()) // its exit code is not git's
		}
		return cage.Wait()
	}
	return process{cmd: cage.Cmd, run: run, kill: func() { _ = cage.Kill() }, why: cage.Reason}, nil // gone already is fine
}

// work is a folder for what boxed git writes for us; its content is data like all else an agent had a hand in.
func (p *seat) work(name string) string { return filepath.Join(p.notes, "work", name) }

// objects is the folder of the mirror's objects.
func (m *mirror) objects() string { return filepath.Join(m.dir, "objects") }

// clearWork makes the work folder empty, and removes what a killed process had taken.
func (p *seat) clearWork() error {
	left, err := filepath.Glob(filepath.Join(p.notes, "take-*"))
	if err != nil {
		return err
	}
	for _, path := range append(left, p.work("")) {
		if err := p.t.trash.take(path); err != nil {
			return err
		}
	}
	return os.MkdirAll(p.work("objects"), 0o700)
}

// theirs runs git on the agent's own git folder: its configuration, its refs, its index. With a sandbox it sees
// the shadow where the mirror is, as the agent did, and may write nothing.
func (p *seat) theirs(ctx context.Context, c call) (said, error) {
	if c.gitDir == "" {
		c.gitDir, c.common = p.admin, p.mirror.dir
	}
	if p.t.box == nil {
		c.hold = append(c.hold, p.lock)
		return p.t.git(ctx, c)
	}
	binds := p.shadowBinds()
	if c.tree != "" {
		binds = append(binds, sandbox.Bind{From: p.path})
	}
	c.box, c.within = &box{binds: readOnly(binds), limits: limits()}, askTime
	return p.t.git(ctx, c)
}

// ours runs git with our own configuration, refs and index on files and objects that an agent wrote. With a
// sandbox the mirror is read-only, and new objects go into the work folder.
func (p *seat) ours(ctx context.Context, c call) (said, error) { return p.oursIn(ctx, c, false) }

func (p *seat) oursIn(ctx context.Context, c call, write bool) (said, error) {
	if p.t.box == nil {
		return p.git(ctx, c)
	}
	binds := []sandbox.Bind{{From: p.mirror.dir}, {From: p.work(""), Write: true}}
	stores := []string{p.mirror.objects()}
	if p.shaded() {
		binds = append(binds, sandbox.Bind{From: p.shadow})
		stores = append(stores, filepath.Join(p.shadow, "objects"))
	}
	if c.tree != "" {
		binds = append(binds, sandbox.Bind{From: p.path, Write: write})
	}
	c.gitDir, c.env = p.mirror.dir, append(c.env, objectsAt(p.work("objects"), stores...)...)
	c.box, c.within = &box{binds: binds, limits: limits()}, boxTime
	return p.t.git(ctx, c)
}

// objectsAt makes git write objects to one folder, and read them there and in the others.
func objectsAt(write string, read ...string) []string {
	quoted := make([]string, len(read))
	for i, dir := range read { // git understands C's quotes here
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir) + `"`
	}
	return []string{"GIT_OBJECT_DIRECTORY=" + write, "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + strings.Join(quoted, ":")}
}

func readOnly(binds []sandbox.Bind) []sandbox.Bind {
	for i := range binds {
		binds[i].Write = false
	}
	return binds
}

// there says whether something is at path, without following a link.
func there(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
