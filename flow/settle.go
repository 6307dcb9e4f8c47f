package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/batch/plan"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/config"
	"dozens/github"
	"dozens/store"
)

// planned takes over an accepted plan: saved with the batch's new stage, shown by the job that follows, and
// started at once when the command or the settings allow it.
func (f *Flow) planned(ctx context.Context, tx *store.Tx, t task.Task, r work.Report, set config.Repository) error {
	var out work.PlanOutput
	if err := json.Unmarshal(r.Output, &out); err != nil {
		return fmt.Errorf("plan of batch %s: %w", t.Batch, err) // the host has checked it
	}
	p := plan.From(out)
	b, err := tx.Batch(ctx, t.Batch)
	if err != nil {
		return err
	}
	if err := tx.PutPlan(ctx, b.ID, p); err != nil {
		return err
	}
	if err := tx.Enqueue(ctx, planArgs{Batch: b.ID}, noTime); err != nil {
		return err
	}
	b.Stage = batch.Approval
	if b.Options.Yes || len(p.Units) <= set.Limits.Start {
		problem, err := f.startPlan(ctx, tx, b, p, nil)
		if err == nil && problem != "" {
			err = errors.New(problem) // plan.Check lets none through
		}
		return err
	}
	if err := tx.PutBatch(ctx, b); err != nil {
		return err
	}
	return tx.Note(ctx, store.Event{Batch: b.ID, Signal: "planned", From: string(batch.Plan), To: string(b.Stage)})
}

// showPlan writes the comment with the plan.
func (f *Flow) showPlan(ctx context.Context, job *river.Job[planArgs]) error {
	b, err := f.store.Batch(ctx, job.Args.Batch)
	if err != nil {
		return err
	}
	var p plan.Plan
	err = f.store.Tx(ctx, func(tx *store.Tx) error { return tx.Plan(ctx, b.ID, &p) })
	if err != nil {
		return err
	}
	_, err = f.github.Repo(b.Repo).Comment(ctx, b.Issue, "plan:"+b.ID, say.Plan(p, b.Stage == batch.Approval))
	return err
}

// ask puts a parked task's question where people look: on its pull request, or on the issue.
func (f *Flow) ask(ctx context.Context, job *river.Job[askArgs]) error {
	t, err := f.store.Task(ctx, job.Args.Task)
	if err != nil || t.Generation != job.Args.Generation || t.Waiting == task.NotWaiting {
		return err
	}
	where := t.Issue
	if t.PR != 0 {
		where = t.PR
	}
	key := fmt.Sprintf("ask:%s:%d:%s", t.ID, t.Generation, strings.ReplaceAll(string(t.Waiting), " ", "-"))
	text := say.Question(t)
	if t.Waiting == task.ForPermission {
		text = say.Barred(t)
	}
	_, err = f.github.Repo(t.Repo).Comment(ctx, where, key, text)
	return err
}

// wake lets a task try again after a usage limit.
func (f *Flow) wake(ctx context.Context, job *river.Job[wakeArgs]) error {
	t, err := f.store.Task(ctx, job.Args.Task)
	if err != nil || t.Generation != job.Args.Generation || t.Waiting != task.ForUsage {
		return err
	}
	return f.Signal(ctx, t.ID, task.Funded{})
}

// settle ends a batch when all its tasks have ended: final comment, issue closed when everything is merged.
func (f *Flow) settle(ctx context.Context, job *river.Job[settleArgs]) error {
	var b batch.Batch
	err := f.store.Tx(ctx, func(tx *store.Tx) error {
		var err error
		if b, err = tx.Batch(ctx, job.Args.Batch); err != nil || (b.Stage != batch.Work && b.Stage != batch.Plan) {
			return err
		}
		tasks, err := tx.TasksOf(ctx, b.ID)
		if err != nil {
			return err
		}
		stage, detail, ended := ending(tasks)
		if !ended {
			return nil
		}
		from := b.Stage
		b.Stage, b.Detail, b.EndedAt = stage, detail, tx.Now
		if err := tx.PutBatch(ctx, b); err != nil {
			return err
		}
		f.log.Info().Str("batch", b.ID).Str("stage", string(stage)).Msg("batch ended")
		if err := tx.Note(ctx, store.Event{Batch: b.ID, Signal: "settled", From: string(from), To: string(stage)}); err != nil {
			return err
		}
		return f.refresh(ctx, tx, b.ID)
	})
	if err != nil || !b.Stage.Final() {
		return err
	}
	return f.announce(ctx, b)
}

// ending says how a batch with these tasks has ended, if it has.
func ending(tasks []task.Task) (stage batch.Stage, detail string, ended bool) {
	merged, failed, units := 0, 0, 0
	var planner *task.Task
	for _, t := range tasks {
		if !t.Stage.Final() {
			return "", "", false
		}
		if t.Kind == task.Plan {
			planner = &t
			continue
		}
		units++
		if t.Stage == task.Done {
			merged++
		} else if t.Stage == task.Failed {
			failed++
		}
	}
	switch {
	case units == 0 && planner != nil && planner.Stage == task.Failed:
		return batch.Failed, planner.Detail, true
	case units == 0 && planner != nil && planner.Stage == task.Cancelled:
		return batch.Cancelled, planner.Detail, true
	case units == 0:
		return "", "", false // planned, its units are not there yet
	case merged == units:
		return batch.Done, "", true
	case failed > 0:
		return batch.Failed, "", true
	}
	return batch.Cancelled, "", true
}

// announce tells people that a batch has ended. A retried batch ends more than once; each end is said once.
func (f *Flow) announce(ctx context.Context, b batch.Batch) error {
	v, err := f.view(ctx, b)
	if err != nil {
		return err
	}
	repo := f.github.Repo(b.Repo)
	key := fmt.Sprintf("final:%s:%d", b.ID, b.EndedAt.Unix())
	if _, err := repo.Comment(ctx, b.Issue, key, say.Final(v)); err != nil && !errors.Is(err, github.ErrNotFound) {
		return err
	}
	if whole, err := f.whole(ctx, b, len(v.Tasks)); err != nil || !whole || b.Stage != batch.Done {
		return err
	}
	if err := repo.CloseIssue(ctx, b.Issue); err != nil && !errors.Is(err, github.ErrNotFound) {
		return err
	}
	return nil
}

// whole says that a batch did all units of its plan, so that its end completes the issue.
func (f *Flow) whole(ctx context.Context, b batch.Batch, units int) (all bool, err error) {
	if b.Kind == batch.Claude {
		return true, nil
	}
	var p plan.Plan
	err = f.store.Tx(ctx, func(tx *store.Tx) error { return tx.Plan(ctx, b.ID, &p) })
	return units == len(p.Units), err
}

// view gathers what the comments about a batch are made from.
func (f *Flow) view(ctx context.Context, b batch.Batch) (say.View, error) {
	tasks, err := f.store.TasksOf(ctx, b.ID)
	if err != nil {
		return say.View{}, err
	}
	v := say.View{Batch: b, Now: time.Now(), URL: f.page(b.ID), NoBox: f.opts.NoBox}
	for _, t := range tasks {
		if t.Kind == task.Plan {
			v.Planner = &t
			continue
		}
		v.Tasks = append(v.Tasks, t)
	}
	return v, nil
}

// page is the address of a batch's web page; empty when none is known.
func (f *Flow) page(batchID string) string {
	if f.opts.PublicURL == "" {
		return ""
	}
	return f.opts.PublicURL + "/batches/" + batchID
}
