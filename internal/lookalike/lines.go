package lookalike

import (
	"net/http"
)

// newLine is a review comment as it is sent.
type newLine struct {
	Body      string `json:"body"`
	Path      string `json:"path"`
	Line      int    `json:"line"`
	Position  int    `json:"position"`
	Side      string `json:"side"`
	CommitID  string `json:"commit_id"`
	InReplyTo int64  `json:"in_reply_to"`
}

// newLine makes a line comment that no list holds yet. g.mu is held.
func (g *GitHub) newLine(by actor, in newLine) (*lineComment, error) {
	if err := checkBody("PullRequestReviewComment", in.Body); err != nil {
		return nil, err
	}
	if in.Path == "" {
		return nil, invalid("PullRequestReviewComment", "missing_field", "path", "")
	}
	if in.Side == "" {
		in.Side = "RIGHT"
	}
	line := max(in.Line, in.Position, 1)
	return &lineComment{id: g.nextID(), user: by.user, app: by.app, body: in.Body, path: in.Path, line: line, side: in.Side,
		hunk: "@@ -0,0 +1 @@", commit: in.CommitID, original: in.CommitID, created: g.now(), updated: g.now()}, nil
}

func (g *GitHub) emitLine(action string, by actor, r *repository, i *issue, l *lineComment) {
	g.emit("pull_request_review_comment", action, r, by.user, obj{"comment": g.lineJSON(r, i, l), "pull_request": g.pullJSON(r, i, nil)})
}

func (g *GitHub) lineJSON(r *repository, i *issue, l *lineComment) obj {
	u := g.api("/repos/%s/pulls/comments/%d", r.full(), l.id)
	html := g.web("/%s/pull/%d#discussion_r%d", r.full(), i.number, l.id)
	pull := g.api("/repos/%s/pulls/%d", r.full(), i.number)
	out := obj{"url": u, "pull_request_review_id": l.review, "id": l.id, "node_id": nodeID("PRRC", l.id), "diff_hunk": l.hunk, "path": l.path,
		"position": l.line, "original_position": l.line, "commit_id": l.commit, "original_commit_id": l.original, "user": g.userJSON(l.user), "body": l.body,
		"created_at": stamp(l.created), "updated_at": stamp(l.updated), "html_url": html, "pull_request_url": pull,
		"author_association": g.association(r, l.user), "_links": obj{"self": href(u), "html": href(html), "pull_request": href(pull)},
		"reactions": reactionsJSON(u, l.reactions), "start_line": nil, "original_start_line": nil, "start_side": nil, "line": l.line,
		"original_line": l.line, "side": l.side, "subject_type": "line"}
	if l.replyTo != 0 {
		out["in_reply_to_id"] = l.replyTo
	}
	return out
}

func listLines(c *call, i *issue) (reply, error) {
	out := []any{}
	for _, l := range page(c, i.pull.comments) {
		out = append(out, c.g.lineJSON(c.repo, i, l))
	}
	return ok(out)
}

func reviewLines(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, v, err := c.review()
	if err != nil {
		return reply{}, err
	}
	out := []any{}
	for _, l := range page(c, v.comment) {
		out = append(out, c.g.lineJSON(c.repo, i, l))
	}
	return ok(out)
}

// addLine puts a comment on a line, in a review of its own as GitHub does. g.mu is held.
func (g *GitHub) addLine(by actor, r *repository, i *issue, in newLine, replyTo *lineComment) (*lineComment, error) {
	if replyTo != nil {
		in.Path, in.Line, in.Side, in.CommitID = replyTo.path, replyTo.line, replyTo.side, i.pull.headSHA
	}
	if in.CommitID == "" {
		return nil, invalid("PullRequestReviewComment", "missing_field", "commit_id", "")
	}
	l, err := g.newLine(by, in)
	if err != nil {
		return nil, err
	}
	if replyTo != nil {
		l.replyTo, l.review = replyTo.id, replyTo.review
		if replyTo.replyTo != 0 {
			l.replyTo = replyTo.replyTo
		}
	} else {
		v := &review{id: g.nextID(), user: by.user, app: by.app, state: "COMMENTED", commit: in.CommitID, at: g.now(), comment: []*lineComment{l}}
		l.review = v.id
		i.pull.reviews = append(i.pull.reviews, v)
		g.emit("pull_request_review", "submitted", r, by.user, obj{"review": g.reviewEvent(r, i, v), "pull_request": g.pullJSON(r, i, nil)})
	}
	i.pull.comments = append(i.pull.comments, l)
	g.emitLine("created", by, r, i, l)
	return l, nil
}

func postLine(c *call, i *issue) (reply, error) {
	var in newLine
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	to := i.line(in.InReplyTo)
	if in.InReplyTo != 0 && to == nil {
		return reply{}, notFound()
	}
	l, err := c.g.addLine(c.by, c.repo, i, in, to)
	if err != nil {
		return reply{}, err
	}
	return created(c.g.lineJSON(c.repo, i, l))
}

func (i *issue) line(id int64) *lineComment {
	for _, l := range i.pull.comments {
		if l.id == id {
			return l
		}
	}
	return nil
}

func replyLine(c *call, i *issue) (reply, error) {
	var in newLine
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	to, err := byID(c, "comment_id", i.pull.comments, func(l *lineComment) int64 { return l.id })
	if err != nil {
		return reply{}, err
	}
	l, err := c.g.addLine(c.by, c.repo, i, in, to)
	if err != nil {
		return reply{}, err
	}
	return created(c.g.lineJSON(c.repo, i, l))
}

// lineComment finds the one that the path names in the repository. g.mu is held.
func (c *call) lineComment() (*issue, *lineComment, error) {
	id, err := c.number("comment_id")
	if err != nil {
		return nil, nil, err
	}
	for _, i := range c.repo.issues {
		if i.pull == nil {
			continue
		}
		if l := i.line(id); l != nil {
			return i, l, nil
		}
	}
	return nil, nil, notFound()
}

func getLine(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, l, err := c.lineComment()
	if err != nil {
		return reply{}, err
	}
	return ok(c.g.lineJSON(c.repo, i, l))
}

// setResolved resolves or opens the thread that a comment belongs to. g.mu is held.
func (g *GitHub) setResolved(by actor, r *repository, i *issue, id int64, on bool) error {
	l := i.line(id)
	if l != nil && l.replyTo != 0 {
		l = i.line(l.replyTo)
	}
	if l == nil {
		return no(http.StatusNotFound, "Not Found")
	}
	l.resolved = on
	action := map[bool]string{true: "resolved", false: "unresolved"}[on]
	comments := []any{}
	for _, other := range i.pull.comments {
		if other == l || other.replyTo == l.id {
			comments = append(comments, g.lineJSON(r, i, other))
		}
	}
	g.emit("pull_request_review_thread", action, r, by.user, obj{"pull_request": g.pullJSON(r, i, nil),
		"thread": obj{"node_id": nodeID("PRRT", l.id), "comments": comments}})
	return nil
}

// threads are the first comments of all threads.
func (p *pull) threads() []*lineComment {
	var list []*lineComment
	for _, l := range p.comments {
		if l.replyTo == 0 {
			list = append(list, l)
		}
	}
	return list
}
