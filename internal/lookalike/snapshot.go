package lookalike

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// IssueState is an issue, or what a pull request shares with issues, by value.
type IssueState struct {
	Number    int
	ID        int64
	Title     string
	Body      string
	Author    string
	Open      bool
	Reason    string // completed, not_planned, reopened…
	ClosedBy  string
	Labels    []string
	Assignees []string
	Comments  []CommentState
	Reactions []ReactionState
	Created   time.Time
	Updated   time.Time
}

// CommentState is a comment by value.
type CommentState struct {
	ID        int64
	Author    string
	Body      string
	Created   time.Time
	Updated   time.Time
	Reactions []ReactionState
}

// ReactionState is a reaction by value.
type ReactionState struct {
	Author  string
	Content string // "eyes", "rocket", "+1"…
}

// PullState is a pull request by value.
type PullState struct {
	IssueState
	Head, Base       string
	HeadSHA, BaseSHA string
	Draft            bool
	Merged           bool
	MergedBy         string
	MergeSHA         string // of the merge, once Merged
	Requested        []string
	Reviews          []ReviewState
	Lines            []LineState
}

// ReviewState is a review by value.
type ReviewState struct {
	ID     int64
	Author string
	State  string
	Body   string
	SHA    string
	At     time.Time
}

// LineState is a comment on a line by value.
type LineState struct {
	ID       int64
	ReplyTo  int64
	Author   string
	Path     string
	Line     int
	Body     string
	Resolved bool // of its thread, at the thread's first comment
}

// CheckState is a check run by value.
type CheckState struct {
	ID         int64
	App        string
	Name       string
	SHA        string
	ExternalID string
	Status     string
	Conclusion string
	Title      string
	Summary    string
	Text       string
	DetailsURL string
}

// StatusState is a commit status by value.
type StatusState struct{ Context, State, Description string }

// Commit is a commit by value.
type Commit struct {
	SHA       string
	Parents   []string
	Author    Signature
	Committer Signature
	Subject   string
	Body      string
}

// Signature is who wrote or committed a commit, as the commit says.
type Signature struct {
	Name, Email string
	Time        time.Time
}

func login(a *account) string {
	if a == nil {
		return ""
	}
	return a.login
}

func logins(list []*account) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.login)
	}
	return out
}

func reactionStates(list []*reaction) []ReactionState {
	var out []ReactionState
	for _, x := range list {
		out = append(out, ReactionState{Author: login(x.user), Content: x.content})
	}
	return out
}

func (i *issue) snapshot() IssueState {
	s := IssueState{Number: i.number, ID: i.id, Title: i.title, Body: i.body, Author: login(i.user), Open: i.open, Reason: i.reason,
		ClosedBy: login(i.closedBy), Assignees: logins(i.assignees), Reactions: reactionStates(i.reactions), Created: i.created, Updated: i.updated}
	for _, l := range i.labels {
		s.Labels = append(s.Labels, l.name)
	}
	for _, c := range i.comments {
		s.Comments = append(s.Comments, CommentState{ID: c.id, Author: login(c.user), Body: c.body, Created: c.created, Updated: c.updated,
			Reactions: reactionStates(c.reactions)})
	}
	return s
}

func (i *issue) pullSnapshot() PullState {
	p := i.pull
	s := PullState{IssueState: i.snapshot(), Head: p.head, Base: p.base, HeadSHA: p.headSHA, BaseSHA: p.baseSHA, Draft: p.draft, Merged: p.merged,
		MergedBy: login(p.mergedBy), Requested: logins(p.requested)}
	if p.merged {
		s.MergeSHA = p.mergeSHA
	}
	for _, v := range p.reviews {
		s.Reviews = append(s.Reviews, ReviewState{ID: v.id, Author: login(v.user), State: v.state, Body: v.body, SHA: v.commit, At: v.at})
	}
	for _, l := range p.comments {
		s.Lines = append(s.Lines, LineState{ID: l.id, ReplyTo: l.replyTo, Author: login(l.user), Path: l.path, Line: l.line, Body: l.body, Resolved: l.resolved})
	}
	return s
}

// Issues are all issues that are no pull requests, by number.
func (r *Repo) Issues() []IssueState {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	var out []IssueState
	for _, n := range sortedKeys(r.r.issues) {
		if i := r.r.issues[n]; i.pull == nil {
			out = append(out, i.snapshot())
		}
	}
	return out
}

