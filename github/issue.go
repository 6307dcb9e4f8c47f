package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"dozens/batch/gate"
)

// Issue is an issue, or the issue side of a pull request. Its texts are untrusted.
type Issue struct {
	Number    int
	Title     string
	Body      string
	State     string // open · closed
	Labels    []string
	Author    gate.Actor
	IsPull    bool
	HTMLURL   string
	UpdatedAt time.Time
}

// Issue reads an issue: ErrNotFound when it is gone or was transferred to another repository.
func (r *Repo) Issue(ctx context.Context, n int) (Issue, error) {
	what := fmt.Sprintf("read issue %d", n)
	owner, repo := r.at()
	issue, _, err := r.in.rest.Issues.Get(ctx, owner, repo, n)
	if err != nil {
		return Issue{}, explain(what, err)
	}
	here, err := r.isHere(ctx, issue)
	if err != nil {
		return Issue{}, err
	}
	if issue.GetNumber() != n || !here {
		return Issue{}, fmt.Errorf("%s: it was moved away: %w", what, ErrNotFound)
	}
	return Issue{
		Number: n, Title: issue.GetTitle(), Body: issue.GetBody(), State: issue.GetState(), Labels: labelNames(issue.Labels),
		Author: actorOf(issue.User), IsPull: issue.IsPullRequest(), HTMLURL: issue.GetHTMLURL(), UpdatedAt: issue.GetUpdatedAt().Time,
	}, nil
}

// isHere reports whether an issue belongs to this repository: GitHub redirects from a transferred issue to
// where it is now.
func (r *Repo) isHere(ctx context.Context, issue *gh.Issue) (bool, error) {
	matches := func() bool {
		owner, repo := r.at()
		return strings.HasSuffix(strings.ToLower(issue.GetRepositoryURL()), strings.ToLower("/repos/"+owner+"/"+repo))
	}
	if issue.GetRepositoryURL() == "" || matches() {
		return true, nil
	}
	if _, err := r.Info(ctx); err != nil { // the repository may have been renamed
		return false, err
	}
	return matches(), nil
}

// CloseIssue closes an issue as completed. Closing it twice is fine.
func (r *Repo) CloseIssue(ctx context.Context, n int) error {
	owner, repo := r.at()
	_, _, err := r.in.rest.Issues.Edit(ctx, owner, repo, n, &gh.IssueRequest{State: gh.String("closed"), StateReason: gh.String("completed")})
	return explain(fmt.Sprintf("close issue %d", n), err)
}

// AddLabel puts a label on an issue or pull request, once. GitHub makes a label that the repository does not have yet.
func (r *Repo) AddLabel(ctx context.Context, n int, label string) error {
	what := fmt.Sprintf("put label %q on %d", oneLine(label, 60), n)
	if strings.TrimSpace(label) == "" {
		return fmt.Errorf("%s: %w", what, errBadName)
	}
	owner, repo := r.at()
	// go-github sends a bare list, which GitHub's description does not know any more.
	req, err := r.in.rest.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/%s/issues/%d/labels", owner, repo, n), map[string][]string{"labels": {label}})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err = r.in.rest.Do(ctx, req, nil)
	return explain(what, err)
}

// RemoveLabel takes a label off an issue or pull request. A label that is not there is fine.
func (r *Repo) RemoveLabel(ctx context.Context, n int, label string) error {
	what := fmt.Sprintf("remove label %q from %d", oneLine(label, 60), n)
	if label == "" || label == "." || label == ".." {
		return fmt.Errorf("%s: %w", what, errBadName)
	}
	owner, repo := r.at()
	_, err := r.in.rest.Issues.RemoveLabelForIssue(ctx, owner, repo, n, url.PathEscape(label))
	if err = explain(what, err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// ReactComment puts our reaction on a comment of an issue or pull request, once.
func (r *Repo) ReactComment(ctx context.Context, commentID int64, content string) error {
	what := fmt.Sprintf("react to comment %d", commentID)
	if !validReaction(content) {
		return fmt.Errorf("%s: unknown reaction %q", what, oneLine(content, 20))
	}
	owner, repo := r.at()
	_, _, err := r.in.rest.Reactions.CreateIssueCommentReaction(ctx, owner, repo, commentID, content)
	return explain(what, err)
}

// ReactIssue puts our reaction on an issue or pull request, once.
func (r *Repo) ReactIssue(ctx context.Context, issue int, content string) error {
	what := fmt.Sprintf("react to issue %d", issue)
	if !validReaction(content) {
		return fmt.Errorf("%s: unknown reaction %q", what, oneLine(content, 20))
	}
	owner, repo := r.at()
	_, _, err := r.in.rest.Reactions.CreateIssueReaction(ctx, owner, repo, issue, content)
	return explain(what, err)
}

func validReaction(s string) bool {
	switch s {
	case "+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes":
		return true
	}
	return false
}
