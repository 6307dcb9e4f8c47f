package lookalike

import (
	"fmt"
	"slices"
	"strings"
)

// pullNode fills in what a pull request has over an issue. g.mu is held.
func (g *GitHub) pullNode(c *call, r *repository, i *issue, out obj) {
	p := i.pull
	merged := ""
	if p.merged {
		merged = p.mergeSHA
	}
	head, base := p.head, p.base
	delete(out, "stateReason")
	with(out, obj{"__typename": "PullRequest", "id": nodeID("PR", i.id), "databaseId": p.id, "fullDatabaseId": fmt.Sprint(p.id), "isDraft": p.draft, "merged": p.merged,
		"url": g.web("/%s/pull/%d", r.full(), i.number), "mergedAt": stamp(p.mergedAt), "mergedBy": g.actorNode(p.mergedBy), "headRefName": p.head,
		"headRefOid": p.headSHA, "baseRefName": p.base, "baseRefOid": p.baseSHA, "isCrossRepository": false, "isInMergeQueue": false, "isMergeQueueEnabled": false,
		"maintainerCanModify": false, "additions": p.stats.add, "deletions": p.stats.del, "changedFiles": p.stats.files, "autoMergeRequest": nil,
		"headRepository": out["repository"], "headRepositoryOwner": g.actorNode(r.owner), "reviewDecision": g.decision(r, i),
		"reviews": g.reviewNodes(r, i, p.reviews), "latestReviews": g.reviewNodes(r, i, p.latest()),
		"latestOpinionatedReviews": lazy(func(args obj) (any, error) { return g.opinionNodes(r, i, args["writersOnly"] == true), nil }),
		"reviewThreads":            g.threadNodes(r, i), "reviewRequests": g.requestNodes(p), "closingIssuesReferences": g.closingNodes(c, r, i),
		"statusCheckRollup": g.rollupNode(r, p.headSHA),
		"headRef":           lazy(func(obj) (any, error) { return g.refNode(g.ctx, r, "refs/heads/"+head) }),
		"baseRef":           lazy(func(obj) (any, error) { return g.refNode(g.ctx, r, "refs/heads/"+base) }),
		"mergeCommit":       lazy(func(obj) (any, error) { return g.commitNode(g.ctx, r, merged) }),
		"commits":           lazy(func(obj) (any, error) { return g.pullCommitNodes(r, i) }),
		"mergeable":         lazy(func(obj) (any, error) { return g.graphMergeable(r, i) }),
		"mergeStateStatus": lazy(func(obj) (any, error) {
			view, err := g.view(g.ctx, r, i)
			return strings.ToUpper(view.state), err
		}),
		"potentialMergeCommit": lazy(func(obj) (any, error) {
			g.mu.Lock()
			sha := i.pull.mergeSHA
			g.mu.Unlock()
			return g.commitNode(g.ctx, r, sha)
		})})
}

func (g *GitHub) graphMergeable(r *repository, i *issue) (any, error) {
	view, err := g.view(g.ctx, r, i)
	switch {
	case err != nil || view.mergeable == nil:
		return "UNKNOWN", err
	case *view.mergeable:
		return "MERGEABLE", nil
	}
	return "CONFLICTING", nil
}

// decision is null while nobody with write access has an opinion and no rule asks for one. g.mu is held.
func (g *GitHub) decision(r *repository, i *issue) any {
	approvals, changes := g.opinions(r, i)
	needed := r.protections[i.pull.base].Approvals
	switch {
	case len(changes) > 0:
		return "CHANGES_REQUESTED"
	case len(approvals) >= max(needed, 1):
		return "APPROVED"
	case needed > 0:
		return "REVIEW_REQUIRED"
	}
	return nil
}

func (g *GitHub) reviewNodes(r *repository, i *issue, list []*review) connection {
	out := connection{kind: "PullRequestReview"}
	for _, v := range list {
		sha := v.commit
		out.nodes = append(out.nodes, obj{"__typename": "PullRequestReview", "id": nodeID("PRR", v.id), "databaseId": v.id, "fullDatabaseId": fmt.Sprint(v.id),
			"author": g.actorNode(v.user), "authorAssociation": g.association(r, v.user), "authorCanPushToRepository": rank(r.role(v.user)) >= rank("write"), "body": v.body, "state": v.state,
			"createdAt": stamp(v.at), "submittedAt": stamp(v.at), "url": g.reviewJSON(r, i, v)["html_url"],
			"commit": lazy(func(obj) (any, error) { return g.commitNode(g.ctx, r, sha) })})
	}
	return out
}

func (g *GitHub) opinionNodes(r *repository, i *issue, writers bool) connection {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := slices.Clone(i.pull.latest())
	if writers {
		list = slices.DeleteFunc(list, func(v *review) bool { return rank(r.role(v.user)) < rank("write") })
	}
	return g.reviewNodes(r, i, list)
}

