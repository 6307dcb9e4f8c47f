package runner

import (
	"context"
	"fmt"
	"time"

	"dozens/batch/work"
)

// beating is what the heartbeat remembers. Only one goroutine at a time uses it.
type beating struct {
	answered time.Time // last answer
	missed   bool      // the last beat had no answer, and this is logged
}

// afterglow is how long finished work still counts as held: its report may be on the way to the server, and
// what is not held any more is given to others.
const afterglow = 2 * time.Minute

// recoverWork settles what the last host process left: it ends its leftover agents, sends its reports, and
// tells the server what is lost, in this order, before any new work is taken.
func (h *Host) recoverWork(ctx context.Context) error {
	for _, id := range h.journal.unfinished() {
		h.log.Warn().Str("work", id).Msg("work was cut off by a crash, it goes back to the server")
		if err := h.opts.Agent.Reap(ctx, id); err != nil {
			return fmt.Errorf("end leftover processes of %s: %w", id, err)
		}
		if err := h.journal.forget(id); err != nil {
			return err
		}
	}
	everything := func(string) bool { return true } // only the server knows what is live: repair, remove nothing
	if err := h.opts.Trees.Sweep(ctx, everything); err != nil {
		h.log.Error().Err(err).Msg("worktrees not swept")
	}
	for _, r := range h.journal.unsent() {
		if err := h.send(ctx, r); err != nil {
			return err
		}
	}
	for !h.beatOnce(ctx, true) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause(ctx, min(h.opts.BeatEvery, time.Second))
	}
	return nil
}

// beat gives signs of life until ctx ends.
func (h *Host) beat(ctx context.Context) {
	tick := time.NewTicker(h.opts.BeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.beatOnce(ctx, false)
		case <-ctx.Done():
			return
		}
	}
}

// beatOnce says what is held and stops what the answer names. False: nobody answered; work goes on.
func (h *Host) beatOnce(ctx context.Context, first bool) bool {
	held := append(h.jobs.held(), h.reportsOnTheWay()...)
	b := work.Beat{Host: h.opts.Name, Slots: h.opts.Slots, Held: held, First: first}
	asked := time.Now()
	answer, err := h.opts.Server.Beat(ctx, b)
	if err != nil {
		if !h.beating.missed && ctx.Err() == nil {
			h.log.Warn().Err(err).Msg("server does not answer, work goes on")
			h.beating.missed = true
		}
		return false
	}
	if h.beating.missed {
		h.log.Info().Msg("server answers again")
	}
	h.beating = beating{answered: asked}
	for _, id := range answer.Stop {
		h.stop(id)
	}
	return true
}

// reportsOnTheWay is finished work that the server may not know of yet. Before the first answer, and after a
// time without one, that is everything since: the reports lie in the queue that the server has yet to read.
func (h *Host) reportsOnTheWay() []string {
	if h.beating.answered.IsZero() {
		return h.journal.finishedSince(time.Time{})
	}
	return h.journal.finishedSince(h.beating.answered.Add(-afterglow))
}

// obey stops what the server hints at, without waiting for the next beat.
func (h *Host) obey(ctx context.Context) {
	for {
		select {
		case id := <-h.opts.Server.Stops():
			h.stop(id)
		case <-ctx.Done():
			return
		}
	}
}

func (h *Host) stop(id string) {
	if h.jobs.stop(id) {
		h.log.Info().Str("work", id).Msg("server stops work")
	}
}
