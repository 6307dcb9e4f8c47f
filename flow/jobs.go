package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"dozens/batch"
	"dozens/batch/work"
	"dozens/github"
	"dozens/store"
)

// The jobs. Each is short, may run twice, and reads the state it acts on anew.
type (
	inboxArgs struct { // work off the oldest delivery of a lane
		Lane string `json:"lane"`
	}
	pumpArgs struct { // offer what may run now
		Repo batch.Repo `json:"repo"`
	}
	offerArgs struct { // put a piece of work on the wire
		Host  string     `json:"host"`
		Offer work.Offer `json:"offer"`
		Nonce string     `json:"nonce"`
	}
	stopArgs struct { // hint to a host that a run should end
		Host  string `json:"host"`
		Offer string `json:"offer"`
	}
	openArgs struct { // open or update the pull request
		Task string `json:"task"`
	}
	lookArgs struct { // read the facts and judge; wishes up to N are covered by one look, 0 is a wish of its own
		Task string `json:"task"`
		N    int64  `json:"n"`
		Try  int    `json:"try,omitempty"`
	}
	readyArgs struct { // mark ready for review, ask reviewers
		Task string `json:"task"`
	}
	mergeArgs struct { // merge, head pinned
		Task string `json:"task"`
	}
	cleanArgs struct { // remove what a task leaves behind
		Task string `json:"task"`
	}
	askArgs struct { // put the task's question where people look
		Task       string `json:"task"`
		Generation int    `json:"generation"`
	}
	wakeArgs struct { // a usage limit may be over
		Task       string `json:"task"`
		Generation int    `json:"generation"`
	}
	statusArgs struct { // bring the status comment up to date
		Batch string `json:"batch"`
		N     int64  `json:"n"`
	}
	planArgs struct { // show the plan
		Batch string `json:"batch"`
	}
	settleArgs struct { // see whether a batch has ended
		Batch string `json:"batch"`
	}
)

func (inboxArgs) Kind() string  { return "inbox" }
func (pumpArgs) Kind() string   { return "pump" }
func (offerArgs) Kind() string  { return "offer" }
func (stopArgs) Kind() string   { return "stop" }
func (openArgs) Kind() string   { return "open" }
func (lookArgs) Kind() string   { return "look" }
func (readyArgs) Kind() string  { return "ready" }
func (mergeArgs) Kind() string  { return "merge" }
func (cleanArgs) Kind() string  { return "clean" }
func (askArgs) Kind() string    { return "ask" }
func (wakeArgs) Kind() string   { return "wake" }
func (statusArgs) Kind() string { return "status" }
func (planArgs) Kind() string   { return "plan" }
func (settleArgs) Kind() string { return "settle" }

const (
	jobTimeout   = time.Minute
	workers      = 20
	mostAttempts = 1000        // some 30 hours: GitHub may be away for a night
	pollPause    = time.Second // new jobs wake the workers at once; those that slept a moment are found by polling
)

func (f *Flow) jobConfig() *river.Config {
	w := river.NewWorkers()
	add(w, f.workInbox)
	add(w, f.pump)
	add(w, f.offer)
	add(w, f.stop)
	add(w, f.open)
	add(w, f.look)
	add(w, f.ready)
	add(w, f.merge)
	add(w, f.clean)
	add(w, f.ask)
	add(w, f.wake)
	add(w, f.status)
	add(w, f.showPlan)
	add(w, f.settle)
	return &river.Config{
		MaxAttempts:                 mostAttempts,
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers, FetchCooldown: 5 * time.Millisecond, FetchPollInterval: pollPause}},
		Workers:                     w,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        jobTimeout + 30*time.Second,
		FetchCooldown:               5 * time.Millisecond,
		RetryPolicy:                 backoff{},
		Logger:                      quiet(f.log),
		CompletedJobRetentionPeriod: time.Hour,
	}
}

// add registers a function as the worker of its job, with what all have in common: a job that meets GitHub's
// rate limit sleeps until it is over.
func add[T river.JobArgs](w *river.Workers, do func(context.Context, *river.Job[T]) error) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, job *river.Job[T]) error {
		err := do(ctx, job)
		var limit *github.LimitError
		switch {
		case errors.As(err, &limit):
			return river.JobSnooze(max(time.Until(limit.Until), time.Second))
		case errors.Is(err, store.ErrNotFound):
			return river.JobCancel(fmt.Errorf("%s: %w", job.Kind, err))
		}
		return err
	}))
}

// backoff retries after 1, 2, 4, 8… seconds, at most every two minutes.
type backoff struct{}

// NextRetry is when a job that did not succeed is tried again.
func (backoff) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(min(time.Second<<min(len(job.Errors), 7), 2*time.Minute))
}

func (f *Flow) offer(ctx context.Context, job *river.Job[offerArgs]) error {
	return f.wire.Offer(ctx, job.Args.Host, job.Args.Offer, job.Args.Nonce)
}

func (f *Flow) stop(ctx context.Context, job *river.Job[stopArgs]) error {
	return f.wire.Stop(ctx, job.Args.Host, job.Args.Offer)
}
