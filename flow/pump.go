package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/config"
	"dozens/github"
	"dozens/store"
)

// pump offers to the hosts what may run now: dependencies merged, budget left, room among the parallel ones.
// Only what it offers reaches the wire, so that order and limits are plain SQL.
func (f *Flow) pump(ctx context.Context, job *river.Job[pumpArgs]) error {
	repo := job.Args.Repo
	set, err := f.limitsOf(ctx, repo, "")
	if gone(err) {
		set = config.DefaultRepository() // what is offered then ends with words at its claim
	} else if err != nil {
		return err
	}
	blocked := f.unblock(ctx, repo)
	return errors.Join(blocked, f.store.Tx(ctx, func(tx *store.Tx) error {
		tasks, err := tx.OpenTasks(ctx, repo.ID)
		if err != nil {
			return err
		}
		return f.fill(ctx, tx, tasks, set)
	}))
}

// fill offers tasks until the limits are reached. Sessions that go on come before new ones.
func (f *Flow) fill(ctx context.Context, tx *store.Tx, tasks []task.Task, set config.Repository) error {
	running, perBatch, ready := sorted(tasks)
	for _, t := range ready {
		if running >= set.Limits.Parallel {
			return nil
		}
		b, err := tx.Batch(ctx, t.Batch)
		if err != nil {
			return err
		}
		if limit := b.Options.MaxParallel; limit > 0 && perBatch[b.ID] >= limit {
			continue
		}
		all, err := tx.TasksOf(ctx, b.ID)
		if err != nil {
			return err
		}
		if moneyLeft(b, all, t, set) <= 0 {
			if _, err := f.signal(ctx, tx, t.ID, task.Overspent{Why: overspent(b, all, t, set)}); err != nil {
				return err
			}
			continue
		}
		running++
		perBatch[b.ID]++
		t.Offered = t.Generation
		if err := tx.PutTask(ctx, t); err != nil {
			return err
		}
		if err := tx.Enqueue(ctx, offerArgs{Host: t.Host, Offer: work.Offer{Task: t.ID, Generation: t.Generation, Kind: work.Run}, Nonce: nonce(tx.Now)}, noTime); err != nil {
			return err
		}
	}
	return nil
}

// sorted counts the tasks that run or are offered, in all and per batch, and lists those that could be, sessions
// that go on first.
func sorted(tasks []task.Task) (running int, perBatch map[string]int, ready []task.Task) {
	perBatch = map[string]int{}
	for _, t := range tasks {
		switch {
		case t.Stage == task.Run, t.Stage == task.Queue && t.Waiting == task.NotWaiting && t.Offered == t.Generation:
			running++
			perBatch[t.Batch]++
		case t.Stage == task.Queue && t.Waiting == task.NotWaiting:
			ready = append(ready, t)
		}
	}
	slices.SortStableFunc(ready, func(a, b task.Task) int { return -cmp.Compare(min(a.Runs, 1), min(b.Runs, 1)) })
	return running, perBatch, ready
}

// budgetOf is the batch's limit in millionths of a US dollar.
func budgetOf(b batch.Batch, set config.Repository) int64 {
	usd := b.Options.BudgetUSD
	if usd == 0 {
		usd = set.Limits.BatchUSD
	}
	return int64(usd * 1e6)
}

// taskBudget is what one task may cost: the settings' limit, or the budget that a person gave, if that is more.
func taskBudget(b batch.Batch, set config.Repository) int64 {
	return int64(max(set.Limits.TaskUSD, b.Options.BudgetUSD) * 1e6)
}

func spentBy(tasks []task.Task) (sum int64) {
	for _, t := range tasks {
		sum += t.CostMicroUSD
	}
	return sum
}

// moneyLeft is what another run of the task may cost, in millionths of a US dollar.
func moneyLeft(b batch.Batch, tasks []task.Task, t task.Task, set config.Repository) int64 {
	return min(taskBudget(b, set)-t.CostMicroUSD, budgetOf(b, set)-spentBy(tasks))
}

func overspent(b batch.Batch, tasks []task.Task, t task.Task, set config.Repository) string {
	if limit := taskBudget(b, set); t.CostMicroUSD >= limit {
		return fmt.Sprintf("the limit of %s for one task is spent (%s)", say.Money(limit), say.Money(t.CostMicroUSD))
	}
	return fmt.Sprintf("the batch's budget of %s is spent (%s)", say.Money(budgetOf(b, set)), say.Money(spentBy(tasks)))
}

// unblock lets tasks go whose dependencies are merged, from a base that contains them, and skips those whose
// dependencies did not come.
func (f *Flow) unblock(ctx context.Context, repo batch.Repo) error {
	live, err := f.store.Live(ctx)
	if err != nil {
		return err
	}
	for _, t := range live {
		if t.Repo.ID != repo.ID || t.Waiting != task.ForDependency {
			continue
		}
		s, err := f.dependency(ctx, t)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		if err := f.Signal(ctx, t.ID, s); err != nil {
			return err
		}
	}
	return nil
}

// dependency is the signal that a blocked task's dependencies amount to; nil: keep waiting.
func (f *Flow) dependency(ctx context.Context, t task.Task) (task.Signal, error) {
	all, err := f.store.TasksOf(ctx, t.Batch)
	if err != nil {
		return nil, err
	}
	for _, need := range t.DependsOn {
		i := slices.IndexFunc(all, func(o task.Task) bool { return o.Label == need && o.Kind == task.Code })
		if i < 0 {
			return task.Skipped{Why: "it needs `" + need + "`, which is not part of this batch"}, nil
		}
		if stage := all[i].Stage; !stage.Final() {
			return nil, nil // nothing to signal yet
		} else if stage != task.Done {
			return task.Skipped{Why: fmt.Sprintf("it needs `%s`, which was not merged (%s)", need, stage)}, nil
		}
	}
	sha, err := f.github.Repo(t.Repo).Branch(ctx, t.Base)
	if errors.Is(err, github.ErrNotFound) {
		return task.Skipped{Why: "the base branch is gone"}, nil
	}
	return task.Unblocked{BaseSHA: sha}, err
}
