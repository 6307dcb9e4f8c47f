package lookalike

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A node is an obj with "__typename", the fields that are at hand, and lazy ones for what costs git or leads
// on to other nodes. Those that build nodes need g.mu; the lazy ones take it themselves.

func (g *GitHub) actorNode(a *account) any {
	if a == nil {
		return nil
	}
	kind, prefix := "User", "U"
	switch a.kind {
	case "Bot":
		kind = "Bot"
	case "Organization":
		kind, prefix = "Organization", "O"
	}
	return obj{"__typename": kind, "id": nodeID(prefix, a.id), "databaseId": a.id, "login": strings.TrimSuffix(a.login, "[bot]"), "name": a.name,
		"url": g.web("/%s", a.login), "resourcePath": "/" + a.login, "avatarUrl": g.web("/avatars/u/%d?v=4", a.id)}
}

func (g *GitHub) labelNodes(list []*label) connection {
	out := connection{kind: "Label"}
	for _, l := range list {
		out.nodes = append(out.nodes, obj{"__typename": "Label", "id": nodeID("LA", l.id), "name": l.name, "color": l.color, "description": l.description})
	}
	return out
}

func (g *GitHub) commentNodes(r *repository, i *issue) connection {
	out := connection{kind: "IssueComment"}
	for _, c := range i.comments {
		out.nodes = append(out.nodes, obj{"__typename": "IssueComment", "id": nodeID("IC", c.id), "databaseId": c.id, "author": g.actorNode(c.user),
			"authorAssociation": g.association(r, c.user), "body": c.body, "createdAt": stamp(c.created), "updatedAt": stamp(c.updated), "url": g.commentJSON(r, i, c)["html_url"]})
	}
	return out
}

func (g *GitHub) repoNode(c *call, r *repository) obj {
	permission := strings.ToUpper(r.role(c.by.user))
	if c.by.install != nil {
		permission = "WRITE"
	}
	return obj{"__typename": "Repository", "id": nodeID("R", r.id), "databaseId": r.id, "name": r.name, "nameWithOwner": r.full(),
		"owner": g.actorNode(r.owner), "url": g.web("/%s", r.full()), "isPrivate": r.private, "isArchived": false, "isFork": false,
		"hasIssuesEnabled": true, "deleteBranchOnMerge": r.autoDelete, "mergeCommitAllowed": r.methods["merge"],
		"squashMergeAllowed": r.methods["squash"], "rebaseMergeAllowed": r.methods["rebase"], "viewerPermission": permission,
		"isEmpty": lazy(func(obj) (any, error) {
			tip, err := r.tip(g.ctx, r.branch)
			return tip == "", err
		}),
		"defaultBranchRef": lazy(func(obj) (any, error) { return g.refNode(g.ctx, r, "refs/heads/"+r.branch) }),
		"ref":              lazy(func(args obj) (any, error) { return g.refNode(g.ctx, r, fullRef(args["qualifiedName"])) }),
		"issue":            lazy(func(args obj) (any, error) { return g.numbered(c, r, args, "Issue") }),
		"pullRequest":      lazy(func(args obj) (any, error) { return g.numbered(c, r, args, "PullRequest") }),
		"issueOrPullRequest": lazy(func(args obj) (any, error) {
			return g.numbered(c, r, args, "")
		}),
		"issues":       lazy(func(args obj) (any, error) { return g.listed(c, r, args, false), nil }),
		"pullRequests": lazy(func(args obj) (any, error) { return g.listed(c, r, args, true), nil }),
	}
}

func fullRef(name any) string {
	text, _ := name.(string)
	if strings.HasPrefix(text, "refs/") {
		return text
	}
	return "refs/heads/" + text
}

func (g *GitHub) refNode(ctx context.Context, r *repository, ref string) (any, error) {
	sha, err := r.dir.ref(ctx, ref)
	if err != nil || sha == "" {
		return nil, err
	}
	target, err := g.commitNode(ctx, r, sha)
	name := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
	return obj{"__typename": "Ref", "id": "REF_" + sha[:20], "name": name, "prefix": strings.TrimSuffix(ref, name), "target": target}, err
}

func (g *GitHub) commitNode(ctx context.Context, r *repository, sha string) (any, error) {
	if sha == "" {
		return nil, nil
	}
	c, err := r.dir.commit(ctx, sha)
	if err != nil || c == nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return obj{"__typename": "Commit", "id": "C_" + sha[:20], "oid": sha, "abbreviatedOid": sha[:7], "message": c.message, "messageHeadline": c.subject(),
		"messageBody": c.body(), "authoredDate": stamp(c.author.Time), "committedDate": stamp(c.committer.Time),
		"url": g.web("/%s/commit/%s", r.full(), sha), "statusCheckRollup": g.rollupNode(r, sha)}, nil
}

// numbered is repository.issue, .pullRequest or .issueOrPullRequest.
func (g *GitHub) numbered(c *call, r *repository, args obj, kind string) (any, error) {
	n, _ := number(args["number"])
	g.mu.Lock()
	defer g.mu.Unlock()
	i := r.issues[n]
	if i == nil || kind == "PullRequest" && i.pull == nil || kind == "Issue" && i.pull != nil {
		if kind == "" {
			kind = "issue or pull request"
		}
		return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a %s with the number of %d.", kind, n)}
	}
	need := "issues:read"
	if i.pull != nil {
		need = "pull_requests:read"
	}
	if err := g.allowed(c.by, r, need); err != nil {
		return nil, err
	}
	return g.issueNode(c, r, i), nil
}

