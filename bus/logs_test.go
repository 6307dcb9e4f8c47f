package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/work"
)

func emit(h *HostConn, task string, generation, from, to int) {
	for i := from; i <= to; i++ {
		h.Emit(work.Line{Task: task, Generation: generation, Seq: i, Kind: "host", Text: fmt.Sprintf("%d-%d", generation, i)})
	}
}

// settle waits until the lines are stored.
func settle(t *testing.T, h *HostConn) { t.Helper(); h.lines.flush(t.Context()) }

func readLog(t testing.TB, b *Bus, q LogQuery) []string {
	t.Helper()
	var got []string
	err := b.Log(t.Context(), q, func(_ uint64, l work.Line) error {
		got = append(got, l.Text)
		return nil
	})
	if err != nil {
		t.Fatalf("read log: %v", err)
	}
	return got
}

func numbers(generation, from, to int) (texts []string) {
	for i := from; i <= to; i++ {
		texts = append(texts, fmt.Sprintf("%d-%d", generation, i))
	}
	return texts
}

func TestLogReplay(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h1, h2 := host(t, b, "h1"), host(t, b, "h2")
	emit(h1, "a", 1, 1, 3)
	settle(t, h1)
	emit(h2, "a", 2, 1, 2) // the next run, on another host
	emit(h2, "b", 1, 1, 5)
	settle(t, h2)
	all := append(numbers(1, 1, 3), numbers(2, 1, 2)...)
	for name, tc := range map[string]struct {
		q    LogQuery
		want []string
	}{
		"all runs":        {LogQuery{Task: "a"}, all},
		"first run":       {LogQuery{Task: "a", Generation: 1}, numbers(1, 1, 3)},
		"second run":      {LogQuery{Task: "a", Generation: 2}, numbers(2, 1, 2)},
		"run without log": {LogQuery{Task: "a", Generation: 3}, nil},
		"unknown task":    {LogQuery{Task: "c"}, nil},
		"from a position": {LogQuery{Task: "a", After: 2}, all[2:]},
		"behind the end":  {LogQuery{Task: "a", After: 5}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, readLog(t, b, tc.q)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogFollowForLateAndSlowReaders(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h := host(t, b, "h1")
	const n = 500
	emit(h, "a", 1, 1, n/2)
	settle(t, h)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	release := make(chan struct{})
	read := func(wait <-chan struct{}) <-chan []string {
		out := make(chan []string, 1)
		go func() {
			var got []string
			enough := errors.New("enough")
			err := b.Log(ctx, LogQuery{Task: "a", Follow: true}, func(_ uint64, l work.Line) error {
				<-wait
				if got = append(got, l.Text); len(got) == n {
					return enough
				}
				return nil
			})
			if !errors.Is(err, enough) {
				t.Errorf("follow: got %v, want the reader's own error", err)
			}
			out <- got
		}()
		return out
	}
	open := make(chan struct{})
	close(open)
	slow, late := read(release), read(open)
	emit(h, "a", 1, n/2+1, n) // while one reader is stuck
	if diff := cmp.Diff(numbers(1, 1, n), receive(t, late)); diff != "" {
		t.Errorf("late reader (-want +got):\n%s", diff)
	}
	close(release)
	if diff := cmp.Diff(numbers(1, 1, n), receive(t, slow)); diff != "" {
		t.Errorf("slow reader (-want +got):\n%s", diff)
	}
}

func TestLogFollowEndsWithTheContext(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := b.Log(ctx, LogQuery{Task: "a", Follow: true}, func(uint64, work.Line) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	if err := b.Log(t.Context(), LogQuery{Task: "a.>"}, nil); !errors.Is(err, ErrName) {
		t.Errorf("log of a bad name: got %v, want ErrName", err)
	}
}

func TestLogComesBeforeTheReport(t *testing.T) {
	t.Parallel()
	b, d := open(t, Options{}), newDesk()
	seen := make(chan int, 1)
	d.report = func(work.Report) error {
		s, err := b.js.Stream(context.Background(), logsStream)
		if err == nil {
			seen <- int(s.CachedInfo().State.Msgs)
		}
		return err
	}
	serve(t, b, d)
	h := host(t, b, "h1")
	const n = 3000
	emit(h, "a", 1, 1, n)
	if err := h.Report(t.Context(), work.Report{Offer: run("a"), Outcome: work.Done}); err != nil {
		t.Fatalf("report: %v", err)
	}
	receive(t, d.reports)
	if got := <-seen; got != n {
		t.Errorf("lines when the report is there: got %d, want %d", got, n)
	}
}

func TestDropLog(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h := host(t, b, "h1")
	emit(h, "a", 1, 1, 3)
	emit(h, "ab", 1, 1, 3)
	settle(t, h)
	if err := b.DropLog(t.Context(), "a"); err != nil {
		t.Fatalf("drop: %v", err)
	}
	if got := len(readLog(t, b, LogQuery{Task: "a"})); got != 0 {
		t.Errorf("lines of the dropped log: got %d, want 0", got)
	}
	if got := len(readLog(t, b, LogQuery{Task: "ab"})); got != 3 {
		t.Errorf("lines of another log: got %d, want 3", got)
	}
	if err := b.DropLog(t.Context(), ">"); !errors.Is(err, ErrName) {
		t.Errorf("drop all: got %v, want ErrName", err)
	}
}

func TestEmitDropsWhatIsNoLine(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h := host(t, b, "h1")
	h.Emit(work.Line{Task: "a.b", Generation: 1})
	h.Emit(work.Line{Task: "a"})
	h.Emit(work.Line{Task: "a", Generation: 1, Data: []byte("{no json")})
	h.Emit(work.Line{Task: "a", Generation: 1, Text: string(make([]byte, maxLineBytes))})
	h.Emit(work.Line{Task: "a", Generation: 1, Text: "good"})
	settle(t, h)
	if diff := cmp.Diff([]string{"good"}, readLog(t, b, LogQuery{Task: "a"})); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if got := h.lines.dropped.Load(); got != 4 {
		t.Errorf("dropped: got %d, want 4", got)
	}
}

func TestEmitDoesNotHoldUpTheRunWhenTheWireIsGone(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h := host(t, b, "h1")
	b.embedded.Shutdown()
	b.embedded.WaitForShutdown()
	started := time.Now()
	emit(h, "a", 1, 1, 4*linesKept)
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("%d lines without a wire held the run up for %v", 4*linesKept, took)
	}
	if h.lines.dropped.Load() == 0 {
		t.Error("no line was dropped; the test shows nothing")
	}
}

func BenchmarkEmit(b *testing.B) {
	w := open(b, Options{})
	h := host(b, w, "h1")
	l := work.Line{Task: "a", Generation: 1, Text: string(make([]byte, 300))}
	for b.Loop() {
		h.Emit(l)
	}
	h.lines.flush(b.Context())
	b.ReportMetric(float64(h.lines.dropped.Load()), "dropped")
}
