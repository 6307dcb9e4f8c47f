package egress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Options are what a Proxy needs. Only Rules decide what is allowed.
type Options struct {
	Rules Rules
	// Say puts a line into the run's log. It is called by one goroutine at a time, which waits for it, and not
	// after Close. nil: nobody listens.
	Say func(format string, args ...any)
	Log zerolog.Logger
	// Resolve finds all addresses of a host. nil: this machine's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects to an address that was checked. nil: TCP.
	Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// limits bound what a box can take of the host.
type limits struct {
	connections int           // open at once; more wait
	tunnels     int           // of them with a connection to a host; more are refused
	header      int64         // bytes of a request
	patience    time.Duration // for a request, for resolving and connecting, and for a hello
	idle        time.Duration // a tunnel in which nothing moves is ended
	lines       int           // in the run's log
}

func usualLimits() limits {
	return limits{connections: 128, tunnels: 64, header: 16 << 10, patience: 20 * time.Second, idle: 10 * time.Minute, lines: 200}
}

// Proxy answers the CONNECT requests of one box. It is safe for concurrent use.
type Proxy struct {
	rules   Rules
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	dial    func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	log     zerolog.Logger
	record  *record
	limits  limits

	listener    net.Listener
	connections chan struct{}
	tunnels     chan struct{}
	stop        context.CancelFunc
	running     sync.WaitGroup
}

// Serve starts a proxy on l, which it owns from now on. It goes on until Close.
func Serve(l net.Listener, o Options) *Proxy { return serve(l, o, usualLimits()) }

func serve(l net.Listener, o Options, most limits) *Proxy {
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if o.Resolve == nil {
		o.Resolve = resolve
	}
	if o.Dial == nil {
		o.Dial = dial
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{
		rules: o.Rules, resolve: o.Resolve, dial: o.Dial, log: o.Log, limits: most,
		record:   &record{log: o.Log, say: o.Say, left: most.lines, more: map[string]int{}},
		listener: l, stop: stop,
		connections: make(chan struct{}, most.connections),
		tunnels:     make(chan struct{}, most.tunnels),
	}
	p.running.Go(func() { p.accept(ctx) })
	return p
}

// resolve asks for exactly this name: the dot at its end keeps the host's search list away.
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host+".")
}

func dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to.String())
}

// Close ends all tunnels and returns when nothing of the proxy is left. It may be called more than once.
func (p *Proxy) Close() {
	p.stop()
	p.listener.Close()
	p.running.Wait()
	p.record.finish()
}

// accept takes connections, as many at once as there may be. Others wait in the listener's queue.
func (p *Proxy) accept(ctx context.Context) {
	for {
		select {
		case p.connections <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := p.listener.Accept()
		if err == nil {
			p.running.Go(func() {
				defer func() { <-p.connections }()
				p.handle(ctx, c)
			})
			continue
		}
		<-p.connections
		if ctx.Err() == nil {
			p.log.Warn().Err(err).Msg("egress proxy cannot accept")
		}
		if !again(ctx, err) {
			return
		}
	}
}

// again says whether to accept once more after an error, and waits a little before it does: the process may have run
// out of files for a moment.
func again(ctx context.Context, err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(50 * time.Millisecond):
		return true
	}
}

// handle serves one connection: one request, and the tunnel if it is granted.
func (p *Proxy) handle(ctx context.Context, c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_ = c.SetDeadline(time.Now().Add(p.limits.patience))
	bounded := &io.LimitedReader{R: c, N: p.limits.header}
	in := bufio.NewReader(bounded)
	req, err := http.ReadRequest(in)
	if errors.Is(err, io.EOF) {
		return // a look whether somebody is there
	}
	if err != nil {
		p.deny(c, "a connection", unreadable())
		return
	}
	t, no := p.target(req)
	if no != nil {
		p.deny(c, t.name, no)
		return
	}
	select {
	case p.tunnels <- struct{}{}:
		defer func() { <-p.tunnels }()
	default:
		p.deny(c, t.name, crowded(p.limits.tunnels))
		return
	}
	upstream, no := p.connect(ctx, t)
	if no != nil {
		p.deny(c, t.name, no)
		return
	}
	defer upstream.Close()
	defer context.AfterFunc(ctx, func() { upstream.Close() })()
	bounded.N = math.MaxInt64
	p.tunnel(ctx, t, end{Conn: c, in: in}, upstream)
}

// tunnel grants the request, looks at what the client begins with, and carries the rest.
func (p *Proxy) tunnel(ctx context.Context, t target, client end, upstream net.Conn) {
	_ = client.SetDeadline(time.Now().Add(p.limits.patience))
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		p.record.add(failed, t.name, "the client has gone")
		return
	}
	hello, tlsSpoken, why := readHello(ctx, client.Conn, client.in, t.host)
	if why != "" {
		p.record.add(refused, t.name, why)
		if tlsSpoken {
			_, _ = client.Write(denied())
		}
		return
	}
	p.record.add(allowed, t.name, "")
	client.in = io.MultiReader(bytes.NewReader(hello), client.in)
	up, down := join(client, endOf(upstream), p.limits.idle)
	p.record.add(closed, t.name, amount(up, down))
}
