package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"dozens/batch/gate"
)

// actionsApp is GitHub's own CI. It alone opens a suite only when it means to run something.
const actionsApp = "github-actions"

// readChecks reads the check runs of the head commit, and the suites that were held back before any run began.
func (f *reading) readChecks(ctx context.Context) error {
	total := 0
	owner, repo := f.repo.at()
	runs, complete, err := pages(factPages, func(opts gh.ListOptions) ([]*gh.CheckRun, *gh.Response, error) {
		list, resp, err := f.repo.in.rest.Checks.ListCheckRunsForRef(ctx, owner, repo, f.facts.Head,
			&gh.ListCheckRunsOptions{Filter: gh.String("latest"), ListOptions: opts})
		if err != nil {
			return nil, resp, err
		}
		total = list.GetTotal()
		return list.CheckRuns, resp, nil
	})
	if err != nil {
		return f.note("check runs", explain("list", err))
	}
	runs = distinct(runs, (*gh.CheckRun).GetID)
	if !complete || len(runs) < total {
		f.facts.Unread = append(f.facts.Unread, fmt.Sprintf("check runs: %d of %d", len(runs), max(total, len(runs)+1)))
	}
	for _, run := range standing(runs) {
		if run.GetName() == gate.CheckName && run.GetApp().GetID() == f.repo.app.set.AppID {
			continue
		}
		f.facts.Checks = append(f.facts.Checks, checkOf(run))
	}
	return f.readHeldSuites(ctx, runs)
}

func checkOf(run *gh.CheckRun) gate.Check {
	summary := strings.TrimSpace(run.GetOutput().GetTitle() + "\n" + run.GetOutput().GetSummary())
	c := gate.Check{
		Name: run.GetName(), App: run.GetApp().GetSlug(), Source: "check", Status: run.GetStatus(), Conclusion: run.GetConclusion(),
		Summary: bound(summary, maxSummary), URL: run.GetHTMLURL(), ID: run.GetID(),
		StartedAt: run.GetStartedAt().Time, EndedAt: run.GetCompletedAt().Time,
	}
	if c.URL == "" {
		c.URL = run.GetDetailsURL()
	}
	return c
}

// standing keeps, of the runs of one app with one name, the latest: never the best. When two suites of the same
// commit ran side by side (a push and a pull request, say), neither replaces the other, and both stand.
func standing(runs []*gh.CheckRun) []*gh.CheckRun {
	type key struct {
		app  int64
		name string
	}
	sorted := slices.Clone(runs)
	slices.SortFunc(sorted, func(a, b *gh.CheckRun) int { return int(min(max(b.GetID()-a.GetID(), -1), 1)) })
	latest := map[key]*gh.CheckRun{}
	var out []*gh.CheckRun
	for _, run := range sorted {
		k := key{run.GetApp().GetID(), run.GetName()}
		newer, seen := latest[k]
		if !seen {
			latest[k] = run
		}
		if !seen || sideBySide(run, newer) {
			out = append(out, run)
		}
	}
	slices.Reverse(out)
	return out
}

// sideBySide says that the older run was still going when the newer one began, in another suite. A cancelled
// run gave way to the newer one.
func sideBySide(older, newer *gh.CheckRun) bool {
	if older.GetCheckSuite().GetID() == newer.GetCheckSuite().GetID() || newer.GetStartedAt().IsZero() {
		return false
	}
	if older.GetStatus() != "completed" {
		return true
	}
	switch older.GetConclusion() {
	case "cancelled", "stale", "skipped":
		return false
	}
	return older.GetCompletedAt().After(newer.GetStartedAt().Time)
}

