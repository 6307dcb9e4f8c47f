package github

import (
	"context"
	"errors"
	"fmt"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"dozens/batch/gate"
)

// What the agent is told about a failure is bounded: its prompt has to hold it.
const (
	maxFailures       = 10
	maxFailureText    = 8_000 // bytes of each text
	maxAnnotations    = 30
	maxAnnotationText = 500
	maxFeedbackBody   = 20_000
	maxHunk           = 4_000
	maxComments       = 200
)

// Failure is one failed check in the words of whoever reported it: untrusted and bounded.
type Failure struct {
	Name        string
	Conclusion  string
	Title       string
	Summary     string
	Text        string
	Annotations []string // "path:line: message"
	URL         string
}

// FailedChecks reads what the failed checks among the facts say, at most ten of them. What a check does not
// tell is left out; an error means a limit, a suspension, or the end of ctx.
func (r *Repo) FailedChecks(ctx context.Context, facts gate.Facts) ([]Failure, error) {
	var out []Failure
	for _, c := range facts.Checks {
		if !failed(c) || len(out) == maxFailures {
			continue
		}
		f := Failure{Name: c.Name, Conclusion: c.Conclusion, Summary: bound(c.Summary, maxFailureText), URL: c.URL}
		if c.Source == "check" && c.Status == "completed" {
			if err := r.describeFailure(ctx, c.ID, &f); err != nil && final(ctx, err) {
				return nil, explain("read check "+oneLine(c.Name, 100), err)
			}
		}
		out = append(out, f)
	}
	return out, nil
}

func failed(c gate.Check) bool {
	switch c.Conclusion {
	case "failure", "error", "cancelled", "timed_out", "action_required", "startup_failure", "stale":
		return true
	}
	return false
}

// final says that the next call would fare no better.
func final(ctx context.Context, err error) bool {
	var limit *LimitError
	return ctx.Err() != nil || errors.As(err, &limit) || errors.Is(err, ErrSuspended)
}

func (r *Repo) describeFailure(ctx context.Context, id int64, f *Failure) error {
	owner, repo := r.at()
	run, _, err := r.in.rest.Checks.GetCheckRun(ctx, owner, repo, id)
	if err != nil {
		return err
	}
	out := run.GetOutput()
	f.Title = oneLine(out.GetTitle(), maxTitle)
	f.Summary = bound(out.GetSummary(), maxFailureText)
	f.Text = bound(out.GetText(), maxFailureText)
	if out.GetAnnotationsCount() == 0 {
		return nil
	}
	list, _, err := r.in.rest.Checks.ListCheckRunAnnotations(ctx, owner, repo, id, &gh.ListOptions{PerPage: maxAnnotations})
	if err != nil {
		return err
	}
	for _, a := range list[:min(len(list), maxAnnotations)] {
		message := strings.TrimSpace(a.GetTitle() + " " + a.GetMessage())
		line := fmt.Sprintf("%s:%d: %s", oneLine(a.GetPath(), 200), a.GetStartLine(), oneLine(message, maxAnnotationText))
		f.Annotations = append(f.Annotations, line)
	}
	return nil
}

// Feedback is one submitted review: untrusted and bounded.
type Feedback struct {
	By       gate.Actor
	State    string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	Body     string
	Comments []LineComment
}

// LineComment is a review's remark on a place in the change.
type LineComment struct {
	ID   int64
	Path string
	Line int    // in the new file, or in the old one where it was removed; 0 unknown
	Hunk string // of the diff, up to the line
	Body string
}

// ReviewFeedback reads a review with its remarks. Only the reviewer's own remarks are among them.
func (r *Repo) ReviewFeedback(ctx context.Context, pr int, reviewID int64) (Feedback, error) {
	what := fmt.Sprintf("read review %d of pull request %d", reviewID, pr)
	owner, repo := r.at()
	review, _, err := r.in.rest.PullRequests.GetReview(ctx, owner, repo, pr, reviewID)
	if err != nil {
		return Feedback{}, explain(what, err)
	}
	list, _, err := pages(maxComments/100, func(opts gh.ListOptions) ([]*gh.PullRequestComment, *gh.Response, error) {
		return r.in.rest.PullRequests.ListReviewComments(ctx, owner, repo, pr, reviewID, &opts)
	})
	if err != nil {
		return Feedback{}, explain(what, err)
	}
	lines, err := r.missingLines(ctx, pr, list)
	if err != nil {
		return Feedback{}, explain(what, err)
	}
	out := Feedback{By: actorOf(review.User), State: review.GetState(), Body: bound(review.GetBody(), maxFeedbackBody)}
	for _, c := range list {
		if c.GetUser().GetID() != out.By.ID {
			continue
		}
		line := lineOf(c)
		if line == 0 {
			line = lines[c.GetID()]
		}
		out.Comments = append(out.Comments, LineComment{
			ID: c.GetID(), Path: c.GetPath(), Line: line, Hunk: bound(c.GetDiffHunk(), maxHunk), Body: bound(c.GetBody(), maxFeedbackBody),
		})
	}
	return out, nil
}

func lineOf(c *gh.PullRequestComment) int {
	if c.GetLine() != 0 {
		return c.GetLine()
	}
	return c.GetOriginalLine()
}

// missingLines reads the line numbers from the pull request's list of comments: the list of one review often
// leaves them out.
func (r *Repo) missingLines(ctx context.Context, pr int, list []*gh.PullRequestComment) (map[int64]int, error) {
	missing := false
	for _, c := range list {
		missing = missing || lineOf(c) == 0
	}
	if !missing {
		return nil, nil
	}
	owner, repo := r.at()
	all, _, err := pages(10, func(opts gh.ListOptions) ([]*gh.PullRequestComment, *gh.Response, error) {
		return r.in.rest.PullRequests.ListComments(ctx, owner, repo, pr,
			&gh.PullRequestListCommentsOptions{Sort: "created", Direction: "desc", ListOptions: opts})
	})
	lines := map[int64]int{}
	for _, c := range all {
		lines[c.GetID()] = lineOf(c)
	}
	return lines, err
}
