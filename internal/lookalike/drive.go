package lookalike

import (
	"errors"
	"fmt"
)

// Issue is a handle on an issue, or on what a pull request shares with issues.
type Issue struct {
	repo   *Repo
	Number int
}

// Pull is a handle on a pull request. Its labels and comments are those of Issue().
type Pull struct {
	repo   *Repo
	Number int
}

// Issue is the handle for a number; whether it exists shows when it is used.
func (r *Repo) Issue(number int) *Issue { return &Issue{repo: r, Number: number} }

// Pull is the handle for a number; whether it exists shows when it is used.
func (r *Repo) Pull(number int) *Pull { return &Pull{repo: r, Number: number} }

// Issue is the pull request seen as an issue.
func (p *Pull) Issue() *Issue { return p.repo.Issue(p.Number) }

// as runs do as a person, under the state lock.
func (r *Repo) as(login, what string, do func(by actor) error) error {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	a, err := r.g.find(login)
	if err == nil {
		err = do(actor{user: a})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// OpenIssue opens an issue as a person.
func (r *Repo) OpenIssue(login, title, body string, labels ...string) (*Issue, error) {
	var i *issue
	err := r.as(login, "open issue", func(by actor) error {
		if err := checkTitle("Issue", title); err != nil {
			return err
		}
		i = r.g.openIssue(by, r.r, title, body)
		r.g.announceIssue(by, r.r, i, labels)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.Issue(i.number), nil
}

// on runs do on the issue as a person, under the state lock.
func (i *Issue) on(login, what string, do func(by actor, x *issue) error) error {
	return i.repo.as(login, fmt.Sprintf("%s #%d", what, i.Number), func(by actor) error {
		x, err := i.repo.r.issue(i.Number)
		if err != nil {
			return err
		}
		return do(by, x)
	})
}

// Label puts a label on, making it if need be.
func (i *Issue) Label(login, name string) error {
	return i.on(login, "label", func(by actor, x *issue) error {
		i.repo.g.addLabels(by, i.repo.r, x, []string{name})
		return nil
	})
}

// Unlabel takes a label off.
func (i *Issue) Unlabel(login, name string) error {
	return i.on(login, "unlabel", func(by actor, x *issue) error {
		l := x.label(name)
		if l == nil {
			return fmt.Errorf("it has no label %q", name)
		}
		i.repo.g.removeLabel(by, i.repo.r, x, l)
		return nil
	})
}

// Close closes it as completed; a pull request without merging.
func (i *Issue) Close(login string) error {
	return i.on(login, "close", func(by actor, x *issue) error {
		i.repo.g.closeIssue(by, i.repo.r, x, "")
		return nil
	})
}

// Reopen opens it again.
func (i *Issue) Reopen(login string) error {
	return i.on(login, "reopen", func(by actor, x *issue) error {
		if x.pull != nil && (x.pull.merged || x.pull.headGone) {
			return errors.New("its branch is merged or gone")
		}
		i.repo.g.reopenIssue(by, i.repo.r, x)
		return nil
	})
}

// Edit changes title and body; nil leaves one alone.
func (i *Issue) Edit(login string, title, body *string) error {
	return i.on(login, "edit", func(by actor, x *issue) error { return i.repo.g.editIssue(by, i.repo.r, x, title, body) })
}

// Comment comments and answers the comment's id.
func (i *Issue) Comment(login, body string) (id int64, err error) {
	err = i.on(login, "comment on", func(by actor, x *issue) error {
		c, err := i.repo.g.addComment(by, i.repo.r, x, body)
		if err == nil {
			id = c.id
		}
		return err
	})
	return id, err
}

// EditComment changes a comment of the issue.
func (i *Issue) EditComment(login string, id int64, body string) error {
	return i.on(login, "edit comment on", func(by actor, x *issue) error {
		c, err := x.comment(id)
		if err != nil {
			return err
		}
		return i.repo.g.editComment(by, i.repo.r, x, c, body)
	})
}

// DeleteComment removes a comment of the issue.
func (i *Issue) DeleteComment(login string, id int64) error {
	return i.on(login, "delete comment on", func(by actor, x *issue) error {
		c, err := x.comment(id)
		if err != nil {
			return err
		}
		i.repo.g.deleteComment(by, i.repo.r, x, c)
		return nil
	})
}

func (i *issue) comment(id int64) (*comment, error) {
	for _, c := range i.comments {
		if c.id == id {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no comment %d", id)
}

// OpenPull opens a pull request as a person.
func (r *Repo) OpenPull(login, title, body, head, base string, draft bool) (*Pull, error) {
	r.g.mu.Lock()
	a, err := r.g.find(login)
	r.g.mu.Unlock()
	if err != nil {
		return nil, err
	}
	i, err := r.g.openPull(r.g.ctx, actor{user: a}, r.r, newPull{Title: title, Body: body, Head: head, Base: base, Draft: draft})
	if err != nil {
		return nil, fmt.Errorf("open pull request: %w", err)
	}
	return r.Pull(i.number), nil
}

// on runs do on the pull request as a person, under the state lock.
func (p *Pull) on(login, what string, do func(by actor, x *issue) error) error {
	return p.Issue().on(login, what, func(by actor, x *issue) error {
		if x.pull == nil {
			return errors.New("it is an issue")
		}
		return do(by, x)
	})
}

// LineComment is a comment on a line of a file.
type LineComment struct {
	Path string
	Line int
	Body string
}

// Review submits a review of the present head: APPROVE, REQUEST_CHANGES or COMMENT. It answers the review's id.
func (p *Pull) Review(login, event, body string, comments ...LineComment) (id int64, err error) {
	in := newReview{Event: event, Body: body}
	for _, c := range comments {
		in.Comments = append(in.Comments, newLine{Path: c.Path, Line: c.Line, Body: c.Body})
	}
	err = p.on(login, "review", func(by actor, x *issue) error {
		v, err := p.repo.g.submitReview(by, p.repo.r, x, in)
		if err == nil {
			id = v.id
		}
		return err
	})
	return id, err
}

// Dismiss dismisses a review.
func (p *Pull) Dismiss(login string, id int64) error {
	return p.on(login, "dismiss review of", func(by actor, x *issue) error {
		for _, v := range x.pull.reviews {
			if v.id == id {
				return p.repo.g.dismiss(by, p.repo.r, x, v)
			}
		}
		return fmt.Errorf("no review %d", id)
	})
}

// Resolve resolves, or opens again, the thread that a line comment belongs to.
func (p *Pull) Resolve(login string, comment int64, resolved bool) error {
	return p.on(login, "resolve thread of", func(by actor, x *issue) error {
		return p.repo.g.setResolved(by, p.repo.r, x, comment, resolved)
	})
}

// SetDraft makes it a draft, or marks it ready for review.
func (p *Pull) SetDraft(login string, draft bool) error {
	return p.on(login, "set draft of", func(by actor, x *issue) error {
		p.repo.g.setDraft(by, p.repo.r, x, draft)
		return nil
	})
}

// setDraft changes a pull request's draft state and tells of it. g.mu is held.
func (g *GitHub) setDraft(by actor, r *repository, i *issue, draft bool) {
	if i.pull.draft == draft {
		return
	}
	i.pull.draft, i.updated = draft, g.now()
	if draft {
		g.emitIssue("converted_to_draft", by, r, i, nil)
		return
	}
	g.emitIssue("ready_for_review", by, r, i, nil)
	g.startReviewer(r, i, "ready_for_review")
}

// PushAs commits files on the pull request's branch as a person. It answers the commit's id.
func (p *Pull) PushAs(login string, files map[string]string, message string) (string, error) {
	state, found := p.repo.PullByNumber(p.Number)
	if !found {
		return "", fmt.Errorf("push to pull request #%d: there is none", p.Number)
	}
	return p.repo.PushTo(state.Head, login, files, message)
}

// Merge merges as a person: method merge, squash or rebase. It answers the new commit of the base.
func (p *Pull) Merge(login, method string) (string, error) {
	g := p.repo.g
	g.mu.Lock()
	a, err := g.find(login)
	g.mu.Unlock()
	if err != nil {
		return "", err
	}
	sha, err := g.mergePull(g.ctx, actor{user: a}, p.repo.r, p.Number, mergeAsk{Method: method})
	if err != nil {
		return "", fmt.Errorf("merge pull request #%d: %w", p.Number, err)
	}
	return sha, nil
}
