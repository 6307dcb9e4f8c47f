package bus

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// desk is a server's desk that remembers what it was told. Set the functions before it serves.
type desk struct {
	claim   func(host string, o work.Offer) work.Answer
	report  func(r work.Report) error
	reports chan work.Report

	mu     sync.Mutex
	claims []string // host/offer
	beats  []work.Beat
}

func newDesk() *desk { return &desk{reports: make(chan work.Report, 1000)} }

func (d *desk) Claim(_ context.Context, host string, o work.Offer) work.Answer {
	d.mu.Lock()
	d.claims = append(d.claims, host+"/"+o.ID())
	d.mu.Unlock()
	if d.claim != nil {
		return d.claim(host, o)
	}
	return work.Answer{Decision: work.Go, Order: &work.Order{Offer: o, Token: "the-token", Brief: "do it"}}
}

func (d *desk) Beat(_ context.Context, b work.Beat) work.BeatAnswer {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.beats = append(d.beats, b)
	return work.BeatAnswer{Stop: b.Held}
}

func (d *desk) Report(_ context.Context, r work.Report) error {
	if d.report != nil {
		if err := d.report(r); err != nil {
			return err
		}
	}
	d.reports <- r
	return nil
}

func (d *desk) claimed() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.claims...)
}

func open(t testing.TB, opts Options) *Bus {
	t.Helper()
	if opts.Dir == "" && opts.URL == "" {
		opts.Dir = t.TempDir()
	}
	opts.Log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)
	b, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(b.Close)
	return b
}

func serve(t testing.TB, b *Bus, d Desk) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, d) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func host(t testing.TB, b *Bus, name string) *HostConn {
	t.Helper()
	h, err := b.Host(t.Context(), name)
	if err != nil {
		t.Fatalf("open host: %v", err)
	}
	t.Cleanup(h.Close)
	return h
}

func offer(t testing.TB, b *Bus, host string, o work.Offer) {
	t.Helper()
	if err := b.Offer(t.Context(), host, o, "1"); err != nil {
		t.Fatalf("offer: %v", err)
	}
}

func next(t testing.TB, h *HostConn, kind work.Kind) Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d, err := h.Next(ctx, kind)
	if err != nil {
		t.Fatalf("next %s on %s: %v", kind, h.Name(), err)
	}
	return d
}

// nothing checks that the host gets no offer for a while.
func nothing(t *testing.T, h *HostConn, kind work.Kind, for_ time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), for_)
	defer cancel()
	if d, err := h.Next(ctx, kind); err == nil {
		t.Errorf("host %s got %s, want nothing", h.Name(), d.Offer().ID())
	} else if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("next: got error %v, want the deadline", err)
	}
}

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came in 20 seconds")
		panic("unreachable")
	}
}

func run(task string) work.Offer { return work.Offer{Task: task, Generation: 1, Kind: work.Run} }

func stored(t *testing.T, b *Bus, stream string) uint64 {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	return s.CachedInfo().State.Msgs
}

func TestWorkTravels(t *testing.T) {
	t.Parallel()
	b, d := open(t, Options{}), newDesk()
	serve(t, b, d)
	h := host(t, b, "h1")
	o := work.Offer{Task: "abc", Generation: 3, Kind: work.Publish}
	offer(t, b, "", o)

	got := next(t, h, work.Publish)
	if diff := cmp.Diff(o, got.Offer()); diff != "" {
		t.Errorf("offer (-want +got):\n%s", diff)
	}
	a, err := h.Claim(t.Context(), o)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	want := work.Answer{Decision: work.Go, Order: &work.Order{Offer: o, Token: "the-token", Brief: "do it"}}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if err := h.Report(t.Context(), work.Report{Offer: o, Host: "somebody-else", Outcome: work.Pushed, Head: "abcd"}); err != nil {
		t.Fatalf("report: %v", err)
	}
	wantReport := work.Report{Offer: o, Host: "h1", Outcome: work.Pushed, Head: "abcd"}
	if diff := cmp.Diff(wantReport, receive(t, d.reports)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if err := got.Ack(); err != nil {
		t.Fatalf("ack: %v", err)
	}
	if n := stored(t, b, runsStream); n != 0 {
		t.Errorf("messages left in the work queue: got %d, want 0", n)
	}
}

func TestBeat(t *testing.T) {
	t.Parallel()
	b, d := open(t, Options{}), newDesk()
	serve(t, b, d)
	h := host(t, b, "h1")
	a, err := h.Beat(t.Context(), work.Beat{Host: "other", Slots: 2, Held: []string{"x"}, First: true})
	if err != nil {
		t.Fatalf("beat: %v", err)
	}
	if diff := cmp.Diff(work.BeatAnswer{Stop: []string{"x"}}, a); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	want := []work.Beat{{Host: "h1", Slots: 2, Held: []string{"x"}, First: true}}
	if diff := cmp.Diff(want, d.beats); diff != "" {
		t.Errorf("beats (-want +got):\n%s", diff)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	h := host(t, open(t, Options{}), "h1")
	if _, err := h.Claim(t.Context(), run("a")); err == nil {
		t.Error("claim without a server: got no error")
	}
	if _, err := h.Beat(t.Context(), work.Beat{}); err == nil {
		t.Error("heartbeat without a server: got no error")
	}
}

func TestRestartKeepsOffersReportsAndLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, AckWait: time.Second})
	h := host(t, b, "h1")
	offer(t, b, "", run("pool"))
	offer(t, b, "h1", work.Offer{Task: "own", Generation: 1, Kind: work.Cleanup})
	offer(t, b, "", work.Offer{Task: "taken", Generation: 1, Kind: work.Publish})
	next(t, h, work.Publish) // in work when the server goes
	h.Emit(work.Line{Task: "pool", Generation: 1, Seq: 1, Text: "hello"})
	if err := h.Report(t.Context(), work.Report{Offer: run("gone"), Outcome: work.Done}); err != nil {
		t.Fatalf("report: %v", err)
	}
	b.Close()

	b, d := open(t, Options{Dir: dir, AckWait: time.Second}), newDesk()
	serve(t, b, d)
	h = host(t, b, "h1")
	got := []string{
		next(t, h, work.Run).Offer().ID(),
		next(t, h, work.Cleanup).Offer().ID(),
		next(t, h, work.Publish).Offer().ID(),
		receive(t, d.reports).ID(),
		strings.Join(readLog(t, b, LogQuery{Task: "pool"}), ","),
	}
	want := []string{"pool.1.run", "own.1.cleanup", "taken.1.publish", "gone.1.run", "hello"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the restart (-want +got):\n%s", diff)
	}
}

