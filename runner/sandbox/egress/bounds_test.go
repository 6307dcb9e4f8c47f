package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// granted opens a tunnel and lets its client begin as it should. It returns both ends.
func (r *rig) granted(accepted <-chan *net.TCPConn) (client *net.UnixConn, server *net.TCPConn) {
	r.t.Helper()
	client = r.tunnelTo("example.com:443")
	server = <-accepted
	r.t.Cleanup(func() { server.Close() })
	hello := plainHello(r.t)
	if _, err := client.Write(hello); err != nil {
		r.t.Fatal(err)
	}
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(server, got); err != nil || string(got) != string(hello) {
		r.t.Fatalf("the host got %x, %v, want the hello as it was", got, err)
	}
	return client, server
}

func TestSilenceIsEnded(t *testing.T) {
	t.Parallel()
	short := func(l *limits) { l.patience = 300 * time.Millisecond }
	t.Run("no request", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "127.0.0.1:1", setup{limits: short})
		if answer := r.ask("CONNECT example.com:443 HTTP/1.1\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("got %q, want 400", answer)
		}
	})
	t.Run("no name server", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "127.0.0.1:1", setup{limits: short, answers: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if answer := r.ask(connect("example.com:443")); !strings.HasPrefix(answer, "HTTP/1.1 502 ") {
			t.Errorf("got %q, want 502", answer)
		}
	})
	t.Run("no host", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "127.0.0.1:1", setup{limits: short, dialled: func(ctx context.Context, _ netip.AddrPort) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		if answer := r.ask(connect("example.com:443")); !strings.HasPrefix(answer, "HTTP/1.1 502 ") {
			t.Errorf("got %q, want 502", answer)
		}
	})
	t.Run("no host at the first address", func(t *testing.T) {
		t.Parallel()
		address, _ := newRaw(t)
		dead := netip.MustParseAddrPort("[2606:4700::1]:443")
		r := newRig(t, address, setup{limits: short, answers: addresses("2606:4700::1", somewhere), dialled: func(ctx context.Context, to netip.AddrPort) error {
			if to == dead {
				<-ctx.Done()
			}
			return ctx.Err()
		}})
		if status := r.status(connect("example.com:443")); status != "200" {
			t.Errorf("got %q, want time for the second", status)
		}
	})
	t.Run("no hello", func(t *testing.T) {
		t.Parallel()
		address, _ := newRaw(t)
		r := newRig(t, address, setup{limits: short})
		if b, err := io.ReadAll(r.tunnelTo("example.com:443")); len(b) > 0 || err != nil {
			t.Errorf("got %q, %v, want the end", b, err)
		}
		r.wantLines("egress: refused example.com:443 (the client said nothing)")
	})
	t.Run("nothing moves", func(t *testing.T) {
		t.Parallel()
		address, accepted := newRaw(t)
		r := newRig(t, address, setup{limits: func(l *limits) { l.idle, l.patience = 100*time.Millisecond, time.Hour }})
		client, server := r.granted(accepted)
		for name, c := range map[string]io.Reader{"client": client, "host": server} {
			if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
				t.Errorf("the %s got %q, %v, want the end", name, b, err)
			}
		}
		r.wantLines("egress: allowed example.com:443", "egress: closed example.com:443 (*")
	})
	t.Run("nothing is taken", func(t *testing.T) {
		t.Parallel()
		address, accepted := newRaw(t)
		r := newRig(t, address, setup{limits: func(l *limits) { l.idle, l.patience = 100*time.Millisecond, time.Hour }})
		client, _ := r.granted(accepted)
		if _, err := client.Write(make([]byte, 256<<20)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want the end", err)
		}
		r.waitLines(2)
	})
}

// A tunnel that is used is not idle, however old it is, also when only one direction is.
func TestMovementKeepsATunnelOpen(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	address, accepted := newRaw(t)
	r := newRig(t, address, setup{limits: func(l *limits) { l.idle, l.patience = idle, idle }})
	client, server := r.granted(accepted)
	tick := time.NewTicker(idle / 10)
	defer tick.Stop()
	for range 15 {
		<-tick.C
		if _, err := server.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatalf("the tunnel ended: %v", err)
		}
	}
}

func TestTunnelsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	address, _ := newRaw(t)
	r := newRig(t, address, setup{limits: func(l *limits) { l.tunnels = 2 }})
	first := r.tunnelTo("example.com:443")
	r.tunnelTo("example.com:443")
	if answer := r.ask(connect("example.com:443")); !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "2 connections") {
		t.Errorf("got %q, want 503 with the number", answer)
	}
	r.wantLines("egress: refused example.com:443 (2 tunnels are open)")
	first.Close()
	r.waitLines(2) // the first is over; its place is free a moment later
	for deadline := time.Now().Add(20 * time.Second); r.status(connect("example.com:443")) != "200"; {
		if time.Now().After(deadline) {
			t.Fatal("the place has not become free")
		}
	}
}

// More connections than may be open at once wait, and are served in their turn.
func TestConnectionsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, "127.0.0.1:1", setup{limits: func(l *limits) { l.connections, l.patience = 1, time.Second }})
	r.dialSocket() // silent: has its place for a second
	if answer := r.ask(connect("second.example:443")); !strings.HasPrefix(answer, "HTTP/1.1 403 ") {
		t.Errorf("got %q, want 403", answer)
	}
	r.wantLines("egress: refused a connection (*", "egress: refused second.example:443 (*")
}

func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, "127.0.0.1:1", setup{limits: func(l *limits) { l.lines = 3 }, dialled: func(context.Context, netip.AddrPort) error { return errors.New("no") }})
	for i := range 5 {
		r.ask(connect(fmt.Sprintf("n%d.example:443", i)))
	}
	r.ask(connect("example.com:443"))
	r.proxy.Close()
	r.proxy.Close()
	r.wantLines("egress: refused n0.example:443 (*", "egress: refused n1.example:443 (*", "egress: refused n2.example:443 (*",
		"egress: not shown: 2 refused, 1 failed")
}

func TestUsualLimits(t *testing.T) {
	t.Parallel()
	want := limits{connections: 128, tunnels: 64, header: 16384, patience: 20 * time.Second, idle: 10 * time.Minute, lines: 200}
	if got := usualLimits(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	address, accepted := newRaw(t)
	stuck := make(chan struct{})
	patient := func(l *limits) { l.patience = time.Hour }
	r := newRig(t, address, setup{limits: patient, rules: []string{host, "slow.example"}, answers: func(ctx context.Context, name string) ([]netip.Addr, error) {
		if name == "slow.example" {
			close(stuck)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return addresses(somewhere)(ctx, name)
	}})
	client, server := r.granted(accepted)
	waiting, busy := r.granted(accepted)
	_ = waiting.CloseWrite()
	if _, err := io.ReadAll(busy); err != nil {
		t.Fatal(err)
	}
	silent, asking, resolving := r.dialSocket(), r.tunnelTo("example.com:443"), r.dialSocket()
	if _, err := io.WriteString(resolving, connect("slow.example:443")); err != nil {
		t.Fatal(err)
	}
	<-stuck
	ended := make(chan struct{})
	go func() {
		r.proxy.Close()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("Close does not return")
	}
	for name, c := range map[string]io.Reader{"client": client, "host": server, "one that waits for an answer": waiting, "one without a request": silent, "one without a hello": asking, "one that waits": resolving} {
		// A refusal or a reset may come first; what matters is that the end comes.
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s is still connected", name)
		}
	}
	if _, err := os.Stat(r.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if lines := r.waitLines(3); !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "egress: closed example.com:443 (") }) {
		t.Errorf("got %q, want the end of the tunnel", lines)
	}
}

// A listener that is closed by somebody else does not keep the proxy from ending, and is not asked again and again.
func TestEndsWithItsListener(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	p := Serve(l, Options{})
	l.Close()
	p.running.Wait()
	p.Close()
}
