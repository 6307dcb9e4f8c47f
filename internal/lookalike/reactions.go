package lookalike

import (
	"net/http"
	"slices"
)

func reactionRoutes() []route {
	const issue = "/repos/{owner}/{repo}/issues/{issue_number}/reactions"
	const comment = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"
	const line = "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions"
	const read, write = "issues:read|pull_requests:read", "issues:write|pull_requests:write@read"
	return []route{
		{method: "GET", pattern: issue, need: read, handle: onReactions(issueReactions, listReactions)},
		{method: "POST", pattern: issue, need: write, handle: onReactions(issueReactions, addReaction)},
		{method: "DELETE", pattern: issue + "/{reaction_id}", need: write, handle: onReactions(issueReactions, dropReaction)},
		{method: "GET", pattern: comment, need: read, handle: onReactions(commentReactions, listReactions)},
		{method: "POST", pattern: comment, need: write, handle: onReactions(commentReactions, addReaction)},
		{method: "DELETE", pattern: comment + "/{reaction_id}", need: write, handle: onReactions(commentReactions, dropReaction)},
		{method: "GET", pattern: line, need: "pull_requests:read", handle: onReactions(lineReactions, listReactions)},
		{method: "POST", pattern: line, need: "pull_requests:write@read", handle: onReactions(lineReactions, addReaction)},
	}
}

// onReactions finds the list that the path speaks of and lets do work on it, under the state lock.
func onReactions(find func(*call) (*[]*reaction, error), do func(*call, *[]*reaction) (reply, error)) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		c.g.mu.Lock()
		defer c.g.mu.Unlock()
		list, err := find(c)
		if err != nil {
			return reply{}, err
		}
		return do(c, list)
	}
}

func issueReactions(c *call) (*[]*reaction, error) {
	i, err := c.issue()
	if err != nil {
		return nil, err
	}
	return &i.reactions, nil
}

func commentReactions(c *call) (*[]*reaction, error) {
	_, one, err := c.comment()
	if err != nil {
		return nil, err
	}
	return &one.reactions, nil
}

func lineReactions(c *call) (*[]*reaction, error) {
	_, one, err := c.lineComment()
	if err != nil {
		return nil, err
	}
	return &one.reactions, nil
}

func (g *GitHub) reactionJSON(x *reaction) obj {
	return obj{"id": x.id, "node_id": nodeID("REA", x.id), "user": g.userJSON(x.user), "content": x.content, "created_at": stamp(x.created)}
}

func listReactions(c *call, list *[]*reaction) (reply, error) {
	out := []any{}
	for _, x := range *list {
		if want := c.query("content"); want == "" || want == x.content {
			out = append(out, c.g.reactionJSON(x))
		}
	}
	return ok(page(c, out))
}

func addReaction(c *call, list *[]*reaction) (reply, error) {
	var in struct{ Content string }
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	if !slices.Contains(reactionKinds(), in.Content) {
		return reply{}, invalid("Reaction", "invalid", "content", "")
	}
	x, fresh := c.g.react(c.by, list, in.Content)
	if fresh {
		return created(c.g.reactionJSON(x))
	}
	return ok(c.g.reactionJSON(x))
}

// react adds a reaction once per person and kind. g.mu is held.
func (g *GitHub) react(by actor, list *[]*reaction, content string) (*reaction, bool) {
	for _, x := range *list {
		if x.user == by.user && x.content == content {
			return x, false
		}
	}
	x := &reaction{id: g.nextID(), content: content, user: by.user, created: g.now()}
	*list = append(slices.Clone(*list), x)
	return x, true
}

func dropReaction(c *call, list *[]*reaction) (reply, error) {
	id, err := c.number("reaction_id")
	if err != nil {
		return reply{}, err
	}
	at := slices.IndexFunc(*list, func(x *reaction) bool { return x.id == id })
	if at < 0 {
		return reply{}, notFound()
	}
	if (*list)[at].user != c.by.user {
		return reply{}, no(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	*list = slices.Delete(slices.Clone(*list), at, at+1)
	return noContent()
}
