package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// Options say where the wire is. Zero values are usable, except that Dir or URL must be set.
type Options struct {
	Dir string // folder of the embedded server's streams; created with mode 0700
	URL string // external NATS server; empty: embedded

	Credential Credential // for URL
	TLS        *tls.Config

	// Listen is the host:port on which the embedded server takes other hosts; empty: no TCP at all.
	// It needs Hosts, and TLS unless the address is loopback, because answers to claims carry git tokens.
	Listen string
	Hosts  []Login // hosts that may connect from outside

	AckWait  time.Duration // silence after which work returns to the queue; default 30 s
	LogAge   time.Duration // how long log lines are kept; default 7 days
	LogBytes int64         // how much of them; default 1 GiB

	Log zerolog.Logger
}

// Credential is what a connection shows to a NATS server: a credentials file, or a user with a password.
type Credential struct {
	File     string // NATS credentials file (JWT and key)
	User     string
	Password work.Secret
}

// Login is a host that may connect to the embedded server from outside, with its name as the user.
type Login struct {
	Host string
	Key  work.Secret
}

// Bus is the server's end of the wire. Safe for concurrent use.
type Bus struct {
	opts     Options
	embedded *server.Server // nil when external
	own      Credential     // the server's own login
	nc       *nats.Conn
	js       jetstream.JetStream
	log      zerolog.Logger

	mu    sync.Mutex
	hosts []*HostConn
}

const (
	defaultAckWait  = 30 * time.Second
	defaultLogAge   = 7 * 24 * time.Hour
	defaultLogBytes = 1 << 30
	openTime        = 30 * time.Second
	drainTime       = 5 * time.Second
)

// Open starts the embedded server or connects to the external one, and makes the streams. The caller owns
// the Bus and closes it; ctx bounds the opening only.
func Open(ctx context.Context, opts Options) (*Bus, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("open bus: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	b := &Bus{opts: opts, own: opts.Credential, log: opts.Log}
	if opts.URL == "" {
		srv, own, err := startEmbedded(opts)
		if err != nil {
			return nil, fmt.Errorf("open bus: %w", err)
		}
		b.embedded, b.own = srv, own
	}
	if err := b.connect(ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("open bus: %w", err)
	}
	return b, nil
}

func (o Options) withDefaults() Options {
	if o.AckWait <= 0 {
		o.AckWait = defaultAckWait
	}
	if o.LogAge <= 0 {
		o.LogAge = defaultLogAge
	}
	if o.LogBytes <= 0 {
		o.LogBytes = defaultLogBytes
	}
	return o
}

func (o Options) check() error {
	if o.Dir == "" && o.URL == "" {
		return errors.New("neither a folder nor a URL is set")
	}
	for _, l := range o.Hosts {
		if !validName(l.Host) {
			return fmt.Errorf("login of host %q: %w", l.Host, ErrName)
		}
		if l.Key == "" {
			return fmt.Errorf("login of host %q: the key is empty", l.Host)
		}
	}
	if o.Listen == "" || o.URL != "" {
		return nil
	}
	return checkListen(o)
}

func (b *Bus) connect(ctx context.Context) error {
	nc, _, err := dial(ctx, b.target(), "_INBOX", "server")
	if err != nil {
		return err
	}
	b.nc = nc
	if b.js, err = jetstream.New(nc); err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	if err := makeStreams(ctx, b.js, b.opts); err != nil {
		return err
	}
	for _, l := range b.opts.Hosts {
		if err := makeHostConsumers(ctx, b.js, l.Host, b.opts.AckWait); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) target() target {
	return target{url: b.opts.URL, embedded: b.embedded, credential: b.own, tls: b.opts.TLS, log: b.log}
}

// Close drains what is being sent, ends the connections that Host opened, and stops the embedded server.
// Work in progress is not lost: its messages come back when the streams are opened again.
func (b *Bus) Close() {
	b.mu.Lock()
	hosts := b.hosts
	b.hosts = nil
	b.mu.Unlock()
	for _, h := range hosts {
		h.Close()
	}
	if b.nc != nil {
		closeConn(b.nc)
	}
	if b.embedded != nil {
		b.embedded.Shutdown()
		b.embedded.WaitForShutdown()
	}
}

// Addr is the address the embedded server listens on; empty without a listener.
func (b *Bus) Addr() string {
	if b.embedded == nil || b.opts.Listen == "" || b.embedded.Addr() == nil {
		return ""
	}
	return b.embedded.Addr().String()
}
