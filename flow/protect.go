package flow

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"dozens/batch"
	"dozens/batch/plan"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/config"
	"dozens/github"
)

// workflowFolder holds what GitHub takes from an App only with a permission of its own, at any depth and with any ending.
const workflowFolder = ".github/workflows/"

// signalOf makes the signal of a report: what of its diff is outside of the owned paths, what is protected, and what
// not every App may push. The paths are the host's own look at git, never the agent's word.
func signalOf(t task.Task, r work.Report, set config.Repository) task.Reported {
	s := task.Reported{Report: r}
	switch {
	case t.Kind == task.Code && r.Kind == work.Run:
		changed := touched(r.Changes)
		s.Stray = plan.Stray(t.Owned, r.Changes)
		s.Protected = plan.Protected(protectedPaths(set), changed)
		s.Workflows = slices.DeleteFunc(changed, func(path string) bool { return !strings.HasPrefix(path, workflowFolder) })
	case r.Kind == work.Publish && r.Outcome == work.Rejected:
		s.Workflows = refusedWorkflows(r.Reason)
	}
	return s
}

// touched lists the paths of a diff, of a rename both sides.
func touched(changes []work.Change) []string {
	var paths []string
	for _, c := range changes {
		for _, path := range []string{c.Path, c.Old} {
			if path != "" && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// protectedPaths are the globs of the settings, and the settings' own file: else a change of it could take the
// protection away with an ordinary approval.
func protectedPaths(set config.Repository) []string {
	return append(slices.Clone(set.Paths.Protected), settingsFile)
}

// refusedWorkflows finds the workflow file for which GitHub refused a push. The words are GitHub's, as in
// "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission";
// there is nothing else to tell it by.
func refusedWorkflows(reason string) []string {
	found := regexp.MustCompile("(?i)refusing to allow .{1,60} to create or update (?:workflow )?[`\"']?(\\.github/workflows/[^`\"'\\s]+)").FindStringSubmatch(reason)
	if found == nil {
		return nil
	}
	return found[1:]
}

// errBarred says that a push waits for a permission of the app.
var errBarred = errors.New("the app may not push workflow files")

// pushAccess is what the git token of a push must open: workflow files only when there are some, and only when the
// installation was granted that.
func (f *Flow) pushAccess(ctx context.Context, t task.Task) (github.Access, error) {
	a := github.Access{Write: true, Workflows: len(t.Workflows) > 0}
	if !a.Workflows {
		return a, nil
	}
	may, err := f.github.Repo(t.Repo).MayPushWorkflows(ctx)
	if err == nil && !may {
		err = errBarred
	}
	return a, err
}

// unbar lets a task's push go on when the app has got the permission that it waits for.
func (f *Flow) unbar(ctx context.Context, t task.Task) (bool, error) {
	may, err := f.github.Repo(t.Repo).MayPushWorkflows(ctx)
	if err != nil || !may {
		return false, err
	}
	if err := f.github.Repo(t.Repo).RenewToken(); err != nil { // it is merged with that one
		return false, err
	}
	return true, f.Signal(ctx, t.ID, task.Allowed{})
}

// unbarAll does so for all tasks of an installation whose owner has just accepted new permissions.
func (f *Flow) unbarAll(ctx context.Context, installation int64) error {
	live, err := f.store.Live(ctx)
	if err != nil {
		return err
	}
	for _, t := range live {
		if t.Waiting != task.ForPermission || t.Repo.Installation != installation {
			continue
		}
		if _, err := f.unbar(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// retryBarred lets the pushes of a batch that wait for a permission go on. The words for the person, if any, name those
// that still may not.
func (f *Flow) retryBarred(ctx context.Context, b batch.Batch, labels []string) (unbarred int, words string, err error) {
	tasks, err := f.store.TasksOf(ctx, b.ID)
	if err != nil {
		return 0, "", err
	}
	var still []string
	for _, t := range tasks {
		if t.Waiting != task.ForPermission || !chosen(labels, t) {
			continue
		}
		may, err := f.unbar(ctx, t)
		if err != nil {
			return 0, "", err
		}
		if may {
			unbarred++
		} else {
			still = append(still, t.Label)
		}
	}
	if len(still) > 0 {
		words = say.StillBarred(still)
	}
	return unbarred, words, nil
}

// mark puts the label of protected changes on a task's pull request, or takes it off again. It is for people only: a
// label that GitHub refuses changes nothing.
func (f *Flow) mark(ctx context.Context, t task.Task, pr int, label string) error {
	repo := f.github.Repo(t.Repo)
	var err error
	switch {
	case len(t.Protected) > 0:
		err = repo.AddLabel(ctx, pr, label)
	case t.Marked:
		err = repo.RemoveLabel(ctx, pr, label)
	}
	if errors.Is(err, github.ErrForbidden) || errors.Is(err, github.ErrRefused) || errors.Is(err, github.ErrNotFound) {
		f.log.Warn().Err(err).Str("task", t.ID).Int("pr", pr).Msg("label not changed")
		return nil
	}
	return err
}
