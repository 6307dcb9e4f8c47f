package lookalike

import "fmt"

// pullStats are the counts that a pull request shows.
type pullStats struct {
	commits, add, del, files int
}

// mergeView is what GitHub knows of merging a pull request at one moment.
type mergeView struct {
	mergeable *bool
	state     string
}

func pullRef(number int) string { return fmt.Sprintf("refs/pull/%d/head", number) }

// pullJSON is a pull request in full. view nil is a payload's, where nothing about merging is known yet.
// g.mu is held.
func (g *GitHub) pullJSON(r *repository, i *issue, view *mergeView) obj {
	p := i.pull
	out := g.pullSimple(r, i)
	lines := len(p.comments)
	with(out, obj{"merged": p.merged, "mergeable": nil, "rebaseable": nil, "mergeable_state": "unknown", "merged_by": g.userJSON(p.mergedBy),
		"comments": len(i.comments), "review_comments": lines, "maintainer_can_modify": false, "commits": p.stats.commits,
		"additions": p.stats.add, "deletions": p.stats.del, "changed_files": p.stats.files})
	if view != nil && view.mergeable != nil {
		out["mergeable"], out["rebaseable"], out["mergeable_state"] = *view.mergeable, *view.mergeable, view.state
	}
	return out
}

// pullSimple is a pull request as lists show it.
func (g *GitHub) pullSimple(r *repository, i *issue) obj {
	p := i.pull
	u := g.api("/repos/%s/pulls/%d", r.full(), i.number)
	issue := g.api("/repos/%s/issues/%d", r.full(), i.number)
	html := g.web("/%s/pull/%d", r.full(), i.number)
	statuses := g.api("/repos/%s/statuses/%s", r.full(), p.headSHA)
	out := obj{"url": u, "id": p.id, "node_id": nodeID("PR", i.id), "html_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch",
		"issue_url": issue, "number": i.number, "state": stateWord(i.open), "locked": i.locked, "title": i.title, "user": g.userJSON(i.user),
		"body": orNil(i.body), "created_at": stamp(i.created), "updated_at": stamp(i.updated), "closed_at": stamp(i.closed),
		"merged_at": stamp(p.mergedAt), "merge_commit_sha": orNil(p.mergeSHA), "assignee": nil, "assignees": g.users(i.assignees),
		"requested_reviewers": g.users(p.requested), "requested_teams": []any{}, "labels": g.labelsJSON(r, i.labels), "milestone": nil,
		"draft": p.draft, "commits_url": u + "/commits", "review_comments_url": u + "/comments",
		"review_comment_url": g.api("/repos/%s/pulls/comments{/number}", r.full()), "comments_url": issue + "/comments", "statuses_url": statuses,
		"head": g.endJSON(r, p.head, p.headSHA), "base": g.endJSON(r, p.base, p.baseSHA), "author_association": g.association(r, i.user),
		"auto_merge": nil, "active_lock_reason": nil, "_links": obj{"self": href(u), "html": href(html), "issue": href(issue),
			"comments": href(issue + "/comments"), "review_comments": href(u + "/comments"), "commits": href(u + "/commits"),
			"review_comment": href(g.api("/repos/%s/pulls/comments{/number}", r.full())), "statuses": href(statuses)}}
	if len(i.assignees) > 0 {
		out["assignee"] = g.user(i.assignees[0])
	}
	return out
}

func href(url string) obj { return obj{"href": url} }

// endJSON is the head or base of a pull request.
func (g *GitHub) endJSON(r *repository, branch, sha string) obj {
	return obj{"label": r.owner.login + ":" + branch, "ref": branch, "sha": sha, "user": g.user(r.owner), "repo": g.repoJSON(r)}
}

// pullsAt are the open pull requests with that head commit, in the short form that checks carry. g.mu is held.
func (g *GitHub) pullsAt(r *repository, sha string) []any {
	out := []any{}
	short := obj{"id": r.id, "url": g.api("/repos/%s", r.full()), "name": r.name}
	for _, n := range sortedKeys(r.issues) {
		i := r.issues[n]
		if i.pull == nil || !i.open || i.pull.headSHA != sha {
			continue
		}
		out = append(out, obj{"id": i.pull.id, "number": n, "url": g.api("/repos/%s/pulls/%d", r.full(), n),
			"head": obj{"ref": i.pull.head, "sha": i.pull.headSHA, "repo": short}, "base": obj{"ref": i.pull.base, "sha": i.pull.baseSHA, "repo": short}})
	}
	return out
}
