package flow

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"dozens/batch"
	"dozens/batch/command"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/config"
	"dozens/store"
)

// handle turns one delivery into commands and looks. The note says why there was nothing to do.
func (f *Flow) handle(ctx context.Context, d batch.Delivery) (note string, err error) {
	p, err := decode(d)
	if err != nil {
		return err.Error(), nil // it will not get better
	}
	switch d.Event {
	case "issues":
		return f.onIssue(ctx, d, p)
	case "issue_comment":
		return f.onComment(ctx, p)
	case "pull_request", "pull_request_review", "pull_request_review_comment", "pull_request_review_thread":
		return f.onPull(ctx, p)
	case "check_run", "check_suite", "status", "workflow_run":
		return f.onCheck(ctx, p)
	case "push", "repository", "installation", "installation_repositories":
		f.forget(p.Repository.ID)
		if d.Event == "installation" && p.Action == "new_permissions_accepted" {
			return "", f.unbarAll(ctx, p.Installation.ID)
		}
	}
	return "nothing to do for this event", nil
}

func (f *Flow) onPull(ctx context.Context, p payload) (string, error) {
	if p.PullRequest == nil || p.Repository.ID == 0 {
		return "no pull request in it", nil
	}
	t, err := f.store.TaskByPR(ctx, p.Repository.ID, p.PullRequest.Number)
	if errors.Is(err, store.ErrNotFound) {
		return "not our pull request", nil
	} else if err != nil {
		return "", err
	}
	return "", f.wantLooks(ctx, []task.Task{t})
}

func (f *Flow) onCheck(ctx context.Context, p payload) (string, error) {
	if p.sha() == "" || p.Repository.ID == 0 {
		return "no commit in it", nil
	}
	if me, err := f.github.Me(ctx); err != nil {
		return "", err
	} else if p.CheckRun != nil && p.CheckRun.App.ID == me.AppID {
		return "our own check", nil
	}
	tasks, err := f.store.TasksAt(ctx, p.Repository.ID, p.sha())
	if err != nil {
		return "", err
	}
	if len(tasks) == 0 {
		return "not a commit of ours", nil
	}
	return "", f.wantLooks(ctx, tasks)
}

