package lookalike

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

func pullRoutes() []route {
	const all, one = "/repos/{owner}/{repo}/pulls", "/repos/{owner}/{repo}/pulls/{pull_number}"
	return []route{
		{method: "GET", pattern: all, need: "pull_requests:read", handle: listPulls},
		{method: "POST", pattern: all, need: "pull_requests:write@read", handle: postPull},
		{method: "GET", pattern: one, need: "pull_requests:read", handle: getPull},
		{method: "PATCH", pattern: one, need: "pull_requests:write@read", handle: patchPull},
		{method: "GET", pattern: one + "/files", need: "pull_requests:read", handle: pullFiles},
		{method: "GET", pattern: one + "/commits", need: "pull_requests:read", handle: pullCommits},
		{method: "GET", pattern: one + "/merge", need: "pull_requests:read", handle: found((*call).pull, isMerged)},
		{method: "PUT", pattern: one + "/merge", need: "contents:write", handle: putMerge},
		{method: "PUT", pattern: one + "/update-branch", need: "pull_requests:write", handle: updateBranch},
	}
}

// pull finds a pull request by number. g.mu is held.
func (r *repository) pull(number int) (*issue, error) {
	i := r.issues[number]
	if i == nil || i.pull == nil {
		return nil, notFound()
	}
	return i, nil
}

// pull finds the one that the path names. g.mu is held.
func (c *call) pull() (*issue, error) {
	n, err := c.number("pull_number")
	if err != nil {
		return nil, err
	}
	return c.repo.pull(int(n))
}

// loosePull is pull for what then asks git, which must not be while g.mu is held. It takes and releases g.mu.
func (c *call) loosePull() (*issue, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return c.pull()
}

// compared are the commits that the path's pull request compares. It takes and releases g.mu.
func (c *call) compared() (base, head string, err error) {
	i, err := c.loosePull()
	if err != nil {
		return "", "", err
	}
	return c.g.ends(c.g.ctx, c.repo, i)
}

func listPulls(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	state, base := c.query("state"), c.query("base")
	owner, head, named := strings.Cut(c.query("head"), ":")
	var list []*issue
	for _, i := range c.repo.issues {
		if i.pull == nil || state != "all" && i.open == (state == "closed") || base != "" && i.pull.base != base {
			continue
		}
		if named && (!strings.EqualFold(owner, c.repo.owner.login) || head != i.pull.head) {
			continue // a head without an owner filters nothing, as on GitHub
		}
		list = append(list, i)
	}
	c.sortIssues(list)
	out := []any{}
	for _, i := range page(c, list) {
		out = append(out, c.g.pullSimple(c.repo, i))
	}
	return ok(out)
}

// newPull is what a pull request is opened with.
type newPull struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Head  string `json:"head"`
	Base  string `json:"base"`
	Draft bool   `json:"draft"`
}

func postPull(c *call) (reply, error) {
	var in newPull
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	i, err := c.g.openPull(c.g.ctx, c.by, c.repo, in)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return created(c.g.pullJSON(c.repo, i, nil))
}

// openPull opens a pull request between two branches of the repository.
func (g *GitHub) openPull(ctx context.Context, by actor, r *repository, in newPull) (*issue, error) {
	if owner, branch, found := strings.Cut(in.Head, ":"); found {
		if !strings.EqualFold(owner, r.owner.login) {
			return nil, invalid("PullRequest", "invalid", "head", "")
		}
		in.Head = branch
	}
	if err := checkTitle("PullRequest", in.Title); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(in.Body) > maxPullRunes {
		return nil, invalid("PullRequest", "custom", "body", "body is too long (maximum is 65536 characters)")
	}
	r.git.Lock()
	defer r.git.Unlock()
	p := &pull{base: in.Base, head: in.Head, draft: in.Draft}
	if err := g.fillPull(ctx, r, p); err != nil {
		return nil, err
	}
	i, err := g.addPull(by, r, in, p)
	if err != nil {
		return nil, err
	}
	_, err = r.dir.run(ctx, nil, nil, "update-ref", pullRef(i.number), p.headSHA)
	return i, err
}

// addPull is the part of openPull that changes state.
func (g *GitHub) addPull(by actor, r *repository, in newPull, p *pull) (*issue, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range r.issues {
		if i.pull != nil && i.open && i.pull.head == p.head && i.pull.base == p.base {
			return nil, invalid("PullRequest", "custom", "", fmt.Sprintf("A pull request already exists for %s:%s.", r.owner.login, p.head))
		}
	}
	i := g.openIssue(by, r, in.Title, in.Body)
	p.id = g.nextID()
	i.pull = p
	g.announceIssue(by, r, i, nil)
	g.startCI(r, i)
	g.startReviewer(r, i, "opened")
	return i, nil
}

// fillPull looks both branches up and refuses what GitHub refuses. r.git is held.
func (g *GitHub) fillPull(ctx context.Context, r *repository, p *pull) error {
	var err error
	if p.baseSHA, err = r.dir.ref(ctx, "refs/heads/"+p.base); err != nil {
		return err
	}
	if p.headSHA, err = r.dir.ref(ctx, "refs/heads/"+p.head); err != nil {
		return err
	}
	switch {
	case p.headSHA == "":
		return invalid("PullRequest", "invalid", "head", "")
	case p.baseSHA == "":
		return invalid("PullRequest", "invalid", "base", "")
	}
	base, err := r.dir.mergeBase(ctx, p.baseSHA, p.headSHA)
	if err != nil {
		return err
	}
	if base == "" {
		return invalid("PullRequest", "custom", "", fmt.Sprintf("The %s branch has no history in common with %s", p.head, p.base))
	}
	if base == p.headSHA {
		return invalid("PullRequest", "custom", "", fmt.Sprintf("No commits between %s and %s", p.base, p.head))
	}
	p.stats, err = r.stats(ctx, p.baseSHA, p.headSHA)
	return err
}

