package lookalike

import (
	"slices"
	"strings"
)

// suiteFor finds or makes the check suite of an App for a commit. g.mu is held.
func (g *GitHub) suiteFor(r *repository, app *application, sha, branch, before string) (*suite, bool) {
	for _, s := range r.suites {
		if s.app == app && s.sha == sha {
			return s, false
		}
	}
	s := &suite{id: g.nextID(), app: app, branch: branch, before: before, sha: sha, created: g.now(), updated: g.now(), status: "queued"}
	r.suites = append(r.suites, s)
	return s, true
}

// requestSuite opens the suite that every App with checks permission gets for a pushed commit, and tells our
// App of its own. Without a check run it stays queued for ever, as on GitHub. g.mu is held.
func (g *GitHub) requestSuite(by actor, r *repository, m moved) {
	if !r.installed || g.opt.Permissions["checks"] != "write" {
		return
	}
	s, fresh := g.suiteFor(r, g.app, m.new, m.branch, m.old)
	if fresh && m.head != nil {
		s.head = *m.head
	}
	if fresh {
		g.emit("check_suite", "requested", r, by.user, obj{"check_suite": g.suiteJSON(r, s)})
	}
}

// addRun makes a check run. g.mu is held.
func (g *GitHub) addRun(r *repository, app *application, name, sha string, head *gitCommit) *checkRun {
	branch := ""
	for _, i := range r.issues {
		if i.pull != nil && i.pull.headSHA == sha {
			branch = i.pull.head
		}
	}
	s, fresh := g.suiteFor(r, app, sha, branch, zeroSHA)
	if fresh && head != nil {
		s.head = *head
	}
	run := &checkRun{id: g.nextID(), app: app, suite: s, name: name, sha: sha, status: "queued", started: g.now()}
	r.runs = append(r.runs, run)
	return run
}

// runChanged sends what follows from a new or changed check run, and completes its suite when it was the last.
// g.mu is held.
func (g *GitHub) runChanged(r *repository, run *checkRun, action string) {
	s := run.suite
	was := s.status
	s.updated = g.now()
	if action != "created" || run.status != "completed" { // else "completed" follows at once
		s.status, s.result = r.suiteState(s)
	}
	g.emit("check_run", action, r, run.app.bot, obj{"check_run": g.runJSON(r, run)})
	if s.status == "completed" && was != "completed" {
		g.emit("check_suite", "completed", r, run.app.bot, obj{"check_suite": g.suiteJSON(r, s)})
	}
}

// suiteState sums up a suite's latest runs.
func (r *repository) suiteState(s *suite) (status, result string) {
	status, result = "completed", "success"
	severity := []string{"success", "neutral", "skipped", "stale", "cancelled", "timed_out", "action_required", "failure"}
	for _, run := range r.latestRuns(s.sha) {
		if run.suite != s {
			continue
		}
		if run.status != "completed" {
			status = run.status
			continue
		}
		if slices.Index(severity, run.conclusion) > slices.Index(severity, result) {
			result = run.conclusion
		}
	}
	if status != "completed" {
		return status, ""
	}
	if result == "neutral" || result == "skipped" {
		result = "success"
	}
	return status, result
}

// latestRuns are a commit's check runs, of each App and name the newest.
func (r *repository) latestRuns(sha string) []*checkRun {
	var list []*checkRun
	for _, run := range r.runs {
		if run.sha != sha {
			continue
		}
		list = slices.DeleteFunc(list, func(old *checkRun) bool { return old.app == run.app && old.name == run.name })
		list = append(list, run)
	}
	return list
}

// latestStatuses are a commit's statuses, of each context the newest.
func (r *repository) latestStatuses(sha string) []*status {
	var list []*status
	for _, s := range r.statuses {
		if s.sha != sha {
			continue
		}
		list = slices.DeleteFunc(list, func(old *status) bool { return old.context == s.context })
		list = append(list, s)
	}
	return list
}

