package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/bmatcuk/doublestar/v4"

	"dozens/batch"
	"dozens/batch/plan"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/config"
	"dozens/github"
	"dozens/store"
)

// request is what a label or a command asks for, authorised and with its text frozen.
type request struct {
	kind    batch.Kind
	source  string // unique: doing it twice gives the same batch
	by      account
	p       payload
	set     config.Repository
	text    string
	options batch.Options
	// outsider is the login of the issue's author where an agent may not read what they write.
	outsider string
}

// accept begins a batch. The problem, in words for the person, says why it does not; store.ErrBusy that the
// issue has an open one. Doing it twice with one source is doing it once.
func (f *Flow) accept(ctx context.Context, a request) (problem string, err error) {
	repo := a.p.repo()
	a, problem, err = f.readable(ctx, a)
	if err != nil || problem != "" {
		return problem, err
	}
	base, problem, err := f.baseOf(ctx, repo, a)
	if err != nil || problem != "" {
		return problem, err
	}
	sha, err := f.github.Repo(repo).Branch(ctx, base)
	if errors.Is(err, github.ErrNotFound) {
		return fmt.Sprintf("There is no branch `%s` with a commit in this repository.", say.Code(base, 200)), nil
	} else if err != nil {
		return "", err
	}
	b := batch.Batch{
		ID: batch.ID(strconv.FormatInt(repo.ID, 10), a.source), Kind: a.kind, Stage: batch.Work, Repo: repo,
		Issue: a.p.Issue.Number, Source: a.source, Requester: a.by.person(),
		Text: a.text, Title: a.p.Issue.Title, Body: a.p.Issue.Body, Outsider: a.outsider, Options: a.options, Base: base, BaseSHA: sha,
	}
	return "", f.store.Tx(ctx, func(tx *store.Tx) error { return f.begin(ctx, tx, b) })
}

// readable keeps the text of an issue from the agents when its author may not command, as GitHub says at this moment:
// who asks then says in their own words what is to be done. Where they said nothing, the problem asks them to.
func (f *Flow) readable(ctx context.Context, a request) (request, string, error) {
	author := a.p.Issue.User
	if a.set.Commands.Read == config.Everyone || author.ID != 0 && author.ID == a.by.ID {
		return a, "", nil
	}
	may, err := f.mayCommand(ctx, a.p, author, a.set)
	if err != nil || may {
		return a, "", err
	}
	if a.text == "" {
		return a, say.Unreadable(author.Login, string(a.kind)), nil
	}
	a.outsider = cmp.Or(author.Login, "a deleted account")
	issue := *a.p.Issue // the payload's own stays as it is
	issue.Title, issue.Body = say.Subject(a.text), ""
	a.p.Issue = &issue
	return a, "", nil
}

// baseOf is the branch the work starts from and goes to, if the settings allow it.
func (f *Flow) baseOf(ctx context.Context, repo batch.Repo, a request) (base, problem string, err error) {
	in, err := f.infoOf(ctx, repo)
	if err != nil {
		return "", "", err
	}
	if a.options.Base == "" {
		return in.DefaultBranch, "", nil
	}
	allowed := a.set.Base
	if len(allowed) == 0 {
		allowed = []string{in.DefaultBranch}
	}
	for _, glob := range allowed {
		if ok, _ := doublestar.Match(glob, a.options.Base); ok { // a bad pattern matches nothing
			return a.options.Base, "", nil
		}
	}
	return "", fmt.Sprintf("`--base %s` is not among the base branches that this repository's settings allow.", say.Code(a.options.Base, 200)), nil
}