// State is the issue now.
func (i *Issue) State() (IssueState, error) {
	i.repo.g.mu.Lock()
	defer i.repo.g.mu.Unlock()
	x, err := i.repo.r.issue(i.Number)
	if err != nil {
		return IssueState{}, fmt.Errorf("issue #%d: %w", i.Number, err)
	}
	return x.snapshot(), nil
}

// Comments are those of an issue or pull request, oldest first; nil when there is no such thing.
func (r *Repo) Comments(number int) []CommentState {
	s, err := r.Issue(number).State()
	if err != nil {
		return nil
	}
	return s.Comments
}

// Pulls are all pull requests, by number.
func (r *Repo) Pulls() []PullState {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	var out []PullState
	for _, n := range sortedKeys(r.r.issues) {
		if i := r.r.issues[n]; i.pull != nil {
			out = append(out, i.pullSnapshot())
		}
	}
	return out
}

// PullByNumber is one pull request; ok is false when there is none.
func (r *Repo) PullByNumber(number int) (state PullState, ok bool) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	i, err := r.r.pull(number)
	if err != nil {
		return PullState{}, false
	}
	return i.pullSnapshot(), true
}

// State is the pull request now.
func (p *Pull) State() (PullState, error) {
	s, found := p.repo.PullByNumber(p.Number)
	if !found {
		return PullState{}, fmt.Errorf("no pull request #%d", p.Number)
	}
	return s, nil
}

// Checks are the check runs of a commit: of each App and name the newest.
func (r *Repo) Checks(sha string) []CheckState {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	var out []CheckState
	for _, x := range r.r.latestRuns(sha) {
		out = append(out, CheckState{ID: x.id, App: x.app.slug, Name: x.name, SHA: x.sha, ExternalID: x.externalID, Status: x.status,
			Conclusion: x.conclusion, Title: text(x.title), Summary: text(x.summary), Text: text(x.text), DetailsURL: x.detailsURL})
	}
	return out
}

// Statuses are the commit statuses of a commit: of each context the newest.
func (r *Repo) Statuses(sha string) []StatusState {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	var out []StatusState
	for _, s := range r.r.latestStatuses(sha) {
		out = append(out, StatusState{Context: s.context, State: s.state, Description: s.description})
	}
	return out
}

// Branches are all branches and their commits.
func (r *Repo) Branches() (map[string]string, error) {
	refs, err := r.r.dir.refs(r.g.ctx, "refs/heads")
	if err != nil {
		return nil, fmt.Errorf("list branches: %w", err)
	}
	out := map[string]string{}
	for ref, sha := range refs {
		out[strings.TrimPrefix(ref, "refs/heads/")] = sha
	}
	return out, nil
}

// Head is a branch's commit, "" when there is no such branch.
func (r *Repo) Head(branch string) (string, error) { return r.r.tip(r.g.ctx, branch) }

// Log are the commits of a branch, tag or commit id, newest first.
func (r *Repo) Log(ref string) ([]Commit, error) {
	sha, err := r.r.dir.resolve(r.g.ctx, ref)
	if err != nil || sha == "" {
		return nil, fmt.Errorf("log of %q: no such ref: %w", ref, orMissing(err))
	}
	list, err := r.r.dir.log(r.g.ctx, 0, sha, "--")
	var out []Commit
	for _, c := range list {
		out = append(out, Commit{SHA: c.sha, Parents: slices.Clone(c.parents), Author: Signature(c.author), Committer: Signature(c.committer),
			Subject: c.subject(), Body: c.body()})
	}
	return out, err
}

func orMissing(err error) error {
	if err == nil {
		return notFound()
	}
	return err
}

// File is the content of a file at a branch, tag or commit id; ok is false when there is none.
func (r *Repo) File(ref, path string) (content string, ok bool, err error) {
	sha, err := r.r.dir.resolve(r.g.ctx, ref)
	if err != nil || sha == "" {
		return "", false, err
	}
	raw, ok, err := r.r.dir.file(r.g.ctx, sha, path)
	return string(raw), ok, err
}

// Files are the paths of all files at a branch, tag or commit id.
func (r *Repo) Files(ref string) ([]string, error) {
	sha, err := r.r.dir.resolve(r.g.ctx, ref)
	if err != nil || sha == "" {
		return nil, fmt.Errorf("files of %q: %w", ref, orMissing(err))
	}
	list, err := r.r.dir.list(r.g.ctx, sha, "", true)
	var out []string
	for _, e := range list {
		if e.kind == "blob" {
			out = append(out, e.path)
		}
	}
	return out, err
}

// Permission is a person's role: admin, maintain, write, triage, read or none.
func (r *Repo) Permission(login string) string {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.r.role(r.g.accounts[strings.ToLower(login)])
}
