package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/work"
	"dozens/runner/claude"
	"dozens/runner/worktree"
)

const (
	token = "ghs_theTokenThatMustNeverBeOnDisk"
	base  = "1111111111111111111111111111111111111111"
	head  = "2222222222222222222222222222222222222222"
)

func quiet(t testing.TB) zerolog.Logger {
	return zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)
}

// desk is a server that keeps the state of its leases in memory, by the rules of the real one.
type desk struct {
	wire interface {
		Offer(ctx context.Context, host string, o work.Offer, nonce string) error
	}
	reports chan work.Report
	firsts  chan work.Beat

	mu     sync.Mutex
	wanted map[string]work.Offer // by task
	holder map[string]string     // host by offer ID
	stops  map[string]bool
	order  func(o *work.Order) // changes what is ordered
}

func newDesk(w interface {
	Offer(ctx context.Context, host string, o work.Offer, nonce string) error
}) *desk {
	return &desk{
		wire: w, reports: make(chan work.Report, 1000), firsts: make(chan work.Beat, 100),
		wanted: map[string]work.Offer{}, holder: map[string]string{}, stops: map[string]bool{},
	}
}

func (d *desk) want(o work.Offer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted[o.Task] = o
}

func (d *desk) stop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stops[id] = true
}

func (d *desk) Claim(_ context.Context, host string, o work.Offer) work.Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if by := d.holder[o.ID()]; d.wanted[o.Task] != o || (by != "" && by != host) {
		return work.Answer{Decision: work.Drop, Why: "not wanted"}
	}
	d.holder[o.ID()] = host
	order := orderOf(o)
	if d.order != nil {
		d.order(order)
	}
	return work.Answer{Decision: work.Go, Order: order}
}

func orderOf(o work.Offer) *work.Order {
	return &work.Order{
		Offer: o, Token: token, CloneURL: "https://git.example/o/r.git", Label: "label", Branch: "dozens/label",
		Base: "main", BaseSHA: base, Head: head, Brief: "do it", Session: "0b8e0d5c-7c3f-4a0a-9d0e-111111111111",
	}
}

func (d *desk) Beat(ctx context.Context, b work.Beat) work.BeatAnswer {
	d.mu.Lock()
	defer d.mu.Unlock()
	var a work.BeatAnswer
	for id := range d.stops {
		if slices.Contains(b.Held, id) {
			a.Stop = append(a.Stop, id)
		}
	}
	if !b.First {
		return a
	}
	d.firsts <- b
	for task, o := range d.wanted {
		if d.holder[o.ID()] == b.Host && !slices.Contains(b.Held, o.ID()) {
			delete(d.holder, o.ID())
			o.Generation++
			d.wanted[task] = o
			if err := d.wire.Offer(ctx, "", o, "requeued"); err != nil {
				panic(err)
			}
		}
	}
	return a
}

// Report refuses what its sender does not hold, and passes on the rest once.
func (d *desk) Report(_ context.Context, r work.Report) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holder[r.ID()] != r.Host || d.wanted[r.Task] != r.Offer {
		return nil
	}
	delete(d.holder, r.ID())
	delete(d.wanted, r.Task)
	d.reports <- r
	return nil
}

// agent is a claude that does what a test says, and counts.
type agent struct {
	run func(ctx context.Context, s claude.Session, emit func(work.Line)) (claude.Result, error)

	mu     sync.Mutex
	starts map[string]int // by run
	now    int
	most   int // at once
	reaped []string
}

func (a *agent) Run(ctx context.Context, s claude.Session, emit func(work.Line)) (claude.Result, error) {
	a.mu.Lock()
	if a.starts == nil {
		a.starts = map[string]int{}
	}
	a.starts[s.RunID]++
	a.now++
	a.most = max(a.most, a.now)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.now--
	}()
	if a.run == nil {
		return claude.Result{Outcome: work.Done, Output: []byte(`{"status":"done"}`)}, nil
	}
	return a.run(ctx, s, emit)
}

func (a *agent) Reap(_ context.Context, runID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reaped = append(a.reaped, runID)
	return nil
}

func (a *agent) started(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.starts[id]
}

// untilStopped is an agent that works until it is stopped, and says when it begins and when it ends.
func untilStopped(began, stopped chan<- string) func(context.Context, claude.Session, func(work.Line)) (claude.Result, error) {
	return func(ctx context.Context, s claude.Session, _ func(work.Line)) (claude.Result, error) {
		began <- s.RunID
		<-ctx.Done()
		if stopped != nil {
			stopped <- s.RunID
		}
		return claude.Result{Outcome: work.Stopped}, nil
	}
}

// trees are worktrees without git: a folder for each task, and the answers that a test sets.
type trees struct {
	dir     string
	prepare func(ctx context.Context, s worktree.Spec) error
	look    func() (worktree.Look, error)
	push    func(ctx context.Context) error
	remove  func() error

	mu    sync.Mutex
	calls []string
}

func newTrees(t testing.TB) *trees { return &trees{dir: t.TempDir()} }

func (w *trees) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
}

func (w *trees) Prepare(ctx context.Context, s worktree.Spec, c worktree.Credential) (worktree.Tree, error) {
	w.note("prepare %s", s.Task)
	if c.Username != "x-access-token" || c.Password != token {
		return worktree.Tree{}, errors.New("no credential")
	}
	if w.prepare != nil {
		if err := w.prepare(ctx, s); err != nil {
			return worktree.Tree{}, err
		}
	}
	path := filepath.Join(w.dir, s.Label+"-"+s.Task)
	return worktree.Tree{Path: path, Spec: s}, os.MkdirAll(path, 0o700)
}

func (w *trees) Look(_ context.Context, t worktree.Tree, o worktree.CommitOptions) (worktree.Look, error) {
	w.note("look %s %q %s <%s>", t.Task, o.Message, o.Name, o.Email)
	if w.look != nil {
		return w.look()
	}
	return worktree.Look{Head: head, Commits: 1, Added: 2, Changes: []work.Change{{Path: "a.go", Status: "M"}}}, nil
}

func (w *trees) Push(ctx context.Context, t worktree.Tree, head, expected string, _ worktree.Credential) error {
	w.note("push %s %s over %q", t.Task, short(head), expected)
	if w.push != nil {
		return w.push(ctx)
	}
	return nil
}

func (w *trees) Remove(_ context.Context, s worktree.Spec, keep bool) error {
	w.note("remove %s keep=%t", s.Task, keep)
	if w.remove != nil {
		return w.remove()
	}
	return nil
}

// Files and ListFiles: the repository tells agents nothing.
func (w *trees) Files(context.Context, worktree.Spec, string, []string, int64) (map[string][]byte, error) {
	return map[string][]byte{}, nil
}

func (w *trees) ListFiles(context.Context, worktree.Spec, string, string) ([]string, error) {
	return nil, nil
}

func (w *trees) Sweep(context.Context, func(string) bool) error { return nil }

// start runs a host and returns how to end it; ending waits for the drain. It ends with the test, too.
func start(t testing.TB, o Options) (end func()) {
	t.Helper()
	o.Log = quiet(t)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Author = Identity{Name: "Dozens", Email: "dozens@example.com"}
	h, err := New(o)
	if err != nil {
		t.Fatalf("new host: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := receive(t, done); err != nil {
			t.Errorf("run host: %v", err)
		}
	})
	t.Cleanup(end)
	return end
}

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came in 30 seconds")
		panic("unreachable")
	}
}

func runOf(task string) work.Offer { return work.Offer{Task: task, Generation: 1, Kind: work.Run} }
