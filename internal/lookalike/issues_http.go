package lookalike

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

func issueRoutes() []route {
	const one = "/repos/{owner}/{repo}/issues/{issue_number}"
	return []route{
		{method: "GET", pattern: "/repos/{owner}/{repo}/issues/comments", need: "issues:read|pull_requests:read", handle: listAllComments},
		{method: "GET", pattern: "/repos/{owner}/{repo}/issues/comments/{comment_id}", need: "issues:read|pull_requests:read", handle: getComment},
		{method: "PATCH", pattern: "/repos/{owner}/{repo}/issues/comments/{comment_id}", need: "issues:write|pull_requests:write@read", handle: patchComment},
		{method: "DELETE", pattern: "/repos/{owner}/{repo}/issues/comments/{comment_id}", need: "issues:write|pull_requests:write@read", handle: dropComment},
		{method: "GET", pattern: "/repos/{owner}/{repo}/issues", need: "issues:read|pull_requests:read", handle: listIssues},
		{method: "POST", pattern: "/repos/{owner}/{repo}/issues", need: "issues:write@read", handle: postIssue},
		{method: "GET", pattern: one, need: "issues:read|pull_requests:read", handle: found((*call).issue, getIssue)},
		{method: "PATCH", pattern: one, need: "issues:write|pull_requests:write@read", handle: found((*call).issue, patchIssue)},
		{method: "GET", pattern: one + "/comments", need: "issues:read|pull_requests:read", handle: found((*call).issue, listComments)},
		{method: "POST", pattern: one + "/comments", need: "issues:write|pull_requests:write@read", handle: found((*call).issue, postComment)},
		{method: "POST", pattern: one + "/assignees", need: "issues:write|pull_requests:write", handle: addAssignees},
		{method: "DELETE", pattern: one + "/assignees", need: "issues:write|pull_requests:write", handle: dropAssignees},
	}
}

// issue finds the one that the path names, and holds an App's token to the permission of its kind. g.mu is held.
func (c *call) issue() (*issue, error) {
	n, err := c.number("issue_number")
	if err != nil {
		return nil, err
	}
	i, err := c.repo.issue(int(n))
	if err != nil {
		return nil, err
	}
	return i, c.ofKind(i)
}

// ofKind refuses an App that has only the other one of the permissions issues and pull_requests.
func (c *call) ofKind(i *issue) error {
	if c.by.install == nil {
		return nil
	}
	level := "read"
	if strings.Contains(c.route.need, ":write") {
		level = "write"
	}
	if i.pull == nil && !c.g.permits(c.by.tok.perms, "issues:"+level) {
		return no(http.StatusForbidden, "Resource not accessible by integration")
	}
	return nil
}

func listIssues(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	state, labels := c.query("state"), strings.Split(c.query("labels"), ",")
	since, _ := time.Parse(time.RFC3339, c.query("since"))
	var list []*issue
	for _, i := range c.repo.issues {
		if state != "all" && i.open == (state == "closed") || i.updated.Before(since) || !i.hasLabels(labels) {
			continue
		}
		if who := c.query("creator"); who != "" && (i.user == nil || !strings.EqualFold(i.user.login, who)) {
			continue
		}
		list = append(list, i)
	}
	c.sortIssues(list)
	out := []any{}
	for _, i := range page(c, list) {
		out = append(out, c.g.issueJSON(c.repo, i))
	}
	return ok(out)
}

// sortIssues orders by the query's sort and direction, as issues and pulls share them.
func (c *call) sortIssues(list []*issue) {
	up := c.query("direction") == "asc"
	slices.SortFunc(list, func(a, b *issue) int {
		order := a.number - b.number
		if c.query("sort") == "updated" && !a.updated.Equal(b.updated) {
			order = a.updated.Compare(b.updated)
		}
		if up {
			return order
		}
		return -order
	})
}

func (i *issue) hasLabels(names []string) bool {
	for _, name := range names {
		if name != "" && i.label(name) == nil {
			return false
		}
	}
	return true
}

func getIssue(c *call, i *issue) (reply, error) {
	return ok(c.g.issueJSON(c.repo, i))
}

