package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// look reads the facts of a task's pull request, judges them, shows the verdict, and signals it.
func (f *Flow) look(ctx context.Context, job *river.Job[lookArgs]) error {
	n := job.Args.N
	if n == 0 { // a look that was put off is wished for when its time has come
		err := f.store.Tx(ctx, func(tx *store.Tx) (err error) { n, err = tx.WantLook(ctx, job.Args.Task); return err })
		if err != nil {
			return err
		}
	}
	return f.covering(ctx, job.Args.Task, n, job.ID, func(ctx context.Context) error { return f.lookOnce(ctx, job.Args) })
}

// covering calls do when the n-th wish under key is not covered yet. One call covers all wishes before it, and
// there is one call at a time: whoever finds another at it leaves, and the other looks again before it goes.
func (f *Flow) covering(ctx context.Context, key string, n, job int64, do func(context.Context) error) error {
	name, holder := "at:"+key, strconv.FormatInt(job, 10)
	for {
		wanted, done, err := f.store.Looks(ctx, key)
		if err != nil || done >= max(n, wanted) {
			return err
		}
		held, err := f.store.Lock(ctx, name, holder, 2*jobTimeout)
		if err != nil || !held {
			return err
		}
		err = f.cover(ctx, key, do)
		if err = errors.Join(err, f.store.Unlock(context.WithoutCancel(ctx), name, holder)); err != nil {
			return err
		}
	}
}

func (f *Flow) cover(ctx context.Context, key string, do func(context.Context) error) error {
	wanted, done, err := f.store.Looks(ctx, key)
	if err != nil || done >= wanted {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	return f.store.Looked(ctx, key, wanted)
}

const goneTries = 4 // looks that find nothing, seconds apart, before a pull request counts as gone

func (f *Flow) lookOnce(ctx context.Context, args lookArgs) error {
	id := args.Task
	t, b, err := f.load(ctx, id)
	if err != nil || t.PR == 0 {
		return err
	}
	if t.Stage != task.CI && t.Stage != task.Review && t.Stage != task.Merge {
		return f.glance(ctx, t)
	}
	s, err := f.judge(ctx, t, b)
	if errors.Is(err, github.ErrNotFound) && args.Try < goneTries {
		return f.lookLater(ctx, t, args.Try) // what was just made, or moved, is sometimes not found for a moment
	} else if errors.Is(err, github.ErrNotFound) {
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
	return f.lookAgain(ctx, t, s, args.Try)
}

// glance notices that a person merged or closed the pull request of a task whose session is at it again, or waits.
func (f *Flow) glance(ctx context.Context, t task.Task) error {
	if t.Stage == task.Cleanup || t.Stage.Final() {
		return nil
	}
	open, merged, err := f.github.Repo(t.Repo).PullStatus(ctx, t.PR)
	switch {
	case err != nil:
		return err
	case merged != "":
		return f.Signal(ctx, t.ID, task.Merged{SHA: merged})
	case !open:
		return f.Signal(ctx, t.ID, task.Stopped{Why: "the pull request was closed by a person"})
	}
	return nil
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
	var askers []gate.Actor
	for _, login := range t.Asked {
		askers = append(askers, gate.Actor{Login: login})
	}
	policy := gate.Policy{
		Ours: true, HeadRef: t.Branch, BaseRef: t.Base, Pushed: t.Pushed, RepoID: t.Repo.ID, BotID: me.ID,
		Requester:       gate.Actor{Login: b.Requester.Login, ID: b.Requester.ID, Type: b.Requester.Type},
		Askers:          askers,
		RequesterCounts: set.Merge.RequesterApproval, Approvals: set.Merge.Approvals,
		AllowNoChecks: set.Merge.Checks == "none", Ignore: set.Merge.IgnoreChecks,
		Protected: protectedPaths(set), Named: set.Merge.ProtectedApprovers,
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
	if s.facts.Head != t.Pushed || s.verdict.Action != gate.Fix {
		return j, nil
	}
	var err error
	switch {
	case s.verdict.Conflict:
		err = f.conflict(ctx, t, &j)
	case s.verdict.Checks == gate.Red:
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
	foreign := s.facts.Head != t.Pushed && try >= longestTry // somebody pushed: webhooks and the sweep tell of more
	if !open || foreign || (s.facts.Mergeable != nil && s.facts.Head == t.Pushed) {
		return nil
	}
	return f.lookLater(ctx, t, try)
}

// lookLater looks again after 1, 2, 4… seconds.
func (f *Flow) lookLater(ctx context.Context, t task.Task, try int) error {
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		return tx.Enqueue(ctx, lookArgs{Task: t.ID, Try: min(try+1, longestTry)}, tx.Now.Add(time.Second<<min(try, longestTry)))
	})
}
