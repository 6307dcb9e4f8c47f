package github

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// LostDelivery is a webhook that GitHub sent and nobody took.
type LostDelivery struct {
	ID    int64  // of one attempt
	GUID  string // X-GitHub-Delivery, the same for all attempts
	Event string
	At    time.Time
}

const deliveryPages = 20 // of a hundred attempts each

// LostDeliveries lists the webhooks since then that no attempt brought to us, oldest first. GitHub keeps them
// for three days and sends none again by itself.
func (a *App) LostDeliveries(ctx context.Context, since time.Time) ([]LostDelivery, error) {
	taken := map[string]bool{}
	var lost []LostDelivery
	opts := &gh.ListCursorOptions{PerPage: 100}
	for range deliveryPages {
		list, resp, err := a.installation(0).rest.Apps.ListHookDeliveries(ctx, opts)
		if err != nil {
			return nil, explain("list webhook deliveries", err)
		}
		old := false
		for _, d := range list {
			old = old || d.GetDeliveredAt().Before(since)
			switch code := d.GetStatusCode(); {
			case code >= 200 && code < 300:
				taken[d.GetGUID()] = true
			case !d.GetDeliveredAt().Before(since):
				lost = append(lost, LostDelivery{ID: d.GetID(), GUID: d.GetGUID(), Event: d.GetEvent(), At: d.GetDeliveredAt().Time})
			}
		}
		if old || resp.Cursor == "" {
			break
		}
		opts.Cursor = resp.Cursor
	}
	return oldestFirst(lost, taken), nil
}

// oldestFirst keeps one attempt of each delivery that was never taken.
func oldestFirst(lost []LostDelivery, taken map[string]bool) []LostDelivery {
	var all []LostDelivery
	for i := len(lost) - 1; i >= 0; i-- {
		if !taken[lost[i].GUID] {
			taken[lost[i].GUID] = true
			all = append(all, lost[i])
		}
	}
	return all
}

// DeliveryPayload reads what a delivery carried, as GitHub stored it.
func (a *App) DeliveryPayload(ctx context.Context, id int64) (json.RawMessage, error) {
	d, _, err := a.installation(0).rest.Apps.GetHookDelivery(ctx, id)
	if err != nil {
		return nil, explain(fmt.Sprintf("read webhook delivery %d", id), err)
	}
	if d.Request == nil || d.Request.RawPayload == nil {
		return nil, fmt.Errorf("read webhook delivery %d: %w: it has no payload", id, ErrNotFound)
	}
	return *d.Request.RawPayload, nil
}