// stats counts what head brings on top of base.
func (r *repository) stats(ctx context.Context, base, head string) (pullStats, error) {
	_, commits, err := r.dir.counts(ctx, base, head)
	if err != nil {
		return pullStats{}, err
	}
	files, err := r.changes(ctx, base, head, false)
	s := pullStats{commits: commits, files: len(files)}
	for _, f := range files {
		s.add, s.del = s.add+f.add, s.del+f.del
	}
	return s, err
}

// changes is the difference that a pull request shows: from the last common commit to head.
func (r *repository) changes(ctx context.Context, base, head string, patches bool) ([]fileChange, error) {
	from, err := r.dir.mergeBase(ctx, base, head)
	if err != nil {
		return nil, err
	}
	if from == "" {
		from = emptyTree
	}
	return r.dir.diff(ctx, from, head, patches)
}

func getPull(c *call) (reply, error) {
	i, err := c.loosePull()
	if err != nil {
		return reply{}, err
	}
	if c.wantsDiff() {
		return c.pullDiff(i)
	}
	view, err := c.g.view(c.g.ctx, c.repo, i)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return ok(c.g.pullJSON(c.repo, i, &view))
}

// wantsDiff says that the client asked for the text of the difference.
func (c *call) wantsDiff() bool {
	accept := c.r.Header.Get("Accept")
	return strings.Contains(accept, "application/vnd.github") && strings.HasSuffix(strings.TrimSuffix(accept, "; charset=utf-8"), "diff")
}

func (c *call) pullDiff(i *issue) (reply, error) {
	base, head, err := c.g.ends(c.g.ctx, c.repo, i)
	if err != nil {
		return reply{}, err
	}
	out, err := c.repo.dir.run(c.g.ctx, nil, nil, "diff", "-M", "--no-ext-diff", "--no-textconv", "--no-color", base+"..."+head, "--")
	if err != nil {
		return reply{}, err
	}
	return ok(string(out))
}

// ends are the commits that a pull request compares: the base branch now, or as it was before the merge, and the head.
func (g *GitHub) ends(ctx context.Context, r *repository, i *issue) (base, head string, err error) {
	g.mu.Lock()
	p := *i.pull
	g.mu.Unlock()
	if p.diffBase != "" {
		return p.diffBase, p.headSHA, nil
	}
	base, err = r.dir.ref(ctx, "refs/heads/"+p.base)
	if base == "" {
		base = p.baseSHA
	}
	return base, p.headSHA, err
}

func pullFiles(c *call) (reply, error) {
	base, head, err := c.compared()
	if err != nil {
		return reply{}, err
	}
	files, err := c.repo.changes(c.g.ctx, base, head, true)
	if err != nil {
		return reply{}, err
	}
	files = files[:min(len(files), 3000)] // GitHub lists no more
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return ok(c.g.filesJSON(c.repo, head, page(c, files)))
}

func pullCommits(c *call) (reply, error) {
	base, head, err := c.compared()
	if err != nil {
		return reply{}, err
	}
	commits, err := c.repo.dir.log(c.g.ctx, 250, head, "^"+base, "--")
	if err != nil {
		return reply{}, err
	}
	slices.Reverse(commits)
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for _, one := range page(c, commits) {
		out = append(out, c.g.commitJSON(c.repo, one, nil))
	}
	return ok(out)
}

func isMerged(c *call, i *issue) (reply, error) {
	if !i.pull.merged {
		return reply{}, notFound()
	}
	return noContent()
}

func patchPull(c *call) (reply, error) {
	var in struct {
		Title *string `json:"title"`
		Body  *string `json:"body"`
		State string  `json:"state"`
		Base  *string `json:"base"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	c.repo.git.Lock()
	defer c.repo.git.Unlock()
	i, err := c.loosePull()
	if err != nil {
		return reply{}, err
	}
	if in.Base != nil && *in.Base != i.pull.base {
		if err := c.g.retarget(c.g.ctx, c.by, c.repo, i, *in.Base); err != nil {
			return reply{}, err
		}
	}
	tip, err := c.repo.dir.ref(c.g.ctx, "refs/heads/"+i.pull.head)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if err := c.g.editIssue(c.by, c.repo, i, in.Title, in.Body); err != nil {
		return reply{}, err
	}
	switch {
	case in.State == "closed":
		c.g.closeIssue(c.by, c.repo, i, "")
	case in.State == "open" && !i.open && (i.pull.merged || tip == ""):
		return reply{}, invalid("PullRequest", "invalid", "state", "state cannot be changed. The "+i.pull.head+" branch has been deleted or merged.")
	case in.State == "open" && !i.open:
		i.pull.headSHA, i.pull.headGone = tip, false
		c.g.reopenIssue(c.by, c.repo, i)
		c.g.startCI(c.repo, i)
	}
	return ok(c.g.pullJSON(c.repo, i, nil))
}

// retarget gives a pull request another base. r.git is held.
func (g *GitHub) retarget(ctx context.Context, by actor, r *repository, i *issue, base string) error {
	p := &pull{base: base, head: i.pull.head}
	if err := g.fillPull(ctx, r, p); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	changes := obj{"base": obj{"ref": obj{"from": i.pull.base}, "sha": obj{"from": i.pull.baseSHA}}}
	i.pull.base, i.pull.baseSHA, i.pull.stats, i.updated = base, p.baseSHA, p.stats, g.now()
	g.emitIssue("edited", by, r, i, obj{"changes": changes})
	return nil
}
