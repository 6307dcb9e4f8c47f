package flow

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/riverqueue/river"

	"dozens/github"
	"dozens/store"
)

const (
	laneTime    = 2 * time.Minute       // longest hold of a lane by one delivery
	laneRetry   = 50 * time.Millisecond // until a busy lane is looked at again
	mostTries   = 12                    // of one delivery, before it is given up and the lane goes on
	stateDone   = "done"
	stateNoted  = "noted"
	stateDead   = "dead"
	lanePrefix  = "lane:"
	mergePrefix = "merge:"
)

// workInbox works off the oldest delivery of a lane. There is one such job for each delivery, and whichever
// comes first takes the oldest, so that what happens on one issue is worked on in the order of arrival.
func (f *Flow) workInbox(ctx context.Context, job *river.Job[inboxArgs]) (err error) {
	lane, holder := job.Args.Lane, strconv.FormatInt(job.ID, 10)
	held, err := f.store.Lock(ctx, lanePrefix+lane, holder, laneTime)
	if err != nil {
		return err
	}
	if !held {
		return river.JobSnooze(laneRetry)
	}
	defer func() {
		err = errors.Join(err, f.store.Unlock(context.WithoutCancel(ctx), lanePrefix+lane, holder))
	}()
	d, tries, err := f.store.NextDelivery(ctx, lane)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	log := f.log.With().Str("delivery", d.ID).Str("event", d.Event).Str("action", d.Action).Logger()
	note, err := f.handle(log.WithContext(ctx), d)
	var limit *github.LimitError
	switch {
	case err == nil && note == "":
		return f.store.Delivered(ctx, d.ID, stateDone, "")
	case err == nil:
		log.Debug().Str("note", note).Msg("delivery noted")
		return f.store.Delivered(ctx, d.ID, stateNoted, note)
	case errors.As(err, &limit):
		return err
	case tries+1 >= mostTries:
		log.Error().Err(err).Msg("delivery given up")
		return f.store.Delivered(ctx, d.ID, stateDead, err.Error())
	}
	log.Warn().Err(err).Int("try", tries+1).Msg("delivery not worked off, will be tried again")
	return errors.Join(fmt.Errorf("delivery %s: %w", d.ID, err), f.store.Tried(ctx, d.ID, err.Error()))
}
