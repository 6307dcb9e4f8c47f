package lookalike

import (
	"net/http"
	"slices"
	"strings"
)

func labelRoutes() []route {
	const issue = "/repos/{owner}/{repo}/issues/{issue_number}/labels"
	return []route{
		{method: "GET", pattern: "/repos/{owner}/{repo}/labels", need: "issues:read|pull_requests:read", handle: listLabels},
		{method: "POST", pattern: "/repos/{owner}/{repo}/labels", need: "issues:write|pull_requests:write", handle: postLabel},
		{method: "GET", pattern: "/repos/{owner}/{repo}/labels/{name}", need: "issues:read|pull_requests:read", handle: getLabel},
		{method: "PATCH", pattern: "/repos/{owner}/{repo}/labels/{name}", need: "issues:write|pull_requests:write", handle: patchLabel},
		{method: "DELETE", pattern: "/repos/{owner}/{repo}/labels/{name}", need: "issues:write|pull_requests:write", handle: dropLabel},
		{method: "GET", pattern: issue, need: "issues:read|pull_requests:read", handle: found((*call).issue, issueLabels)},
		{method: "POST", pattern: issue, need: "issues:write|pull_requests:write@triage", handle: addIssueLabels},
		{method: "PUT", pattern: issue, need: "issues:write|pull_requests:write@triage", handle: setIssueLabels},
		{method: "DELETE", pattern: issue, need: "issues:write|pull_requests:write@triage", handle: found((*call).issue, clearIssueLabels)},
		{method: "DELETE", pattern: issue + "/{name}", need: "issues:write|pull_requests:write@triage", handle: found((*call).issue, dropIssueLabel)},
	}
}

func (r *repository) label(name string) *label {
	for _, l := range r.labels {
		if strings.EqualFold(l.name, name) {
			return l
		}
	}
	return nil
}

func (i *issue) label(name string) *label {
	for _, l := range i.labels {
		if strings.EqualFold(l.name, name) {
			return l
		}
	}
	return nil
}

// ensureLabel finds a label or makes it in grey, as GitHub does when an unknown one is put on an issue. g.mu is held.
func (g *GitHub) ensureLabel(r *repository, name string) *label {
	if l := r.label(name); l != nil {
		return l
	}
	l := &label{id: g.nextID(), name: name, color: "ededed"}
	r.labels = append(r.labels, l)
	return l
}

// defaultLabels are the ones that every new repository has.
func (g *GitHub) defaultLabels(r *repository) {
	for _, l := range []label{
		{name: "bug", color: "d73a4a", description: "Something isn't working"},
		{name: "documentation", color: "0075ca", description: "Improvements or additions to documentation"},
		{name: "duplicate", color: "cfd3d7", description: "This issue or pull request already exists"},
		{name: "enhancement", color: "a2eeef", description: "New feature or request"},
		{name: "good first issue", color: "7057ff", description: "Good for newcomers"},
		{name: "help wanted", color: "008672", description: "Extra attention is needed"},
		{name: "invalid", color: "e4e669", description: "This doesn't seem right"},
		{name: "question", color: "d876e3", description: "Further information is requested"},
		{name: "wontfix", color: "ffffff", description: "This will not be worked on"},
	} {
		l.id = g.nextID()
		r.labels = append(r.labels, &l)
	}
}

// addLabels puts labels on an issue or pull request. g.mu is held.
func (g *GitHub) addLabels(by actor, r *repository, i *issue, list []string) {
	for _, name := range list {
		l := g.ensureLabel(r, name)
		if slices.Contains(i.labels, l) {
			continue
		}
		i.labels = append(slices.Clone(i.labels), l)
		i.updated = g.now()
		g.emitIssue("labeled", by, r, i, obj{"label": g.labelJSON(r, l)})
	}
}

func (g *GitHub) removeLabel(by actor, r *repository, i *issue, l *label) {
	i.labels = slices.DeleteFunc(slices.Clone(i.labels), func(x *label) bool { return x == l })
	i.updated = g.now()
	g.emitIssue("unlabeled", by, r, i, obj{"label": g.labelJSON(r, l)})
}

