package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dozens/batch"
	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/bus"
	"dozens/handlers"
	"dozens/store"
)

// view shows the store and the wire's logs to the web page.
type view struct {
	store *store.Store
	wire  *bus.Bus
	web   string // GitHub's web address, for links
}

const batchesShown = 200

// Batches lists the newest batches.
func (v view) Batches(ctx context.Context) ([]handlers.BatchRow, error) {
	all, err := v.store.Batches(ctx, batchesShown)
	if err != nil {
		return nil, err
	}
	rows := make([]handlers.BatchRow, 0, len(all))
	for _, b := range all {
		tasks, err := v.store.TasksOf(ctx, b.ID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, v.row(b, tasks))
	}
	return rows, nil
}

// Batch is one batch with its tasks.
func (v view) Batch(ctx context.Context, id string) (handlers.BatchPage, error) {
	b, err := v.store.Batch(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return handlers.BatchPage{}, handlers.ErrNotFound
	} else if err != nil {
		return handlers.BatchPage{}, err
	}
	tasks, err := v.store.TasksOf(ctx, id)
	if err != nil {
		return handlers.BatchPage{}, err
	}
	page := handlers.BatchPage{BatchRow: v.row(b, tasks), BudgetMicroUSD: int64(b.Options.BudgetUSD * 1e6)}
	for _, t := range tasks {
		r := handlers.TaskRow{ID: t.ID, Label: t.Label, Title: t.Title, Stage: string(t.Stage), Waiting: string(t.Waiting), Detail: t.Detail,
			PR: t.PR, Checks: t.Checks, CostMicroUSD: t.CostMicroUSD, Turns: t.Turns, Host: t.Host, Started: t.StartedAt, Ended: t.EndedAt}
		if t.PR != 0 {
			r.PRURL = fmt.Sprintf("%s/%s/pull/%d", v.web, b.Repo.FullName(), t.PR)
		}
		page.Tasks = append(page.Tasks, r)
	}
	return page, nil
}

func (v view) row(b batch.Batch, tasks []task.Task) handlers.BatchRow {
	r := handlers.BatchRow{ID: b.ID, Kind: string(b.Kind), Title: b.Title, Repo: b.Repo.FullName(), Issue: b.Issue,
		IssueURL: fmt.Sprintf("%s/%s/issues/%d", v.web, b.Repo.FullName(), b.Issue), Requester: b.Requester.Login,
		Stage: string(b.Stage), Detail: b.Detail, Started: b.CreatedAt, Ended: b.EndedAt}
	for _, t := range tasks {
		r.CostMicroUSD += t.CostMicroUSD
		if t.Kind == task.Plan {
			continue
		}
		r.Total++
		if t.Stage == task.Done {
			r.Done++
		} else if t.Stage.Final() {
			r.Failed++
		}
	}
	return r
}

const endPoll = 2 * time.Second // how often a followed log asks whether its task has ended

// Tail replays a task's log and follows it until the task has ended.
func (v view) Tail(ctx context.Context, id string, fn func(work.Line) error) error {
	t, err := v.store.Task(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return handlers.ErrNotFound
	} else if err != nil {
		return err
	}
	emit := func(_ uint64, l work.Line) error { return fn(l) }
	if t.Stage.Final() {
		return v.wire.Log(ctx, bus.LogQuery{Task: id}, emit)
	}
	follow, cancel := context.WithCancel(ctx)
	defer cancel()
	go v.untilEnd(follow, cancel, id)
	err = v.wire.Log(follow, bus.LogQuery{Task: id, Follow: true}, emit)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return nil
	}
	return err
}

func (v view) untilEnd(ctx context.Context, ended context.CancelFunc, id string) {
	ticker := time.NewTicker(endPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if t, err := v.store.Task(ctx, id); err == nil && t.Stage.Final() {
			ended()
			return
		}
	}
}

// gauges counts live tasks by stage and hosts for /metrics.
func gauges(st *store.Store) func(context.Context) ([]handlers.Gauge, error) {
	return func(ctx context.Context) ([]handlers.Gauge, error) {
		live, err := st.Live(ctx)
		if err != nil {
			return nil, err
		}
		counts := map[task.Stage]int{}
		var cost int64
		for _, t := range live {
			counts[t.Stage]++
			cost += t.CostMicroUSD
		}
		var all []handlers.Gauge
		for _, s := range task.Stages {
			if s.Final() {
				continue
			}
			all = append(all, handlers.Gauge{Name: "dozens_tasks", Help: "Live tasks by stage.", Labels: map[string]string{"stage": string(s)}, Value: float64(counts[s])})
		}
		return append(all, handlers.Gauge{Name: "dozens_live_cost_usd", Help: "What the live tasks have cost so far, in US dollars.", Value: float64(cost) / 1e6}), nil
	}
}
