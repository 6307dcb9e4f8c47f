package lookalike

import (
	"net/http"
	"slices"
	"strings"
)

func reviewRoutes() []route {
	const one = "/repos/{owner}/{repo}/pulls/{pull_number}"
	return []route{
		{method: "GET", pattern: one + "/reviews", need: "pull_requests:read", handle: found((*call).pull, listReviews)},
		{method: "POST", pattern: one + "/reviews", need: "pull_requests:write@read", handle: found((*call).pull, postReview)},
		{method: "GET", pattern: one + "/reviews/{review_id}", need: "pull_requests:read", handle: getReview},
		{method: "GET", pattern: one + "/reviews/{review_id}/comments", need: "pull_requests:read", handle: reviewLines},
		{method: "PUT", pattern: one + "/reviews/{review_id}/dismissals", need: "pull_requests:write", handle: dismissReview},
		{method: "GET", pattern: one + "/requested_reviewers", need: "pull_requests:read", handle: found((*call).pull, requestedReviewers)},
		{method: "POST", pattern: one + "/requested_reviewers", need: "pull_requests:write", handle: found((*call).pull, requestReviewers)},
		{method: "DELETE", pattern: one + "/requested_reviewers", need: "pull_requests:write", handle: found((*call).pull, unrequestReviewers)},
		{method: "GET", pattern: one + "/comments", need: "pull_requests:read", handle: found((*call).pull, listLines)},
		{method: "POST", pattern: one + "/comments", need: "pull_requests:write@read", handle: found((*call).pull, postLine)},
		{method: "POST", pattern: one + "/comments/{comment_id}/replies", need: "pull_requests:write@read", handle: found((*call).pull, replyLine)},
		{method: "GET", pattern: "/repos/{owner}/{repo}/pulls/comments/{comment_id}", need: "pull_requests:read", handle: getLine},
	}
}

// newReview is what a review is submitted with.
type newReview struct {
	Event    string    `json:"event"`
	Body     string    `json:"body"`
	CommitID string    `json:"commit_id"`
	Comments []newLine `json:"comments"`
}

// submitReview adds a review. g.mu is held.
func (g *GitHub) submitReview(by actor, r *repository, i *issue, in newReview) (*review, error) {
	states := map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
	state := states[in.Event]
	switch {
	case state == "":
		return nil, refusal("Variable $event of type PullRequestReviewEvent was provided invalid value")
	case by.user == i.user && state == "APPROVED":
		return nil, refusal("Can not approve your own pull request")
	case by.user == i.user && state == "CHANGES_REQUESTED":
		return nil, refusal("Can not request changes on your own pull request")
	case in.Body == "" && (state == "CHANGES_REQUESTED" || state == "COMMENTED" && len(in.Comments) == 0):
		return nil, refusal("Body can't be blank")
	case in.CommitID == "":
		in.CommitID = i.pull.headSHA
	}
	v := &review{id: g.nextID(), user: by.user, app: by.app, state: state, body: in.Body, commit: in.CommitID, at: g.now()}
	for _, line := range in.Comments {
		line.CommitID = in.CommitID
		l, err := g.newLine(by, line)
		if err != nil {
			return nil, err
		}
		l.review = v.id
		v.comment = append(v.comment, l)
	}
	i.pull.reviews = append(i.pull.reviews, v)
	i.pull.comments = append(i.pull.comments, v.comment...)
	i.pull.requested = slices.DeleteFunc(slices.Clone(i.pull.requested), func(a *account) bool { return a == by.user })
	i.updated = v.at
	g.emit("pull_request_review", "submitted", r, by.user, obj{"review": g.reviewEvent(r, i, v), "pull_request": g.pullJSON(r, i, nil)})
	for _, l := range v.comment {
		g.emitLine("created", by, r, i, l)
	}
	return v, nil
}

// dismiss takes a review's weight away. g.mu is held.
func (g *GitHub) dismiss(by actor, r *repository, i *issue, v *review) error {
	if v.state != "APPROVED" && v.state != "CHANGES_REQUESTED" {
		return refusal("Can not dismiss a " + strings.ToLower(v.state) + " pull request review")
	}
	v.state = "DISMISSED"
	g.emit("pull_request_review", "dismissed", r, by.user, obj{"review": g.reviewEvent(r, i, v), "pull_request": g.pullJSON(r, i, nil)})
	return nil
}

