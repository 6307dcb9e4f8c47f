package flow

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/github"
	"dozens/store"
)

const (
	laneTime    = 2 * time.Minute // longest hold of a lane by one job, which ends before that
	triedFor    = 24 * time.Hour  // a delivery is given up after that, and the lane goes on
	stateDone   = "done"
	stateNoted  = "noted"
	stateDead   = "dead"
	lanePrefix  = "lane:"
	mergePrefix = "merge:"
)

// workInbox works off a lane, delivery by delivery in the order of arrival. There is a job for each delivery;
// the one that gets the lane does the work of all, and the others end. Whoever gives the lane back looks once
// more, so that what came in between is not left lying.
func (f *Flow) workInbox(ctx context.Context, job *river.Job[inboxArgs]) error {
	lane, holder := job.Args.Lane, strconv.FormatInt(job.ID, 10)
	for {
		held, err := f.store.Lock(ctx, lanePrefix+lane, holder, laneTime)
		if err != nil || !held {
			return err
		}
		err = f.drainLane(ctx, lane)
		if err = errors.Join(err, f.store.Unlock(context.WithoutCancel(ctx), lanePrefix+lane, holder)); err != nil {
			return err
		}
		if _, _, err := f.store.NextDelivery(ctx, lane); errors.Is(err, store.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (f *Flow) drainLane(ctx context.Context, lane string) error {
	for {
		err := f.workOne(ctx, lane)
		if errors.Is(err, errLaneEmpty) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

var errLaneEmpty = errors.New("the lane is empty")

// workOne works off the oldest delivery of a lane that is held.
func (f *Flow) workOne(ctx context.Context, lane string) error {
	d, tries, err := f.store.NextDelivery(ctx, lane)
	if errors.Is(err, store.ErrNotFound) {
		return errLaneEmpty
	} else if err != nil {
		return err
	}
	log := f.log.With().Str("delivery", d.ID).Str("event", d.Event).Str("action", d.Action).Logger()
	note, err := f.handleSafely(log.WithContext(ctx), d)
	var limit *github.LimitError
	switch {
	case err == nil && note == "":
		return f.store.Delivered(ctx, d.ID, stateDone, "")
	case err == nil:
		log.Debug().Str("note", note).Msg("delivery noted")
		return f.store.Delivered(ctx, d.ID, stateNoted, note)
	case errors.As(err, &limit):
		return err
	case time.Since(d.At) > triedFor:
		log.Error().Err(err).Msg("delivery given up")
		return f.store.Delivered(ctx, d.ID, stateDead, err.Error())
	}
	log.Warn().Err(err).Int("try", tries+1).Msg("delivery not worked off, will be tried again")
	return errors.Join(fmt.Errorf("delivery %s: %w", d.ID, err), f.store.Tried(ctx, d.ID, err.Error()))
}

// handleSafely makes a panic over one delivery an error like any other: it is noted, tried again, and given up.
func (f *Flow) handleSafely(ctx context.Context, d batch.Delivery) (note string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			f.log.Error().Str("delivery", d.ID).Bytes("stack", debug.Stack()).Msg("delivery caused a panic")
		}
	}()
	return f.handle(ctx, d)
}
