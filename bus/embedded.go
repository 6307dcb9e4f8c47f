package bus

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// maxMessage bounds one message: reports list every changed path. The engine's own default is 1 MiB.
const maxMessage = 8 << 20

// startEmbedded runs a NATS server in this process and returns the login that may do everything on it.
func startEmbedded(opts Options) (*server.Server, Credential, error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, Credential{}, fmt.Errorf("make folder of the streams: %w", err)
	}
	own := Credential{User: "server", Password: work.Secret(rand.Text())}
	logins, err := users(own, opts.Hosts)
	if err != nil {
		return nil, Credential{}, err
	}
	so := &server.Options{
		ServerName:         "dozens",
		DontListen:         opts.Listen == "",
		JetStream:          true,
		StoreDir:           opts.Dir,
		JetStreamMaxMemory: 64 << 20,
		// Explicit, because the engine's default is a share of the free disk, which shrinks with each start.
		JetStreamMaxStore: opts.LogBytes + runsBytes + reportsBytes + 64<<20,
		SyncAlways:        true, // an offer or report that was acknowledged survives a power cut
		MaxPayload:        maxMessage,
		NoSigs:            true,
		Users:             logins,
	}
	if opts.Listen != "" {
		if err := listenOn(so, opts); err != nil {
			return nil, Credential{}, err
		}
	}
	srv, err := server.NewServer(so)
	if err != nil {
		return nil, Credential{}, fmt.Errorf("make embedded server: %w", err)
	}
	lg := &engineLog{log: opts.Log}
	srv.SetLoggerV2(lg, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(lg.patience()) {
		srv.Shutdown()
		return nil, Credential{}, fmt.Errorf("start embedded server: %w", lg.fatal())
	}
	return srv, own, nil
}

func listenOn(so *server.Options, opts Options) error {
	host, port, err := net.SplitHostPort(opts.Listen)
	if err != nil {
		return fmt.Errorf("read listen address: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("read listen address: %w", err)
	}
	if n == 0 {
		n = server.RANDOM_PORT
	}
	so.Host, so.Port = host, n
	so.TLSConfig = opts.TLS
	so.TLS = opts.TLS != nil
	return nil
}

// checkListen fails closed: an open port hands out work with git tokens in the answers.
func checkListen(o Options) error {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("read listen address: %w", err)
	}
	if len(o.Hosts) == 0 {
		return errors.New("listening needs the login of at least one host")
	}
	ip := net.ParseIP(host)
	if o.TLS == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listening on %s needs TLS: answers to hosts carry git tokens", o.Listen)
	}
	return nil
}

// engineLog passes the engine's log on: warnings and worse as they are, its chatter at debug.
type engineLog struct {
	log zerolog.Logger
	mu  sync.Mutex
	why []string
}

func (l *engineLog) Noticef(f string, v ...any) { l.log.Debug().Msgf("nats: "+f, v...) }
func (l *engineLog) Warnf(f string, v ...any)   { l.log.Warn().Msgf("nats: "+f, v...) }
func (l *engineLog) Errorf(f string, v ...any)  { l.log.Error().Msgf("nats: "+f, v...) }
func (l *engineLog) Debugf(string, ...any)      {}
func (l *engineLog) Tracef(string, ...any)      {} // would show payloads

// Fatalf remembers why the engine could not start; it must not end the process that embeds it.
func (l *engineLog) Fatalf(f string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = append(l.why, fmt.Sprintf(f, v...))
	l.log.Error().Msgf("nats: "+f, v...)
}

func (l *engineLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.why) == 0 {
		return errors.New("it did not become ready in time")
	}
	return errors.New(strings.Join(l.why, "; "))
}

// patience is how long to wait for readiness: not at all once the engine said that it gives up.
func (l *engineLog) patience() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.why) > 0 {
		return time.Millisecond
	}
	return 20 * time.Second
}
