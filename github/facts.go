package github

import (
	"context"
	"errors"
	"fmt"
	"slices"

	gh "github.com/google/go-github/v62/github"

	"dozens/batch/gate"
)

const (
	factRounds   = 3      // reads of everything while the head keeps moving
	factPages    = 30     // pages of 100 of any list; more is unread, and blocks
	maxSummary   = 2_000  // bytes of a check's summary
	maxReview    = 10_000 // bytes of a review's text
	maxPRCommits = 250    // GitHub lists no more
)

// Facts reads everything the gate decides on, all pages, for one head commit. What could not be read is named
// in Unread. An error means that there are no facts at all: the pull request cannot be read, a limit lasts
// (*LimitError), the installation is suspended, or ctx ended.
func (r *Repo) Facts(ctx context.Context, pr int) (gate.Facts, error) {
	what := fmt.Sprintf("read the facts of pull request %d", pr)
	pull, err := r.pull(ctx, pr)
	if err != nil {
		return gate.Facts{}, err
	}
	for round := 1; ; round++ {
		f := &reading{repo: r, pull: pull}
		if err := f.read(ctx); err != nil {
			return gate.Facts{}, fmt.Errorf("%s: %w", what, err)
		}
		again, err := r.pull(ctx, pr)
		if err = f.note("the pull request a second time", err); err != nil {
			return gate.Facts{}, fmt.Errorf("%s: %w", what, err)
		}
		switch {
		case again == nil:
			return f.facts, nil
		case again.GetHead().GetSHA() == f.facts.Head:
			f.describe(again)
			return f.facts, nil
		case round == factRounds:
			f.facts.Unread = append(f.facts.Unread, "everything at one commit: the branch keeps moving")
			return f.facts, nil
		}
		pull = again
	}
}

// reading is one read of everything about one head commit.
type reading struct {
	repo  *Repo
	pull  *gh.PullRequest
	facts gate.Facts
}

func (f *reading) read(ctx context.Context) error {
	f.facts.ReadAt = f.repo.app.set.Now()
	f.describe(f.pull)
	if f.facts.Merged {
		return nil // nothing is left to decide
	}
	if !validSHA(f.facts.Head) {
		f.facts.Unread = append(f.facts.Unread, "the head commit")
		return nil
	}
	for _, step := range []func(context.Context) error{f.readChecks, f.readStatuses, f.readReviews, f.readAuthors, f.readFiles} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// note puts what could not be read among the facts. Errors that make all further reading pointless come back.
func (f *reading) note(what string, err error) error {
	var limit *LimitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limit), errors.Is(err, ErrSuspended), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	f.facts.Unread = append(f.facts.Unread, what+": "+oneLine(err.Error(), 300))
	return nil
}

func (f *reading) describe(p *gh.PullRequest) {
	f.facts.Number = p.GetNumber()
	f.facts.Title = p.GetTitle()
	f.facts.State = p.GetState()
	f.facts.Merged = p.GetMerged()
	f.facts.MergeCommit = ""
	if p.GetMerged() {
		f.facts.MergeCommit = p.GetMergeCommitSHA()
	}
	f.facts.Draft = p.GetDraft()
	f.facts.Head = p.GetHead().GetSHA()
	f.facts.HeadRef = p.GetHead().GetRef()
	f.facts.HeadRepo = p.GetHead().GetRepo().GetID()
	f.facts.BaseRef = p.GetBase().GetRef()
	f.facts.BaseRepo = p.GetBase().GetRepo().GetID()
	f.facts.Author = actorOf(p.User)
	f.facts.Labels = labelNames(p.Labels)
	f.facts.Mergeable = p.Mergeable
	f.facts.MergeState = p.GetMergeableState()
	f.facts.Commits = p.GetCommits()
}

func (f *reading) readReviews(ctx context.Context) error {
	owner, repo := f.repo.at()
	list, complete, err := pages(factPages, func(opts gh.ListOptions) ([]*gh.PullRequestReview, *gh.Response, error) {
		return f.repo.in.rest.PullRequests.ListReviews(ctx, owner, repo, f.facts.Number, &opts)
	})
	if err != nil {
		return f.note("reviews", explain("list", err))
	}
	if !complete {
		f.facts.Unread = append(f.facts.Unread, fmt.Sprintf("reviews beyond the first %d", len(list)))
	}
	for _, review := range list {
		if review.GetState() == "PENDING" {
			continue // not submitted
		}
		f.facts.Reviews = append(f.facts.Reviews, gate.Review{
			ID: review.GetID(), By: actorOf(review.User), State: review.GetState(), Commit: review.GetCommitID(),
			Body: bound(review.GetBody(), maxReview), At: review.GetSubmittedAt().Time,
		})
	}
	slices.SortStableFunc(f.facts.Reviews, func(a, b gate.Review) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return int(min(max(a.ID-b.ID, -1), 1))
	})
	return f.readPermissions(ctx)
}

// readPermissions fills in what each person may do whose last opinion approves or asks for changes.
func (f *reading) readPermissions(ctx context.Context) error {
	opinion := map[gate.Actor]string{}
	for _, review := range f.facts.Reviews {
		switch review.State {
		case "APPROVED", "CHANGES_REQUESTED", "DISMISSED":
			opinion[review.By] = review.State
		}
	}
	for i := range f.facts.Reviews {
		review := &f.facts.Reviews[i]
		if state := opinion[review.By]; state != "APPROVED" && state != "CHANGES_REQUESTED" {
			continue
		}
		permission, err := f.permission(ctx, review.By)
		if err = f.note("permission of "+oneLine(review.By.Login, 60), err); err != nil {
			return err
		}
		review.Permission = permission
	}
	return nil
}

func (f *reading) permission(ctx context.Context, who gate.Actor) (string, error) {
	if who.ID == 0 {
		return "none", nil // a deleted account
	}
	l, err := f.repo.level(ctx, who.Login)
	if err != nil {
		return "", err
	}
	if l.user != 0 && l.user != who.ID {
		return "", errors.New("the login belongs to another account now")
	}
	return l.permission, nil
}

// readAuthors lists who wrote or committed the branch's commits, by API identity. A commit whose e-mail
// address GitHub does not know has an author without login.
func (f *reading) readAuthors(ctx context.Context) error {
	owner, repo := f.repo.at()
	list, complete, err := pages(factPages, func(opts gh.ListOptions) ([]*gh.RepositoryCommit, *gh.Response, error) {
		return f.repo.in.rest.PullRequests.ListCommits(ctx, owner, repo, f.facts.Number, &opts)
	})
	if err != nil {
		return f.note("commits", explain("list", err))
	}
	if !complete || len(list) >= maxPRCommits || len(list) < f.facts.Commits {
		f.facts.Unread = append(f.facts.Unread, fmt.Sprintf("commits: %d of %d", len(list), max(f.facts.Commits, len(list))))
	}
	for _, c := range list {
		f.addAuthor(c.Author, c.GetCommit().GetAuthor())
		f.addAuthor(c.Committer, c.GetCommit().GetCommitter())
	}
	return nil
}

// addAuthor adds an account once. The facts have no place for a name alone, so all unknown authors are one.
func (f *reading) addAuthor(account *gh.User, claimed *gh.CommitAuthor) {
	if account.GetID() == 0 && claimed.GetName() == "" && claimed.GetEmail() == "" {
		return
	}
	who := actorOf(account)
	for _, known := range f.facts.Authors {
		if known.ID == who.ID && known.Login == who.Login {
			return
		}
	}
	f.facts.Authors = append(f.facts.Authors, who)
}