func (f *Flow) begin(ctx context.Context, tx *store.Tx, b batch.Batch) error {
	if _, err := tx.Batch(ctx, b.ID); err == nil {
		return nil // accepted before
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	b.CreatedAt = tx.Now
	var unit plan.Unit
	kind := task.Code
	if b.Kind == batch.Fanout {
		b.Stage, kind = batch.Plan, task.Plan
		unit = plan.Unit{Label: "plan", Title: "Plan: " + b.Title}
	} else {
		unit = plan.Unit{Label: labelFor(b), Title: b.Title, Brief: b.Text}
	}
	if err := tx.PutBatch(ctx, b); err != nil {
		return err
	}
	if err := tx.Note(ctx, store.Event{Batch: b.ID, Signal: "accepted", To: string(b.Stage)}); err != nil {
		return err
	}
	f.log.Info().Str("batch", b.ID).Str("repo", b.Repo.FullName()).Int("issue", b.Issue).Str("requester", b.Requester.Login).Msg("batch accepted")
	return f.addTasks(ctx, tx, b, kind, []plan.Unit{unit}, kind == task.Code)
}

func labelFor(b batch.Batch) string {
	if b.Options.Label != "" {
		return b.Options.Label
	}
	label := plan.MakeLabel(b.Title)
	if plan.CheckLabel(label) != nil {
		return "issue-" + strconv.Itoa(b.Issue)
	}
	return label
}

// addTasks saves one task per unit and sets the pump going. closes: the unit's pull request completes the issue.
func (f *Flow) addTasks(ctx context.Context, tx *store.Tx, b batch.Batch, kind task.Kind, units []plan.Unit, closes bool) error {
	for _, u := range units {
		id := batch.ID(b.ID, string(kind), u.Label)
		t := task.Task{
			ID: id, Batch: b.ID, Repo: b.Repo, Issue: b.Issue, Kind: kind, Label: u.Label, Title: u.Title, Brief: u.Brief,
			Owned: u.Owned, New: u.New, DependsOn: u.DependsOn, Size: u.Size, Closes: closes,
			Requester: b.Requester, Stage: task.Queue, Generation: 1, Session: session(id, 1),
			Branch: task.Branch(u.Label, id, 1), Base: b.Base, BaseSHA: b.BaseSHA, CreatedAt: tx.Now, StageSince: tx.Now,
		}
		if len(t.DependsOn) > 0 {
			t.Waiting = task.ForDependency
		}
		if err := tx.PutTask(ctx, t); err != nil {
			return err
		}
		if err := tx.Note(ctx, store.Event{Batch: b.ID, Task: id, Signal: "created", To: string(t.Stage)}); err != nil {
			return err
		}
	}
	if err := tx.Enqueue(ctx, pumpArgs{Repo: b.Repo}, noTime); err != nil {
		return err
	}
	return f.refresh(ctx, tx, b.ID)
}

// refresh asks for the status comment to be brought up to date.
func (f *Flow) refresh(ctx context.Context, tx *store.Tx, batchID string) error {
	args, err := f.wantStatus(ctx, tx, batchID)
	if err != nil {
		return err
	}
	return tx.Enqueue(ctx, args, noTime)
}

// startPlan makes tasks of the chosen units (1-based; nil: all) of the shown plan. A problem says why not.
func (f *Flow) startPlan(ctx context.Context, tx *store.Tx, b batch.Batch, p plan.Plan, chosen []int) (problem string, err error) {
	units := p.Units
	if chosen != nil {
		units = nil
		for _, n := range chosen {
			if n < 1 || n > len(p.Units) {
				return fmt.Sprintf("The plan has units 1 to %d; there is no unit %d.", len(p.Units), n), nil
			}
			units = append(units, p.Units[n-1])
		}
	}
	for _, u := range units {
		for _, need := range u.DependsOn {
			if !slices.ContainsFunc(units, func(o plan.Unit) bool { return o.Label == need }) {
				return fmt.Sprintf("Unit `%s` needs `%s`, which was not chosen.", u.Label, need), nil
			}
		}
	}
	b.Stage = batch.Work
	if err := tx.PutBatch(ctx, b); err != nil {
		return "", err
	}
	if err := tx.Note(ctx, store.Event{Batch: b.ID, Signal: "go", From: string(batch.Approval), To: string(batch.Work)}); err != nil {
		return "", err
	}
	return "", f.addTasks(ctx, tx, b, task.Code, units, len(p.Units) == 1)
}
