package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

const (
	linesKept    = 4096                   // lines waiting here
	linesOnWay   = 256                    // lines sent and not stored yet
	emitWait     = 100 * time.Millisecond // how long a full buffer may hold up the one who emits
	stallWait    = 2 * time.Second        // how long a line waits for room on the way; the buffer takes the others
	flushTime    = 2 * time.Second
	maxLineBytes = 256 << 10
)

// emitter sends log lines in the background. A log is worth less than the run it is of: when the wire does
// not keep up, lines are dropped; the gap shows in their numbers.
type emitter struct {
	host    string
	js      jetstream.JetStream
	log     zerolog.Logger
	queue   chan emitted
	ended   chan struct{}
	dropped atomic.Int64
	full    atomic.Bool // the buffer was full and nothing has fitted since: do not wait again
}

// emitted is a line, or the wish to know when all lines before it are stored.
type emitted struct {
	line   work.Line
	stored chan struct{}
}

func newEmitter(nc *nats.Conn, host string, log zerolog.Logger) (*emitter, error) {
	e := &emitter{host: host, log: log, queue: make(chan emitted, linesKept), ended: make(chan struct{})}
	lost := func(_ jetstream.JetStream, _ *nats.Msg, err error) { e.drop(1, err.Error()) }
	var err error
	e.js, err = jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(linesOnWay),
		jetstream.WithPublishAsyncTimeout(publishTime),
		jetstream.WithPublishAsyncErrHandler(lost),
	)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return e, nil
}

// Emit adds a line to the run's live log. It returns at once, except that the first line that finds the
// buffer full waits a tenth of a second. Lines that do not fit are lost.
func (h *HostConn) Emit(l work.Line) { h.lines.emit(l) }

func (e *emitter) emit(l work.Line) {
	select {
	case e.queue <- emitted{line: l}:
		e.full.Store(false)
		return
	default:
	}
	if e.full.Load() {
		e.drop(1, "the wire is too slow")
		return
	}
	timer := time.NewTimer(emitWait)
	defer timer.Stop()
	select {
	case e.queue <- emitted{line: l}:
	case <-timer.C:
		e.full.Store(true)
		e.drop(1, "the wire is too slow")
	case <-e.ended:
	}
}

// drop counts lost lines and says so at the first and then at every thousandth.
func (e *emitter) drop(n int64, why string) {
	if now := e.dropped.Add(n); now == n || now/1000 != (now-n)/1000 {
		e.log.Warn().Int64("dropped", now).Str("why", why).Msg("log lines are lost")
	}
}

// flush waits until all lines emitted so far are stored, for flushTime at most.
func (e *emitter) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	mark := emitted{stored: make(chan struct{})}
	select {
	case e.queue <- mark:
	case <-ctx.Done():
		return
	case <-e.ended:
		return
	}
	select {
	case <-mark.stored:
	case <-ctx.Done():
	case <-e.ended:
	}
}

// run sends until ctx ends, and then what is still in the queue.
func (e *emitter) run(ctx context.Context) {
	defer close(e.ended)
	for {
		select {
		case m := <-e.queue:
			e.send(m)
		case <-ctx.Done():
			e.empty(time.Now().Add(flushTime))
			return
		}
	}
}

// empty sends what is still in the queue, until the deadline: a wire that is gone must not hold up the end.
func (e *emitter) empty(deadline time.Time) {
	for len(e.queue) > 0 && time.Now().Before(deadline) {
		e.send(<-e.queue)
	}
	if n := len(e.queue); n > 0 {
		e.drop(int64(n), "the connection is being closed")
		return
	}
	e.wait()
}

func (e *emitter) send(m emitted) {
	if m.stored != nil {
		e.wait()
		close(m.stored)
		return
	}
	if !validName(m.line.Task) || m.line.Generation < 1 {
		e.drop(1, "the line names no task")
		return
	}
	data, err := json.Marshal(m.line)
	if err != nil || len(data) > maxLineBytes {
		e.drop(1, "the line is not JSON or too long")
		return
	}
	subject := logSubject(e.host, m.line.Task, m.line.Generation)
	if _, err := e.js.PublishAsync(subject, data, jetstream.WithStallWait(stallWait)); err != nil {
		e.drop(1, err.Error())
	}
}

func (e *emitter) wait() {
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	select {
	case <-e.js.PublishAsyncComplete():
	case <-timer.C:
	}
}
