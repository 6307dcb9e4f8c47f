package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"dozens/batch/work"
)

// publishTime bounds one try to put a message into a stream.
const publishTime = 10 * time.Second

// Offer puts a piece of work into the host's queue, or into the pool when host is empty. It may be repeated
// after a crash: within two minutes a second message with the same offer and nonce is dropped by the engine,
// and later ones are dropped by the claim. A new nonce offers the same work again on purpose.
func (b *Bus) Offer(ctx context.Context, host string, o work.Offer, nonce string) error {
	if err := checkOffer(o); err != nil {
		return fmt.Errorf("offer work: %w", err)
	}
	if host != "" && !validName(host) {
		return fmt.Errorf("offer %s to host %q: %w", o.ID(), host, ErrName)
	}
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("offer %s: %w", o.ID(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	_, err = b.js.Publish(ctx, offerSubject(host, o.Kind), data, jetstream.WithMsgID(o.ID()+"."+nonce))
	if err != nil {
		return fmt.Errorf("offer %s: %w", o.ID(), err)
	}
	return nil
}

// Stop hints to a host that it should stop a piece of work. The hint can get lost; the sure way is the
// answer to the host's next heartbeat.
func (b *Bus) Stop(ctx context.Context, host, offerID string) error {
	if !validName(host) {
		return fmt.Errorf("stop %s on host %q: %w", offerID, host, ErrName)
	}
	if err := b.nc.Publish(ctlSubject(host), []byte(offerID)); err != nil {
		return fmt.Errorf("stop %s on host %s: %w", offerID, host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("stop %s on host %s: %w", offerID, host, err)
	}
	return nil
}