func (g *GitHub) setLabels(by actor, r *repository, i *issue, list []string) {
	for _, l := range i.labels {
		if !slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, l.name) }) {
			g.removeLabel(by, r, i, l)
		}
	}
	g.addLabels(by, r, i, list)
}

func listLabels(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	list := slices.Clone(c.repo.labels)
	slices.SortFunc(list, func(a, b *label) int { return strings.Compare(a.name, b.name) })
	return ok(c.g.labelsJSON(c.repo, page(c, list)))
}

func (c *call) labelOf(find func(string) *label, message string) (*label, error) {
	if l := find(c.param("name")); l != nil {
		return l, nil
	}
	return nil, no(http.StatusNotFound, "%s", message)
}

func getLabel(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	l, err := c.labelOf(c.repo.label, "Not Found")
	if err != nil {
		return reply{}, err
	}
	return ok(c.g.labelJSON(c.repo, l))
}

func postLabel(c *call) (reply, error) {
	var in struct{ Name, Color, Description string }
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if in.Name == "" {
		return reply{}, invalid("Label", "missing_field", "name", "")
	}
	if c.repo.label(in.Name) != nil {
		return reply{}, invalid("Label", "already_exists", "name", "")
	}
	l := c.g.ensureLabel(c.repo, in.Name)
	l.description = in.Description
	if in.Color != "" {
		l.color = in.Color
	}
	c.g.emit("label", "created", c.repo, c.by.user, obj{"label": c.g.labelJSON(c.repo, l)})
	return created(c.g.labelJSON(c.repo, l))
}

func patchLabel(c *call) (reply, error) {
	var in struct {
		NewName     string  `json:"new_name"`
		Color       string  `json:"color"`
		Description *string `json:"description"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	l, err := c.labelOf(c.repo.label, "Not Found")
	if err != nil {
		return reply{}, err
	}
	if other := c.repo.label(in.NewName); other != nil && other != l {
		return reply{}, invalid("Label", "already_exists", "name", "")
	}
	if in.NewName != "" {
		l.name = in.NewName
	}
	if in.Color != "" {
		l.color = in.Color
	}
	if in.Description != nil {
		l.description = *in.Description
	}
	return ok(c.g.labelJSON(c.repo, l))
}

func dropLabel(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	l, err := c.labelOf(c.repo.label, "Not Found")
	if err != nil {
		return reply{}, err
	}
	for _, n := range sortedKeys(c.repo.issues) {
		if i := c.repo.issues[n]; slices.Contains(i.labels, l) {
			c.g.removeLabel(c.by, c.repo, i, l)
		}
	}
	c.repo.labels = slices.DeleteFunc(slices.Clone(c.repo.labels), func(x *label) bool { return x == l })
	c.g.emit("label", "deleted", c.repo, c.by.user, obj{"label": c.g.labelJSON(c.repo, l)})
	return noContent()
}

// readNames takes {"labels": […]} and a bare list, as the API does.
func (c *call) readNames() (names, error) {
	var bare names
	if c.read(&bare) == nil && bare != nil {
		return bare, nil
	}
	var in struct {
		Labels names `json:"labels"`
	}
	err := c.read(&in)
	return in.Labels, err
}

func issueLabels(c *call, i *issue) (reply, error) {
	return ok(c.g.labelsJSON(c.repo, page(c, i.labels)))
}

func addIssueLabels(c *call) (reply, error) { return c.changeLabels(c.g.addLabels) }
func setIssueLabels(c *call) (reply, error) { return c.changeLabels(c.g.setLabels) }

func (c *call) changeLabels(change func(actor, *repository, *issue, []string)) (reply, error) {
	list, err := c.readNames()
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	change(c.by, c.repo, i, list)
	return ok(c.g.labelsJSON(c.repo, i.labels))
}

func clearIssueLabels(c *call, i *issue) (reply, error) {
	c.g.setLabels(c.by, c.repo, i, nil)
	return noContent()
}

func dropIssueLabel(c *call, i *issue) (reply, error) {
	l, err := c.labelOf(i.label, "Label does not exist")
	if err != nil {
		return reply{}, err
	}
	c.g.removeLabel(c.by, c.repo, i, l)
	return ok(c.g.labelsJSON(c.repo, i.labels))
}
