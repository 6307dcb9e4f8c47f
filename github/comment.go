package github

import (
	"context"
	"fmt"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
)

const (
	commentAge   = 30 * 24 * time.Hour // how far back a comment of ours is looked for
	commentPages = 10                  // the newest pages of 100 comments that are looked through
)

// Comment says something on an issue or pull request, once per key: when our own comment with that key is
// there already, its id is returned and nothing is written. The text is cut at 60,000 bytes.
//
// The key travels in a hidden mark at the very end of the comment, where nothing quoted inside the text can
// pose as one.
func (r *Repo) Comment(ctx context.Context, issue int, key, body string) (id int64, err error) {
	what := fmt.Sprintf("comment on %d", issue)
	if !validKey(key) {
		return 0, fmt.Errorf("%s: key %q: %w", what, oneLine(key, 60), errBadName)
	}
	done, err := r.app.turns.take(ctx, fmt.Sprintf("comment/%d/%d/%s", r.repo.ID, issue, key))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	defer done()
	id, err = r.findComment(ctx, issue, key)
	if err != nil || id != 0 {
		return id, err
	}
	owner, repo := r.at()
	comment, _, err := r.in.rest.Issues.CreateComment(ctx, owner, repo, issue, &gh.IssueComment{Body: gh.String(marked(body, key))})
	if err != nil {
		return 0, explain(what, err)
	}
	if comment.GetID() == 0 {
		return 0, fmt.Errorf("%s: GitHub returned no comment", what)
	}
	return comment.GetID(), nil
}

// EditComment replaces the text of a comment of ours: ErrNotFound when somebody deleted it.
func (r *Repo) EditComment(ctx context.Context, id int64, key, body string) error {
	what := fmt.Sprintf("edit comment %d", id)
	if !validKey(key) {
		return fmt.Errorf("%s: key %q: %w", what, oneLine(key, 60), errBadName)
	}
	owner, repo := r.at()
	_, _, err := r.in.rest.Issues.EditComment(ctx, owner, repo, id, &gh.IssueComment{Body: gh.String(marked(body, key))})
	return explain(what, err)
}

func marker(key string) string { return "<!-- dozens:" + key + " -->" }

func marked(body, key string) string {
	end := "\n\n" + marker(key)
	return fit(strings.TrimRight(body, "\n"), maxBody-len(end)) + end
}

// findComment looks for our comment with a key, from the newest page back. GitHub lists comments oldest first.
func (r *Repo) findComment(ctx context.Context, issue int, key string) (int64, error) {
	me, err := r.app.Me(ctx)
	if err != nil {
		return 0, err
	}
	since := r.app.set.Now().Add(-commentAge)
	read := func(page int) (int64, *gh.Response, error) {
		owner, repo := r.at()
		opts := &gh.IssueListCommentsOptions{Since: &since, ListOptions: gh.ListOptions{Page: page, PerPage: 100}}
		list, resp, err := r.in.rest.Issues.ListComments(ctx, owner, repo, issue, opts)
		if err != nil {
			return 0, nil, explain(fmt.Sprintf("list comments of %d", issue), err)
		}
		return ours(list, me, key), resp, nil
	}
	id, resp, err := read(1)
	if err != nil || id != 0 {
		return id, err
	}
	for page := resp.LastPage; page > max(1, resp.LastPage-commentPages); page-- {
		if id, _, err := read(page); err != nil || id != 0 {
			return id, err
		}
	}
	return 0, nil
}

func ours(list []*gh.IssueComment, me Me, key string) int64 {
	for _, c := range list {
		if isMe(c.GetUser(), me) && strings.HasSuffix(strings.TrimSpace(c.GetBody()), marker(key)) {
			return c.GetID()
		}
	}
	return 0
}

// isMe compares by id where GitHub shows ours; logins of bots cannot be taken by people.
func isMe(user *gh.User, me Me) bool {
	if me.ID != 0 {
		return user.GetID() == me.ID
	}
	return strings.EqualFold(user.GetLogin(), me.Login)
}
