package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// MergeRequest is one merge, pinned to the commit that the gate looked at.
type MergeRequest struct {
	PR      int
	SHA     string // the head commit it must still have
	Title   string // first line of the squash commit
	Message string // the rest of it
	Method  string // squash, merge or rebase; empty: squash
}

// Merge merges a pull request with exactly one request, which no layer ever repeats, and returns the commit on
// the base branch. Its errors are ErrHeadMoved, ErrBusy, ErrQueue, ErrRefused, ErrForbidden, ErrNotFound,
// *LimitError (nothing happened in all of these) and ErrUncertain: then look with MergedAs before anything else.
func (r *Repo) Merge(ctx context.Context, m MergeRequest) (sha string, err error) {
	what := fmt.Sprintf("merge pull request %d", m.PR)
	if !validSHA(m.SHA) {
		return "", fmt.Errorf("%s: the expected commit %q is not a commit id", what, oneLine(m.SHA, 70))
	}
	req, err := r.mergeRequest(m)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	ctx, sent := watchSent(ctx)
	var result gh.PullRequestMergeResult
	_, err = r.in.rest.Do(ctx, req, &result)
	if err != nil {
		return "", mergeError(what, err, *sent)
	}
	if !result.GetMerged() || !validSHA(result.GetSHA()) {
		return "", fmt.Errorf("%s: %w: GitHub said %q", what, ErrUncertain, oneLine(result.GetMessage(), 200))
	}
	return result.GetSHA(), nil
}

func (r *Repo) mergeRequest(m MergeRequest) (*http.Request, error) {
	if m.Method == "" {
		m.Method = "squash"
	}
	switch m.Method {
	case "squash", "merge", "rebase":
	default:
		return nil, fmt.Errorf("unknown merge method %q", oneLine(m.Method, 20))
	}
	owner, repo := r.at()
	body := map[string]string{"sha": m.SHA, "merge_method": m.Method}
	if m.Method != "rebase" {
		body["commit_title"] = mergeTitle(m)
		body["commit_message"] = bound(strings.ToValidUTF8(m.Message, "\uFFFD"), maxBody)
	}
	req, err := r.in.rest.NewRequest(http.MethodPut, fmt.Sprintf("repos/%s/%s/pulls/%d/merge", owner, repo, m.PR), body)
	if err != nil {
		return nil, err
	}
	// Without it neither net/http (on a lost connection) nor a redirect can send the body a second time.
	req.GetBody = nil
	return req, nil
}

// mergeTitle ends with the pull request's number whatever the title is: MergedAs finds the commit by it.
func mergeTitle(m MergeRequest) string {
	number := fmt.Sprintf(" (#%d)", m.PR)
	title := strings.TrimSuffix(oneLine(m.Title, 4*maxTitle), number)
	return strings.TrimSpace(oneLine(title, maxTitle-len(number))) + number
}

// mergeError sorts the refusals of a merge. What is not certainly a refusal is ErrUncertain.
func mergeError(what string, cause error, sent bool) error {
	err := explain(what, cause)
	var limit *LimitError
	switch {
	case errors.As(err, &limit) || !sent:
		return err
	case said(err, "head branch was modified"), status(err) == http.StatusConflict:
		return rename(what, ErrHeadMoved, err)
	case status(err) == http.StatusMethodNotAllowed && said(err, "base branch was modified", "merge already in progress"):
		return rename(what, ErrBusy, err)
	case status(err) >= 400 && status(err) < 500 && said(err, "merge queue"):
		return rename(what, ErrQueue, err)
	case errors.Is(err, ErrNotFound), status(err) == http.StatusUnauthorized, errors.Is(err, ErrSuspended):
		return err
	case status(err) >= 300 && status(err) < 500 && status(err) != http.StatusRequestTimeout:
		return rename(what, ErrRefused, err)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrUncertain, cause)
}

// rename gives an answer another kind and keeps GitHub's words.
func rename(what string, kind, err error) error {
	var answer *answerError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s: %w: %w", what, kind, err)
	}
	return fmt.Errorf("%s: %w", what, &answerError{status: answer.status, kind: kind, words: answer.words})
}

// mergedPages bounds the search on the base branch, 100 commits each.
const mergedPages = 5

// clockSkew is how far GitHub's clock and ours may be apart.
const clockSkew = 5 * time.Minute

// MergedAs finds out whether a pull request was merged and as which commit. GitHub may show it as open for a
// while after a merge that ended in an error, so then the base branch's commits since that time are searched
// for a subject that ends with "(#n)".
func (r *Repo) MergedAs(ctx context.Context, pr int, base string, since time.Time) (sha string, merged bool, err error) {
	what := fmt.Sprintf("look for the merge of pull request %d", pr)
	if !validBranch(base) {
		return "", false, fmt.Errorf("%s: %w", what, errBadName)
	}
	pull, err := r.pull(ctx, pr)
	if err != nil {
		return "", false, err
	}
	if pull.GetMerged() {
		return pull.GetMergeCommitSHA(), true, nil
	}
	if pull.GetState() != "open" {
		return "", false, nil
	}
	owner, repo := r.at()
	commits, _, err := pages(mergedPages, func(opts gh.ListOptions) ([]*gh.RepositoryCommit, *gh.Response, error) {
		return r.in.rest.Repositories.ListCommits(ctx, owner, repo,
			&gh.CommitsListOptions{SHA: base, Since: since.Add(-clockSkew), ListOptions: opts})
	})
	if err != nil {
		return "", false, explain(what, err)
	}
	for _, c := range commits {
		subject, _, _ := strings.Cut(c.GetCommit().GetMessage(), "\n")
		if strings.HasSuffix(strings.TrimSpace(subject), fmt.Sprintf("(#%d)", pr)) {
			return c.GetSHA(), true, nil
		}
	}
	return "", false, nil
}

// DeleteBranch deletes a branch that is still at sha, or wherever it is when sha is empty. A branch that is
// gone is fine. ErrHeadMoved: it is elsewhere. ErrRefused: an open pull request goes into it, or a rule protects it.
func (r *Repo) DeleteBranch(ctx context.Context, branch, sha string) error {
	what := "delete branch " + oneLine(branch, 250)
	at, err := r.Branch(ctx, branch)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if sha != "" && at != sha {
		return fmt.Errorf("%s: %w: at %s, expected %s", what, ErrHeadMoved, at, oneLine(sha, 70))
	}
	owner, repo := r.at()
	list, _, err := r.in.rest.PullRequests.List(ctx, owner, repo,
		&gh.PullRequestListOptions{State: "open", Base: branch, ListOptions: gh.ListOptions{PerPage: 100}})
	if err != nil {
		return explain(what, err)
	}
	for _, pull := range list {
		if pull.GetBase().GetRef() == branch {
			return fmt.Errorf("%s: pull request %d goes into it: %w", what, pull.GetNumber(), ErrRefused)
		}
	}
	_, err = r.in.rest.Git.DeleteRef(ctx, owner, repo, "heads/"+branch)
	err = explain(what, err)
	if errors.Is(err, ErrNotFound) || (status(err) == http.StatusUnprocessableEntity && said(err, "does not exist")) {
		return nil
	}
	return err
}