func (f *Flow) wantLooks(ctx context.Context, tasks []task.Task) error {
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		for _, t := range tasks {
			if err := f.enqueue(ctx, tx, t, task.Effect{Kind: task.Look}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *Flow) onIssue(ctx context.Context, d batch.Delivery, p payload) (string, error) {
	if p.Issue == nil || p.Repository.ID == 0 {
		return "no issue in it", nil
	}
	own, err := f.own(ctx, p.Sender)
	if err != nil || own {
		return "our own doing", err
	}
	switch p.Action {
	case "opened", "labeled":
		return f.onLabels(ctx, d, p)
	case "unlabeled", "closed", "deleted", "transferred":
		return f.onWithdrawn(ctx, p)
	}
	return "nothing to do for this action", nil
}

// own says whether the account is this App's.
func (f *Flow) own(ctx context.Context, a account) (bool, error) {
	me, err := f.github.Me(ctx)
	if err != nil {
		return false, err
	}
	return a.Login == me.Login || (me.ID != 0 && a.ID == me.ID), nil
}

// onLabels starts a batch when a label that asks for one was put on an issue, or the issue was opened with it.
func (f *Flow) onLabels(ctx context.Context, d batch.Delivery, p payload) (string, error) {
	set, err := f.settingsOf(ctx, p.repo(), "")
	if err != nil {
		return f.settingsProblem(ctx, p, err)
	}
	var kind batch.Kind
	for _, name := range labelsOf(p) {
		switch name {
		case set.Labels.Claude:
			kind = batch.Claude
		case set.Labels.Batch:
			kind = batch.Fanout
		}
	}
	if kind == "" {
		return "no label of ours", nil
	}
	if ok, err := f.mayCommand(ctx, p, p.Sender, set); err != nil || !ok {
		return "the sender may not command", err
	}
	stale, err := f.startedAlready(ctx, p)
	if err != nil || stale {
		return "the label has started a batch already", err
	}
	if err := f.github.Repo(p.repo()).ReactIssue(ctx, p.Issue.Number, "eyes"); err != nil {
		return "", err
	}
	a := request{kind: kind, source: "label:" + d.ID, by: p.Sender, p: p, set: set}
	problem, err := f.accept(ctx, a)
	if errors.Is(err, store.ErrBusy) {
		return "the issue has an open batch", nil
	}
	if err != nil {
		return "", err
	}
	if problem != "" {
		// An issue that is opened with its label is told twice by GitHub, and once by us.
		key := fmt.Sprintf("label:%d:%s:%08x", p.Issue.Number, kind, crc32.ChecksumIEEE([]byte(problem)))
		return problem, f.reply(ctx, p, key, say.Refused([]string{problem}))
	}
	return "", f.github.Repo(p.repo()).ReactIssue(ctx, p.Issue.Number, "rocket")
}

func labelsOf(p payload) []string {
	if p.Action == "labeled" {
		if p.Label == nil {
			return nil
		}
		return []string{p.Label.Name}
	}
	var names []string
	for _, l := range p.Issue.Labels {
		names = append(names, l.Name)
	}
	return names
}

// startedAlready tells a late or doubled label event from a new one: what was already there when the latest
// batch of the issue began asks for nothing more.
func (f *Flow) startedAlready(ctx context.Context, p payload) (bool, error) {
	last, err := f.store.LatestBatch(ctx, p.Repository.ID, p.Issue.Number)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && !p.Issue.UpdatedAt.IsZero() && !p.Issue.UpdatedAt.After(last.CreatedAt), err
}

// onWithdrawn stops the work when its label is removed or its issue closed.
func (f *Flow) onWithdrawn(ctx context.Context, p payload) (string, error) {
	b, err := f.store.LatestBatch(ctx, p.Repository.ID, p.Issue.Number)
	if errors.Is(err, store.ErrNotFound) || (err == nil && b.Stage.Final()) {
		return "no open batch on it", nil
	} else if err != nil {
		return "", err
	}
	if !p.Issue.UpdatedAt.IsZero() && p.Issue.UpdatedAt.Before(b.CreatedAt.Truncate(time.Second)) {
		return "older than the batch", nil
	}
	why := "the issue was " + p.Action
	if p.Action == "unlabeled" {
		set, err := f.settingsOf(ctx, p.repo(), "")
		if err != nil || p.Label == nil {
			return "settings cannot be read", nil
		}
		if p.Label.Name != set.Labels.Claude && p.Label.Name != set.Labels.Batch {
			return "not a label of ours", nil
		}
		why = "the label was removed"
	}
	if p.Action == "closed" {
		if merged, err := f.mergedAll(ctx, b.ID); err != nil || merged {
			return "closed by the merge of its last unit", err
		}
	}
	return "", f.stopBatch(ctx, b.ID, nil, why+" by "+p.Sender.Login)
}

// mergedAll says that every unit is merged or merging, asking GitHub where a person may have done it: an issue
// closed now was closed by "Closes #n".
func (f *Flow) mergedAll(ctx context.Context, batchID string) (bool, error) {
	tasks, err := f.store.TasksOf(ctx, batchID)
	if err != nil {
		return false, err
	}
	units := 0
	for _, t := range tasks {
		if t.Kind != task.Code {
			continue
		}
		units++
		if t.Stage == task.Merge || t.Stage == task.Done || t.Outcome == task.Done {
			continue
		}
		if t.PR == 0 {
			return false, nil
		}
		_, merged, err := f.github.Repo(t.Repo).PullStatus(ctx, t.PR)
		if err != nil || merged == "" {
			return false, err
		}
		if err := f.Signal(ctx, t.ID, task.Merged{SHA: merged}); err != nil {
			return false, err
		}
	}
	return units > 0, nil
}

// mayCommand asks GitHub for the person's permission now. Bots never may, unless they are listed.
func (f *Flow) mayCommand(ctx context.Context, p payload, who account, set config.Repository) (bool, error) {
	if slices.Contains(set.Commands.Users, who.Login) {
		return true, nil
	}
	if who.Type != "User" {
		return false, nil
	}
	has, err := f.github.Repo(p.repo()).Permission(ctx, who.Login)
	if err != nil {
		return false, err
	}
	return config.Permission(has).Rank() >= set.Commands.Permission.Rank(), nil
}

// settingsFor are the settings a comment is judged by: whatever the file says, work can be stopped.
func (f *Flow) settingsFor(ctx context.Context, p payload) (config.Repository, error) {
	set, err := f.settingsOf(ctx, p.repo(), "")
	if err != nil && brakes(p.Comment.Body) {
		return f.limitsOf(ctx, p.repo(), "")
	}
	return set, err
}

// brakes says that a short comment asks for nothing but a halt or a look.
func brakes(body string) bool {
	if len(body) > strangersParsed {
		return false
	}
	commands, _ := command.Parse(body)
	return len(commands) > 0 && !slices.ContainsFunc(commands, func(c command.Command) bool {
		return c.Verb != command.Stop && c.Verb != command.Hold && c.Verb != command.Status && c.Verb != command.ShowHelp
	})
}

// strangersParsed bounds, in bytes, what is parsed for people who may not command: hostile Markdown is slow to read.
const strangersParsed = 8 << 10

func (f *Flow) onComment(ctx context.Context, p payload) (string, error) {
	if p.Action != "created" || p.Comment == nil || p.Issue == nil || p.Repository.ID == 0 {
		return "only new comments are read", nil
	}
	own, err := f.own(ctx, p.Comment.User)
	switch {
	case err != nil || own:
		return "our own comment", err
	case p.Sender.ID != p.Comment.User.ID:
		return "not sent by its author", nil
	case !strings.Contains(p.Comment.Body, "/"):
		return f.onWords(ctx, p)
	}
	set, err := f.settingsFor(ctx, p)
	if err != nil {
		return f.settingsProblem(ctx, p, err)
	}
	may, err := f.mayCommand(ctx, p, p.Comment.User, set)
	if err != nil || (!may && len(p.Comment.Body) > strangersParsed) {
		return "the author may not command", err
	}
	commands, refusals := command.Parse(p.Comment.Body)
	switch {
	case len(commands)+len(refusals) == 0:
		return f.onWords(ctx, p)
	case !may:
		return "the author may not command", f.github.Repo(p.repo()).ReactComment(ctx, p.Comment.ID, "confused")
	}
	return f.onCommands(ctx, p, set, commands, refusals)
}

// onCommands does what an authorised comment asks: reaction first, then the work, then rocket, or confused with
// one reply that says what was wrong.
func (f *Flow) onCommands(ctx context.Context, p payload, set config.Repository, commands []command.Command, refusals []command.Refusal) (string, error) {
	repo := f.github.Repo(p.repo())
	if err := repo.ReactComment(ctx, p.Comment.ID, "eyes"); err != nil {
		return "", err
	}
	problems, err := f.carryOutAll(ctx, p, set, commands)
	if err != nil {
		return "", err
	}
	for _, r := range refusals {
		problems = append(problems, refusalText(r))
	}
	if len(problems) == 0 {
		return "", repo.ReactComment(ctx, p.Comment.ID, "rocket")
	}
	if err := f.reply(ctx, p, fmt.Sprintf("refused:%d", p.Comment.ID), say.Refused(problems)); err != nil {
		return "", err
	}
	return "refused", repo.ReactComment(ctx, p.Comment.ID, "confused")
}

func refusalText(r command.Refusal) string {
	return fmt.Sprintf("`%s`: %s\n\n```\n%s\n```", say.Code(r.Line, 100), say.Block(r.Problem, 500), r.Usage)
}

func (f *Flow) carryOutAll(ctx context.Context, p payload, set config.Repository, commands []command.Command) (problems []string, err error) {
	for i, c := range commands {
		problem, err := f.carryOut(ctx, p, set, c, i)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems, nil
}

// onWords takes a comment without a command for the answer to a question, when one is open here and its
// author may answer.
func (f *Flow) onWords(ctx context.Context, p payload) (string, error) {
	t, err := f.asking(ctx, p)
	if errors.Is(err, store.ErrNotFound) {
		return "no command and no open question", nil
	} else if err != nil {
		return "", err
	}
	set, err := f.settingsOf(ctx, p.repo(), "")
	if err != nil {
		return "settings cannot be read", nil
	}
	if ok, err := f.mayCommand(ctx, p, p.Comment.User, set); err != nil || !ok {
		return "the author may not answer", err
	}
	if err := f.Signal(ctx, t.ID, task.Answered{Text: say.Heard(p.Comment.Body), By: p.Comment.User.Login}); err != nil {
		return "", err
	}
	return "", f.github.Repo(p.repo()).ReactComment(ctx, p.Comment.ID, "rocket")
}

// asking finds the task that waits for an answer on this issue or pull request: the one that asked first.
func (f *Flow) asking(ctx context.Context, p payload) (task.Task, error) {
	if p.Issue.PullRequest != nil {
		t, err := f.store.TaskByPR(ctx, p.Repository.ID, p.Issue.Number)
		if err == nil && !asks(t) {
			err = store.ErrNotFound
		}
		return t, err
	}
	b, err := f.store.LatestBatch(ctx, p.Repository.ID, p.Issue.Number)
	if err != nil {
		return task.Task{}, err
	}
	tasks, err := f.store.TasksOf(ctx, b.ID)
	if err != nil {
		return task.Task{}, err
	}
	tasks = slices.DeleteFunc(tasks, func(t task.Task) bool { return !asks(t) })
	if len(tasks) == 0 {
		return task.Task{}, store.ErrNotFound
	}
	return slices.MinFunc(tasks, func(a, b task.Task) int { return a.StageSince.Compare(b.StageSince) }), nil
}

// asks says that a task waits for a person's words, or for a permission that such words could make needless.
func asks(t task.Task) bool { return t.Waiting == task.ForAnswer || t.Waiting == task.ForPermission }

// reply writes one comment about a key on the issue or pull request that the payload speaks of.
func (f *Flow) reply(ctx context.Context, p payload, key, body string) error {
	_, err := f.github.Repo(p.repo()).Comment(ctx, p.Issue.Number, key, body)
	return err
}

// settingsProblem says on the issue that the repository's settings cannot be used; other errors go back.
func (f *Flow) settingsProblem(ctx context.Context, p payload, err error) (string, error) {
	var bad *settingsError
	if !errors.As(err, &bad) {
		return "", err
	}
	if ok, err := f.mayCommand(ctx, p, p.Sender, config.DefaultRepository()); err != nil || !ok {
		return "the sender may not command", err
	}
	key := fmt.Sprintf("settings:%d", p.Issue.Number)
	return "settings are invalid", f.reply(ctx, p, key, say.Refused([]string{say.BadSettings(settingsFile, bad.branch, bad.err.Error())}))
}