// readHeldSuites finds suites of GitHub Actions that wait for a person to approve them: they have no runs, and
// without this look the commit would seem to have no CI. Suites of other apps may stay empty for ever.
func (f *reading) readHeldSuites(ctx context.Context, runs []*gh.CheckRun) error {
	started := map[int64]bool{}
	for _, run := range runs {
		started[run.GetCheckSuite().GetID()] = true
	}
	owner, repo := f.repo.at()
	suites, complete, err := pages(factPages, func(opts gh.ListOptions) ([]*gh.CheckSuite, *gh.Response, error) {
		list, resp, err := f.repo.in.rest.Checks.ListCheckSuitesForRef(ctx, owner, repo, f.facts.Head, &gh.ListCheckSuiteOptions{ListOptions: opts})
		if err != nil {
			return nil, resp, err
		}
		return list.CheckSuites, resp, nil
	})
	if err != nil {
		err = explain("list", err)
		if status(err) == http.StatusNotFound && len(suites) == 0 {
			// The runs could be read, which takes the same permission, so a server (or a proxy in front of it) that
			// does not know this address has no suites to tell of.
			return nil
		}
		return f.note("check suites", err)
	}
	if !complete {
		f.facts.Unread = append(f.facts.Unread, fmt.Sprintf("check suites beyond the first %d", len(suites)))
	}
	for _, suite := range distinct(suites, (*gh.CheckSuite).GetID) {
		held := suite.GetConclusion() == "action_required" || suite.GetStatus() == "action_required"
		if !held || started[suite.GetID()] || suite.GetApp().GetSlug() != actionsApp || suite.GetHeadSHA() != f.facts.Head {
			continue
		}
		// Nothing about it goes on by itself, so that for the gate it is done and asks for a person.
		f.facts.Checks = append(f.facts.Checks, gate.Check{
			Name: actionsApp, App: actionsApp, Source: "check", Status: "completed", Conclusion: "action_required",
			Summary: "The workflows of this commit wait for somebody's approval.", ID: suite.GetID(), StartedAt: suite.GetCreatedAt().Time,
		})
	}
	return nil
}

// readStatuses reads the commit statuses, the older kind of check.
func (f *reading) readStatuses(ctx context.Context) error {
	total, sha := 0, f.facts.Head
	owner, repo := f.repo.at()
	list, complete, err := pages(factPages, func(opts gh.ListOptions) ([]*gh.RepoStatus, *gh.Response, error) {
		combined, resp, err := f.repo.in.rest.Repositories.GetCombinedStatus(ctx, owner, repo, f.facts.Head, &opts)
		if err != nil {
			return nil, resp, err
		}
		total = combined.GetTotalCount()
		if combined.GetSHA() != "" {
			sha = combined.GetSHA()
		}
		return combined.Statuses, resp, nil
	})
	if err != nil {
		return f.note("commit statuses", explain("list", err))
	}
	if sha != f.facts.Head {
		f.facts.Unread = append(f.facts.Unread, "commit statuses: GitHub answered for another commit")
		return nil
	}
	read := len(distinct(list, (*gh.RepoStatus).GetID))
	if !complete || read < total {
		f.facts.Unread = append(f.facts.Unread, fmt.Sprintf("commit statuses: %d of %d", read, max(total, read+1)))
	}
	for _, status := range latestStatuses(list) {
		f.facts.Checks = append(f.facts.Checks, statusOf(status))
	}
	return nil
}

func latestStatuses(list []*gh.RepoStatus) []*gh.RepoStatus {
	latest := map[string]int{}
	var out []*gh.RepoStatus
	for _, status := range list {
		i, seen := latest[status.GetContext()]
		switch {
		case !seen:
			latest[status.GetContext()] = len(out)
			out = append(out, status)
		case status.GetID() > out[i].GetID():
			out[i] = status
		}
	}
	return out
}

func statusOf(s *gh.RepoStatus) gate.Check {
	c := gate.Check{
		Name: s.GetContext(), Source: "status", Status: "completed", Conclusion: s.GetState(),
		Summary: bound(s.GetDescription(), maxSummary), URL: s.GetTargetURL(), ID: s.GetID(), StartedAt: s.GetCreatedAt().Time,
	}
	if s.GetState() == "pending" {
		c.Status, c.Conclusion = "pending", ""
		return c
	}
	c.EndedAt = laterOf(s.GetCreatedAt().Time, s.GetUpdatedAt().Time)
	return c
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// distinct drops what appears on two pages because the list moved while it was read.
func distinct[T any](list []T, id func(T) int64) []T {
	seen := map[int64]bool{}
	var out []T
	for _, item := range list {
		if !seen[id(item)] {
			seen[id(item)] = true
			out = append(out, item)
		}
	}
	return out
}
