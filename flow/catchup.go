package flow

import (
	"context"
	"errors"
	"time"

	"dozens/github"
	"dozens/store"
)

const (
	catchUpPause = 15 * time.Minute   // between two questions for lost webhooks
	keptByGitHub = 3 * 24 * time.Hour // how long GitHub keeps deliveries
)

// catchUp fetches the webhooks that GitHub could not bring while nobody was there, and stores them as if they
// had just arrived: GitHub sends none again by itself.
func (f *Flow) catchUp(ctx context.Context) error {
	if f.opts.Describe == nil {
		return nil
	}
	lost, err := f.github.LostDeliveries(ctx, time.Now().Add(-keptByGitHub))
	if errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrForbidden) {
		return nil // a GitHub without this list
	} else if err != nil {
		return err
	}
	for _, d := range lost {
		if _, _, err := f.store.DeliveryState(ctx, d.GUID); !errors.Is(err, store.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		payload, err := f.github.DeliveryPayload(ctx, d.ID)
		if errors.Is(err, github.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		if _, err := f.store.Put(ctx, f.opts.Describe(d.Event, d.GUID, payload)); err != nil {
			return err
		}
		f.log.Info().Str("delivery", d.GUID).Str("event", d.Event).Time("sent", d.At).Msg("lost webhook fetched")
	}
	return nil
}