func (g *GitHub) threadNodes(r *repository, i *issue) connection {
	out := connection{kind: "PullRequestReviewThread"}
	for _, first := range i.pull.threads() {
		comments := connection{kind: "PullRequestReviewComment"}
		for _, l := range i.pull.comments {
			if l == first || l.replyTo == first.id {
				comments.nodes = append(comments.nodes, obj{"__typename": "PullRequestReviewComment", "id": nodeID("PRRC", l.id), "databaseId": l.id,
					"fullDatabaseId": fmt.Sprint(l.id), "author": g.actorNode(l.user), "body": l.body, "path": l.path, "createdAt": stamp(l.created), "url": g.lineJSON(r, i, l)["html_url"]})
			}
		}
		out.nodes = append(out.nodes, obj{"__typename": "PullRequestReviewThread", "id": nodeID("PRRT", first.id), "isResolved": first.resolved,
			"isOutdated": first.commit != i.pull.headSHA, "path": first.path, "line": first.line, "comments": comments})
	}
	return out
}

func (g *GitHub) requestNodes(p *pull) connection {
	out := connection{kind: "ReviewRequest"}
	for _, a := range p.requested {
		out.nodes = append(out.nodes, obj{"__typename": "ReviewRequest", "id": nodeID("RR", a.id), "requestedReviewer": g.actorNode(a)})
	}
	return out
}

func (g *GitHub) closingNodes(c *call, r *repository, i *issue) lazy {
	numbers := closing(r, i.body)
	return func(obj) (any, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		out := connection{kind: "Issue"}
		for _, n := range numbers {
			if other := r.issues[n]; other != nil && other.pull == nil {
				out.nodes = append(out.nodes, g.issueNode(c, r, other))
			}
		}
		return out, nil
	}
}

func (g *GitHub) pullCommitNodes(r *repository, i *issue) (any, error) {
	base, head, err := g.ends(g.ctx, r, i)
	if err != nil {
		return nil, err
	}
	commits, err := r.dir.log(g.ctx, 250, head, "^"+base, "--")
	if err != nil {
		return nil, err
	}
	slices.Reverse(commits)
	out := connection{kind: "PullRequestCommit"}
	for _, one := range commits {
		node, err := g.commitNode(g.ctx, r, one.sha)
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		full := r.full()
		g.mu.Unlock()
		out.nodes = append(out.nodes, obj{"__typename": "PullRequestCommit", "id": "PURC_" + one.sha[:20], "commit": node,
			"url": g.web("/%s/pull/%d/commits/%s", full, i.number, one.sha)})
	}
	return out, nil
}

// rollupNode sums up a commit's checks and statuses; null when there are none. g.mu is held.
func (g *GitHub) rollupNode(r *repository, sha string) any {
	list := connection{kind: "StatusCheckRollupContext"}
	for _, run := range r.latestRuns(sha) {
		list.nodes = append(list.nodes, obj{"__typename": "CheckRun", "id": nodeID("CR", run.id), "databaseId": run.id, "name": run.name, "isRequired": g.required(r, run.name),
			"status": strings.ToUpper(run.status), "conclusion": orNil(strings.ToUpper(run.conclusion)), "startedAt": stamp(run.started),
			"completedAt": stamp(run.completed), "detailsUrl": orNil(run.detailsURL), "checkSuite": obj{"__typename": "CheckSuite",
				"id": nodeID("CS", run.suite.id), "databaseId": run.suite.id, "status": strings.ToUpper(run.suite.status), "workflowRun": nil}})
	}
	for _, s := range r.latestStatuses(sha) {
		list.nodes = append(list.nodes, obj{"__typename": "StatusContext", "id": nodeID("SC", s.id), "context": s.context, "isRequired": g.required(r, s.context), "createdAt": stamp(s.created),
			"state": strings.ToUpper(s.state), "description": orNil(s.description), "targetUrl": orNil(s.target)})
	}
	if len(list.nodes) == 0 {
		return nil
	}
	state := "SUCCESS"
	for _, word := range r.results(sha) {
		if word == "bad" {
			state = "FAILURE"
		}
		if word == "pending" && state == "SUCCESS" {
			state = "PENDING"
		}
	}
	return obj{"__typename": "StatusCheckRollup", "id": "SCR_" + sha[:20], "state": state, "contexts": list}
}

// required is whether the base of the pull request that the arguments name requires a check.
func (g *GitHub) required(r *repository, name string) lazy {
	return func(args obj) (any, error) {
		n, _ := number(args["pullRequestNumber"])
		node, _ := args["pullRequestId"].(string)
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, i := range r.issues {
			if i.pull != nil && (i.number == n || node != "" && nodeID("PR", i.id) == node) {
				return slices.Contains(r.protections[i.pull.base].Checks, name), nil
			}
		}
		return nil, &graphError{"NOT_FOUND", "A pull request ID or pull request number is required."}
	}
}
