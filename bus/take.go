package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"dozens/batch/work"
)

// Delivery is an offer that this host has taken from the queue and not settled yet. It is an alias so that
// the runner can declare the same type without either package importing the other.
type Delivery = interface {
	Offer() work.Offer
	InProgress() error           // keeps it from going to another host for another AckWait
	Ack() error                  // done with it: the engine forgets it; returns once it has
	Later(d time.Duration) error // gives it back, to be delivered to anybody after d
}

const (
	pullTime = 30 * time.Second
	ackTime  = 5 * time.Second
	// giveBack is how long a taken offer waits here for somebody to call Next before others may have it.
	giveBack = 50 * time.Millisecond
)

// lane takes one kind of work from the pool and from the host's own queue. Its goroutines pull only while
// somebody waits in Next, so that a host with no free slot leaves the work to others.
type lane struct {
	consumers [2]jetstream.Consumer
	asks      chan struct{} // a waiting Next wakes an idle puller
	out       chan Delivery
}

func (h *HostConn) openLanes(ctx context.Context) (map[work.Kind]*lane, error) {
	lanes := make(map[work.Kind]*lane, len(kinds()))
	for _, kind := range kinds() {
		pool, err := h.js.Consumer(ctx, runsStream, poolConsumer(kind))
		if err != nil {
			return nil, fmt.Errorf("open queue of the pool: %w", err)
		}
		own, err := h.ownConsumer(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("open queue of the host: %w", err)
		}
		lanes[kind] = &lane{
			consumers: [2]jetstream.Consumer{own, pool},
			asks:      make(chan struct{}),
			out:       make(chan Delivery),
		}
	}
	return lanes, nil
}

// ownConsumer is normally there, made by the server. With an external NATS that lets hosts do so, it is made here.
func (h *HostConn) ownConsumer(ctx context.Context, kind work.Kind) (jetstream.Consumer, error) {
	name := hostConsumer(h.name, kind)
	c, err := h.js.Consumer(ctx, runsStream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cfg := consumerConfig(name, offerSubject(h.name, kind), h.ackWait)
		return h.js.CreateOrUpdateConsumer(ctx, runsStream, cfg)
	}
	return c, err
}

// Next waits for an offer of one kind, from the pool or addressed to this host. Call it when there is room
// for the work; the delivery must be settled or kept in progress from then on. It returns ctx's error when
// that ends, and an error when the connection is closed.
func (h *HostConn) Next(ctx context.Context, kind work.Kind) (Delivery, error) {
	l := h.lanes[kind]
	if l == nil {
		return nil, fmt.Errorf("take work: kind %q is not known", kind)
	}
	for {
		select {
		case d := <-l.out:
			return d, nil
		case l.asks <- struct{}{}:
		case <-h.closed:
			return nil, fmt.Errorf("take work: %w", nats.ErrConnectionClosed)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (h *HostConn) pull(ctx context.Context, l *lane, c jetstream.Consumer) {
	for {
		select {
		case <-l.asks:
		case <-ctx.Done():
			return
		}
		if msg := h.fetch(ctx, c); msg != nil {
			h.hand(ctx, l, msg)
		}
	}
}

// fetch waits for one message, for pullTime at most; nil: there was none.
func (h *HostConn) fetch(ctx context.Context, c jetstream.Consumer) jetstream.Msg {
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(pullTime))
	if err == nil {
		select {
		case msg := <-batch.Messages():
			if msg != nil {
				return msg
			}
			err = batch.Error()
		case <-ctx.Done():
			return nil
		}
	}
	if err != nil && ctx.Err() == nil {
		h.log.Debug().Err(err).Msg("no work comes, trying again") // the connection itself says when it is gone
		pause(ctx, pauseOnError)
	}
	return nil
}

// hand gives the message to whoever waits in Next, and back to the queue when nobody does: its slot went to
// a message of the other consumer meanwhile.
func (h *HostConn) hand(ctx context.Context, l *lane, msg jetstream.Msg) {
	var o work.Offer
	err := json.Unmarshal(msg.Data(), &o)
	if err == nil {
		err = checkOffer(o)
	}
	if err != nil {
		h.log.Error().Err(err).Msg("offer thrown away: it cannot be read")
		h.settled(msg.Term())
		return
	}
	timer := time.NewTimer(giveBack)
	defer timer.Stop()
	select {
	case l.out <- &delivery{offer: o, msg: msg}:
	case <-timer.C:
		h.settled(msg.Nak())
	case <-ctx.Done():
		h.settled(msg.Nak())
	}
}

func (h *HostConn) settled(err error) {
	if err != nil {
		h.log.Warn().Err(err).Msg("offer not settled, it comes back")
	}
}

type delivery struct {
	offer work.Offer
	msg   jetstream.Msg
}

func (d *delivery) Offer() work.Offer { return d.offer }
func (d *delivery) InProgress() error { return d.msg.InProgress() }

func (d *delivery) Later(after time.Duration) error { return d.msg.NakWithDelay(after) }

func (d *delivery) Ack() error {
	ctx, cancel := context.WithTimeout(context.Background(), ackTime)
	defer cancel()
	return d.msg.DoubleAck(ctx)
}
