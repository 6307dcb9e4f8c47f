package bus

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// DialOptions say how a host reaches the wire from another process.
type DialOptions struct {
	URL        string
	Name       string     // the host's name
	Credential Credential // a credentials file, or a Password; User is filled in from the name when empty
	TLS        *tls.Config
	Log        zerolog.Logger
}

// HostConn is a host's end of the wire. Safe for concurrent use.
type HostConn struct {
	name    string
	nc      *nats.Conn
	closed  <-chan struct{}
	js      jetstream.JetStream
	log     zerolog.Logger
	ackWait time.Duration

	lanes map[work.Kind]*lane
	lines *emitter
	stops chan string

	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
}

const (
	claimTime = 30 * time.Second // longer than the server gives its desk
	beatTime  = 5 * time.Second
)

// Host opens the connection of a host that lives in this process. Close it, or the Bus, when done.
func (b *Bus) Host(ctx context.Context, name string) (*HostConn, error) {
	if !validName(name) {
		return nil, fmt.Errorf("open host %q: %w", name, ErrName)
	}
	if err := makeHostConsumers(ctx, b.js, name, b.opts.AckWait); err != nil {
		return nil, fmt.Errorf("open host %s: %w", name, err)
	}
	h, err := openHost(ctx, b.target(), name, b.opts.AckWait)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.hosts = append(b.hosts, h)
	b.mu.Unlock()
	return h, nil
}

// Dial opens the connection of a host in another process than the server. The server must know the host's
// login; ctx bounds the opening only. Close the connection when done.
func Dial(ctx context.Context, opts DialOptions) (*HostConn, error) {
	if !validName(opts.Name) {
		return nil, fmt.Errorf("open host %q: %w", opts.Name, ErrName)
	}
	if opts.Credential.User == "" && opts.Credential.Password != "" {
		opts.Credential.User = Login{Host: opts.Name}.userName()
	}
	t := target{url: opts.URL, credential: opts.Credential, tls: opts.TLS, log: opts.Log}
	return openHost(ctx, t, opts.Name, defaultAckWait)
}

func openHost(ctx context.Context, t target, name string, ackWait time.Duration) (*HostConn, error) {
	ctx, cancelOpen := context.WithTimeout(ctx, openTime)
	defer cancelOpen()
	nc, closed, err := dial(ctx, t, inbox(name), "host "+name)
	if err != nil {
		return nil, fmt.Errorf("open host %s: %w", name, err)
	}
	h := &HostConn{
		name:    name,
		nc:      nc,
		closed:  closed,
		log:     t.log.With().Str("host", name).Logger(),
		ackWait: ackWait,
		stops:   make(chan string, 64),
	}
	if err := h.start(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("open host %s: %w", name, err)
	}
	return h, nil
}

// start listens for hints and starts the goroutines that Close ends.
func (h *HostConn) start(ctx context.Context) (err error) {
	if h.js, err = jetstream.New(h.nc); err != nil {
		return err
	}
	if h.lanes, err = h.openLanes(ctx); err != nil {
		return err
	}
	if h.lines, err = newEmitter(h.nc, h.name, h.log); err != nil {
		return err
	}
	if _, err = h.nc.Subscribe(ctlSubject(h.name), h.hint); err != nil {
		return fmt.Errorf("listen to hints: %w", err)
	}
	run, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	for _, l := range h.lanes {
		for _, c := range l.consumers {
			h.wg.Go(func() { h.pull(run, l, c) })
		}
	}
	h.wg.Go(func() { h.lines.run(run) })
	return nil
}

// hint passes on which work to stop. Nobody reading must not hold up the connection: it is only a hint.
func (h *HostConn) hint(msg *nats.Msg) {
	select {
	case h.stops <- string(msg.Data):
	default:
	}
}

// Close sends the log lines that are still here and ends the connection. Work that was taken and not
// acknowledged goes to another host when its time is over.
func (h *HostConn) Close() {
	h.once.Do(func() {
		h.cancel()
		h.wg.Wait()
		closeConn(h.nc)
	})
}

// Name is the host's name on the wire.
func (h *HostConn) Name() string { return h.name }

// Stops tells the IDs of offers that the server would like stopped, soon after it said so. Hints can get
// lost; the answer to Beat is the sure list.
func (h *HostConn) Stops() <-chan string { return h.stops }

// Claim asks the server whether this host may carry out the offer. The answer can hold a token: it is for
// memory only. An error means that nobody answered; ask again later.
func (h *HostConn) Claim(ctx context.Context, o work.Offer) (work.Answer, error) {
	var a work.Answer
	if err := h.ask(ctx, "claim."+h.name, claimTime, o, &a); err != nil {
		return work.Answer{}, fmt.Errorf("claim %s: %w", o.ID(), err)
	}
	return a, nil
}

// Beat gives a sign of life and returns what to stop.
func (h *HostConn) Beat(ctx context.Context, beat work.Beat) (work.BeatAnswer, error) {
	beat.Host = h.name
	var a work.BeatAnswer
	if err := h.ask(ctx, "hb."+h.name, beatTime, beat, &a); err != nil {
		return work.BeatAnswer{}, fmt.Errorf("send heartbeat: %w", err)
	}
	return a, nil
}

func (h *HostConn) ask(ctx context.Context, subject string, limit time.Duration, question, answer any) error {
	data, err := json.Marshal(question)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("the server did not answer in time"))
	defer cancel()
	msg, err := h.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if err := json.Unmarshal(msg.Data, answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// Report hands over what came of a piece of work, after the log lines emitted before it. It tries until the
// stream has the report on disk, or ctx ends. Repeating it is harmless.
func (h *HostConn) Report(ctx context.Context, r work.Report) error {
	r.Host = h.name
	data, err := h.encode(r)
	if err != nil {
		return fmt.Errorf("report %s: %w", r.ID(), err)
	}
	h.lines.flush(ctx)
	id := jetstream.WithMsgID(r.ID() + "." + string(r.Outcome))
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := h.publish(ctx, data, id)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("report %s: %w", r.ID(), err)
		}
		h.log.Warn().Err(err).Str("task", r.Task).Msg("report not sent yet, trying again")
		pause(ctx, wait)
	}
}

func (h *HostConn) publish(ctx context.Context, data []byte, id jetstream.PublishOpt) error {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	_, err := h.js.Publish(ctx, reportSubject(h.name), data, id)
	return err
}

// encode makes sure that the report fits into a message: one that never can would be tried for ever.
func (h *HostConn) encode(r work.Report) ([]byte, error) {
	data, err := json.Marshal(r)
	const headers = 1 << 10
	if err != nil || int64(len(data)) < h.nc.MaxPayload()-headers {
		return data, err
	}
	r.Reason = fmt.Sprintf("the result is too big to be handed over: %d bytes with %d changed paths", len(data), len(r.Changes))
	r.Outcome, r.Output, r.Changes = work.Fault, nil, nil
	return json.Marshal(r)
}
