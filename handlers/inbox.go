package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/palantir/go-githubapp/githubapp"
	"github.com/rs/zerolog"

	"dozens/batch"
)

// Inbox keeps deliveries. Put returns only after d is safe on disk; fresh is false when a delivery of the same ID
// is there already. Put owns d.Payload from then on.
type Inbox interface {
	Put(ctx context.Context, d batch.Delivery) (fresh bool, err error)
}

// putTimeout ends storing before GitHub gives up waiting for the answer, which it does after ten seconds.
const putTimeout = 9 * time.Second

// Events lists the webhook events that are worked on. Others are stored too, with a note.
func Events() []string {
	return []string{
		"issues", "issue_comment",
		"pull_request", "pull_request_review", "pull_request_review_comment", "pull_request_review_thread",
		"check_run", "check_suite", "status", "workflow_run",
		"push", "repository", "installation", "installation_repositories",
	}
}

// scheduler is go-githubapp's hook for what happens to a verified webhook: ours stores it, and only then lets the
// dispatcher answer.
type scheduler struct {
	inbox   Inbox
	now     func() time.Time
	metrics *Metrics
	log     zerolog.Logger
}

var _ githubapp.Scheduler = (*scheduler)(nil)

// Schedule stores the delivery. It returns an error when it could not be stored; a duplicate is no error.
func (s *scheduler) Schedule(ctx context.Context, d githubapp.Dispatch) error {
	return s.put(ctx, d.EventType, d.DeliveryID, d.Payload, "")
}

// Describe makes the delivery of a webhook that came by another way than the hook, with its lane, and with a note
// when it will not be worked on.
func Describe(event, id string, payload []byte) batch.Delivery {
	d := batch.Delivery{ID: id, Event: event, Payload: payload}
	if !slices.Contains(Events(), event) {
		d.Note = noteUnused
	}
	describe(&d)
	return d
}

func (s *scheduler) put(ctx context.Context, event, id string, payload []byte, note string) error {
	d := batch.Delivery{ID: id, Event: event, Payload: payload, Note: note, At: s.now()}
	describe(&d)
	// What has arrived is stored even when the sender has hung up meanwhile: it would only have to come again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	fresh, err := s.inbox.Put(ctx, d)
	if err != nil {
		s.metrics.delivery(event, "failed")
		return fmt.Errorf("store delivery %s: %w", id, err)
	}
	result := "stored"
	if !fresh {
		result = "duplicate"
	}
	s.metrics.delivery(event, result)
	s.log.Debug().Str("delivery", id).Str("event", event).Str("action", d.Action).Str("lane", d.Lane).
		Str("note", d.Note).Bool("fresh", fresh).Msg("webhook stored")
	return nil
}

// subscription tells the dispatcher which events to schedule. Its Handle is never reached: the scheduler stores
// deliveries instead of handling them.
type subscription struct{}

var _ githubapp.EventHandler = subscription{}

func (subscription) Handles() []string { return Events() }

func (subscription) Handle(context.Context, string, string, []byte) error {
	return errors.New("deliveries are worked on from the inbox, not while they arrive")
}