func TestDoublesAreDropped(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	for _, nonce := range []string{"1", "1", "1", "2"} {
		if err := b.Offer(t.Context(), "", run("a"), nonce); err != nil {
			t.Fatalf("offer: %v", err)
		}
	}
	if n := stored(t, b, runsStream); n != 2 {
		t.Errorf("messages of four offers with two nonces: got %d, want 2", n)
	}
	h := host(t, b, "h1")
	for range 3 {
		if err := h.Report(t.Context(), work.Report{Offer: run("a"), Outcome: work.Done}); err != nil {
			t.Fatalf("report: %v", err)
		}
	}
	if n := stored(t, b, reportsStream); n != 1 {
		t.Errorf("messages of the same report: got %d, want 1", n)
	}
}

func TestDeadHostsWorkGoesToAnother(t *testing.T) {
	t.Parallel()
	b := open(t, Options{AckWait: time.Second})
	dead, alive := host(t, b, "dead"), host(t, b, "alive")
	offer(t, b, "", run("kept"))
	kept := next(t, dead, work.Run)
	offer(t, b, "", run("lost"))
	next(t, dead, work.Run)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // keeps one of the two alive, as a host does
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = kept.InProgress()
			case <-stop:
				return
			}
		}
	})
	started := time.Now()
	if got := next(t, alive, work.Run).Offer().ID(); got != "lost.1.run" {
		t.Errorf("redelivered: got %s, want lost.1.run", got)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("redelivered after %v, want about 1 s", took)
	}
	// The lost one comes again, because nobody settles it; the kept one must not.
	if got := next(t, alive, work.Run).Offer().ID(); got != "lost.1.run" {
		t.Errorf("redelivered a second time: got %s, want lost.1.run", got)
	}
	close(stop)
	wg.Wait()
}

func TestLater(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h := host(t, b, "h1")
	offer(t, b, "", run("a"))
	started := time.Now()
	if err := next(t, h, work.Run).Later(300 * time.Millisecond); err != nil {
		t.Fatalf("later: %v", err)
	}
	next(t, h, work.Run)
	if took := time.Since(started); took < 300*time.Millisecond {
		t.Errorf("came back after %v, want at least 300 ms", took)
	}
}

func TestOwnQueueIsOfOneHost(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h1, h2 := host(t, b, "h1"), host(t, b, "h2")
	offer(t, b, "h2", run("a"))
	nothing(t, h1, work.Run, 300*time.Millisecond)
	next(t, h2, work.Run)
}

// A host that waits has a pull open on both its queues. The second one to come must not be kept from others.
func TestFullHostGivesBack(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h1, h2 := host(t, b, "h1"), host(t, b, "h2")
	nothing(t, h1, work.Run, 100*time.Millisecond) // both pulls of h1 stay open at the engine
	offer(t, b, "h1", run("own"))
	next(t, h1, work.Run)
	offer(t, b, "", run("pool"))
	started := time.Now()
	next(t, h2, work.Run)
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("the pool's work reached the free host after %v", took)
	}
}

func TestStopHint(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h1, h2 := host(t, b, "h1"), host(t, b, "h2")
	for _, id := range []string{"a.1.run", "b.1.run"} {
		if err := b.Stop(t.Context(), "h1", id); err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
	if got := receive(t, h1.Stops()) + " " + receive(t, h1.Stops()); got != "a.1.run b.1.run" {
		t.Errorf("hints: got %q, want both in order", got)
	}
	select {
	case id := <-h2.Stops():
		t.Errorf("another host got the hint for %s", id)
	default:
	}
}

func TestNextEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	h := host(t, open(t, Options{}), "h1")
	done := make(chan error, 1)
	go func() {
		_, err := h.Next(context.Background(), work.Run)
		done <- err
	}()
	h.Close()
	if err := receive(t, done); err == nil {
		t.Error("next on a closed connection: got no error")
	}
	if _, err := h.Next(t.Context(), work.Kind("dance")); err == nil {
		t.Error("next of an unknown kind: got no error")
	}
}

// BenchmarkOfferToClaim measures from the offer to the answer of the claim, with a free host.
func BenchmarkOfferToClaim(b *testing.B) {
	w, d := open(b, Options{}), newDesk()
	serve(b, w, d)
	h := host(b, w, "h1")
	i := 0
	for b.Loop() {
		i++
		o := work.Offer{Task: "a", Generation: i, Kind: work.Run}
		offer(b, w, "", o)
		got := next(b, h, work.Run)
		if _, err := h.Claim(b.Context(), got.Offer()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := got.Ack(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
