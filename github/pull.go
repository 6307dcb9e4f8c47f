package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/shurcooL/githubv4"

	"dozens/batch/gate"
)

// Pull is a pull request to open.
type Pull struct {
	Head  string // branch in the same repository
	Base  string
	Title string
	Body  string
	Draft bool // a wish: not every repository has drafts
}

// PullRef is an open pull request of ours.
type PullRef struct {
	Number    int
	NodeID    string
	Head      string // commit
	Draft     bool
	HTMLURL   string
	Author    gate.Actor
	CreatedAt time.Time
}

// OpenPull opens a pull request, once: our open one with the same head and base is returned, with its title
// and body brought up to date. ErrRefused says why GitHub will not have it, or that somebody else's is there.
func (r *Repo) OpenPull(ctx context.Context, p Pull) (PullRef, error) {
	what := fmt.Sprintf("open pull request of %s", oneLine(p.Head, 250))
	if !validBranch(p.Head) || !validBranch(p.Base) {
		return PullRef{}, fmt.Errorf("%s: %w", what, errBadName)
	}
	p.Title, p.Body = oneLine(p.Title, maxTitle), fit(p.Body, maxBody)
	done, err := r.app.turns.take(ctx, fmt.Sprintf("pull/%d/%s", r.repo.ID, p.Head))
	if err != nil {
		return PullRef{}, fmt.Errorf("%s: %w", what, err)
	}
	defer done()
	found, err := r.findPull(ctx, p)
	if err != nil {
		return PullRef{}, fmt.Errorf("%s: %w", what, err)
	}
	if found == nil {
		found, err = r.createPull(ctx, p)
		if err != nil {
			return PullRef{}, fmt.Errorf("%s: %w", what, err)
		}
	}
	if found.GetTitle() != p.Title || !sameText(found.GetBody(), p.Body) {
		if err := r.UpdatePull(ctx, found.GetNumber(), p.Title, p.Body); err != nil {
			return PullRef{}, err
		}
	}
	return pullRef(found), nil
}

func pullRef(p *gh.PullRequest) PullRef {
	return PullRef{
		Number: p.GetNumber(), NodeID: p.GetNodeID(), Head: p.GetHead().GetSHA(), Draft: p.GetDraft(),
		HTMLURL: p.GetHTMLURL(), Author: actorOf(p.User), CreatedAt: p.GetCreatedAt().Time,
	}
}

// findPull returns our open pull request of a head and base, or nil. One that somebody else opened is refused:
// GitHub allows one of each pair.
func (r *Repo) findPull(ctx context.Context, p Pull) (*gh.PullRequest, error) {
	me, err := r.app.Me(ctx)
	if err != nil {
		return nil, err
	}
	owner, repo := r.at()
	list, _, err := pages(5, func(opts gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return r.in.rest.PullRequests.List(ctx, owner, repo,
			&gh.PullRequestListOptions{State: "open", Head: owner + ":" + p.Head, Base: p.Base, ListOptions: opts})
	})
	if err != nil {
		return nil, explain("look for it", err)
	}
	for _, pull := range list {
		// An ignored filter of the list must not hand us another pull request.
		if pull.GetHead().GetRef() != p.Head || pull.GetBase().GetRef() != p.Base ||
			pull.GetHead().GetRepo().GetID() != pull.GetBase().GetRepo().GetID() {
			continue
		}
		if !isMe(pull.User, me) {
			return nil, fmt.Errorf("pull request %d by %s has this branch: %w", pull.GetNumber(), pull.User.GetLogin(), ErrRefused)
		}
		return pull, nil
	}
	return nil, nil
}

func (r *Repo) createPull(ctx context.Context, p Pull) (*gh.PullRequest, error) {
	pull, err := r.postPull(ctx, p)
	if p.Draft && errors.Is(err, ErrRefused) && said(err, "draft") {
		p.Draft = false
		pull, err = r.postPull(ctx, p)
	}
	if !said(err, "already exists") {
		return pull, err
	}
	found, findErr := r.findPull(ctx, p)
	if findErr != nil {
		return nil, findErr
	}
	if found == nil {
		return nil, err
	}
	return found, nil
}

