package runner

import (
	"context"
	"slices"
	"sync"

	"dozens/batch/work"
)

// jobs are the pieces of work in hand. A task has one at a time, because it has one worktree.
type jobs struct {
	mu       sync.Mutex
	byTask   map[string]*job
	draining []work.Kind // kinds that begin cancelled
}

// job is one piece of work in hand.
type job struct {
	offer   work.Offer
	ctx     context.Context // of the work: ends when it is stopped
	cancel  context.CancelCauseFunc
	claimed bool // the server said go: it counts as held
	ended   chan struct{}
}

// standing says how an offer relates to what is in hand.
type standing int

const (
	fresh    standing = iota // begun now
	doubled                  // this very work is in hand
	taskBusy                 // other work of the same task is in hand
)

func newJobs() *jobs { return &jobs{byTask: map[string]*job{}} }

// begin enters the work, unless its task has some already: then it returns that. Whoever begins work must end it.
func (j *jobs) begin(ctx context.Context, o work.Offer) (*job, standing) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if other := j.byTask[o.Task]; other != nil {
		if other.offer.ID() == o.ID() {
			return other, doubled
		}
		return other, taskBusy
	}
	b := &job{offer: o, ended: make(chan struct{})}
	b.ctx, b.cancel = context.WithCancelCause(ctx)
	j.byTask[o.Task] = b
	if slices.Contains(j.draining, o.Kind) {
		b.cancel(errDraining)
	}
	return b, fresh
}

func (j *jobs) end(b *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b.cancel(nil)
	delete(j.byTask, b.offer.Task)
	close(b.ended)
}

func (j *jobs) claimed(b *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b.claimed = true
}

// stop cancels the work with this ID. Work that is not in hand, or not ours yet, is none of its business.
func (j *jobs) stop(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, b := range j.byTask {
		if b.claimed && b.offer.ID() == id {
			b.cancel(errStopped)
			return true
		}
	}
	return false
}

// drain cancels all work of these kinds, now and when it begins later.
func (j *jobs) drain(kinds ...work.Kind) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.draining = kinds
	for _, b := range j.byTask {
		if slices.Contains(kinds, b.offer.Kind) {
			b.cancel(errDraining)
		}
	}
}

// held are the IDs of the claimed work, sorted.
func (j *jobs) held() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ids []string
	for _, b := range j.byTask {
		if b.claimed {
			ids = append(ids, b.offer.ID())
		}
	}
	slices.Sort(ids)
	return ids
}
