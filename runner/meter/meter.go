package meter

import (
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Meter is the host's one door to the model. It may be used by many goroutines at once.
type Meter struct {
	opts      Options
	base      *url.URL
	extra     http.Header // of Options.Headers
	dearest   rate
	transport http.RoundTripper
	key       *credential
	gate      *gate
	log       zerolog.Logger
	held      atomic.Int64 // bytes of request bodies, of all sessions

	mu       sync.Mutex
	sessions map[*Session]bool
}

// New checks the options and returns a meter. It asks nobody: without a credential, or with a wrong one, requests are
// answered with words that say what is missing. All that is wrong with the options is reported at once.
func New(o Options) (*Meter, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("set up the model: %w", err)
	}
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	extra, err := parseHeaders(o.Headers)
	if err != nil {
		return nil, err
	}
	m := &Meter{
		opts: o, base: base, extra: extra, dearest: o.Prices.dearest(), transport: newTransport(), key: newCredential(o),
		log: o.Log, sessions: map[*Session]bool{},
	}
	m.gate = newGate(o.MaxWait, m.tell)
	return m, nil
}

// newTransport reaches the model's side, through the host's own proxy if it has one. It is never asked to follow a
// redirect, and asks for answers as they are, because only those can be counted while they pass.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    15 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        64 << 10,
		// All sessions may share one connection: when it is dead, they must not wait for it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// join makes a session known, and tells it of a pause that began before it.
func (m *Meter) join(s *Session) {
	if until, paused := m.gate.state(time.Now()); paused {
		s.say("the model's side asked for a pause; all requests of this host wait until %s", clock(until))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[s] = true
}

func (m *Meter) leave(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s)
}

// tell brings a change of the pause into the host's log and into the log of every run.
func (m *Meter) tell(n notice) {
	if n.over {
		m.log.Info().Msg("model answers again, the pause is over")
	} else {
		m.log.Warn().Str("why", n.why).Time("until", n.until).Msg("all model requests pause")
	}
	m.mu.Lock()
	sessions := make([]*Session, 0, len(m.sessions))
	for s := range m.sessions {
		sessions = append(sessions, s)
	}
	m.mu.Unlock()
	for _, s := range sessions {
		if n.over {
			s.say("the model answers again; this host goes on")
			continue
		}
		s.say("the model's side asks for a pause (%s); all requests of this host wait until %s", n.why, clock(n.until))
	}
}

// clock writes a moment for people.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// quiet drops what the HTTP server would print: how a client broke the protocol is the client's affair.
func quiet() *stdlog.Logger { return stdlog.New(io.Discard, "", 0) }

// hide replaces the host's secrets in a text of the model's side, should it ever repeat one.
func (m *Meter) hide(text string) string {
	for _, secret := range m.secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// secrets are the values that must not go back to a session.
func (m *Meter) secrets() []string {
	all := []string{string(m.opts.APIKey), string(m.opts.Token), m.key.current()}
	for _, values := range m.extra {
		for _, v := range values {
			all = append(append(all, v), strings.Fields(v)...) // of "Bearer X" also X alone
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < 8 })
}
