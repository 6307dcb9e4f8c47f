package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dozens/batch"
	"dozens/batch/command"
	"dozens/batch/plan"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/config"
	"dozens/github"
	"dozens/store"
)

var noTime time.Time //nolint:gochecknoglobals // the zero time, read only: "at once"

const nothingHere = "There is no batch on this issue. `/claude TEXT` or `/batch TEXT` begins one."

// carryOut does what one authorised command asks. The problem, in words for the person, says why it does not.
func (f *Flow) carryOut(ctx context.Context, p payload, set config.Repository, c command.Command, n int) (problem string, err error) {
	key := fmt.Sprintf("%d.%d", p.Comment.ID, n)
	if c.Verb == command.ShowHelp {
		me, err := f.github.Me(ctx)
		if err != nil {
			return "", err
		}
		return "", f.reply(ctx, p, "help:"+key, command.Help(me.Slug, set.Labels.Claude, set.Labels.Batch))
	}
	if c.Verb == command.Claude || c.Verb == command.Batch {
		return f.onAsk(ctx, p, set, c, key)
	}
	b, pr, err := f.batchHere(ctx, p)
	if errors.Is(err, store.ErrNotFound) {
		return nothingHere, nil
	} else if err != nil {
		return "", err
	}
	labels, problem, err := f.labelsHere(ctx, b, pr, c)
	if err != nil || problem != "" {
		return problem, err
	}
	return f.onBatch(ctx, p, b, c, labels, key)
}

// onBatch does what a command asks of the batch that is here.
func (f *Flow) onBatch(ctx context.Context, p payload, b batch.Batch, c command.Command, labels []string, key string) (problem string, err error) {
	switch c.Verb {
	case command.Status:
		return "", f.sayStatus(ctx, p, b, key)
	case command.Go:
		return f.onGo(ctx, b, c)
	case command.Stop:
		if b.Stage.Final() {
			return "This batch has ended already.", nil
		}
		return "", f.stopBatch(ctx, b.ID, labels, "stopped by "+p.Comment.User.Login)
	case command.Retry:
		return f.onRetry(ctx, b, labels)
	case command.Hold, command.Unhold:
		return "", f.onHold(ctx, b, labels, c.Verb == command.Hold)
	case command.Budget:
		return "", f.onBudget(ctx, b, c.BudgetUSD)
	case command.ShowHelp, command.Claude, command.Batch: // speak of no batch
	}
	return fmt.Sprintf("`/%s` cannot be carried out here.", c.Verb), nil
}

// batchHere is the batch that a comment speaks of: its issue's latest, or the one its pull request belongs to.
func (f *Flow) batchHere(ctx context.Context, p payload) (batch.Batch, *task.Task, error) {
	if p.Issue.PullRequest == nil {
		b, err := f.store.LatestBatch(ctx, p.Repository.ID, p.Issue.Number)
		return b, nil, err
	}
	t, err := f.store.TaskByPR(ctx, p.Repository.ID, p.Issue.Number)
	if err != nil {
		return batch.Batch{}, nil, err
	}
	b, err := f.store.Batch(ctx, t.Batch)
	return b, &t, err
}

// labelsHere are the tasks a command is limited to: by name, or by the pull request it is said on. None: all.
func (f *Flow) labelsHere(ctx context.Context, b batch.Batch, pr *task.Task, c command.Command) (labels []string, problem string, err error) {
	if len(c.Labels) == 0 {
		if pr != nil && (c.Verb == command.Stop || c.Verb == command.Hold || c.Verb == command.Unhold || c.Verb == command.Retry) {
			return []string{pr.Label}, "", nil
		}
		return nil, "", nil
	}
	if c.Verb == command.Retry && c.Labels[0] == command.AllFailed {
		return nil, "", nil
	}
	tasks, err := f.store.TasksOf(ctx, b.ID)
	if err != nil {
		return nil, "", err
	}
	var known []string
	for _, t := range tasks {
		known = append(known, t.Label)
	}
	for _, l := range c.Labels {
		if !slices.Contains(known, l) {
			return nil, fmt.Sprintf("There is no unit `%s` here. The units are: `%s`.", say.Code(l, 60), strings.Join(known, "`, `")), nil
		}
	}
	return c.Labels, "", nil
}

