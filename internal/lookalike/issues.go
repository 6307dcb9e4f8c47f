package lookalike

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Longest texts, as measured on GitHub: comments and issue bodies in bytes, pull request bodies in code points.
const (
	maxCommentBytes = 262144
	maxPullRunes    = 65536
	maxTitleRunes   = 256
)

// openIssue makes an issue, or what a pull request shares with issues. g.mu is held.
func (g *GitHub) openIssue(by actor, r *repository, title, body string) *issue {
	r.lastNumber++
	i := &issue{id: g.nextID(), number: r.lastNumber, title: title, body: body, user: by.user, app: by.app, open: true,
		created: g.now(), updated: g.now()}
	r.issues[i.number] = i
	return i
}

// issue finds one by number; pull requests are issues too. g.mu is held.
func (r *repository) issue(number int) (*issue, error) {
	i := r.issues[number]
	if i == nil {
		return nil, notFound()
	}
	return i, nil
}

// emitIssue sends an event of an issue, under the name it has for pull requests if it is one. g.mu is held.
func (g *GitHub) emitIssue(action string, by actor, r *repository, i *issue, more obj) {
	if i.pull != nil {
		g.emit("pull_request", action, r, by.user, with(obj{"number": i.number, "pull_request": g.pullJSON(r, i, nil)}, more))
		return
	}
	g.emit("issues", action, r, by.user, with(obj{"issue": g.issueJSON(r, i)}, more))
}

// closeIssue closes an issue or pull request; one that is closed stays as it is. g.mu is held.
func (g *GitHub) closeIssue(by actor, r *repository, i *issue, reason string) {
	if !i.open {
		return
	}
	i.open, i.reason, i.closed, i.closedBy, i.updated = false, reason, g.now(), by.user, g.now()
	if i.pull == nil && reason == "" {
		i.reason = "completed"
	}
	g.emitIssue("closed", by, r, i, nil)
}

func (g *GitHub) reopenIssue(by actor, r *repository, i *issue) {
	if i.open {
		return
	}
	i.open, i.reason, i.closed, i.closedBy, i.updated = true, "reopened", time.Time{}, nil, g.now()
	g.emitIssue("reopened", by, r, i, nil)
}

func closingWords() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:([A-Za-z0-9-]+/[A-Za-z0-9._-]+))?#(\d+)\b`)
}

