package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/batch/gate"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/config"
	"dozens/github"
	"dozens/store"
)

// sight is one look at a pull request: the facts, what the policy makes of them, and the policy's settings.
type sight struct {
	facts   gate.Facts
	verdict gate.Verdict
	set     config.Repository
}

// look reads the facts of a task's pull request, judges them, shows the verdict, and signals it. One look
// covers all that were asked for before it began.
func (f *Flow) look(ctx context.Context, job *river.Job[lookArgs]) error {
	id := job.Args.Task
	wanted, done, err := f.store.Looks(ctx, id)
	if err != nil || done >= job.Args.N {
		return err
	}
	t, b, err := f.load(ctx, id)
	if err != nil {
		return err
	}
	if t.PR == 0 || (t.Stage != task.CI && t.Stage != task.Review && t.Stage != task.Merge) {
		return f.store.Looked(ctx, id, wanted)
	}
	s, err := f.judge(ctx, t, b)
	if errors.Is(err, github.ErrNotFound) {
		return f.Signal(ctx, id, task.FailedNow{Why: "the pull request or its repository is gone"})
	} else if err != nil {
		return err
	}
	signal, err := f.judgement(ctx, t, s)
	if err != nil {
		return err
	}
	if err := f.showGate(ctx, t, s.verdict); err != nil {
		return err
	}
	if err := f.Signal(ctx, id, signal); err != nil {
		return err
	}
	if err := f.lookAgain(ctx, t, s, job.Args.Try); err != nil {
		return err
	}
	return f.store.Looked(ctx, id, wanted)
}

// judge reads the facts and lets the gate decide.
func (f *Flow) judge(ctx context.Context, t task.Task, b batch.Batch) (sight, error) {
	set, err := f.settingsOf(ctx, t.Repo, t.Base)
	var bad *settingsError
	unread := ""
	if errors.As(err, &bad) {
		unread, set = bad.Error(), config.DefaultRepository()
	} else if err != nil {
		return sight{}, err
	}
	me, err := f.github.Me(ctx)
	if err != nil {
		return sight{}, err
	}
	facts, err := f.github.Repo(t.Repo).Facts(ctx, t.PR)
	if err != nil {
		return sight{}, err
	}
	if unread != "" {
		facts.Unread = append(facts.Unread, unread)
	}
	hold := ""
	if b.Hold || t.Hold {
		hold = "held by `/hold`; `/unhold` lets it go"
	}
	policy := gate.Policy{
		Ours: true, HeadRef: t.Branch, BaseRef: t.Base, Pushed: t.Pushed, RepoID: t.Repo.ID, BotID: me.ID,
		Requester:       gate.Actor{Login: b.Requester.Login, ID: b.Requester.ID, Type: b.Requester.Type},
		RequesterCounts: set.Merge.RequesterApproval, Approvals: set.Merge.Approvals,
		AllowNoChecks: set.Merge.Checks == "none", Ignore: set.Merge.IgnoreChecks,
		HoldLabels: set.Merge.HoldLabels, Hold: hold, Mode: string(set.Merge.Mode),
	}
	return sight{facts: facts, verdict: gate.Decide(facts, policy, time.Now()), set: set}, nil
}

// judgement makes the signal of a sight: the verdict, and the first feedback that the session has not had yet.
func (f *Flow) judgement(ctx context.Context, t task.Task, s sight) (task.Judged, error) {
	j := task.Judged{Verdict: s.verdict, MergeCommit: s.facts.MergeCommit, Draft: s.facts.Draft,
		Checks: checksInWords(s.facts.Checks, s.set.Merge.IgnoreChecks), Limits: task.Limits{Rounds: s.set.Limits.Rounds}}
	if s.verdict.Checks != gate.Green && time.Since(t.StageSince) > s.set.Merge.ChecksDeadline {
		j.Overdue = overdue(s)
	}
	if s.facts.Head != t.Pushed || s.facts.Merged || s.facts.State != "open" {
		return j, nil
	}
	var err error
	switch {
	case s.verdict.Conflict:
		err = f.conflict(ctx, t, &j)
	case s.verdict.Action == gate.Fix && s.verdict.Checks == gate.Red:
		err = f.redChecks(ctx, t, s, &j)
	case s.verdict.Changes:
		err = f.changeRequest(ctx, t, s, &j)
	}
	return j, err
}