// listed is repository.issues or .pullRequests, by state, head and base.
func (g *GitHub) listed(c *call, r *repository, args obj, pulls bool) connection {
	out := connection{kind: map[bool]string{true: "PullRequest", false: "Issue"}[pulls]}
	states, _ := args["states"].([]any)
	head, _ := args["headRefName"].(string)
	base, _ := args["baseRefName"].(string)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range sortedKeys(r.issues) {
		i := r.issues[n]
		if (i.pull != nil) != pulls || !hasState(i, states) {
			continue
		}
		if pulls && (head != "" && i.pull.head != head || base != "" && i.pull.base != base) {
			continue
		}
		out.nodes = append(out.nodes, g.issueNode(c, r, i))
	}
	return out
}

func graphState(i *issue) string {
	switch {
	case i.pull != nil && i.pull.merged:
		return "MERGED"
	case i.open:
		return "OPEN"
	}
	return "CLOSED"
}

func hasState(i *issue, states []any) bool {
	for _, s := range states {
		if s == graphState(i) {
			return true
		}
	}
	return len(states) == 0
}

// issueNode is an issue, or a pull request if it is one.
func (g *GitHub) issueNode(c *call, r *repository, i *issue) obj {
	out := obj{"__typename": "Issue", "id": nodeID("I", i.id), "databaseId": i.id, "number": i.number, "title": i.title, "body": i.body,
		"author": g.actorNode(i.user), "state": graphState(i), "closed": !i.open, "closedAt": stamp(i.closed), "createdAt": stamp(i.created),
		"updatedAt": stamp(i.updated), "stateReason": orNil(strings.ToUpper(i.reason)), "labels": g.labelNodes(i.labels),
		"comments": g.commentNodes(r, i), "url": g.web("/%s/issues/%d", r.full(), i.number), "repository": lazy(func(obj) (any, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.repoNode(c, r), nil
		})}
	if i.pull != nil {
		g.pullNode(c, r, i, out)
	}
	return out
}

// queryRoot are the fields of Query.
func (g *GitHub) queryRoot(c *call) obj {
	return obj{
		"id": "Q",
		"viewer": lazy(func(obj) (any, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			node := g.actorNode(c.by.user).(obj)
			return with(node, obj{"__typename": "User", "login": c.by.user.login}), nil // a bot is a User here, with its full login
		}),
		"user": lazy(func(args obj) (any, error) {
			name, _ := args["login"].(string)
			g.mu.Lock()
			defer g.mu.Unlock()
			if a := g.accounts[strings.ToLower(name)]; a != nil && a.kind == "User" {
				return g.actorNode(a), nil
			}
			return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a User with the login of '%s'.", name)}
		}),
		"rateLimit": lazy(func(obj) (any, error) {
			used := g.used(c.by)
			return obj{"__typename": "RateLimit", "limit": hourlyLimit, "cost": 1, "nodeCount": 1, "remaining": max(hourlyLimit-used, 0),
				"used": used, "resetAt": stamp(g.now().Truncate(time.Hour).Add(time.Hour))}, nil
		}),
		"repository": lazy(func(args obj) (any, error) {
			owner, _ := args["owner"].(string)
			name, _ := args["name"].(string)
			return g.repositoryByName(c, owner, name)
		}),
		"node": lazy(func(args obj) (any, error) { return g.byNode(c, args["id"]) }),
		"nodes": lazy(func(args obj) (any, error) {
			ids, _ := args["ids"].([]any)
			out := []any{}
			for _, id := range ids {
				node, err := g.byNode(c, id)
				if err != nil {
					return nil, err
				}
				out = append(out, node)
			}
			return out, nil
		}),
	}
}

func (g *GitHub) repositoryByName(c *call, owner, name string) (any, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	full := strings.ToLower(owner + "/" + name)
	r := g.repos[full]
	if r == nil {
		r = g.repoByID(g.moved[full])
	}
	if r == nil || !g.sees(c.by, r) {
		return nil, &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a Repository with the name '%s/%s'.", owner, name)}
	}
	return g.repoNode(c, r), nil
}

// byNode finds a repository, issue or pull request by its opaque id.
func (g *GitHub) byNode(c *call, id any) (any, error) {
	text, _ := id.(string)
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.repoByID(fromNode("R", text)); r != nil && g.sees(c.by, r) {
		return g.repoNode(c, r), nil
	}
	r, i := g.issueByNode(c, text)
	if i == nil {
		return nil, unknownNode(text)
	}
	return g.issueNode(c, r, i), nil
}

func unknownNode(id string) error {
	return &graphError{"NOT_FOUND", fmt.Sprintf("Could not resolve to a node with the global id of '%s'", id)}
}

// issueByNode finds what the asker may see. g.mu is held.
func (g *GitHub) issueByNode(c *call, node string) (*repository, *issue) {
	id := max(fromNode("I", node), fromNode("PR", node))
	for _, r := range g.repos {
		if !g.sees(c.by, r) {
			continue
		}
		for _, i := range r.issues {
			if i.id == id && (i.pull != nil) == strings.HasPrefix(node, "PR_") {
				return r, i
			}
		}
	}
	return nil, nil
}
