package lookalike

import (
	"strconv"
	"strings"
)

// mutationRoot are the fields of Mutation.
func (g *GitHub) mutationRoot(c *call) obj {
	return obj{
		"markPullRequestReadyForReview": g.onPull(c, "MarkPullRequestReadyForReview", func(r *repository, i *issue, _ obj) error {
			g.setDraft(c.by, r, i, false)
			return nil
		}),
		"convertPullRequestToDraft": g.onPull(c, "ConvertPullRequestToDraft", func(r *repository, i *issue, _ obj) error {
			g.setDraft(c.by, r, i, true)
			return nil
		}),
		"closePullRequest": g.onPull(c, "ClosePullRequest", func(r *repository, i *issue, _ obj) error {
			g.closeIssue(c.by, r, i, "")
			return nil
		}),
		"closeIssue": lazy(func(args obj) (any, error) { return g.closeIssueNode(c, args) }),
		"addComment": lazy(func(args obj) (any, error) { return g.addCommentNode(c, args) }),
		"enablePullRequestAutoMerge": g.onPull(c, "EnablePullRequestAutoMerge", func(*repository, *issue, obj) error {
			return &graphError{"UNPROCESSABLE", "Auto merge is not allowed for this repository"}
		}),
		"disablePullRequestAutoMerge": g.onPull(c, "DisablePullRequestAutoMerge", func(*repository, *issue, obj) error {
			return &graphError{"UNPROCESSABLE", "Can't disable auto-merge for this pull request."}
		}),
		"enqueuePullRequest": g.onPull(c, "EnqueuePullRequest", func(*repository, *issue, obj) error {
			return &graphError{"UNPROCESSABLE", "The merge queue is not enabled for this branch"}
		}),
		"mergePullRequest":      lazy(func(args obj) (any, error) { return g.mergeNode(c, args) }),
		"resolveReviewThread":   lazy(func(args obj) (any, error) { return g.resolveNode(c, args, true) }),
		"unresolveReviewThread": lazy(func(args obj) (any, error) { return g.resolveNode(c, args, false) }),
	}
}

func input(args obj) obj {
	in, _ := args["input"].(map[string]any)
	return in
}

// onPull is a mutation of the pull request that the input names, by whoever may write pull requests.
func (g *GitHub) onPull(c *call, name string, do func(*repository, *issue, obj) error) lazy {
	return func(args obj) (any, error) {
		in := input(args)
		id, _ := in["pullRequestId"].(string)
		g.mu.Lock()
		defer g.mu.Unlock()
		r, i := g.issueByNode(c, id)
		if i == nil || i.pull == nil {
			return nil, unknownNode(id)
		}
		if err := g.allowed(c.by, r, "pull_requests:write"); err != nil {
			return nil, err
		}
		if err := do(r, i, in); err != nil {
			return nil, err
		}
		return obj{"__typename": name + "Payload", "clientMutationId": in["clientMutationId"], "pullRequest": g.issueNode(c, r, i)}, nil
	}
}

func (g *GitHub) closeIssueNode(c *call, args obj) (any, error) {
	in := input(args)
	id, _ := in["issueId"].(string)
	reason, _ := in["stateReason"].(string)
	g.mu.Lock()
	defer g.mu.Unlock()
	r, i := g.issueByNode(c, id)
	if i == nil || i.pull != nil {
		return nil, unknownNode(id)
	}
	if err := g.allowed(c.by, r, "issues:write@triage"); err != nil {
		return nil, err
	}
	g.closeIssue(c.by, r, i, strings.ToLower(reason))
	return obj{"__typename": "CloseIssuePayload", "clientMutationId": in["clientMutationId"], "issue": g.issueNode(c, r, i)}, nil
}

func (g *GitHub) addCommentNode(c *call, args obj) (any, error) {
	in := input(args)
	id, _ := in["subjectId"].(string)
	body, _ := in["body"].(string)
	g.mu.Lock()
	defer g.mu.Unlock()
	r, i := g.issueByNode(c, id)
	if i == nil {
		return nil, unknownNode(id)
	}
	if err := g.allowed(c.by, r, "issues:write|pull_requests:write@read"); err != nil {
		return nil, err
	}
	if _, err := g.addComment(c.by, r, i, body); err != nil {
		return nil, err
	}
	list := g.commentNodes(r, i).nodes
	edge := obj{"__typename": "IssueCommentEdge", "cursor": strconv.Itoa(len(list) - 1), "node": list[len(list)-1]}
	return obj{"__typename": "AddCommentPayload", "clientMutationId": in["clientMutationId"], "commentEdge": edge, "subject": g.issueNode(c, r, i)}, nil
}

func (g *GitHub) mergeNode(c *call, args obj) (any, error) {
	in := input(args)
	id, _ := in["pullRequestId"].(string)
	g.mu.Lock()
	r, i := g.issueByNode(c, id)
	err := unknownNode(id)
	if i != nil {
		err = g.allowed(c.by, r, "contents:write")
	}
	g.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ask := mergeAsk{Method: "merge"}
	if method, given := in["mergeMethod"].(string); given {
		ask.Method = strings.ToLower(method)
	}
	if title, given := in["commitHeadline"].(string); given {
		ask.Title = &title
	}
	if body, given := in["commitBody"].(string); given {
		ask.Message = &body
	}
	ask.SHA, _ = in["expectedHeadOid"].(string)
	if _, err := g.mergePull(g.ctx, c.by, r, i.number, ask); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return obj{"__typename": "MergePullRequestPayload", "clientMutationId": in["clientMutationId"], "pullRequest": g.issueNode(c, r, i)}, nil
}

func (g *GitHub) resolveNode(c *call, args obj, on bool) (any, error) {
	in := input(args)
	node, _ := in["threadId"].(string)
	id := fromNode("PRRT", node)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.repos {
		for _, i := range r.issues {
			if i.pull == nil || i.line(id) == nil || !g.sees(c.by, r) {
				continue
			}
			if err := g.allowed(c.by, r, "pull_requests:write"); err != nil {
				return nil, err
			}
			if err := g.setResolved(c.by, r, i, id, on); err != nil {
				return nil, err
			}
			name := map[bool]string{true: "ResolveReviewThreadPayload", false: "UnresolveReviewThreadPayload"}[on]
			return obj{"__typename": name, "clientMutationId": in["clientMutationId"], "thread": g.threadNode(r, i, id)}, nil
		}
	}
	return nil, unknownNode(node)
}

func (g *GitHub) threadNode(r *repository, i *issue, id int64) any {
	for n, first := range i.pull.threads() {
		if first.id == id {
			return g.threadNodes(r, i).nodes[n]
		}
	}
	return nil
}