// names reads a list of labels, each a text or an object with a name.
type names []string

// UnmarshalJSON takes both shapes.
func (n *names) UnmarshalJSON(raw []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*n = names{}
	for _, one := range list {
		var text string
		var object struct{ Name string }
		if json.Unmarshal(one, &text) != nil {
			if err := json.Unmarshal(one, &object); err != nil {
				return err
			}
			text = object.Name
		}
		*n = append(*n, text)
	}
	return nil
}

func postIssue(c *call) (reply, error) {
	var in struct {
		Title     string   `json:"title"`
		Body      string   `json:"body"`
		Labels    names    `json:"labels"`
		Assignees []string `json:"assignees"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	if err := checkTitle("Issue", in.Title); err != nil {
		return reply{}, err
	}
	if len(in.Body) > maxCommentBytes {
		return reply{}, invalid("Issue", "custom", "body", "body is too long (maximum is 65536 characters)")
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i := c.g.openIssue(c.by, c.repo, in.Title, in.Body)
	i.assignees = c.assignees(in.Assignees)
	c.g.announceIssue(c.by, c.repo, i, in.Labels)
	return created(c.g.issueJSON(c.repo, i))
}

// announceIssue sends "opened" and one "labeled" per label, as GitHub does. g.mu is held.
func (g *GitHub) announceIssue(by actor, r *repository, i *issue, labels []string) {
	for _, name := range labels {
		i.labels = append(i.labels, g.ensureLabel(r, name))
	}
	g.emitIssue("opened", by, r, i, nil)
	for _, l := range i.labels {
		g.emitIssue("labeled", by, r, i, obj{"label": g.labelJSON(r, l)})
	}
}

func patchIssue(c *call, i *issue) (reply, error) {
	var in struct {
		Title       *string  `json:"title"`
		Body        *string  `json:"body"`
		State       string   `json:"state"`
		StateReason string   `json:"state_reason"`
		Labels      *names   `json:"labels"`
		Assignees   []string `json:"assignees"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	if err := c.mayPatch(i, in.State); err != nil {
		return reply{}, err
	}
	if in.Body != nil && len(*in.Body) > maxCommentBytes {
		in.Body = nil // GitHub answers 200 and keeps the old text
	}
	if err := c.g.editIssue(c.by, c.repo, i, in.Title, in.Body); err != nil {
		return reply{}, err
	}
	if in.Labels != nil {
		c.g.setLabels(c.by, c.repo, i, *in.Labels)
	}
	if in.Assignees != nil {
		i.assignees = c.assignees(in.Assignees)
	}
	switch in.State {
	case "closed":
		c.g.closeIssue(c.by, c.repo, i, in.StateReason)
	case "open":
		c.g.reopenIssue(c.by, c.repo, i)
	}
	return ok(c.g.issueJSON(c.repo, i))
}

// mayPatch holds the asker to what an issue's author and the repository's people may change. g.mu is held.
func (c *call) mayPatch(i *issue, state string) error {
	if c.by.user != i.user && c.by.install == nil && rank(c.repo.role(c.by.user)) < rank("triage") {
		return no(http.StatusForbidden, "Must have admin rights to Repository.")
	}
	if state != "" && state != "open" && state != "closed" {
		return invalid("Issue", "invalid", "state", "")
	}
	return nil
}

// editIssue changes title and body where given. g.mu is held.
func (g *GitHub) editIssue(by actor, r *repository, i *issue, title, body *string) error {
	changes := obj{}
	if title != nil && *title != i.title {
		if err := checkTitle("Issue", *title); err != nil {
			return err
		}
		changes["title"] = obj{"from": i.title}
		i.title = *title
	}
	if body != nil && *body != i.body {
		if i.pull != nil && utf8.RuneCountInString(*body) > maxPullRunes {
			return invalid("PullRequest", "custom", "body", "body is too long (maximum is 65536 characters)")
		}
		changes["body"] = obj{"from": i.body}
		i.body = *body
	}
	if len(changes) > 0 {
		i.updated = g.now()
		g.emitIssue("edited", by, r, i, obj{"changes": changes})
	}
	return nil
}

func listComments(c *call, i *issue) (reply, error) {
	since, _ := time.Parse(time.RFC3339, c.query("since"))
	out := []any{}
	for _, one := range i.comments {
		if !one.updated.Before(since) {
			out = append(out, c.g.commentJSON(c.repo, i, one))
		}
	}
	return ok(page(c, out))
}

func listAllComments(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	since, _ := time.Parse(time.RFC3339, c.query("since"))
	list := []obj{}
	for _, i := range c.repo.issues {
		for _, one := range i.comments {
			if !one.updated.Before(since) {
				list = append(list, c.g.commentJSON(c.repo, i, one))
			}
		}
	}
	down := c.query("direction") == "desc"
	slices.SortFunc(list, func(a, b obj) int {
		if order := int(a["id"].(int64) - b["id"].(int64)); !down {
			return order
		}
		return int(b["id"].(int64) - a["id"].(int64))
	})
	return ok(page(c, list))
}

// comment finds the one that the path names. g.mu is held.
func (c *call) comment() (*issue, *comment, error) {
	id, err := c.number("comment_id")
	if err != nil {
		return nil, nil, err
	}
	i, one, err := c.repo.comment(id)
	if err != nil {
		return nil, nil, err
	}
	return i, one, c.ofKind(i)
}

func getComment(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, one, err := c.comment()
	if err != nil {
		return reply{}, err
	}
	return ok(c.g.commentJSON(c.repo, i, one))
}

func postComment(c *call, i *issue) (reply, error) {
	var in struct {
		Body string `json:"body"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	one, err := c.g.addComment(c.by, c.repo, i, in.Body)
	if err != nil {
		return reply{}, err
	}
	return created(c.g.commentJSON(c.repo, i, one))
}

// mayChange says whether the asker may edit or delete somebody's comment.
func (c *call) mayChange(author *account) error {
	if c.by.user == author || c.by.install != nil || rank(c.repo.role(c.by.user)) >= rank("write") {
		return nil
	}
	return no(http.StatusForbidden, "Must have admin rights to Repository.")
}

func patchComment(c *call) (reply, error) {
	var in struct {
		Body string `json:"body"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, one, err := c.comment()
	if err != nil {
		return reply{}, err
	}
	if err := c.mayChange(one.user); err != nil {
		return reply{}, err
	}
	if err := c.g.editComment(c.by, c.repo, i, one, in.Body); err != nil {
		return reply{}, err
	}
	return ok(c.g.commentJSON(c.repo, i, one))
}

func dropComment(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, one, err := c.comment()
	if err != nil {
		return reply{}, err
	}
	if err := c.mayChange(one.user); err != nil {
		return reply{}, err
	}
	c.g.deleteComment(c.by, c.repo, i, one)
	return noContent()
}

// assignees are those of the logins who may be assigned; GitHub drops the others without a word. g.mu is held.
func (c *call) assignees(logins []string) []*account {
	var list []*account
	for _, login := range logins {
		a := c.g.accounts[strings.ToLower(login)]
		if a != nil && rank(c.repo.role(a)) >= rank("read") && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

func addAssignees(c *call) (reply, error)  { return c.changeAssignees(true) }
func dropAssignees(c *call) (reply, error) { return c.changeAssignees(false) }

func (c *call) changeAssignees(add bool) (reply, error) {
	var in struct {
		Assignees []string `json:"assignees"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	for _, a := range c.assignees(in.Assignees) {
		have := slices.Contains(i.assignees, a)
		if add && !have {
			i.assignees = append(slices.Clone(i.assignees), a)
			c.g.emitIssue("assigned", c.by, c.repo, i, obj{"assignee": c.g.user(a)})
		}
		if !add && have {
			i.assignees = slices.DeleteFunc(slices.Clone(i.assignees), func(x *account) bool { return x == a })
			c.g.emitIssue("unassigned", c.by, c.repo, i, obj{"assignee": c.g.user(a)})
		}
	}
	if add {
		return created(c.g.issueJSON(c.repo, i))
	}
	return ok(c.g.issueJSON(c.repo, i))
}
