package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dozens/batch/work"
	"dozens/runner/claude"
	"dozens/runner/worktree"
)

func TestWorkFromOfferToReport(t *testing.T) {
	t.Parallel()
	w, a, trees, dir := openWire(t, 0), &agent{}, newTrees(t), t.TempDir()
	a.run = func(_ context.Context, s claude.Session, emit func(work.Line)) (claude.Result, error) {
		if s.Order.Token != "" {
			t.Error("the agent's driver got the git token")
		}
		if want := filepath.Join(dir, "sessions", "a"); s.Home != want || s.RunID != "a.1.run" || filepath.Base(s.Dir) != "label-a" {
			t.Errorf("session: home %s, run %s, folder %s", s.Home, s.RunID, s.Dir)
		}
		emit(work.Line{Task: "other", Seq: 99, Kind: "claude", Text: "from the agent"})
		return claude.Result{Outcome: work.Done, Output: []byte(`{"status":"done"}`), Usage: work.Usage{Turns: 3}}, nil
	}
	start(t, Options{Name: "h1", Dir: dir, Slots: 1, Server: w.connect(t, "h1"), Trees: trees, Agent: a})

	var got []work.Report
	for _, kind := range []work.Kind{work.Run, work.Publish, work.Cleanup} {
		w.offer(t, work.Offer{Task: "a", Generation: 1, Kind: kind})
		got = append(got, receive(t, w.desk.reports))
	}
	want := []work.Report{
		{
			Offer: runOf("a"), Host: "h1", Outcome: work.Done, Output: []byte(`{"status":"done"}`), Head: head, Commits: 1, Added: 2,
			Changes: []work.Change{{Path: "a.go", Status: "M"}}, Usage: work.Usage{Turns: 3},
		},
		{Offer: work.Offer{Task: "a", Generation: 1, Kind: work.Publish}, Host: "h1", Outcome: work.Pushed, Head: head},
		{Offer: work.Offer{Task: "a", Generation: 1, Kind: work.Cleanup}, Host: "h1", Outcome: work.Cleaned},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(work.Report{}, "Started", "Ended")); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	if r := got[0]; r.Started.IsZero() || r.Ended.Before(r.Started) {
		t.Errorf("times of the run: %v to %v", r.Started, r.Ended)
	}
	wantCalls := []string{
		"prepare a", `look a "Work on label" Dozens <dozens@example.com>`,
		"prepare a", `push a 2222222222 over ""`, "remove a keep=false",
	}
	if diff := cmp.Diff(wantCalls, trees.calls); diff != "" {
		t.Errorf("what was asked of the worktrees (-want +got):\n%s", diff)
	}
	wantLog := []string{
		"preparing the worktree: branch dozens/label, from main 1111111111",
		"from the agent",
		"1 commits, 1 files changed, +2 -0 lines; the branch is at 2222222222",
		"pushed 2222222222 to branch dozens/label",
	}
	if diff := cmp.Diff(wantLog, w.texts(t, "a")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, "sessions", "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("session home after the cleanup: got %v, want it gone", err)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	w, a := openWire(t, 0), &agent{}
	began, release := make(chan string, 20), make(chan struct{})
	a.run = func(context.Context, claude.Session, func(work.Line)) (claude.Result, error) {
		began <- ""
		<-release
		return claude.Result{Outcome: work.Done}, nil
	}
	start(t, Options{Name: "h1", Slots: 3, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: a})
	for i := range 20 {
		w.offer(t, runOf(fmt.Sprintf("t%d", i)))
	}
	for range 3 {
		receive(t, began)
	}
	// The host is full of runs; pushes and cleanups do not wait for them.
	w.offer(t, work.Offer{Task: "x", Generation: 1, Kind: work.Publish})
	w.offer(t, work.Offer{Task: "y", Generation: 1, Kind: work.Cleanup})
	got := map[work.Outcome]bool{receive(t, w.desk.reports).Outcome: true, receive(t, w.desk.reports).Outcome: true}
	if diff := cmp.Diff(map[work.Outcome]bool{work.Pushed: true, work.Cleaned: true}, got); diff != "" {
		t.Errorf("reports of a full host (-want +got):\n%s", diff)
	}
	close(release)
	done := map[string]bool{}
	for range 20 {
		done[receive(t, w.desk.reports).Task] = true
	}
	if len(done) != 20 || a.most != 3 {
		t.Errorf("20 offers on 3 slots: %d tasks done, %d runs at once; want 20 and 3", len(done), a.most)
	}
}

// The engine delivers again what it has not heard of for a while; it must not begin a second time.
func TestRedeliveredWorkRunsOnce(t *testing.T) {
	t.Parallel()
	w, a := openWire(t, 300*time.Millisecond), &agent{}
	server := &spy{Server: w.connect(t, "h1"), took: make(chan string, 100)}
	release := make(chan struct{})
	a.run = func(context.Context, claude.Session, func(work.Line)) (claude.Result, error) {
		<-release
		return claude.Result{Outcome: work.Done}, nil
	}
	start(t, Options{Name: "h1", Slots: 2, Server: server, Trees: newTrees(t), Agent: a, KeepEvery: time.Hour})
	w.offer(t, runOf("a"))
	for range 3 {
		receive(t, server.took)
	}
	close(release)
	receive(t, w.desk.reports)
	if n := a.started("a.1.run"); n != 1 {
		t.Errorf("starts: got %d, want 1", n)
	}
}

func TestHeldWorkIsKept(t *testing.T) {
	t.Parallel()
	w, a := openWire(t, 600*time.Millisecond), &agent{}
	server := &spy{Server: w.connect(t, "h1"), took: make(chan string, 100)}
	a.run = func(ctx context.Context, _ claude.Session, _ func(work.Line)) (claude.Result, error) {
		pause(ctx, 2*time.Second)
		return claude.Result{Outcome: work.Done}, nil
	}
	start(t, Options{Name: "h1", Slots: 2, Server: server, Trees: newTrees(t), Agent: a, KeepEvery: 100 * time.Millisecond})
	w.offer(t, runOf("a"))
	receive(t, w.desk.reports)
	if n := len(server.took); n != 1 {
		t.Errorf("deliveries of work that is held for three times AckWait: got %d, want 1", n)
	}
}

// spy notes what passes between host and wire.
type spy struct {
	Server
	took   chan string
	report func(ctx context.Context, r work.Report) error // instead of sending

	mu    sync.Mutex
	calls []string
}

func (s *spy) Next(ctx context.Context, kind work.Kind) (Delivery, error) {
	d, err := s.Server.Next(ctx, kind)
	if err == nil && s.took != nil {
		s.took <- d.Offer().ID()
	}
	return d, err
}

func (s *spy) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

func (s *spy) Report(ctx context.Context, r work.Report) error {
	s.note("report " + r.ID())
	if s.report != nil {
		return s.report(ctx, r)
	}
	return s.Server.Report(ctx, r)
}

func (s *spy) Beat(ctx context.Context, b work.Beat) (work.BeatAnswer, error) {
	if b.First {
		s.note("first beat, holding " + strings.Join(b.Held, " "))
	}
	return s.Server.Beat(ctx, b)
}

func TestFinishedWorkIsReportedAfterARestart(t *testing.T) {
	t.Parallel()
	w, a, dir := openWire(t, time.Second), &agent{}, t.TempDir()
	trying := make(chan struct{}, 10)
	cut := &spy{Server: w.connect(t, "h1"), report: func(ctx context.Context, _ work.Report) error {
		trying <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	opts := Options{Name: "h1", Dir: dir, Slots: 1, Server: cut, Trees: newTrees(t), Agent: a, DrainTime: time.Millisecond}
	end := start(t, opts)
	w.offer(t, runOf("a"))
	receive(t, trying)
	end()
	if n := len(w.desk.reports); n != 0 {
		t.Fatalf("reports that got through: %d; the test shows nothing", n)
	}

	again := &spy{Server: w.connect(t, "h1"), took: make(chan string, 100)}
	opts.Server = again
	end = start(t, opts)
	if r := receive(t, w.desk.reports); r.Task != "a" || r.Outcome != work.Done || r.Head != head {
		t.Errorf("report: got %s, %s, head %q", r.Task, r.Outcome, r.Head)
	}
	receive(t, again.took) // the offer comes again, because it was never acknowledged
	end()
	want := []string{"report a.1.run", "first beat, holding a.1.run", "report a.1.run"}
	if diff := cmp.Diff(want, again.calls); diff != "" {
		t.Errorf("calls after the restart (-want +got):\n%s", diff)
	}
	if n := a.started("a.1.run"); n != 1 {
		t.Errorf("starts: got %d, want 1", n)
	}
}

func TestWorkOfOneTaskComesOneByOne(t *testing.T) {
	t.Parallel()
	w, a := openWire(t, 0), &agent{}
	began, stopped := make(chan string, 2), make(chan string, 2)
	var first atomic.Bool
	a.run = func(ctx context.Context, s claude.Session, emit func(work.Line)) (claude.Result, error) {
		if first.CompareAndSwap(false, true) {
			return untilStopped(began, stopped)(ctx, s, emit)
		}
		return claude.Result{Outcome: work.Done}, nil
	}
	start(t, Options{Name: "h1", Slots: 2, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: a})
	w.offer(t, runOf("a"))
	receive(t, began)
	next := runOf("a")
	next.Generation = 2
	w.offer(t, next) // the lease lapsed, as far as the server knows
	if err := w.Stop(t.Context(), "h1", "a.1.run"); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if r := receive(t, w.desk.reports); r.Generation != 2 || r.Outcome != work.Done {
		t.Errorf("report: got generation %d, %s; want 2, done", r.Generation, r.Outcome)
	}
	if a.most != 1 {
		t.Errorf("runs of one task at once: got %d, want 1", a.most)
	}
}

func TestUnwantedWorkIsDropped(t *testing.T) {
	t.Parallel()
	w, a := openWire(t, 0), &agent{}
	start(t, Options{Name: "h1", Slots: 1, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: a})
	if err := w.Offer(t.Context(), "", runOf("unwanted"), "1"); err != nil {
		t.Fatalf("offer: %v", err)
	}
	w.offer(t, runOf("wanted"))
	if r := receive(t, w.desk.reports); r.Task != "wanted" {
		t.Errorf("report: got %s, want wanted", r.Task)
	}
	if n := a.started("unwanted.1.run"); n != 0 {
		t.Errorf("starts of what nobody wants: got %d, want 0", n)
	}
}

func TestPanicFailsOneTask(t *testing.T) {
	t.Parallel()
	w, a := openWire(t, 0), &agent{}
	a.run = func(_ context.Context, s claude.Session, _ func(work.Line)) (claude.Result, error) {
		if s.RunID == "bad.1.run" {
			panic("with " + token)
		}
		return claude.Result{Outcome: work.Done}, nil
	}
	o := Options{Name: "h1", Dir: t.TempDir(), Slots: 1, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: a}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	w.offer(t, runOf("bad"))
	if r := receive(t, w.desk.reports); r.Outcome != work.Fault || strings.Contains(r.Reason, "ghs_") {
		t.Errorf("report: got %s, %q", r.Outcome, r.Reason)
	}
	w.offer(t, runOf("good"))
	if r := receive(t, w.desk.reports); r.Outcome != work.Done {
		t.Errorf("report of the next task: got %s", r.Outcome)
	}
	cancel()
	if err := receive(t, done); err != nil {
		t.Errorf("run host: %v", err)
	}
}

func TestTokenIsNeverOnDisk(t *testing.T) {
	t.Parallel()
	w, a, trees, dir := openWire(t, 0), &agent{}, newTrees(t), t.TempDir()
	a.run = func(_ context.Context, _ claude.Session, emit func(work.Line)) (claude.Result, error) {
		emit(work.Line{Kind: "claude", Text: token, Data: []byte(`{"x":"` + token + `"}`)})
		return claude.Result{Outcome: work.Done, Reason: "with " + token}, nil
	}
	trees.push = func(context.Context) error { return fmt.Errorf("%w: %s", worktree.ErrRefused, token) }
	end := start(t, Options{Name: "h1", Dir: dir, Slots: 1, Server: w.connect(t, "h1"), Trees: trees, Agent: a})
	w.offer(t, runOf("a"))
	receive(t, w.desk.reports)
	w.offer(t, work.Offer{Task: "a", Generation: 1, Kind: work.Publish})
	if r := receive(t, w.desk.reports); !strings.Contains(r.Reason, "***") {
		t.Errorf("reason %q does not show the cut; the test shows nothing", r.Reason)
	}
	texts := w.texts(t, "a")
	if !slices.Contains(texts, "***") {
		t.Errorf("log %q does not show the cut; the test shows nothing", texts)
	}
	end()
	if n := filesWith(t, dir, token); n != 0 {
		t.Errorf("%d files of the host hold the token", n)
	}
	w.end()
	if n := filesWith(t, w.dir, token); n != 0 {
		t.Errorf("%d files of the wire hold the token", n)
	}
	if n := filesWith(t, dir, "a.1.run") + filesWith(t, w.dir, "preparing the worktree"); n == 0 {
		t.Error("the search finds nothing at all")
	}
}

func filesWith(t *testing.T, dir, text string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), text) || strings.Contains(d.Name(), text) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// BenchmarkDispatchToStart measures from the offer to the start of the agent, on a host with free slots.
func BenchmarkDispatchToStart(b *testing.B) {
	w, a := openWire(b, 0), &agent{}
	began := make(chan string, 1)
	a.run = func(context.Context, claude.Session, func(work.Line)) (claude.Result, error) {
		began <- ""
		return claude.Result{Outcome: work.Done}, nil
	}
	start(b, Options{Name: "h1", Slots: 3, Server: w.connect(b, "h1"), Trees: newTrees(b), Agent: a})
	i := 0
	for b.Loop() {
		i++
		w.offer(b, runOf(fmt.Sprintf("t%d", i)))
		receive(b, began)
		b.StopTimer()
		receive(b, w.desk.reports)
		b.StartTimer()
	}
}
