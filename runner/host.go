package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"dozens/batch/work"
)

// Options say what a host is made of. Zero durations mean the defaults.
type Options struct {
	Name   string // as the wire knows it
	Dir    string // journal and session homes; one host per folder
	Slots  int    // runs at once; at least 1
	Server Server
	Trees  Trees
	Agent  Agent
	Author Identity // of commits for edits that an agent left uncommitted
	Log    zerolog.Logger

	BeatEvery time.Duration // between signs of life; default 5 s
	KeepEvery time.Duration // between in-progress marks of held work; default 10 s
	DrainTime time.Duration // for pushes, looks and reports after the end was asked for; default 20 s
}

// Identity is a git author.
type Identity struct {
	Name  string
	Email string
}

const (
	shortLane  = 2 // pushes, and cleanups, at once; they never wait for a slot of a run
	laterPause = 2 * time.Second
	lastWords  = 5 * time.Second // for the reports of what the end of the drain cut short
)

// Why work is cancelled.
var (
	errStopped  = errors.New("the server stopped it")
	errDraining = errors.New("the host is shutting down")
	errOvertime = errors.New("its time was over")
)

// Host carries out work. Make it with New, run it once.
type Host struct {
	opts    Options
	log     zerolog.Logger
	jobs    *jobs
	journal *journal
	beating beating
}

// New checks the options and makes the host's folders. Nothing happens before Run.
func New(opts Options) (*Host, error) {
	switch {
	case opts.Name == "" || opts.Dir == "":
		return nil, errors.New("make host: it needs a name and a folder")
	case opts.Slots < 1:
		return nil, fmt.Errorf("make host: %d slots; it needs at least one", opts.Slots)
	case opts.Server == nil || opts.Trees == nil || opts.Agent == nil:
		return nil, errors.New("make host: server, trees or agent is missing")
	}
	setDefault(&opts.BeatEvery, 5*time.Second)
	setDefault(&opts.KeepEvery, 10*time.Second)
	setDefault(&opts.DrainTime, 20*time.Second)
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("make host: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "sessions"), 0o700); err != nil {
		return nil, fmt.Errorf("make host: %w", err)
	}
	if opts.Dir, err = filepath.EvalSymlinks(dir); err != nil { // a sandbox takes no path through a link
		return nil, fmt.Errorf("make host: %w", err)
	}
	return &Host{
		opts: opts,
		log:  opts.Log.With().Str("host", opts.Name).Logger(),
		jobs: newJobs(),
	}, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Run carries out work until ctx ends, and then drains: nothing new is taken, agents are stopped and
// reported as stopped, pushes may end, and all of it is waited for. It returns nil then, and an error when
// the host cannot begin or the wire is lost for good.
func (h *Host) Run(ctx context.Context) error {
	unlock, err := lockDir(h.opts.Dir)
	if err != nil {
		return fmt.Errorf("run host %s: %w", h.opts.Name, err)
	}
	defer unlock()
	if h.journal, err = openJournal(filepath.Join(h.opts.Dir, "journal"), h.log); err != nil {
		return fmt.Errorf("run host %s: %w", h.opts.Name, err)
	}
	if err := h.recoverWork(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("run host %s: %w", h.opts.Name, err)
	}
	h.log.Info().Int("slots", h.opts.Slots).Msg("host takes work")
	if err := h.work(ctx); err != nil {
		return fmt.Errorf("run host %s: %w", h.opts.Name, err)
	}
	h.log.Info().Msg("host has drained")
	return nil
}

// work runs the lanes and, as long as any of them has work, the heartbeat.
func (h *Host) work(ctx context.Context) error {
	life, endLife := context.WithCancel(context.WithoutCancel(ctx))
	defer endLife()
	lanes, ctx := errgroup.WithContext(ctx)

	var beside sync.WaitGroup
	beatCtx, endBeats := context.WithCancel(context.WithoutCancel(ctx))
	beside.Go(func() { h.beat(beatCtx) })
	beside.Go(func() { h.obey(beatCtx) })
	beside.Go(func() {
		<-ctx.Done()
		h.drain(life, endLife)
	})

	for kind, room := range map[work.Kind]int{work.Run: h.opts.Slots, work.Publish: shortLane, work.Cleanup: shortLane} {
		lanes.Go(func() error { return h.take(ctx, life, kind, room) })
	}
	err := lanes.Wait()
	endBeats()
	endLife()
	beside.Wait()
	return err
}

// drain stops the agents at once, gives pushes and cleanups until DrainTime, and the reports a little longer.
func (h *Host) drain(life context.Context, endLife context.CancelFunc) {
	h.log.Info().Int("held", len(h.jobs.held())).Msg("host drains")
	h.jobs.drain(work.Run)
	pause(life, h.opts.DrainTime)
	h.jobs.drain(work.Run, work.Publish, work.Cleanup)
	pause(life, lastWords)
	endLife()
}

// take pulls one kind of work, one offer for each free place, until ctx ends; then it waits for what it began.
func (h *Host) take(ctx, life context.Context, kind work.Kind, room int) error {
	places := make(chan struct{}, room)
	var under sync.WaitGroup
	defer under.Wait()
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		d, err := h.opts.Server.Next(ctx, kind)
		if ctx.Err() != nil {
			if err == nil {
				h.settled(d.Later(0))
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("take work: %w", err)
		}
		under.Go(func() {
			defer func() { <-places }()
			h.handle(life, d)
		})
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
