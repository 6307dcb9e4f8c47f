package runner

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/work"
)

func TestStop(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		beatEvery time.Duration
		stop      func(t *testing.T, w *wire)
	}{
		"hint": {time.Hour, func(t *testing.T, w *wire) {
			if err := w.Stop(t.Context(), "h1", "a.1.run"); err != nil {
				t.Errorf("stop: %v", err)
			}
		}},
		"answer to the heartbeat": {50 * time.Millisecond, func(_ *testing.T, w *wire) { w.desk.stop("a.1.run") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a := openWire(t, 0), &agent{}
			began, stopped := make(chan string, 2), make(chan string, 2)
			a.run = untilStopped(began, stopped)
			start(t, Options{Name: "h1", Slots: 2, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: a, BeatEvery: tc.beatEvery})
			w.offer(t, runOf("a"))
			w.offer(t, runOf("b"))
			receive(t, began)
			receive(t, began)
			asked := time.Now()
			tc.stop(t, w)
			if id := receive(t, stopped); id != "a.1.run" {
				t.Errorf("stopped: got %s, want a.1.run", id)
			}
			if took := time.Since(asked); took > 2*time.Second {
				t.Errorf("stopping took %v, want below 2 s", took)
			}
			r := receive(t, w.desk.reports)
			if r.Task != "a" || r.Outcome != work.Stopped || r.Head != head || r.Reason != "the server stopped it" {
				t.Errorf("report: got task %s, %s, head %q, reason %q", r.Task, r.Outcome, r.Head, r.Reason)
			}
			select {
			case id := <-stopped:
				t.Errorf("%s was stopped, too", id)
			default:
			}
		})
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w, a, trees := openWire(t, 0), &agent{}, newTrees(t)
	began, pushing, pushed := make(chan string, 2), make(chan struct{}), make(chan struct{})
	a.run = untilStopped(began, nil)
	trees.push = func(ctx context.Context) error {
		close(pushing)
		select {
		case <-pushed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	end := start(t, Options{Name: "h1", Slots: 2, Server: w.connect(t, "h1"), Trees: trees, Agent: a})
	w.offer(t, runOf("a"))
	w.offer(t, runOf("b"))
	w.offer(t, work.Offer{Task: "c", Generation: 1, Kind: work.Publish})
	receive(t, began)
	receive(t, began)
	receive(t, pushing)
	ended := make(chan struct{})
	go func() {
		end()
		close(ended)
	}()
	outcomes := []work.Outcome{receive(t, w.desk.reports).Outcome, receive(t, w.desk.reports).Outcome}
	if diff := cmp.Diff([]work.Outcome{work.Stopped, work.Stopped}, outcomes); diff != "" {
		t.Errorf("reports of the runs (-want +got):\n%s", diff)
	}
	w.offer(t, runOf("late"))
	select {
	case <-ended:
		t.Error("the host ended before its push did")
	default:
	}
	close(pushed)
	if r := receive(t, w.desk.reports); r.Task != "c" || r.Outcome != work.Pushed {
		t.Errorf("report of the push: got %s of %s, want pushed of c", r.Outcome, r.Task)
	}
	receive(t, ended)
	if n := a.started("late.1.run"); n != 0 {
		t.Errorf("starts after the end was asked for: got %d, want 0", n)
	}
}

func TestDrainCutsShortWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	w, trees := openWire(t, 0), newTrees(t)
	pushing := make(chan struct{})
	trees.push = func(ctx context.Context) error {
		close(pushing)
		<-ctx.Done()
		return ctx.Err()
	}
	end := start(t, Options{Name: "h1", Slots: 1, Server: w.connect(t, "h1"), Trees: trees, Agent: &agent{}, DrainTime: 100 * time.Millisecond})
	w.offer(t, work.Offer{Task: "c", Generation: 1, Kind: work.Publish})
	receive(t, pushing)
	end()
	if r := receive(t, w.desk.reports); r.Outcome != work.Stopped || r.Reason != "the host is shutting down" {
		t.Errorf("report: got %s, %q", r.Outcome, r.Reason)
	}
}

func TestTwoHostsCannotShareAFolder(t *testing.T) {
	t.Parallel()
	w, dir := openWire(t, 0), t.TempDir()
	o := Options{Name: "h1", Dir: dir, Slots: 1, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: &agent{}}
	start(t, o)
	receive(t, w.desk.firsts)
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another host uses this folder") {
		t.Errorf("second host: got %v", err)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	good := Options{Name: "h", Dir: t.TempDir(), Slots: 1, Server: &spy{}, Trees: &trees{}, Agent: &agent{}}
	if _, err := New(good); err != nil {
		t.Fatalf("good options: %v", err)
	}
	for name, spoil := range map[string]func(*Options){
		"name": func(o *Options) { o.Name = "" }, "folder": func(o *Options) { o.Dir = "" }, "slots": func(o *Options) { o.Slots = 0 },
		"server": func(o *Options) { o.Server = nil }, "trees": func(o *Options) { o.Trees = nil }, "agent": func(o *Options) { o.Agent = nil },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("without %s: got no error", name)
		}
	}
}

func TestJobsStopAndDrainOnlyWhatIsMeant(t *testing.T) {
	t.Parallel()
	j := newJobs()
	begin := func(o work.Offer, claimed bool) *job {
		b, how := j.begin(t.Context(), o)
		if how != fresh {
			t.Fatalf("begin %s: got %d, want fresh", o.ID(), how)
		}
		if claimed {
			j.claimed(b)
		}
		return b
	}
	a, b, asking := begin(runOf("a"), true), begin(runOf("b"), true), begin(runOf("asking"), false)
	push := begin(work.Offer{Task: "push", Generation: 1, Kind: work.Publish}, true)
	if diff := cmp.Diff([]string{"a.1.run", "b.1.run", "push.1.publish"}, j.held()); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	for id, want := range map[string]bool{"a.1.run": true, "a.2.run": false, "asking.1.run": false, "none.1.run": false} {
		if got := j.stop(id); got != want {
			t.Errorf("stop %s: got %t, want %t", id, got, want)
		}
	}
	j.drain(work.Run)
	late := begin(runOf("late"), false)
	causes := []error{context.Cause(a.ctx), context.Cause(b.ctx), context.Cause(asking.ctx), context.Cause(push.ctx), context.Cause(late.ctx)}
	want := []error{errStopped, errDraining, errDraining, nil, errDraining}
	if !slices.Equal(want, causes) {
		t.Errorf("causes: got %v, want %v", causes, want)
	}
	for _, b := range []*job{a, b, asking, push, late} {
		j.end(b)
	}
	if got := j.held(); len(got) != 0 {
		t.Errorf("held after the end: got %v, want nothing", got)
	}
}