// chosen says whether a command that is limited to these labels (none: all) is meant for the task.
func chosen(labels []string, t task.Task) bool {
	return len(labels) == 0 || slices.Contains(labels, t.Label)
}

func (f *Flow) onAsk(ctx context.Context, p payload, set config.Repository, c command.Command, key string) (string, error) {
	if p.Issue.PullRequest != nil {
		return f.onInstruction(ctx, p, c, key)
	}
	if p.Issue.State == "closed" {
		return "This issue is closed. Reopen it, or ask on an open one.", nil
	}
	kind := batch.Claude
	if c.Verb == command.Batch {
		kind = batch.Fanout
	}
	problem, err := f.accept(ctx, request{kind: kind, source: "comment:" + key, by: p.Comment.User, p: p, set: set, text: c.Text, options: c.Options})
	if errors.Is(err, store.ErrBusy) {
		return "This issue has an open batch already. `/status` shows it, `/stop` ends it.", nil
	}
	return problem, err
}

func (f *Flow) onInstruction(ctx context.Context, p payload, c command.Command, key string) (string, error) {
	t, err := f.store.TaskByPR(ctx, p.Repository.ID, p.Issue.Number)
	if errors.Is(err, store.ErrNotFound) || (err == nil && c.Verb == command.Batch) {
		return "On a pull request `/claude TEXT` gives further instructions to the session that made it; this works on pull requests of mine only.", nil
	} else if err != nil {
		return "", err
	}
	if c.Text == "" {
		return "`/claude` needs a text here: what should the session do?", nil
	}
	if t.Stage == task.Cleanup || t.Stage.Final() {
		return "The work on this pull request has ended.", nil
	}
	return "", f.Signal(ctx, t.ID, task.Instructed{Text: say.Heard(c.Text), By: p.Comment.User.Login, Key: "comment:" + key})
}

func (f *Flow) onGo(ctx context.Context, b batch.Batch, c command.Command) (problem string, err error) {
	err = f.store.Tx(ctx, func(tx *store.Tx) error {
		b, err := tx.Batch(ctx, b.ID)
		if err != nil {
			return err
		}
		if b.Stage != batch.Approval {
			if b.Stage != batch.Work || c.Units != nil { // all of it said twice is no mistake
				problem = "There is no plan here that waits for `/go`."
			}
			return nil
		}
		var p plan.Plan
		if err := tx.Plan(ctx, b.ID, &p); err != nil {
			return err
		}
		problem, err = f.startPlan(ctx, tx, b, p, c.Units)
		return err
	})
	return problem, err
}

// stopBatch cancels the tasks with these labels, or all of a batch.
func (f *Flow) stopBatch(ctx context.Context, batchID string, labels []string, why string) error {
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		b, err := tx.Batch(ctx, batchID)
		if err != nil {
			return err
		}
		tasks, err := tx.TasksOf(ctx, batchID)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if !chosen(labels, t) {
				continue
			}
			if _, err := f.signal(ctx, tx, t.ID, task.Stopped{Why: why}); err != nil && !errors.Is(err, task.ErrIgnored) {
				return err
			}
		}
		if b.Stage == batch.Approval && len(labels) == 0 {
			b.Stage, b.EndedAt, b.Detail = batch.Cancelled, tx.Now, why
			if err := tx.PutBatch(ctx, b); err != nil {
				return err
			}
		}
		if err := tx.Note(ctx, store.Event{Batch: batchID, Signal: "stop", From: string(b.Stage), To: string(b.Stage)}); err != nil {
			return err
		}
		return f.refresh(ctx, tx, batchID)
	})
}

