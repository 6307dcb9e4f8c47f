package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/batch/gate"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/github"
	"dozens/store"
)

const mergeTime = 2 * time.Minute // longest hold of a base branch by one merge, whose job ends before that

// merge merges one pull request: one at a time per base branch, facts read again, head pinned, never a second
// request before a look at what the first one did. Whoever gives the branch back calls the next in line.
func (f *Flow) merge(ctx context.Context, job *river.Job[mergeArgs]) (err error) {
	t, b, err := f.load(ctx, job.Args.Task)
	if err != nil || t.Stage != task.Merge {
		return err
	}
	name, holder := fmt.Sprintf("%s%d/%s", mergePrefix, t.Repo.ID, t.Base), strconv.FormatInt(job.ID, 10)
	held, err := f.store.Lock(ctx, name, holder, mergeTime)
	if err != nil {
		return err
	}
	if !held {
		return nil
	}
	defer func() {
		last := context.WithoutCancel(ctx)
		err = errors.Join(err, f.store.Unlock(last, name, holder), f.callNext(last, t))
	}()
	if done, err := f.mergedBefore(ctx, t); err != nil || done {
		return err
	}
	s, err := f.judge(ctx, t, b)
	if err != nil {
		return err
	}
	if s.verdict.Action != gate.Merge || s.facts.Head != t.Pushed {
		j, err := f.judgement(ctx, t, s)
		if err != nil {
			return err
		}
		if err := f.Signal(ctx, t.ID, j); err != nil {
			return err
		}
		return f.lookAgain(ctx, t, s, 0)
	}
	return f.mergeNow(ctx, t, b, s)
}

// callNext enqueues the merge of the task that has been approved for the longest time among those that wait for
// the same base branch.
func (f *Flow) callNext(ctx context.Context, before task.Task) error {
	live, err := f.store.Live(ctx)
	if err != nil {
		return err
	}
	waiting := slices.DeleteFunc(live, func(t task.Task) bool {
		return t.Stage != task.Merge || t.ID == before.ID || t.Repo.ID != before.Repo.ID || t.Base != before.Base
	})
	if len(waiting) == 0 {
		return nil
	}
	next := slices.MinFunc(waiting, func(a, b task.Task) int { return a.ApprovedAt.Compare(b.ApprovedAt) })
	return f.store.Tx(ctx, func(tx *store.Tx) error { return tx.Enqueue(ctx, mergeArgs{Task: next.ID}, noTime) })
}

// mergeNow sends the one request and signals what came of it.
func (f *Flow) mergeNow(ctx context.Context, t task.Task, b batch.Batch, s sight) error {
	if wanted, err := f.stillWanted(ctx, t); err != nil || !wanted {
		return err
	}
	title, message := say.Squash(b, t)
	sha, err := f.github.Repo(t.Repo).Merge(ctx, github.MergeRequest{
		PR: t.PR, SHA: t.Pushed, Title: title, Message: message, Method: s.set.Merge.Method})
	log := f.log.With().Str("task", t.ID).Int("pr", t.PR).Str("sha", t.Pushed).Logger()
	switch {
	case err == nil:
		log.Info().Str("commit", sha).Msg("merged")
		return f.Signal(ctx, t.ID, task.Merged{SHA: sha})
	case errors.Is(err, github.ErrUncertain):
		log.Warn().Err(err).Msg("merge answer lost, looking")
		if done, err := f.mergedBefore(ctx, t); err != nil || done {
			return err
		}
		return f.Signal(ctx, t.ID, task.Unmerged{Moved: true, Why: "GitHub did not answer the merge; looking again"})
	case errors.Is(err, github.ErrHeadMoved), errors.Is(err, github.ErrBusy):
		log.Info().Err(err).Msg("not merged, facts have moved")
		return f.Signal(ctx, t.ID, task.Unmerged{Moved: true, Why: "the head or the base moved while merging; looking again"})
	case errors.Is(err, github.ErrQueue), errors.Is(err, github.ErrRefused), errors.Is(err, github.ErrForbidden), errors.Is(err, github.ErrNotFound):
		log.Warn().Err(err).Msg("merge refused")
		return f.Signal(ctx, t.ID, task.Unmerged{Why: "GitHub refused the merge: " + err.Error()})
	}
	return err
}

// stillWanted looks once more, after all that was read from GitHub, whether anybody stopped or held the task
// meanwhile, and notes in the same transaction that the request goes out, for whoever comes after a crash.
func (f *Flow) stillWanted(ctx context.Context, t task.Task) (wanted bool, err error) {
	err = f.store.Tx(ctx, func(tx *store.Tx) error {
		now, err := tx.Task(ctx, t.ID)
		if err != nil {
			return err
		}
		b, err := tx.Batch(ctx, t.Batch)
		if err != nil {
			return err
		}
		if now.Stage != task.Merge || now.Pushed != t.Pushed || now.Hold || b.Hold {
			return f.enqueue(ctx, tx, now, task.Effect{Kind: task.Look})
		}
		wanted = true
		return tx.Say(ctx, mergeKey(t), int64(t.PR), t.Pushed)
	})
	return wanted, err
}

func mergeKey(t task.Task) string { return "merging:" + t.ID + ":" + t.Pushed }

// mergedBefore looks whether a merge request that was sent before has done its work, although its answer was
// lost: on the pull request, and for its title on the base branch.
func (f *Flow) mergedBefore(ctx context.Context, t task.Task) (bool, error) {
	_, _, at, err := f.store.Said(ctx, mergeKey(t))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	sha, merged, err := f.github.Repo(t.Repo).MergedAs(ctx, t.PR, t.Base, at.Add(-time.Minute))
	if err != nil || !merged {
		return false, err
	}
	f.log.Info().Str("task", t.ID).Int("pr", t.PR).Str("commit", sha).Msg("was merged by the request before")
	return true, f.Signal(ctx, t.ID, task.Merged{SHA: sha})
}