// overdue says which checks are waited for in vain.
func overdue(s sight) string {
	var missing []string
	for _, c := range s.facts.Checks {
		if c.Conclusion == "" && !slices.Contains(s.set.Merge.IgnoreChecks, c.Name) {
			missing = append(missing, "`"+say.Code(c.Name, 80)+"`")
		}
	}
	if len(missing) == 0 {
		return fmt.Sprintf("no check has come within %s. Does CI run for pull requests of this app?", say.Time(s.set.Merge.ChecksDeadline))
	}
	return fmt.Sprintf("these checks have not ended within %s: %s", say.Time(s.set.Merge.ChecksDeadline), strings.Join(missing, ", "))
}

func checksInWords(checks []gate.Check, ignore []string) string {
	good, all := 0, 0
	for _, c := range checks {
		if slices.Contains(ignore, c.Name) {
			continue
		}
		all++
		if c.Conclusion == "success" || c.Conclusion == "neutral" || c.Conclusion == "skipped" {
			good++
		}
	}
	if all == 0 {
		return "no checks yet"
	}
	return fmt.Sprintf("%d of %d green", good, all)
}

func (f *Flow) conflict(ctx context.Context, t task.Task, j *task.Judged) error {
	sha, err := f.github.Repo(t.Repo).Branch(ctx, t.Base)
	if err != nil {
		return err
	}
	j.Key, j.BaseSHA = "conflict:"+sha, sha
	j.Feedback = say.Conflicts(t.Base, sha)
	return nil
}

func (f *Flow) redChecks(ctx context.Context, t task.Task, s sight, j *task.Judged) error {
	key := "checks:" + s.facts.Head
	if slices.Contains(t.ReadBack, key) {
		return nil
	}
	failures, err := f.github.Repo(t.Repo).FailedChecks(ctx, s.facts)
	if err != nil {
		return err
	}
	var told []say.Failure
	for _, x := range failures {
		text := strings.Join(append([]string{x.Title, x.Summary, x.Text}, x.Annotations...), "\n")
		told = append(told, say.Failure{Name: x.Name, Conclusion: x.Conclusion, Text: text})
	}
	j.Key, j.Feedback = key, say.RedChecks(s.facts.Head, told)
	return nil
}

// changeRequest takes the oldest outstanding request for changes that the session has not been told of.
func (f *Flow) changeRequest(ctx context.Context, t task.Task, s sight, j *task.Judged) error {
	for _, r := range s.verdict.ChangeRequests {
		key := fmt.Sprintf("review:%d", r.ID)
		if slices.Contains(t.ReadBack, key) {
			continue
		}
		full, err := f.github.Repo(t.Repo).ReviewFeedback(ctx, t.PR, r.ID)
		if err != nil {
			return err
		}
		var comments []say.ReviewComment
		for _, c := range full.Comments {
			comments = append(comments, say.ReviewComment{Path: c.Path, Line: c.Line, Hunk: c.Hunk, Body: c.Body})
		}
		j.Key, j.Feedback = key, say.ChangesRequested(r, comments)
		return nil
	}
	return nil
}

// showGate posts the verdict as the check run dozens/gate on the commit it speaks of.
func (f *Flow) showGate(ctx context.Context, t task.Task, v gate.Verdict) error {
	if v.Action == gate.Merged || v.Action == gate.Closed || v.Head == "" {
		return nil
	}
	title, summary := say.Gate(v)
	c := github.GateCheck{Status: "in_progress", Title: title, Summary: summary, DetailsURL: f.page(t.Batch)}
	if v.Action == gate.Merge {
		c.Status, c.Conclusion = "completed", "success"
	}
	err := f.github.Repo(t.Repo).PostGate(ctx, v.Head, t.ID, c)
	if errors.Is(err, github.ErrForbidden) || errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrRefused) {
		f.log.Warn().Err(err).Str("task", t.ID).Msg("verdict not shown; does the app have checks: write?")
		return nil
	}
	return err
}

const longestTry = 6 // 64 s

// lookAgain polls what no webhook tells: GitHub's computation of mergeability, and a head that it shows late.
func (f *Flow) lookAgain(ctx context.Context, t task.Task, s sight, try int) error {
	open := s.facts.State == "open" && !s.facts.Merged
	if !open || (s.facts.Mergeable != nil && s.facts.Head == t.Pushed) {
		return nil
	}
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		args, err := f.wantLook(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		args.Try = min(try+1, longestTry)
		return tx.Enqueue(ctx, args, tx.Now.Add(time.Second<<min(try, longestTry)))
	})
}
