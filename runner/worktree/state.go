package worktree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what this host remembers of a worktree. It lies beside the worktrees, where no agent writes.
type state struct {
	Spec  Spec   `json:"spec"`
	Head  string `json:"head"`  // where the worktree started, then what the last Look or Push saw
	Ready bool   `json:"ready"` // the checkout was complete; before that no agent has been in it
}

const stateLimit = 64 << 10

// seat is a task's place on this host, held by one caller at a time.
type seat struct {
	t      *Trees
	spec   Spec
	mirror *mirror
	lock   *flock
	path   string // the worktree
	admin  string // its folder in the mirror
	notes  string // its folder under state/
	shadow string // the agent's own git folder, which its box shows in place of the mirror
	state  state  // zero when nothing is known
}

// sit waits for the task's lock and reads what is known. The caller must leave.
func (t *Trees) sit(ctx context.Context, s Spec) (*seat, error) {
	l, err := lockFile(ctx, filepath.Join(t.dir, "locks", "task-"+s.Task+".lock"))
	if err != nil {
		return nil, err
	}
	p := t.place(s)
	p.lock = l
	if p.state, err = readState(p.notes); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.log.Warn().Err(err).Str("task", s.Task).Msg("notes of a worktree cannot be read")
	}
	return p, nil
}

// place is sit without a lock: nothing may be changed through it.
func (t *Trees) place(s Spec) *seat {
	m := t.mirror(s.Repo.ID)
	return &seat{t: t, spec: s, mirror: m,
		path: filepath.Join(t.dir, "trees", s.name()), admin: filepath.Join(m.dir, "worktrees", s.name()),
		notes: filepath.Join(t.dir, "state", s.name()), shadow: filepath.Join(t.dir, "shadow", s.name())}
}

func (p *seat) leave() { p.lock.release() }

func (p *seat) tree() Tree { return Tree{Path: p.path, Spec: p.spec, Binds: p.binds()} }

// index is our own index of the worktree.
func (p *seat) index() string { return filepath.Join(p.notes, "index") }

// git runs git on the mirror; the task's lock outlives us in it.
func (p *seat) git(ctx context.Context, c call) (said, error) {
	c.hold = append(c.hold, p.lock)
	return p.mirror.git(ctx, c)
}

// note writes the state down.
func (p *seat) note(s state) error {
	if err := os.MkdirAll(p.notes, 0o700); err != nil {
		return fmt.Errorf("note worktree %s: %w", p.spec.name(), err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("note worktree %s: %w", p.spec.name(), err)
	}
	if err := replaceFile(filepath.Join(p.notes, "state.json"), text); err != nil {
		return fmt.Errorf("note worktree %s: %w", p.spec.name(), err)
	}
	p.state = s
	return nil
}

func readState(notes string) (state, error) {
	var s state
	text, err := readPlain(filepath.Join(notes, "state.json"), stateLimit)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, fmt.Errorf("read notes of %s: %w", filepath.Base(notes), err)
	}
	if err := s.Spec.check(); err != nil {
		return state{}, fmt.Errorf("read notes of %s: %w", filepath.Base(notes), err)
	}
	return s, nil
}
