package lookalike

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

func checkRoutes() []route {
	const repo = "/repos/{owner}/{repo}"
	return []route{
		{method: "POST", pattern: repo + "/check-runs", need: "checks:write", handle: postRun},
		{method: "GET", pattern: repo + "/check-runs/{check_run_id}", need: "checks:read", handle: found((*call).checkRun, getRun)},
		{method: "PATCH", pattern: repo + "/check-runs/{check_run_id}", need: "checks:write", handle: found((*call).checkRun, patchRun)},
		{method: "GET", pattern: repo + "/check-suites/{check_suite_id}", need: "checks:read", handle: found((*call).suite, getSuite)},
		{method: "GET", pattern: repo + "/check-suites/{check_suite_id}/check-runs", need: "checks:read", handle: found((*call).suite, suiteRuns)},
		{method: "POST", pattern: repo + "/statuses/{sha}", need: "statuses:write", handle: postStatus},
		{method: "GET", pattern: repo + "/actions/runs", need: "actions:read", handle: noRuns},
		{method: "GET", pattern: repo + "/actions/runs/{run_id}", need: "actions:read", handle: nothing},
		{method: "GET", pattern: repo + "/actions/runs/{run_id}/jobs", need: "actions:read", handle: nothing},
		{method: "GET", pattern: repo + "/actions/jobs/{job_id}/logs", need: "actions:read", handle: nothing},
	}
}

// nothing answers for Actions, which this look-alike does not have.
func nothing(*call) (reply, error) { return reply{}, notFound() }

func noRuns(*call) (reply, error) { return ok(obj{"total_count": 0, "workflow_runs": []any{}}) }

// runInput is a check run as it is created or changed; nil leaves a field alone.
type runInput struct {
	Name        *string    `json:"name"`
	HeadSHA     string     `json:"head_sha"`
	DetailsURL  *string    `json:"details_url"`
	ExternalID  *string    `json:"external_id"`
	Status      *string    `json:"status"`
	Conclusion  *string    `json:"conclusion"`
	StartedAt   *time.Time `json:"started_at"`
	CompletedAt *time.Time `json:"completed_at"`
	Output      *struct {
		Title       *string `json:"title"`
		Summary     *string `json:"summary"`
		Text        *string `json:"text"`
		Annotations []any   `json:"annotations"`
	} `json:"output"`
	Actions []any `json:"actions"`
}

// check holds the input to GitHub's limits.
func (in *runInput) check() error {
	if in.Conclusion != nil && !slices.Contains([]string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}, *in.Conclusion) {
		return no(http.StatusUnprocessableEntity, "Invalid request.\n\n%s is not a member of the conclusions.", *in.Conclusion)
	}
	if in.Status != nil && !slices.Contains([]string{"queued", "in_progress", "completed"}, *in.Status) {
		return no(http.StatusUnprocessableEntity, "Invalid request.\n\n%s is not a member of [\"queued\", \"in_progress\", \"completed\"].", *in.Status)
	}
	if in.Status != nil && *in.Status == "completed" && in.Conclusion == nil {
		return no(http.StatusUnprocessableEntity, "Invalid request.\n\n\"conclusion\" wasn't supplied.")
	}
	if len(in.Actions) > 3 {
		return no(http.StatusUnprocessableEntity, "Invalid request.\n\nNo more than 3 items are allowed; %d were supplied.", len(in.Actions))
	}
	if in.Output == nil {
		return nil
	}
	if len(in.Output.Annotations) > 50 {
		return no(http.StatusUnprocessableEntity, "Invalid request.\n\nNo more than 50 items are allowed; %d were supplied.", len(in.Output.Annotations))
	}
	for _, text := range []*string{in.Output.Summary, in.Output.Text} {
		if text != nil && utf8.RuneCountInString(*text) > 65535 {
			return no(http.StatusUnprocessableEntity, "Invalid request.\n\nOnly 65535 characters are allowed; %d were supplied.", utf8.RuneCountInString(*text))
		}
	}
	return nil
}

// apply changes a run. now fills times that follow from the status.
func (in *runInput) apply(run *checkRun, now time.Time) {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&run.name, in.Name)
	set(&run.detailsURL, in.DetailsURL)
	set(&run.externalID, in.ExternalID)
	set(&run.status, in.Status)
	if in.Conclusion != nil {
		run.status, run.conclusion, run.completed = "completed", *in.Conclusion, now
	} else if in.Status != nil {
		run.conclusion, run.completed = "", time.Time{}
	}
	if in.StartedAt != nil {
		run.started = *in.StartedAt
	}
	if in.CompletedAt != nil {
		run.completed = *in.CompletedAt
	}
	if in.Actions != nil {
		run.actions = in.Actions
	}
	if in.Output != nil {
		run.title, run.summary, run.text = in.Output.Title, in.Output.Summary, in.Output.Text
		run.annotations = append(slices.Clone(run.annotations), in.Output.Annotations...)
	}
}

