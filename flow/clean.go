package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/github"
	"dozens/store"
)

// clean removes what a task leaves behind, each thing on its own and as often as needed: its branch on GitHub,
// then worktree and session on its host. What is neither merged nor pushed is kept on the host.
func (f *Flow) clean(ctx context.Context, job *river.Job[cleanArgs]) error {
	t, err := f.store.Task(ctx, job.Args.Task)
	if err != nil || t.Stage != task.Cleanup {
		return err
	}
	if err := f.cleanRemote(ctx, t); err != nil {
		return err
	}
	if t.Host == "" { // it never ran
		return f.Signal(ctx, t.ID, task.Cleaned{})
	}
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		try, err := tx.WantLook(ctx, cleanCount(t.ID))
		if err != nil {
			return err
		}
		o := work.Offer{Task: t.ID, Generation: t.Generation, Kind: work.Cleanup, Try: int(try)}
		return tx.Enqueue(ctx, offerArgs{Host: t.Host, Offer: o, Nonce: nonce(tx.Now)}, noTime)
	})
}

func cleanCount(taskID string) string { return "clean:" + taskID }

// cleanRemote deletes the branch of merged and cancelled tasks; a cancelled task's pull request is closed
// first, and GitHub keeps its commits. A failed task's pull request stays for people to look at.
func (f *Flow) cleanRemote(ctx context.Context, t task.Task) error {
	if t.Kind != task.Code || t.Pushed == "" || t.Outcome == task.Failed {
		return nil
	}
	repo := f.github.Repo(t.Repo)
	if t.Outcome == task.Cancelled && t.PR != 0 {
		if err := repo.CloseIssue(ctx, t.PR); err != nil && !gone(err) && !errors.Is(err, github.ErrForbidden) {
			return fmt.Errorf("close pull request %d: %w", t.PR, err)
		}
	}
	if keep, err := f.keepsBranch(ctx, t); err != nil || keep {
		return err
	}
	err := repo.DeleteBranch(ctx, t.Branch, t.Pushed)
	if errors.Is(err, github.ErrHeadMoved) || errors.Is(err, github.ErrRefused) || errors.Is(err, github.ErrForbidden) {
		f.log.Warn().Err(err).Str("task", t.ID).Msg("branch kept: it is not ours alone any more")
		return nil
	}
	if gone(err) {
		return nil
	}
	return err
}

// keepsBranch says that a branch stays: the settings want it, or it holds work that nothing else on GitHub holds.
func (f *Flow) keepsBranch(ctx context.Context, t task.Task) (bool, error) {
	if t.Outcome == task.Cancelled {
		return t.PR == 0, nil // a closed pull request keeps its commits, a branch without one is all there is
	}
	set, err := f.limitsOf(ctx, t.Repo, t.Base)
	if gone(err) {
		return false, nil
	}
	return !set.Merge.DeleteBranch, err
}

// gone says that what should be removed cannot be there any more.
func gone(err error) bool {
	return errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrSuspended)
}

const cleanPause = 30 * time.Second

// cleanedUp takes the host's word on a cleanup. What did not succeed is tried again.
func (f *Flow) cleanedUp(ctx context.Context, tx *store.Tx, t task.Task, r work.Report) error {
	if r.Outcome != work.Cleaned {
		f.log.Warn().Str("task", t.ID).Str("host", r.Host).Str("reason", r.Reason).Msg("not cleaned up, will be tried again")
		return f.enqueue(ctx, tx, t, task.Effect{Kind: task.Clean, After: cleanPause})
	}
	_, err := f.signal(ctx, tx, t.ID, task.Cleaned{})
	if errors.Is(err, task.ErrIgnored) {
		return nil
	}
	return err
}
