package runner

import (
	"context"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// taskRE is what a task's id may be made of: it becomes the name of files and folders.
var taskRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// maxReason bounds the words of a report, in bytes.
const maxReason = 4000

// handle brings one delivery to its end: it is acknowledged, given back, or left to come again. Its context
// outlives the end of the host by what is needed to report.
func (h *Host) handle(ctx context.Context, d Delivery) {
	o := d.Offer()
	log := h.log.With().Str("task", o.Task).Int("generation", o.Generation).Str("kind", string(o.Kind)).Logger()
	if !taskRE.MatchString(o.Task) {
		log.Error().Msg("offer thrown away: no such task id can be")
		h.settled(d.Ack())
		return
	}
	ctx = log.WithContext(ctx)
	job, how := h.begin(ctx, o)
	switch how {
	case doubled: // redelivered while it is being done
		h.settled(d.InProgress())
		return
	case taskBusy: // an older run of the task has still to end
		h.settled(d.Later(laterPause))
		return
	case fresh:
	}
	defer h.jobs.end(job)
	defer h.keep(d)()
	if r, ok := h.known(o); ok {
		log.Info().Msg("work is finished already, its report is sent again")
		h.deliver(ctx, d, r)
		return
	}
	h.claim(ctx, d, job)
}

// begin enters the work. The push that follows a run can be here before the run's last step is done, so for a
// task that is busy it waits a little.
func (h *Host) begin(ctx context.Context, o work.Offer) (*job, standing) {
	job, how := h.jobs.begin(ctx, o)
	if how != taskBusy {
		return job, how
	}
	timer := time.NewTimer(laterPause)
	defer timer.Stop()
	select {
	case <-job.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	return h.jobs.begin(ctx, o)
}

// known is the report of work that this host has finished. Pushes and cleanups whose report went out may be
// wanted again under the same ID, and doing them twice is harmless: for those the claim decides.
func (h *Host) known(o work.Offer) (work.Report, bool) {
	e, ok := h.journal.get(o.ID())
	if !ok || e.Report == nil || (o.Kind != work.Run && !e.Sent.IsZero()) {
		return work.Report{}, false
	}
	return *e.Report, true
}

// keep marks the delivery as in progress until the returned function is called.
func (h *Host) keep(d Delivery) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(h.opts.KeepEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				h.settled(d.InProgress())
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// claim asks the server and does what it says.
func (h *Host) claim(ctx context.Context, d Delivery, job *job) {
	log := zerolog.Ctx(ctx)
	answer, err := h.opts.Server.Claim(ctx, job.offer)
	if err != nil {
		log.Warn().Err(err).Msg("claim not answered, asking again later")
		h.settled(d.Later(laterPause))
		return
	}
	switch answer.Decision {
	case work.Go:
		if answer.Order == nil || answer.Order.ID() != job.offer.ID() {
			log.Error().Msg("claim answered without its order, asking again later")
			h.settled(d.Later(laterPause))
			return
		}
		h.jobs.claimed(job)
		log.Info().Msg("work begins")
		h.deliver(ctx, d, h.carryOut(ctx, job, answer.Order))
	case work.Drop:
		log.Debug().Str("why", answer.Why).Msg("work is not wanted any more")
		if err := h.journal.forget(job.offer.ID()); err != nil {
			log.Error().Err(err).Msg("journal not cleaned")
		}
		h.settled(d.Ack())
	case work.Later:
		h.settled(d.Later(laterPause))
	default:
		log.Error().Str("decision", string(answer.Decision)).Msg("claim answered in words that this host does not know, asking again later")
		h.settled(d.Later(laterPause))
	}
}

// carryOut does the work between its two notes in the journal. A panic in it fails this work only.
func (h *Host) carryOut(ctx context.Context, job *job, o *work.Order) (r work.Report) {
	log := zerolog.Ctx(ctx)
	r = work.Report{Offer: o.Offer, Host: h.opts.Name, Started: time.Now().UTC()}
	lines := newLines(h.opts.Server, o)
	if err := h.journal.begin(o.Offer, r.Started); err != nil {
		log.Error().Err(err).Msg("work not begun")
		r.Outcome, r.Reason = work.Fault, "host "+h.opts.Name+" cannot write its journal; is its disk full?"
	} else {
		h.guarded(ctx, job, o, lines, &r)
	}
	r.Ended = time.Now().UTC()
	r.Reason = cut(lines.hide(r.Reason), maxReason)
	if err := h.journal.finish(r); err != nil {
		log.Error().Err(err).Msg("report not noted in the journal")
	}
	log.Info().Str("outcome", string(r.Outcome)).Dur("took", r.Ended.Sub(r.Started)).Msg("work ends")
	return r
}

func (h *Host) guarded(ctx context.Context, job *job, o *work.Order, lines *lines, r *work.Report) {
	defer func() {
		if p := recover(); p != nil {
			zerolog.Ctx(ctx).Error().Str("stack", string(debug.Stack())).Msgf("work panicked: %v", p)
			r.Outcome = work.Fault
			r.Reason = fmt.Sprintf("host %s made a mistake of its own; its log says more (task %s)", h.opts.Name, o.Task)
		}
	}()
	do := act{host: h, order: o, lines: lines, ctx: job.ctx, life: ctx}
	switch o.Kind {
	case work.Run:
		do.run(r)
	case work.Publish:
		do.publish(r)
	case work.Cleanup:
		do.cleanup(r)
	default:
		r.Outcome, r.Reason = work.Fault, fmt.Sprintf("host %s does not know work of the kind %q", h.opts.Name, o.Kind)
	}
}

// deliver sends the report and then settles the delivery, so that neither can be lost.
func (h *Host) deliver(ctx context.Context, d Delivery, r work.Report) {
	if err := h.send(ctx, r); err != nil {
		zerolog.Ctx(ctx).Error().Err(err).Msg("report not sent, it is sent when the host starts again")
		return
	}
	h.settled(d.Ack())
}

func (h *Host) send(ctx context.Context, r work.Report) error {
	if err := h.opts.Server.Report(ctx, r); err != nil {
		return fmt.Errorf("send report: %w", err)
	}
	return h.journal.sent(r.ID(), time.Now().UTC())
}

// settled logs a delivery that could not be settled; it comes again and is recognised.
func (h *Host) settled(err error) {
	if err != nil {
		h.log.Warn().Err(err).Msg("offer not settled, it comes again")
	}
}

// cut shortens a text to at most n bytes of valid UTF-8.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + " …"
}