// closing lists the issues of this repository that a text says it closes.
func closing(r *repository, text string) []int {
	var numbers []int
	for _, found := range closingWords().FindAllStringSubmatch(text, -1) {
		if found[1] != "" && !strings.EqualFold(found[1], r.full()) {
			continue
		}
		if n, err := strconv.Atoi(found[2]); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// closeNamed closes the issues that a text names with a closing keyword. g.mu is held.
func (g *GitHub) closeNamed(by actor, r *repository, text string) {
	for _, n := range closing(r, text) {
		if i := r.issues[n]; i != nil && i.pull == nil {
			g.closeIssue(by, r, i, "completed")
		}
	}
}

// addComment comments on an issue or pull request. g.mu is held.
func (g *GitHub) addComment(by actor, r *repository, i *issue, body string) (*comment, error) {
	if err := checkBody("IssueComment", body); err != nil {
		return nil, err
	}
	if i.locked {
		return nil, no(http.StatusForbidden, "Unable to create comment because issue is locked.")
	}
	c := &comment{id: g.nextID(), user: by.user, app: by.app, body: body, created: g.now(), updated: g.now()}
	i.comments = append(i.comments, c)
	i.updated = c.created
	g.emit("issue_comment", "created", r, by.user, obj{"issue": g.issueJSON(r, i), "comment": g.commentJSON(r, i, c)})
	return c, nil
}

func (g *GitHub) editComment(by actor, r *repository, i *issue, c *comment, body string) error {
	if err := checkBody("IssueComment", body); err != nil {
		return err
	}
	old := c.body
	c.body, c.updated = body, g.now()
	g.emit("issue_comment", "edited", r, by.user, obj{"issue": g.issueJSON(r, i), "comment": g.commentJSON(r, i, c),
		"changes": obj{"body": obj{"from": old}}})
	return nil
}

func (g *GitHub) deleteComment(by actor, r *repository, i *issue, c *comment) {
	for n, other := range i.comments {
		if other == c {
			i.comments = append(i.comments[:n:n], i.comments[n+1:]...)
		}
	}
	g.emit("issue_comment", "deleted", r, by.user, obj{"issue": g.issueJSON(r, i), "comment": g.commentJSON(r, i, c)})
}

func checkBody(resource, body string) error {
	if strings.TrimSpace(body) == "" {
		return invalid(resource, "missing_field", "body", "")
	}
	if len(body) > maxCommentBytes {
		return invalid(resource, "unprocessable", "data", "Body is too long (maximum is 65536 characters)")
	}
	return nil
}

func checkTitle(resource, title string) error {
	if strings.TrimSpace(title) == "" {
		return invalid(resource, "missing_field", "title", "")
	}
	if utf8.RuneCountInString(title) > maxTitleRunes {
		return invalid(resource, "custom", "title", "title is too long (maximum is 256 characters)")
	}
	return nil
}

// comment finds a comment of the repository and the issue it stands on. g.mu is held.
func (r *repository) comment(id int64) (*issue, *comment, error) {
	for _, i := range r.issues {
		for _, c := range i.comments {
			if c.id == id {
				return i, c, nil
			}
		}
	}
	return nil, nil, notFound()
}

// association is how GitHub words an author's relation. Members that keep their membership private show as
// less than they are; so does everybody here who is not a direct collaborator.
func (g *GitHub) association(r *repository, a *account) string {
	switch {
	case a == nil:
		return "NONE"
	case a == r.owner:
		return "OWNER"
	case rank(r.grants[strings.ToLower(a.login)]) > 0:
		return "COLLABORATOR"
	case a == g.app.bot:
		return "CONTRIBUTOR"
	}
	return "NONE"
}

func (g *GitHub) issueJSON(r *repository, i *issue) obj {
	u := g.api("/repos/%s/issues/%d", r.full(), i.number)
	kind, page := "I", "issues"
	if i.pull != nil {
		kind, page = "PR", "pull"
	}
	html := g.web("/%s/%s/%d", r.full(), page, i.number)
	out := obj{"url": u, "repository_url": g.api("/repos/%s", r.full()), "labels_url": u + "/labels{/name}", "comments_url": u + "/comments",
		"events_url": u + "/events", "html_url": html, "id": i.id, "node_id": nodeID(kind, i.id), "number": i.number, "title": i.title,
		"user": g.userJSON(i.user), "labels": g.labelsJSON(r, i.labels), "state": stateWord(i.open), "locked": i.locked, "assignee": nil,
		"assignees": g.users(i.assignees), "milestone": nil, "comments": len(i.comments), "created_at": stamp(i.created),
		"updated_at": stamp(i.updated), "closed_at": nil, "author_association": g.association(r, i.user), "active_lock_reason": nil,
		"body": orNil(i.body), "closed_by": nil, "reactions": reactionsJSON(u, i.reactions), "timeline_url": u + "/timeline",
		"performed_via_github_app": g.appJSON(i.app), "state_reason": orNil(i.reason)}
	if len(i.assignees) > 0 {
		out["assignee"] = g.user(i.assignees[0])
	}
	if !i.open {
		out["closed_at"], out["closed_by"] = stamp(i.closed), g.userJSON(i.closedBy)
	}
	if p := i.pull; p != nil {
		out["draft"] = p.draft
		out["pull_request"] = obj{"url": g.api("/repos/%s/pulls/%d", r.full(), i.number), "html_url": html, "diff_url": html + ".diff",
			"patch_url": html + ".patch", "merged_at": stamp(p.mergedAt)}
	} else {
		out["sub_issues_summary"] = obj{"total": 0, "completed": 0, "percent_completed": 0}
	}
	return out
}

func stateWord(open bool) string {
	if open {
		return "open"
	}
	return "closed"
}

func (g *GitHub) commentJSON(r *repository, i *issue, c *comment) obj {
	u := g.api("/repos/%s/issues/comments/%d", r.full(), c.id)
	page := "issues"
	if i.pull != nil {
		page = "pull"
	}
	return obj{"url": u, "html_url": g.web("/%s/%s/%d#issuecomment-%d", r.full(), page, i.number, c.id),
		"issue_url": g.api("/repos/%s/issues/%d", r.full(), i.number), "id": c.id, "node_id": nodeID("IC", c.id), "user": g.userJSON(c.user),
		"created_at": stamp(c.created), "updated_at": stamp(c.updated), "author_association": g.association(r, c.user), "body": c.body,
		"reactions": reactionsJSON(u, c.reactions), "performed_via_github_app": g.appJSON(c.app)}
}
