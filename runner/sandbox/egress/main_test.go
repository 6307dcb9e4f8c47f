package egress

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if play, ok := plays()[os.Args[1]]; ok {
			os.Exit(play(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// host is a name that the certificate of httptest's servers is good for.
const host = "example.com"

// somewhere is the address that host resolves to, unless a test says otherwise. Nothing is ever sent there.
const somewhere = "93.184.216.34"

// rig is a proxy on a socket, and what lies behind it.
type rig struct {
	t      *testing.T
	proxy  *Proxy
	socket string

	mu       sync.Mutex
	lines    []string
	changed  chan struct{}
	resolved []string
	dialled  []netip.AddrPort
}

// setup is what a test changes about a rig.
type setup struct {
	rules   []string                                                     // nil: host
	answers func(ctx context.Context, host string) ([]netip.Addr, error) // nil: somewhere
	dialled func(ctx context.Context, to netip.AddrPort) error           // nil: every host can be reached
	limits  func(*limits)
}

// newRig starts a proxy for which all hosts are the server at address.
func newRig(t *testing.T, address string, s setup) *rig {
	t.Helper()
	if s.rules == nil {
		s.rules = []string{host}
	}
	rules, err := Parse(s.rules)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, socket: filepath.Join(t.TempDir(), "egress.sock"), changed: make(chan struct{})}
	l, err := net.Listen("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	most := usualLimits()
	if s.limits != nil {
		s.limits(&most)
	}
	r.proxy = serve(l, Options{Rules: rules, Say: r.say, Log: zerolog.New(zerolog.NewTestWriter(t)), Resolve: r.resolver(s), Dial: r.dialer(s, address)}, most)
	t.Cleanup(r.proxy.Close)
	return r
}

func (r *rig) resolver(s setup) func(context.Context, string) ([]netip.Addr, error) {
	return func(ctx context.Context, host string) ([]netip.Addr, error) {
		r.mu.Lock()
		r.resolved = append(r.resolved, host)
		r.mu.Unlock()
		if s.answers != nil {
			return s.answers(ctx, host)
		}
		return []netip.Addr{netip.MustParseAddr(somewhere)}, nil
	}
}

func (r *rig) dialer(s setup, address string) func(context.Context, netip.AddrPort) (net.Conn, error) {
	return func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		r.mu.Lock()
		r.dialled = append(r.dialled, to)
		r.mu.Unlock()
		if s.dialled != nil {
			if err := s.dialled(ctx, to); err != nil {
				return nil, err
			}
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}

func (r *rig) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
	close(r.changed)
	r.changed = make(chan struct{})
}

// waitLines returns the lines of the log once there are so many.
func (r *rig) waitLines(n int) []string {
	r.t.Helper()
	patience := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		lines, changed := slices.Clone(r.lines), r.changed
		r.mu.Unlock()
		if len(lines) >= n {
			return lines
		}
		select {
		case <-changed:
		case <-patience:
			r.t.Fatalf("got the lines %q, want %d", lines, n)
		}
	}
}

// wantLines waits for as many lines as are given, and compares them.
func (r *rig) wantLines(want ...string) {
	r.t.Helper()
	got := r.waitLines(len(want))
	if len(got) != len(want) {
		r.t.Fatalf("got the lines %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] && (!strings.HasSuffix(want[i], "*") || !strings.HasPrefix(got[i], strings.TrimSuffix(want[i], "*"))) {
			r.t.Errorf("line %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

// untouched asserts that nothing was resolved or connected to.
func (r *rig) untouched() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.resolved) > 0 || len(r.dialled) > 0 {
		r.t.Errorf("resolved %q and connected to %v, want neither", r.resolved, r.dialled)
	}
}

// dialSocket connects to the proxy.
func (r *rig) dialSocket() *net.UnixConn {
	r.t.Helper()
	c, err := net.Dial("unix", r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.UnixConn)
}

// ask sends a request and returns all that comes back.
func (r *rig) ask(request string) string {
	r.t.Helper()
	c := r.dialSocket()
	_, _ = io.WriteString(c, request) // refused early, perhaps
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		r.t.Fatalf("ask %.80q: %v", request, err)
	}
	return string(b)
}

// tunnelTo opens a tunnel and returns it before the first byte through it.
func (r *rig) tunnelTo(target string) *net.UnixConn {
	r.t.Helper()
	c := r.dialSocket()
	if _, err := io.WriteString(c, connect(target)); err != nil {
		r.t.Fatal(err)
	}
	const granted = "HTTP/1.1 200 Connection established\r\n\r\n"
	answer := make([]byte, len(granted))
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != granted {
		r.t.Fatalf("CONNECT %s: got %q, %v", target, answer, err)
	}
	return c
}

// status sends a request and returns the status of the answer.
func (r *rig) status(request string) string {
	r.t.Helper()
	c := r.dialSocket()
	answer := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.WriteString(c, request); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.ReadFull(c, answer); err != nil {
		r.t.Fatal(err)
	}
	return string(answer[len("HTTP/1.1 "):])
}

func connect(target string) string {
	return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n"
}

// client speaks HTTP through the rig's proxy and trusts the server.
func (r *rig) client(server *httptest.Server) *http.Client {
	tr := server.Client().Transport.(*http.Transport).Clone()
	tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: Address})
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", r.socket)
	}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// newServer is a TLS server that answers every request with these words.
func newServer(t *testing.T, words string) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, words) }))
	t.Cleanup(s.Close)
	return s
}

// newRaw is a server that hands over its connections.
func newRaw(t *testing.T) (address string, accepted <-chan *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conns := make(chan *net.TCPConn, 16)
	go func() {
		defer close(conns)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			conns <- c.(*net.TCPConn)
		}
	}()
	return l.Addr().String(), conns
}

// helloOf is what a TLS client with this configuration says first.
func helloOf(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, c).HandshakeContext(context.Background()) // fails when we close
		theirs.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(ours, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// plainHello asks for host.
func plainHello(t testing.TB) []byte { return helloOf(t, &tls.Config{ServerName: host}) }