// addStatus reports a commit status. g.mu is held.
func (g *GitHub) addStatus(by actor, r *repository, sha, context, state, description, target string, head gitCommit, branches []any) *status {
	if context == "" {
		context = "default"
	}
	s := &status{id: g.nextID(), sha: sha, context: context, state: state, description: description, target: target, user: by.user, created: g.now()}
	r.statuses = append(r.statuses, s)
	g.emit("status", "", r, by.user, obj{"id": s.id, "sha": sha, "name": r.full(), "target_url": orNil(target), "context": context,
		"description": orNil(description), "state": state, "commit": g.commitJSON(r, head, nil), "branches": branches,
		"created_at": stamp(s.created), "updated_at": stamp(s.created), "avatar_url": nil})
	return s
}

// combined is the state of all statuses: one bad makes it failure, none at all pending.
func combined(list []*status) string {
	state := "success"
	if len(list) == 0 {
		state = "pending"
	}
	for _, s := range list {
		switch s.state {
		case "failure", "error":
			return "failure"
		case "pending":
			state = "pending"
		}
	}
	return state
}

func (g *GitHub) runJSON(r *repository, run *checkRun) obj {
	u := g.api("/repos/%s/check-runs/%d", r.full(), run.id)
	output := obj{"title": textOrNil(run.title), "summary": textOrNil(run.summary), "text": textOrNil(run.text),
		"annotations_count": len(run.annotations), "annotations_url": u + "/annotations"}
	details := run.detailsURL
	if details == "" {
		details = g.web("/apps/%s", run.app.slug) // the App's own address, unless it gave one
	}
	return obj{"id": run.id, "name": run.name, "node_id": nodeID("CR", run.id), "head_sha": run.sha, "external_id": run.externalID, "url": u,
		"html_url": g.web("/%s/runs/%d", r.full(), run.id), "details_url": details, "status": run.status,
		"conclusion": orNil(run.conclusion), "started_at": stamp(run.started), "completed_at": stamp(run.completed), "output": output,
		"check_suite": g.suiteJSON(r, run.suite), "app": g.appJSON(run.app), "pull_requests": g.pullsAt(r, run.sha)}
}

func textOrNil(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func (g *GitHub) suiteJSON(r *repository, s *suite) obj {
	u := g.api("/repos/%s/check-suites/%d", r.full(), s.id)
	runs := 0
	for _, run := range r.latestRuns(s.sha) {
		if run.suite == s {
			runs++
		}
	}
	return obj{"id": s.id, "node_id": nodeID("CS", s.id), "head_branch": orNil(s.branch), "head_sha": s.sha, "status": s.status,
		"conclusion": orNil(s.result), "url": u, "before": s.before, "after": s.sha, "pull_requests": g.pullsAt(r, s.sha), "app": g.appJSON(s.app),
		"created_at": stamp(s.created), "updated_at": stamp(s.updated), "latest_check_runs_count": runs, "check_runs_url": u + "/check-runs",
		"head_commit": simpleCommit(s.head), "repository": g.repoJSON(r), "rerequestable": true, "runs_rerequestable": true}
}

func (g *GitHub) statusJSON(r *repository, s *status) obj {
	return obj{"url": g.api("/repos/%s/statuses/%s", r.full(), s.sha), "avatar_url": nil, "id": s.id, "node_id": nodeID("SC", s.id),
		"state": s.state, "description": orNil(s.description), "target_url": orNil(s.target), "context": s.context,
		"created_at": stamp(s.created), "updated_at": stamp(s.created), "creator": g.userJSON(s.user)}
}

// branchesAt are the branches that end in a commit, as the status webhook lists them.
func (g *GitHub) branchesAt(r *repository, refs map[string]string, sha string) []any {
	out := []any{}
	for _, name := range sortedKeys(refs) {
		branch, isBranch := strings.CutPrefix(name, "refs/heads/")
		if _, protected := r.protections[branch]; isBranch && refs[name] == sha {
			out = append(out, obj{"name": branch, "commit": obj{"sha": sha, "url": g.api("/repos/%s/commits/%s", r.full(), sha)}, "protected": protected})
		}
	}
	return out
}
