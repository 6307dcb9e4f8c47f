package flow

import (
	"context"
	"errors"
	"slices"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/github"
)

// open makes the pull request of a pushed branch exist: found or created by its branch, so that doing it
// twice opens one.
func (f *Flow) open(ctx context.Context, job *river.Job[openArgs]) error {
	t, b, err := f.load(ctx, job.Args.Task)
	if err != nil || t.Stage != task.Publish || t.Pushed == "" || t.Pushed != t.Head {
		return err
	}
	set, err := f.limitsOf(ctx, t.Repo, t.Base)
	if err != nil {
		return err
	}
	pr, body := t.PR, say.PullBody(b, t)
	if len(t.Protected) > 0 {
		body = say.Guarded(t.Protected, set.Merge.ProtectedApprovers) + body
	}
	if pr == 0 {
		ref, err := f.github.Repo(t.Repo).OpenPull(ctx, github.Pull{
			Head: t.Branch, Base: t.Base, Title: say.PullTitle(t), Body: body, Draft: true})
		if errors.Is(err, github.ErrRefused) || errors.Is(err, github.ErrForbidden) {
			return f.Signal(ctx, t.ID, task.FailedNow{Why: "GitHub refused the pull request: " + err.Error()})
		} else if err != nil {
			return err
		}
		pr = ref.Number
		f.log.Info().Str("task", t.ID).Str("label", t.Label).Int("pr", pr).Str("sha", t.Pushed).Msg("pull request open")
	} else if err := f.github.Repo(t.Repo).UpdatePull(ctx, pr, say.PullTitle(t), body); err != nil {
		return err
	}
	if err := f.mark(ctx, t, pr, set.Labels.Protected); err != nil {
		return err
	}
	return f.Signal(ctx, t.ID, task.Opened{PR: pr, Head: t.Pushed, Marked: len(t.Protected) > 0})
}

// load reads a task and its batch.
func (f *Flow) load(ctx context.Context, id string) (task.Task, batch.Batch, error) {
	t, err := f.store.Task(ctx, id)
	if err != nil {
		return t, batch.Batch{}, err
	}
	b, err := f.store.Batch(ctx, t.Batch)
	return t, b, err
}

// ready marks the pull request ready for review and asks the reviewers of the settings, and for a change of protected
// paths those who may approve it.
func (f *Flow) ready(ctx context.Context, job *river.Job[readyArgs]) error {
	t, err := f.store.Task(ctx, job.Args.Task)
	if err != nil || t.PR == 0 || t.Stage != task.Review {
		return err
	}
	repo := f.github.Repo(t.Repo)
	if err := repo.Ready(ctx, t.PR); err != nil {
		return err
	}
	set, err := f.limitsOf(ctx, t.Repo, t.Base)
	if err != nil {
		return err
	}
	people := slices.Clone(set.Reviewers)
	for _, login := range set.Merge.ProtectedApprovers {
		if len(t.Protected) > 0 && !slices.Contains(people, login) {
			people = append(people, login)
		}
	}
	err = repo.RequestReviewers(ctx, t.PR, people)
	if errors.Is(err, github.ErrRefused) || errors.Is(err, github.ErrForbidden) {
		f.log.Warn().Err(err).Str("task", t.ID).Msg("reviewers not asked; are the settings' reviewers right?")
		return nil
	}
	return err
}
