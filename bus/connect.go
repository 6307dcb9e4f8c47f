package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

const (
	connectTime = 5 * time.Second // for one try
	// On a machine so busy that connecting takes a second, the engine's first ping comes in between and its
	// client gives up; the next try works.
	connectTries = 3
)

// target is where a connection goes: to the embedded server in this process, or to a URL.
type target struct {
	url        string
	embedded   *server.Server
	credential Credential
	tls        *tls.Config
	log        zerolog.Logger
}

// dial connects and then stays connected: a lost server is looked for until the connection is closed.
// The engine closes it by itself only when the login is refused twice, as after a revocation; closed tells.
func dial(ctx context.Context, t target, inbox, name string) (nc *nats.Conn, closed <-chan struct{}, err error) {
	if err := checkURL(t.url); err != nil {
		return nil, nil, err
	}
	end := make(chan struct{})
	opts := []nats.Option{
		nats.Name("dozens " + name),
		nats.CustomInboxPrefix(inbox),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.DrainTimeout(drainTime),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			t.log.Warn().Err(err).Msg("wire reports an error")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				t.log.Warn().Err(err).Msg("wire is gone, looking for it")
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { t.log.Info().Msg("wire is back") }),
		nats.Timeout(connectTime),
		nats.ClosedHandler(func(*nats.Conn) { close(end) }),
	}
	if c := t.credential; c.File != "" {
		opts = append(opts, nats.UserCredentials(c.File))
	} else if c.User != "" {
		opts = append(opts, nats.UserInfo(c.User, string(c.Password)))
	}
	if t.embedded != nil {
		opts = append(opts, nats.InProcessServer(t.embedded))
	} else if t.tls != nil {
		opts = append(opts, nats.Secure(t.tls))
	}
	for try := 1; ; try++ {
		nc, err = nats.Connect(t.url, opts...)
		if err == nil {
			return nc, end, nil
		}
		if try == connectTries || errors.Is(err, nats.ErrAuthorization) {
			return nil, nil, fmt.Errorf("connect to the wire: %w", err)
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// checkURL finds what cannot be read before the engine does, whose error would repeat a password in the URL.
func checkURL(servers string) error {
	for s := range strings.SplitSeq(servers, ",") {
		if _, err := url.Parse(strings.TrimSpace(s)); err != nil && strings.Contains(s, "://") {
			return errors.New("connect to the wire: the URL of the server cannot be read")
		}
	}
	return nil
}

// closeConn sends what is buffered and closes; a server that is not there does not hold it up.
func closeConn(nc *nats.Conn) {
	if nc.IsConnected() {
		_ = nc.FlushTimeout(drainTime) // what could not be sent is re-sent or re-asked by its sender's peer
	}
	nc.Close()
}