func (r *Repo) postPull(ctx context.Context, p Pull) (*gh.PullRequest, error) {
	owner, repo := r.at()
	pull, _, err := r.in.rest.PullRequests.Create(ctx, owner, repo, &gh.NewPullRequest{
		Title: gh.String(p.Title), Head: gh.String(p.Head), Base: gh.String(p.Base), Body: gh.String(p.Body), Draft: gh.Bool(p.Draft),
	})
	if err != nil {
		return nil, explain("create it", err)
	}
	if pull.GetNumber() == 0 {
		return nil, errors.New("create it: GitHub returned no pull request")
	}
	return pull, nil
}

// UpdatePull sets a pull request's title and body.
func (r *Repo) UpdatePull(ctx context.Context, n int, title, body string) error {
	owner, repo := r.at()
	_, _, err := r.in.rest.PullRequests.Edit(ctx, owner, repo, n,
		&gh.PullRequest{Title: gh.String(oneLine(title, maxTitle)), Body: gh.String(fit(body, maxBody))})
	return explain(fmt.Sprintf("update pull request %d", n), err)
}

// PullStatus says whether a pull request is open, and which commit merged it when it is merged.
func (r *Repo) PullStatus(ctx context.Context, n int) (open bool, merged string, err error) {
	p, err := r.pull(ctx, n)
	if err != nil {
		return false, "", err
	}
	if p.GetMerged() {
		merged = p.GetMergeCommitSHA()
	}
	return p.GetState() == "open", merged, nil
}

func (r *Repo) pull(ctx context.Context, n int) (*gh.PullRequest, error) {
	owner, repo := r.at()
	pull, _, err := r.in.rest.PullRequests.Get(ctx, owner, repo, n)
	if err != nil {
		return nil, explain(fmt.Sprintf("read pull request %d", n), err)
	}
	if pull.GetNumber() != n {
		return nil, fmt.Errorf("read pull request %d: %w", n, ErrNotFound)
	}
	r.learnName(pull.GetBase().GetRepo())
	return pull, nil
}

// Ready takes a pull request out of draft. One that is no draft is fine.
func (r *Repo) Ready(ctx context.Context, n int) error {
	pull, err := r.pull(ctx, n)
	if err != nil {
		return err
	}
	if !pull.GetDraft() {
		return nil
	}
	var m struct {
		Mark struct {
			PullRequest struct{ IsDraft bool }
		} `graphql:"markPullRequestReadyForReview(input: $input)"`
	}
	input := githubv4.MarkPullRequestReadyForReviewInput{PullRequestID: githubv4.ID(pull.GetNodeID())}
	err = r.in.graph.Mutate(ctx, &m, input, nil)
	if err == nil {
		return nil
	}
	if again, readErr := r.pull(ctx, n); readErr == nil && !again.GetDraft() {
		return nil
	}
	return explainGraph(fmt.Sprintf("mark pull request %d ready", n), err)
}

// explainGraph knows the few refusals that GraphQL gives as text in a successful answer.
func explainGraph(what string, err error) error {
	text := strings.ToLower(err.Error())
	kind := error(nil)
	switch {
	case strings.Contains(text, "resource not accessible"), strings.Contains(text, "does not have permission"):
		kind = ErrForbidden
	case strings.Contains(text, "could not resolve"):
		kind = ErrNotFound
	}
	if kind != nil {
		return fmt.Errorf("%s: %w: %s", what, kind, oneLine(err.Error(), 300))
	}
	return explain(what, err)
}

// RequestReviewers asks people for a review. Those who may not review are named in the error, the others are asked.
func (r *Repo) RequestReviewers(ctx context.Context, n int, logins []string) error {
	what := fmt.Sprintf("request reviewers of pull request %d", n)
	var people []string
	for _, login := range logins {
		if !validLogin(login) {
			return fmt.Errorf("%s: %q: %w", what, oneLine(login, 60), errBadName)
		}
		people = append(people, login)
	}
	if len(people) == 0 {
		return nil
	}
	err := r.askReviewers(ctx, n, people)
	if status(err) != http.StatusUnprocessableEntity || len(people) == 1 {
		return err
	}
	// One name that GitHub does not accept makes it refuse all of them.
	var refused []error
	for _, login := range people {
		if err := r.askReviewers(ctx, n, []string{login}); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", login, err))
		}
	}
	return errors.Join(refused...)
}

func (r *Repo) askReviewers(ctx context.Context, n int, people []string) error {
	owner, repo := r.at()
	_, _, err := r.in.rest.PullRequests.RequestReviewers(ctx, owner, repo, n, gh.ReviewersRequest{Reviewers: people})
	return explain(fmt.Sprintf("request reviewers of pull request %d", n), err)
}
