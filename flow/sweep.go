package flow

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/store"
)

const (
	lookPause  = 5 * time.Minute    // between looks at a pull request that no webhook asked for
	stuckAfter = 2 * time.Minute    // without a lease: the offer or the job was lost
	keptFor    = 7 * 24 * time.Hour // deliveries that are done, and leases that have ended
)

// sweepUntil sweeps now and then every Options.Sweep until ctx ends.
func (f *Flow) sweepUntil(ctx context.Context) {
	ticker := time.NewTicker(f.opts.Sweep)
	defer ticker.Stop()
	if err := f.lookAtAll(ctx); err != nil && ctx.Err() == nil {
		f.log.Warn().Err(err).Msg("open pull requests not looked at")
	}
	var caughtUp time.Time
	for {
		if err := f.store.Prune(ctx, time.Now().Add(-keptFor)); err != nil && ctx.Err() == nil {
			f.log.Warn().Err(err).Msg("old rows not removed")
		}
		if time.Since(caughtUp) > catchUpPause {
			if err := f.catchUp(ctx); err == nil {
				caughtUp = time.Now()
			} else if ctx.Err() == nil {
				f.log.Warn().Err(err).Msg("lost webhooks not fetched")
			}
		}
		if err := f.SweepOnce(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn().Err(err).Msg("sweep not finished")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lookAtAll looks at every open pull request once: nobody knows what happened while the server was away.
func (f *Flow) lookAtAll(ctx context.Context) error {
	live, err := f.store.Live(ctx)
	if err != nil {
		return err
	}
	return f.wantLooks(ctx, slices.DeleteFunc(live, func(t task.Task) bool {
		return t.PR == 0
	}))
}

// SweepOnce finds what was lost on the way: hosts that are gone, offers that nobody took, webhooks that did
// not come. It reads the database; GitHub is asked only about open pull requests, every few minutes.
func (f *Flow) SweepOnce(ctx context.Context) error {
	if err := f.sweepHosts(ctx); err != nil {
		return err
	}
	live, err := f.store.Live(ctx)
	if err != nil {
		return err
	}
	leases, err := f.store.OpenLeases(ctx, "")
	if err != nil {
		return err
	}
	now := time.Now()
	for _, t := range live {
		if slices.ContainsFunc(leases, func(l store.Lease) bool { return l.Offer.Task == t.ID }) {
			continue
		}
		if err := f.sweepTask(ctx, t, now); err != nil {
			return err
		}
	}
	return f.sweepBatches(ctx)
}

func (f *Flow) sweepHosts(ctx context.Context) error {
	if time.Since(f.began) < hostGone {
		return nil // the hosts have not had the time to say that they live
	}
	hosts, err := f.store.Hosts(ctx)
	if err != nil {
		return err
	}
	leases, err := f.store.OpenLeases(ctx, "")
	if err != nil {
		return err
	}
	for _, l := range leases {
		i := slices.IndexFunc(hosts, func(h store.Host) bool { return h.Name == l.Host })
		if time.Since(l.Taken) < hostGone || (i >= 0 && time.Since(hosts[i].Seen) < hostGone) {
			continue
		}
		if err := f.lapse(ctx, l, "the host has not been seen"); err != nil {
			return err
		}
	}
	return nil
}

// sweepTask gives a task that has no lease the push that may have been lost.
func (f *Flow) sweepTask(ctx context.Context, t task.Task, now time.Time) error {
	rest := now.Sub(t.StageSince)
	var effect task.EffectKind
	switch t.Stage {
	case task.CI, task.Review, task.Merge:
		if rest < lookPause {
			return nil
		}
		return f.sweepLook(ctx, t, now)
	case task.Queue:
		return f.sweepQueue(ctx, t, now)
	case task.Publish:
		if t.Waiting == task.ForPermission {
			return f.sweepBarred(ctx, t, now)
		}
		effect = task.Push
		if t.Pushed == t.Head {
			effect = task.Open
		}
	case task.Cleanup:
		effect = task.Clean
	case task.Run, task.Done, task.Failed, task.Cancelled:
		return nil
	}
	if rest < stuckAfter {
		return nil
	}
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		args, err := f.jobFor(ctx, tx, t, task.Effect{Kind: effect})
		if err != nil {
			return err
		}
		return tx.EnqueueOnce(ctx, args)
	})
}

// sweepQueue notices that a person merged or closed the pull request of a task that waits, and offers again what
// nobody took.
func (f *Flow) sweepQueue(ctx context.Context, t task.Task, now time.Time) error {
	rest := now.Sub(t.StageSince)
	if t.PR != 0 && rest > lookPause {
		if err := f.sweepLook(ctx, t, now); err != nil {
			return err
		}
	}
	if rest < stuckAfter || (t.Waiting != task.NotWaiting && t.Waiting != task.ForDependency) {
		return nil
	}
	return f.reoffer(ctx, t)
}

// sweepLook looks at a pull request every few minutes.
func (f *Flow) sweepLook(ctx context.Context, t task.Task, now time.Time) error {
	if !f.lookDue(t, now) {
		return nil
	}
	return f.wantLooks(ctx, []task.Task{t})
}

// sweepBarred asks every few minutes whether the app has got the permission that a push waits for.
func (f *Flow) sweepBarred(ctx context.Context, t task.Task, now time.Time) error {
	if !f.lookDue(t, now) {
		return nil
	}
	if _, err := f.unbar(ctx, t); err != nil {
		f.log.Warn().Err(err).Str("task", t.ID).Msg("permissions not read")
	}
	return nil
}

// lookDue spreads what is asked of GitHub every few minutes over time, by the task's own clock.
func (f *Flow) lookDue(t task.Task, now time.Time) bool {
	since := now.Sub(t.StageSince)
	return since.Truncate(lookPause) != (since - f.opts.Sweep).Truncate(lookPause)
}

// reoffer puts a task's offer on the wire again, or lets the pump decide when there was none yet.
func (f *Flow) reoffer(ctx context.Context, t task.Task) error {
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		if t.Waiting != task.NotWaiting || t.Offered != t.Generation {
			return tx.EnqueueOnce(ctx, pumpArgs{Repo: t.Repo})
		}
		o := work.Offer{Task: t.ID, Generation: t.Generation, Kind: work.Run}
		return tx.Enqueue(ctx, offerArgs{Host: t.Host, Offer: o, Nonce: nonce(tx.Now)}, noTime)
	})
}

// sweepBatches settles batches whose last task ended without anybody noticing.
func (f *Flow) sweepBatches(ctx context.Context) error {
	open, err := f.store.OpenBatches(ctx)
	if err != nil {
		return err
	}
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		for _, b := range open {
			tasks, err := tx.TasksOf(ctx, b.ID)
			if err != nil {
				return err
			}
			if _, _, ended := ending(tasks); ended {
				if err := tx.EnqueueOnce(ctx, settleArgs{Batch: b.ID}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// quiet is the job queue's log: warnings and errors, in our own log.
func quiet(log zerolog.Logger) *slog.Logger {
	return slog.New(zerolog.NewSlogHandler(log.Level(zerolog.WarnLevel)))
}