func postRun(c *call) (reply, error) {
	var in runInput
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	if err := in.check(); err != nil {
		return reply{}, err
	}
	if c.by.app == nil {
		return reply{}, no(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	if in.Name == nil || *in.Name == "" || in.HeadSHA == "" {
		return reply{}, no(http.StatusUnprocessableEntity, "Invalid request.\n\n\"name\", \"head_sha\" weren't supplied.")
	}
	head, err := c.knownCommit(in.HeadSHA)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	run := c.g.addRun(c.repo, c.by.app, *in.Name, head.sha, head)
	in.apply(run, c.g.now())
	c.g.runChanged(c.repo, run, "created")
	if run.status == "completed" {
		c.g.runChanged(c.repo, run, "completed")
	}
	return created(c.g.runJSON(c.repo, run))
}

// knownCommit is the commit of a full id, or the 422 that GitHub answers for others.
func (c *call) knownCommit(sha string) (*gitCommit, error) {
	if !isSHA(sha) {
		return nil, no(http.StatusUnprocessableEntity, "No commit found for SHA: %s", sha)
	}
	one, err := c.repo.dir.commit(c.g.ctx, sha)
	if err == nil && one == nil {
		err = no(http.StatusUnprocessableEntity, "No commit found for SHA: %s", sha)
	}
	return one, err
}

// checkRun finds the one that the path names. g.mu is held.
func (c *call) checkRun() (*checkRun, error) {
	return byID(c, "check_run_id", c.repo.runs, func(run *checkRun) int64 { return run.id })
}

func getRun(c *call, run *checkRun) (reply, error) {
	return ok(c.g.runJSON(c.repo, run))
}

func patchRun(c *call, run *checkRun) (reply, error) {
	var in runInput
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	if err := in.check(); err != nil {
		return reply{}, err
	}
	if run.app != c.by.app {
		return reply{}, no(http.StatusForbidden, "Invalid app_id `%d` - check run can only be modified by the GitHub App that created it.", run.app.id)
	}
	was := run.status
	in.apply(run, c.g.now())
	if run.status == "completed" && was != "completed" {
		c.g.runChanged(c.repo, run, "completed")
	} else {
		run.suite.status, run.suite.result = c.repo.suiteState(run.suite)
	}
	return ok(c.g.runJSON(c.repo, run))
}

// showRuns pages a list of check runs, filtered by the query.
func (c *call) showRuns(list []*checkRun) (reply, error) {
	name, state, app := c.query("check_name"), c.query("status"), c.queryInt("app_id", 0)
	out := []any{}
	for _, run := range list {
		if name != "" && run.name != name || state != "" && run.status != state || app != 0 && run.app.id != int64(app) {
			continue
		}
		out = append(out, c.g.runJSON(c.repo, run))
	}
	return ok(obj{"total_count": len(out), "check_runs": page(c, out)})
}

// runsOf are a commit's runs: the latest of each, or with filter=all every one. g.mu is held.
func (c *call) runsOf(sha string) []*checkRun {
	if c.query("filter") != "all" {
		return c.repo.latestRuns(sha)
	}
	var list []*checkRun
	for _, run := range c.repo.runs {
		if run.sha == sha {
			list = append(list, run)
		}
	}
	return list
}

func commitRuns(c *call) (reply, error) {
	sha, err := c.resolved()
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return c.showRuns(c.runsOf(sha))
}

func commitSuites(c *call) (reply, error) {
	sha, err := c.resolved()
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for _, s := range c.repo.suites {
		if s.sha != sha || c.queryInt("app_id", int(s.app.id)) != int(s.app.id) {
			continue
		}
		out = append(out, c.g.suiteJSON(c.repo, s))
	}
	return ok(obj{"total_count": len(out), "check_suites": page(c, out)})
}

// suite finds the one that the path names. g.mu is held.
func (c *call) suite() (*suite, error) {
	return byID(c, "check_suite_id", c.repo.suites, func(s *suite) int64 { return s.id })
}

func getSuite(c *call, s *suite) (reply, error) {
	return ok(c.g.suiteJSON(c.repo, s))
}

func suiteRuns(c *call, s *suite) (reply, error) {
	list := slices.DeleteFunc(slices.Clone(c.runsOf(s.sha)), func(run *checkRun) bool { return run.suite != s })
	return c.showRuns(list)
}

func postStatus(c *call) (reply, error) {
	var in struct {
		State       string  `json:"state"`
		Context     string  `json:"context"`
		Description *string `json:"description"`
		TargetURL   *string `json:"target_url"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	if !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State) {
		return reply{}, invalid("Status", "custom", "state", "state is not included in the list")
	}
	head, err := c.knownCommit(strings.ToLower(c.param("sha")))
	if err != nil {
		return reply{}, err
	}
	refs, err := c.repo.dir.refs(c.g.ctx, "refs/heads")
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	s := c.g.addStatus(c.by, c.repo, head.sha, in.Context, in.State, text(in.Description), text(in.TargetURL), *head, c.g.branchesAt(c.repo, refs, head.sha))
	return created(c.g.statusJSON(c.repo, s))
}

func combinedStatus(c *call) (reply, error) {
	sha, err := c.resolved()
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	list := c.repo.latestStatuses(sha)
	out := []any{}
	for _, s := range list {
		one := c.g.statusJSON(c.repo, s)
		delete(one, "creator")
		out = append(out, one)
	}
	return ok(obj{"state": combined(list), "statuses": page(c, out), "sha": sha, "total_count": len(list), "repository": c.g.repoJSON(c.repo),
		"commit_url": c.g.api("/repos/%s/commits/%s", c.repo.full(), sha), "url": c.g.api("/repos/%s/commits/%s/status", c.repo.full(), sha)})
}

func listStatuses(c *call) (reply, error) {
	sha, err := c.resolved()
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for n := len(c.repo.statuses) - 1; n >= 0; n-- { // newest first
		if s := c.repo.statuses[n]; s.sha == sha {
			out = append(out, c.g.statusJSON(c.repo, s))
		}
	}
	return ok(page(c, out))
}
