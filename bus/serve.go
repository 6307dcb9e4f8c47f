package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"dozens/batch/work"
)

// Desk answers the hosts. Its methods are called concurrently and may see the same thing twice: a claim
// whose answer was lost is asked again by the same host, and a report is delivered until Report returned nil.
type Desk interface {
	// Claim decides whether the host may carry out the offer. The same host may ask twice, see above.
	Claim(ctx context.Context, host string, o work.Offer) work.Answer
	// Beat takes a sign of life and says what to stop. Beat.Host is the host that really sent it.
	Beat(ctx context.Context, beat work.Beat) work.BeatAnswer
	// Report takes what came of a piece of work. Report.Host is the host that really sent it. A stale report
	// is not an error; an error brings the report back after a while.
	Report(ctx context.Context, r work.Report) error
}

const (
	serverQueue  = "server"         // servers share the questions of the hosts
	answersOnce  = 32               // questions of one sort answered at once
	reportsOnce  = 8                // reports handled at once
	deskTime     = 25 * time.Second // for one call of the desk; below AckWait
	pauseOnError = time.Second
)

// Serve answers claims and heartbeats and hands over reports until ctx ends. It returns nil then, and an
// error when the wire itself is lost for good. Errors and panics of the desk do not end it.
func (b *Bus) Serve(ctx context.Context, desk Desk) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.answer(ctx, "claim.*", claimHandler(desk)) })
	g.Go(func() error { return b.answer(ctx, "hb.*", beatHandler(desk)) })
	g.Go(func() error { return b.takeReports(ctx, desk) })
	return g.Wait()
}

// handler answers one question of a host.
type handler func(ctx context.Context, host string, data []byte) (any, error)

func claimHandler(desk Desk) handler {
	return func(ctx context.Context, host string, data []byte) (any, error) {
		var o work.Offer
		if err := json.Unmarshal(data, &o); err != nil {
			return nil, fmt.Errorf("read claim: %w", err)
		}
		if err := checkOffer(o); err != nil {
			return nil, fmt.Errorf("read claim: %w", err)
		}
		return desk.Claim(ctx, host, o), nil
	}
}

func beatHandler(desk Desk) handler {
	return func(ctx context.Context, host string, data []byte) (any, error) {
		var beat work.Beat
		if err := json.Unmarshal(data, &beat); err != nil {
			return nil, fmt.Errorf("read heartbeat: %w", err)
		}
		beat.Host = host
		return desk.Beat(ctx, beat), nil
	}
}

func (b *Bus) answer(ctx context.Context, subject string, h handler) error {
	sub, err := b.nc.QueueSubscribeSync(subject, serverQueue)
	if err != nil {
		return fmt.Errorf("listen to %s: %w", subject, err)
	}
	var g errgroup.Group
	g.SetLimit(answersOnce)
	defer func() {
		_ = sub.Unsubscribe() // fails only on a closed connection, where it is over anyway
		_ = g.Wait()          // the functions return nil
	}()
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubscription):
			return fmt.Errorf("listen to %s: %w", subject, err)
		case err != nil: // too slow for a moment: some questions were lost, the hosts ask again
			b.log.Warn().Err(err).Str("subject", subject).Msg("questions of hosts were lost")
		default:
			g.Go(func() error { b.answerOne(ctx, msg, h); return nil })
		}
	}
}

func (b *Bus) answerOne(ctx context.Context, msg *nats.Msg, h handler) {
	_, host, _ := strings.Cut(msg.Subject, ".")
	log := b.log.With().Str("host", host).Str("subject", msg.Subject).Logger()
	// Else a host could name the work stream as the reply and have our answer stored there as an offer.
	if !validName(host) || !strings.HasPrefix(msg.Reply, inbox(host)+".") {
		log.Warn().Msg("question not answered: the reply would not go to the host that asks")
		return
	}
	var answer any
	err := guard(func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, deskTime)
		defer cancel()
		answer, err = h(ctx, host, msg.Data)
		return err
	})
	if err == nil {
		err = reply(msg, answer)
	}
	if err != nil {
		log.Error().Err(err).Msg("question of a host not answered")
	}
}

func reply(msg *nats.Msg, answer any) error {
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	if err := msg.Respond(data); err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	return nil
}

// guard turns a panic of the desk into an error, so that one bad message does not end the service.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

func (b *Bus) takeReports(ctx context.Context, desk Desk) error {
	consumer, err := b.js.Consumer(ctx, reportsStream, reportsConsumer)
	if err != nil {
		return ignoreEnd(ctx, fmt.Errorf("listen to reports: %w", err))
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(reportsOnce))
	if err != nil {
		return ignoreEnd(ctx, fmt.Errorf("listen to reports: %w", err))
	}
	var g errgroup.Group
	g.SetLimit(reportsOnce)
	defer func() {
		it.Stop()
		_ = g.Wait() // the functions return nil
	}()
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("listen to reports: %w", err)
		case err != nil:
			b.log.Warn().Err(err).Msg("reports are not coming, trying again")
			pause(ctx, pauseOnError)
		default:
			g.Go(func() error { b.takeReport(ctx, desk, msg); return nil })
		}
	}
}

func (b *Bus) takeReport(ctx context.Context, desk Desk, msg jetstream.Msg) {
	host := strings.TrimSuffix(strings.TrimPrefix(msg.Subject(), "evt."), ".report")
	var r work.Report
	if err := json.Unmarshal(msg.Data(), &r); err != nil || msg.Subject() != reportSubject(host) {
		b.log.Error().Err(err).Str("subject", msg.Subject()).Msg("report thrown away: it cannot be read")
		b.settled(msg.Term())
		return
	}
	r.Host = host
	err := guard(func() error {
		ctx, cancel := context.WithTimeout(ctx, deskTime)
		defer cancel()
		return desk.Report(ctx, r)
	})
	if err == nil {
		b.settled(msg.Ack())
		return
	}
	log := b.log.With().Str("task", r.Task).Str("host", host).Logger()
	log.Error().Err(err).Msg("report not taken, it comes back")
	b.settled(msg.NakWithDelay(retryAfter(msg)))
}

// settled logs an answer to the engine that could not be given; the message then comes back by itself.
func (b *Bus) settled(err error) {
	if err != nil {
		b.log.Warn().Err(err).Msg("message not settled, it comes back")
	}
}

// retryAfter grows from one second to half a minute with the number of deliveries.
func retryAfter(msg jetstream.Msg) time.Duration {
	meta, err := msg.Metadata()
	if err != nil || meta.NumDelivered > 5 {
		return 30 * time.Second
	}
	return time.Second << (meta.NumDelivered - 1)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ignoreEnd keeps an error that only says that the caller wanted to end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
