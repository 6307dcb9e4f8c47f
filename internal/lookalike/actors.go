package lookalike

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// CI plays a CI system. It is called in a goroutine of its own for each new head of an open pull request;
// ctx ends at Close. Nothing is reported but what it reports: checks that come late, or never, are its choice.
type CI func(ctx context.Context, job CIJob)

// CIJob is one head commit to test.
type CIJob struct {
	Repo   *Repo
	Pull   int
	SHA    string
	Branch string
	Base   string
}

// Reviewer plays a person who reviews. It is called in a goroutine of its own when a pull request is opened,
// marked ready or pushed to; ctx ends at Close.
type Reviewer func(ctx context.Context, job ReviewJob)

// ReviewJob is one moment at which somebody might review.
type ReviewJob struct {
	Repo   *Repo
	Pull   *Pull
	Action string // opened, ready_for_review, synchronize
	SHA    string
	Draft  bool
}

// ciApp is the slug of the App that CIJob reports as.
const ciApp = "ci"

// SetCI sets or ends (nil) the CI of this repository, for heads from now on.
func (r *Repo) SetCI(ci CI) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.ci = ci
}

// SetReviewer sets or ends (nil) the reviewer of this repository, for events from now on.
func (r *Repo) SetReviewer(reviewer Reviewer) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.reviewer = reviewer
}

// startHeld is spawn for callers that hold g.mu.
func (g *GitHub) startHeld(f func(context.Context)) {
	if g.closed {
		return
	}
	g.work.Add(1)
	go func() {
		defer g.work.Done()
		f(g.ctx)
	}()
}

// startCI calls the CI for a pull request's head. g.mu is held.
func (g *GitHub) startCI(r *repository, i *issue) {
	ci := r.ci
	if ci == nil {
		return
	}
	job := CIJob{Repo: &Repo{g: g, r: r}, Pull: i.number, SHA: i.pull.headSHA, Branch: i.pull.head, Base: i.pull.base}
	g.startHeld(func(ctx context.Context) { ci(ctx, job) })
}

// startReviewer calls the reviewer. g.mu is held.
func (g *GitHub) startReviewer(r *repository, i *issue, action string) {
	reviewer := r.reviewer
	if reviewer == nil {
		return
	}
	repo := &Repo{g: g, r: r}
	job := ReviewJob{Repo: repo, Pull: repo.Pull(i.number), Action: action, SHA: i.pull.headSHA, Draft: i.pull.draft}
	g.startHeld(func(ctx context.Context) { reviewer(ctx, job) })
}

// ReadFile is the content of a file at the commit; ok is false when there is none.
func (j CIJob) ReadFile(path string) (content string, ok bool, err error) {
	return j.Repo.File(j.SHA, path)
}

// Files are the paths of all files at the commit.
func (j CIJob) Files() ([]string, error) { return j.Repo.Files(j.SHA) }

// Set reports a check of the commit as App "ci"; see Repo.SetCheck.
func (j CIJob) Set(name, status, conclusion, title, summary string) error {
	return j.Repo.SetCheck(j.SHA, ciApp, name, status, conclusion, title, summary)
}

// Run reports a check as queued and in progress, does the work, and reports what came of it.
func (j CIJob) Run(ctx context.Context, name string, work func(context.Context) (conclusion, title, summary string)) error {
	if err := j.Set(name, "queued", "", "", ""); err != nil {
		return err
	}
	if err := j.Set(name, "in_progress", "", "", ""); err != nil {
		return err
	}
	conclusion, title, summary := work(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return j.Set(name, "completed", conclusion, title, summary)
}

// SetCheck reports a check run of a commit as some App. While that App's newest run of the name is not
// completed it is changed, after that a new one is made. status is queued, in_progress or completed; a
// conclusion belongs to completed only.
func (r *Repo) SetCheck(sha, app, name, status, conclusion, title, summary string) error {
	g := r.g
	head, err := r.knownCommit(sha)
	if err != nil {
		return fmt.Errorf("set check %s: %w", name, err)
	}
	in := runInput{Name: &name, Status: &status}
	if conclusion != "" {
		in.Conclusion = &conclusion
	}
	if err := in.check(); err != nil {
		return fmt.Errorf("set check %s: %w", name, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	slug := g.ensureApp(app)
	run, action := r.openRun(slug, name, head.sha), ""
	if run == nil {
		run, action = g.addRun(r.r, slug, name, head.sha, head), "created"
	}
	was := run.status
	in.apply(run, g.now())
	if title != "" || summary != "" {
		run.title, run.summary = &title, &summary
	}
	if action == "created" {
		g.runChanged(r.r, run, "created")
		was = ""
	}
	if run.status == "completed" && was != "completed" {
		g.runChanged(r.r, run, "completed")
	} else {
		run.suite.status, run.suite.result = r.r.suiteState(run.suite)
	}
	return nil
}

func (r *Repo) knownCommit(sha string) (*gitCommit, error) {
	if !isSHA(sha) {
		return nil, fmt.Errorf("%q is no commit id", sha)
	}
	head, err := r.r.dir.commit(r.g.ctx, sha)
	if err == nil && head == nil {
		err = errors.New("no such commit")
	}
	return head, err
}

// openRun is the App's newest run of that name, when it is not completed. g.mu is held.
func (r *Repo) openRun(app *application, name, sha string) *checkRun {
	for _, run := range r.r.latestRuns(sha) {
		if run.app == app && run.name == name && run.status != "completed" {
			return run
		}
	}
	return nil
}

// SetStatus reports a commit status as a person or App account: error, failure, pending or success.
func (r *Repo) SetStatus(sha, context, state, description string) error {
	g := r.g
	head, err := r.knownCommit(sha)
	if err != nil {
		return fmt.Errorf("set status %s: %w", context, err)
	}
	if !strings.Contains(" error failure pending success ", " "+state+" ") {
		return fmt.Errorf("set status %s: no state %q", context, state)
	}
	refs, err := r.r.dir.refs(g.ctx, "refs/heads")
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	by := actor{user: g.ensureAccount("ci-bot", "Bot")}
	g.addStatus(by, r.r, sha, context, state, description, "", *head, g.branchesAt(r.r, refs, sha))
	return nil
}

// Sleep waits, or says false when ctx ended first. CI and Reviewer functions use it to take their time.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
