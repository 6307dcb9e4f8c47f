package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/store"
)

// Signal tells a task what happened. A signal that means nothing at the task's stage is no error.
func (f *Flow) Signal(ctx context.Context, taskID string, s task.Signal) error {
	err := f.store.Tx(ctx, func(tx *store.Tx) error {
		_, err := f.signal(ctx, tx, taskID, s)
		return err
	})
	if errors.Is(err, task.ErrIgnored) {
		f.log.Debug().Str("task", taskID).Str("signal", s.Name()).Msg("signal ignored")
		return nil
	}
	return err
}

// signal decides, saves the new state with its audit event, and enqueues the effects, all in tx.
func (f *Flow) signal(ctx context.Context, tx *store.Tx, taskID string, s task.Signal) (task.Task, error) {
	t, err := tx.Task(ctx, taskID)
	if err != nil {
		return t, err
	}
	next, effects, err := task.Next(t, s, tx.Now)
	if err != nil {
		return t, err
	}
	if !reflect.DeepEqual(t, next) {
		if err := f.save(ctx, tx, t, next, s); err != nil {
			return t, err
		}
	} else {
		effects = dropRefresh(effects)
	}
	for _, e := range effects {
		if err := f.enqueue(ctx, tx, next, e); err != nil {
			return t, err
		}
	}
	return next, nil
}

func (f *Flow) save(ctx context.Context, tx *store.Tx, t, next task.Task, s task.Signal) error {
	if err := tx.PutTask(ctx, next); err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"generation": next.Generation, "waiting": next.Waiting, "detail": next.Detail, "head": next.Head, "pr": next.PR})
	if err != nil {
		return err
	}
	if next.Stage != t.Stage || next.Waiting != t.Waiting {
		f.log.Info().Str("task", t.ID).Str("label", t.Label).Str("signal", s.Name()).Str("from", string(t.Stage)).
			Str("stage", string(next.Stage)).Str("waiting", string(next.Waiting)).Int("generation", next.Generation).Msg("task moved")
	}
	return tx.Note(ctx, store.Event{Batch: t.Batch, Task: t.ID, Signal: s.Name(), From: string(t.Stage), To: string(next.Stage), Data: data})
}

func dropRefresh(effects []task.Effect) []task.Effect {
	var rest []task.Effect
	for _, e := range effects {
		if e.Kind != task.Refresh {
			rest = append(rest, e)
		}
	}
	return rest
}

// enqueue turns an effect into the job that carries it out.
func (f *Flow) enqueue(ctx context.Context, tx *store.Tx, t task.Task, e task.Effect) error {
	var at time.Time
	if e.After > 0 {
		at = tx.Now.Add(e.After)
	}
	args, err := f.jobFor(ctx, tx, t, e)
	if err != nil {
		return err
	}
	return tx.Enqueue(ctx, args, at)
}

func (f *Flow) jobFor(ctx context.Context, tx *store.Tx, t task.Task, e task.Effect) (river.JobArgs, error) {
	switch e.Kind {
	case task.Pump:
		return pumpArgs{Repo: t.Repo}, nil
	case task.StopRun:
		return stopArgs{Host: t.Host, Offer: work.Offer{Task: t.ID, Generation: e.Generation, Kind: work.Run}.ID()}, nil
	case task.Push:
		return offerArgs{Host: t.Host, Offer: work.Offer{Task: t.ID, Generation: t.Generation, Kind: work.Publish, Try: t.Pushes}, Nonce: nonce(tx.Now)}, nil
	case task.Open:
		return openArgs{Task: t.ID}, nil
	case task.Look:
		if e.After > 0 {
			return lookArgs{Task: t.ID}, nil
		}
		return f.wantLook(ctx, tx, t.ID)
	case task.Ready:
		return readyArgs{Task: t.ID}, nil
	case task.DoMerge:
		return mergeArgs{Task: t.ID}, nil
	case task.Clean:
		return cleanArgs{Task: t.ID}, nil
	case task.Ask:
		return askArgs{Task: t.ID, Generation: t.Generation}, nil
	case task.Wake:
		return wakeArgs{Task: t.ID, Generation: t.Generation}, nil
	case task.Refresh:
		return f.wantStatus(ctx, tx, t.Batch)
	case task.Settle:
		return settleArgs{Batch: t.Batch}, nil
	}
	return nil, fmt.Errorf("task %s: unknown effect %q", t.ID, e.Kind)
}

func (f *Flow) wantLook(ctx context.Context, tx *store.Tx, taskID string) (lookArgs, error) {
	n, err := tx.WantLook(ctx, taskID)
	return lookArgs{Task: taskID, N: n}, err
}

func (f *Flow) wantStatus(ctx context.Context, tx *store.Tx, batchID string) (statusArgs, error) {
	n, err := tx.WantLook(ctx, "status:"+batchID)
	return statusArgs{Batch: batchID, N: n}, err
}

// nonce tells one offer of a piece of work from a later one of the same.
func nonce(now time.Time) string { return now.Format("150405.000000") }
