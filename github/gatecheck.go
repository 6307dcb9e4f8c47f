package github

import (
	"context"
	"errors"
	"fmt"

	gh "github.com/google/go-github/v62/github"

	"dozens/batch/gate"
)

// GateCheck is what our check run on a head commit shows.
type GateCheck struct {
	Status     string // queued, in_progress, completed
	Conclusion string // with completed only: success, failure, neutral, action_required…
	Title      string
	Summary    string // Markdown
	DetailsURL string
}

// gateRun remembers what a check run shows.
type gateRun struct {
	id    int64
	check GateCheck
}

// PostGate shows the verdict on a commit as the check run dozens/gate, made once per commit and external id and
// updated afterwards. Nothing is sent when it shows the same already.
func (r *Repo) PostGate(ctx context.Context, head, externalID string, c GateCheck) error {
	what := "post the verdict on " + oneLine(head, 70)
	if !validSHA(head) {
		return fmt.Errorf("%s: not a commit id", what)
	}
	c.Title, c.Summary = oneLine(c.Title, maxTitle), fit(c.Summary, maxBody)
	key := fmt.Sprintf("gate/%d/%s/%s", r.repo.ID, head, externalID)
	done, err := r.app.turns.take(ctx, key)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer done()
	last, known := r.app.gates.Get(key)
	if known && last.check == c {
		return nil
	}
	if !known {
		if last, err = r.findGate(ctx, head, externalID); err != nil {
			return explain(what, err)
		}
	}
	id, err := r.putGate(ctx, last, head, externalID, c)
	if err != nil {
		r.app.gates.Remove(key) // it may have been written or not: look again next time
		return explain(what, err)
	}
	r.app.gates.Add(key, gateRun{id: id, check: c})
	return nil
}

// putGate updates the run, or makes a new one: where there is none, where it is gone, and where it is
// completed and the verdict is open again, which GitHub does not allow on one run.
func (r *Repo) putGate(ctx context.Context, last gateRun, head, externalID string, c GateCheck) (int64, error) {
	reopened := last.check.Status == "completed" && c.Status != "completed"
	if last.id != 0 && !reopened {
		err := r.updateGate(ctx, last.id, externalID, c)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return last.id, err
		}
	}
	owner, repo := r.at()
	opts := gh.CreateCheckRunOptions{
		Name: gate.CheckName, HeadSHA: head, ExternalID: gh.String(externalID), Status: gh.String(c.Status),
		Output: &gh.CheckRunOutput{Title: gh.String(c.Title), Summary: gh.String(c.Summary)},
	}
	opts.DetailsURL, opts.Conclusion = optional(c.DetailsURL), optional(c.Conclusion)
	run, _, err := r.in.rest.Checks.CreateCheckRun(ctx, owner, repo, opts)
	if err != nil {
		return 0, err
	}
	return run.GetID(), nil
}

func (r *Repo) updateGate(ctx context.Context, id int64, externalID string, c GateCheck) error {
	owner, repo := r.at()
	opts := gh.UpdateCheckRunOptions{
		Name: gate.CheckName, ExternalID: gh.String(externalID), Status: gh.String(c.Status),
		Output: &gh.CheckRunOutput{Title: gh.String(c.Title), Summary: gh.String(c.Summary)},
	}
	opts.DetailsURL, opts.Conclusion = optional(c.DetailsURL), optional(c.Conclusion)
	_, _, err := r.in.rest.Checks.UpdateCheckRun(ctx, owner, repo, id, opts)
	return explain("update check run", err)
}

// findGate looks for our run on a commit, by external id first, else the newest.
func (r *Repo) findGate(ctx context.Context, head, externalID string) (gateRun, error) {
	owner, repo := r.at()
	runs, _, err := pages(factPages, func(opts gh.ListOptions) ([]*gh.CheckRun, *gh.Response, error) {
		list, resp, err := r.in.rest.Checks.ListCheckRunsForRef(ctx, owner, repo, head, &gh.ListCheckRunsOptions{
			CheckName: gh.String(gate.CheckName), AppID: gh.Int64(r.app.set.AppID), ListOptions: opts,
		})
		if err != nil {
			return nil, resp, err
		}
		return list.CheckRuns, resp, nil
	})
	if err != nil {
		return gateRun{}, err
	}
	var best *gh.CheckRun
	for _, run := range runs {
		if run.GetName() != gate.CheckName || run.GetApp().GetID() != r.app.set.AppID {
			continue
		}
		mine, bestMine := run.GetExternalID() == externalID, best.GetExternalID() == externalID
		if best == nil || (mine && !bestMine) || (mine == bestMine && run.GetID() > best.GetID()) {
			best = run
		}
	}
	return gateRun{id: best.GetID(), check: GateCheck{Status: best.GetStatus(), Conclusion: best.GetConclusion()}}, nil
}

// optional leaves an empty value out of the request.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
