package flow

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/rs/zerolog"

	"dozens/batch"
	"dozens/batch/work"
	"dozens/config"
	"dozens/github"
	"dozens/store"
)

// Wire is the way to the hosts.
type Wire interface {
	// Offer puts work on the wire, for one host or, with the empty name, for whoever has a slot. Doing it twice
	// with one nonce is doing it once.
	Offer(ctx context.Context, host string, o work.Offer, nonce string) error
	// Stop hints to a host that a piece of work should end; the answer to its next beat says it for sure.
	Stop(ctx context.Context, host, offer string) error
}

// Options are what flow is told at the start.
type Options struct {
	PublicURL string // of the web page, for links; empty: no links
	NoBox     bool   // agents run without a sandbox: every status says so
	Log       zerolog.Logger
	// Pace is the least time between two edits of one status comment; zero: 10 s.
	Pace time.Duration
	// Describe makes a delivery of a webhook's event, id and payload; nil: lost webhooks are not fetched.
	Describe func(event, id string, payload []byte) batch.Delivery
	// Sweep is the time between two sweeps; zero: one minute.
	Sweep time.Duration
}

// Flow moves batches and tasks along.
type Flow struct {
	store  *store.Store
	github *github.App
	wire   Wire
	opts   Options
	jobs   *river.Client[*sql.Tx]
	began  time.Time
	log    zerolog.Logger

	mu       sync.Mutex
	tokens   map[string]token    // git tokens out with hosts, by offer; gone with the process, they expire by themselves
	settings map[string]settings // by repository id and branch
	infos    map[int64]info
}

type token struct {
	value work.Secret
	repo  *github.Repo
}

type settings struct {
	value config.Repository
	err   error
	good  *config.Repository // as last read without an error
	until time.Time
}

type info struct {
	value github.Info
	until time.Time
}

// New makes the corridor over its adapters and prepares the job queue. Call Run to begin.
func New(st *store.Store, gh *github.App, wire Wire, o Options) (*Flow, error) {
	if o.Pace == 0 {
		o.Pace = 10 * time.Second
	}
	if o.Sweep == 0 {
		o.Sweep = time.Minute
	}
	f := &Flow{began: time.Now(), store: st, github: gh, wire: wire, opts: o, log: o.Log,
		tokens: map[string]token{}, settings: map[string]settings{}, infos: map[int64]info{}}
	jobs, err := st.Jobs(f.jobConfig(), func(lane string) river.JobArgs { return inboxArgs{Lane: lane} })
	if err != nil {
		return nil, err
	}
	f.jobs = jobs
	return f, nil
}

// Run works until ctx ends; then it lets the jobs under way finish for a while.
func (f *Flow) Run(ctx context.Context) error {
	if err := f.store.Recover(ctx); err != nil {
		return err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := f.jobs.Start(work); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	f.sweepUntil(ctx)
	drain, stop := context.WithTimeout(work, 10*time.Second)
	defer stop()
	if err := f.jobs.Stop(drain); err != nil {
		return errors.Join(fmt.Errorf("stop jobs: %w", err), f.jobs.StopAndCancel(work))
	}
	return nil
}

// session names the Claude conversation of a task's generation.
func session(taskID string, generation int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "dozens/%s/%d", taskID, generation)).String()
}