// onRetry gives failed and cancelled tasks, or the named one, a new generation from the present base.
func (f *Flow) onRetry(ctx context.Context, b batch.Batch, labels []string) (problem string, err error) {
	sha, err := f.github.Repo(b.Repo).Branch(ctx, b.Base)
	if errors.Is(err, github.ErrNotFound) {
		return fmt.Sprintf("The base branch `%s` is gone.", say.Code(b.Base, 200)), nil
	} else if err != nil {
		return "", err
	}
	if err := f.closeOld(ctx, b, labels); err != nil {
		return "", err
	}
	unbarred, still, err := f.retryBarred(ctx, b, labels)
	if err != nil {
		return "", err
	}
	err = f.store.Tx(ctx, func(tx *store.Tx) error {
		tasks, err := tx.TasksOf(ctx, b.ID)
		if err != nil {
			return err
		}
		again := unbarred
		for _, t := range tasks {
			if !chosen(labels, t) || (t.Kind == task.Plan && len(tasks) > 1) {
				continue
			}
			did, err := f.retry(ctx, tx, t, sha)
			if err != nil {
				return err
			}
			again += did
		}
		if again == 0 {
			problem = cmp.Or(still, "Nothing here has failed or waits at a limit.")
			return nil
		}
		return f.reopen(ctx, tx, b.ID, len(tasks) == 1 && tasks[0].Kind == task.Plan)
	})
	if errors.Is(err, store.ErrBusy) {
		return "This issue has another open batch.", nil
	}
	return cmp.Or(problem, still), err
}

// closeOld closes the pull requests that failed tasks left for people to look at: a retry opens its own.
func (f *Flow) closeOld(ctx context.Context, b batch.Batch, labels []string) error {
	tasks, err := f.store.TasksOf(ctx, b.ID)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if t.Stage != task.Failed || t.PR == 0 || !chosen(labels, t) {
			continue
		}
		if err := f.github.Repo(t.Repo).CloseIssue(ctx, t.PR); err != nil && !gone(err) {
			return fmt.Errorf("close pull request %d: %w", t.PR, err)
		}
	}
	return nil
}

func (f *Flow) retry(ctx context.Context, tx *store.Tx, t task.Task, sha string) (int, error) {
	var s task.Signal = task.Retried{Session: session(t.ID, t.Generation+1), BaseSHA: sha}
	if t.Waiting == task.ForBudget || t.Waiting == task.ForUsage {
		s = task.Funded{}
	}
	_, err := f.signal(ctx, tx, t.ID, s)
	if errors.Is(err, task.ErrIgnored) {
		return 0, nil
	}
	return 1, err
}

func (f *Flow) reopen(ctx context.Context, tx *store.Tx, batchID string, planning bool) error {
	b, err := tx.Batch(ctx, batchID)
	if err != nil {
		return err
	}
	from := b.Stage
	b.Stage, b.EndedAt, b.Detail = batch.Work, noTime, ""
	if planning {
		b.Stage = batch.Plan
	}
	if err := tx.PutBatch(ctx, b); err != nil {
		return err
	}
	if err := tx.Note(ctx, store.Event{Batch: b.ID, Signal: "retry", From: string(from), To: string(b.Stage)}); err != nil {
		return err
	}
	return f.refresh(ctx, tx, b.ID)
}

func (f *Flow) onHold(ctx context.Context, b batch.Batch, labels []string, on bool) error {
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		b, err := tx.Batch(ctx, b.ID)
		if err != nil {
			return err
		}
		if len(labels) == 0 {
			b.Hold = on
			if err := tx.PutBatch(ctx, b); err != nil {
				return err
			}
		}
		tasks, err := tx.TasksOf(ctx, b.ID)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if !chosen(labels, t) {
				continue
			}
			if _, err := f.signal(ctx, tx, t.ID, task.Held{On: on && len(labels) > 0}); err != nil && !errors.Is(err, task.ErrIgnored) {
				return err
			}
		}
		return f.refresh(ctx, tx, b.ID)
	})
}

func (f *Flow) onBudget(ctx context.Context, b batch.Batch, usd float64) error {
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		b, err := tx.Batch(ctx, b.ID)
		if err != nil {
			return err
		}
		b.Options.BudgetUSD = usd
		if err := tx.PutBatch(ctx, b); err != nil {
			return err
		}
		tasks, err := tx.TasksOf(ctx, b.ID)
		if err != nil {
			return err
		}
		for _, t := range slices.DeleteFunc(tasks, func(t task.Task) bool { return t.Waiting != task.ForBudget }) {
			if _, err := f.signal(ctx, tx, t.ID, task.Funded{}); err != nil && !errors.Is(err, task.ErrIgnored) {
				return err
			}
		}
		return f.refresh(ctx, tx, b.ID)
	})
}
