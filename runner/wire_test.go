package runner

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/work"
	"dozens/bus"
)

// The tests of the host run over the real wire; this is the only file that knows it.

const hostKey = "key-of-the-host"

// wire is the server's end: the real bus, with a desk behind it.
type wire struct {
	*bus.Bus
	desk *desk
	dir  string
	end  func() // stops serving and closes
}

func openWire(t testing.TB, ackWait time.Duration) *wire {
	t.Helper()
	dir := t.TempDir()
	b, err := bus.Open(t.Context(), bus.Options{
		Dir: dir, AckWait: ackWait, Listen: "127.0.0.1:0", Log: quiet(t),
		Hosts: []bus.Login{{Host: "h1", Key: hostKey}, {Host: "h2", Key: hostKey}},
	})
	if err != nil {
		t.Fatalf("open bus: %v", err)
	}
	w := &wire{Bus: b, desk: newDesk(b), dir: dir}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, w.desk) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		b.Close()
	})
	t.Cleanup(w.end)
	return w
}

func (w *wire) connect(t testing.TB, name string) *bus.HostConn {
	t.Helper()
	h, err := w.Host(t.Context(), name)
	if err != nil {
		t.Fatalf("open host: %v", err)
	}
	t.Cleanup(h.Close)
	return h
}

func (w *wire) offer(t testing.TB, o work.Offer) {
	t.Helper()
	w.desk.want(o)
	if err := w.Offer(t.Context(), "", o, "1"); err != nil {
		t.Fatalf("offer: %v", err)
	}
}

// texts are the words of the host in a task's log.
func (w *wire) texts(t testing.TB, task string) []string {
	t.Helper()
	var got []string
	err := w.Log(t.Context(), bus.LogQuery{Task: task}, func(_ uint64, l work.Line) error {
		got = append(got, l.Text)
		return nil
	})
	if err != nil {
		t.Fatalf("read log: %v", err)
	}
	return got
}

// dialFromChild connects the host that is a process of its own.
func dialFromChild(ctx context.Context, url, name string) (Server, error) {
	return bus.Dial(ctx, bus.DialOptions{
		URL: url, Name: name, Credential: bus.Credential{Password: hostKey}, Log: zerolog.Nop(),
	})
}

var _ Server = (*bus.HostConn)(nil)