func (g *GitHub) reviewJSON(r *repository, i *issue, v *review) obj {
	html := g.web("/%s/pull/%d#pullrequestreview-%d", r.full(), i.number, v.id)
	u := g.api("/repos/%s/pulls/%d", r.full(), i.number)
	return obj{"id": v.id, "node_id": nodeID("PRR", v.id), "user": g.userJSON(v.user), "body": v.body, "state": v.state, "html_url": html,
		"pull_request_url": u, "_links": obj{"html": href(html), "pull_request": href(u)}, "submitted_at": stamp(v.at), "commit_id": v.commit,
		"author_association": g.association(r, v.user)}
}

// reviewEvent is a review in a webhook, where the state is in lower case.
func (g *GitHub) reviewEvent(r *repository, i *issue, v *review) obj {
	out := g.reviewJSON(r, i, v)
	out["state"] = strings.ToLower(v.state)
	out["body"] = orNil(v.body)
	return out
}

func listReviews(c *call, i *issue) (reply, error) {
	out := []any{}
	for _, v := range page(c, i.pull.reviews) {
		out = append(out, c.g.reviewJSON(c.repo, i, v))
	}
	return ok(out)
}

func postReview(c *call, i *issue) (reply, error) {
	var in newReview
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	v, err := c.g.submitReview(c.by, c.repo, i, in)
	if err != nil {
		return reply{}, err
	}
	return ok(c.g.reviewJSON(c.repo, i, v))
}

// review finds the one that the path names. g.mu is held.
func (c *call) review() (*issue, *review, error) {
	i, err := c.pull()
	if err != nil {
		return nil, nil, err
	}
	v, err := byID(c, "review_id", i.pull.reviews, func(v *review) int64 { return v.id })
	return i, v, err
}

func getReview(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, v, err := c.review()
	if err != nil {
		return reply{}, err
	}
	return ok(c.g.reviewJSON(c.repo, i, v))
}

func dismissReview(c *call) (reply, error) {
	var in struct{ Message string }
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, v, err := c.review()
	if err != nil {
		return reply{}, err
	}
	if in.Message == "" {
		return reply{}, refusal("Message can't be blank")
	}
	if err := c.g.dismiss(c.by, c.repo, i, v); err != nil {
		return reply{}, err
	}
	return ok(c.g.reviewJSON(c.repo, i, v))
}

func requestedReviewers(c *call, i *issue) (reply, error) {
	return ok(obj{"users": c.g.users(i.pull.requested), "teams": []any{}})
}

type reviewers struct {
	Reviewers []string `json:"reviewers"`
	Teams     []string `json:"team_reviewers"`
}

func requestReviewers(c *call, i *issue) (reply, error) {
	var in reviewers
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	var list []*account
	for _, login := range in.Reviewers {
		a := c.g.accounts[strings.ToLower(login)]
		if a != nil && a == i.user {
			return reply{}, no(http.StatusUnprocessableEntity, "Review cannot be requested from pull request author.")
		}
		if a == nil || rank(c.repo.role(a)) < rank("read") || a.kind == "Organization" {
			return reply{}, c.notCollaborator()
		}
		list = append(list, a)
	}
	if len(in.Teams) > 0 {
		return reply{}, c.notCollaborator()
	}
	for _, a := range list {
		if !slices.Contains(i.pull.requested, a) {
			i.pull.requested = append(slices.Clone(i.pull.requested), a)
			c.g.emitIssue("review_requested", c.by, c.repo, i, obj{"requested_reviewer": c.g.user(a)})
		}
	}
	return created(c.g.pullSimple(c.repo, i))
}

func (c *call) notCollaborator() error {
	return no(http.StatusUnprocessableEntity, "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the %s repository.", c.repo.full())
}

func unrequestReviewers(c *call, i *issue) (reply, error) {
	var in reviewers
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	for _, login := range in.Reviewers {
		a := c.g.accounts[strings.ToLower(login)]
		if at := slices.Index(i.pull.requested, a); a != nil && at >= 0 {
			i.pull.requested = slices.Delete(slices.Clone(i.pull.requested), at, at+1)
			c.g.emitIssue("review_request_removed", c.by, c.repo, i, obj{"requested_reviewer": c.g.user(a)})
		}
	}
	return ok(c.g.pullSimple(c.repo, i))
}
