package lookalike

import (
	"context"
	"net/http"
	"strings"
)

// refChange is one ref that moved; zeroSHA stands for "does not exist".
type refChange struct{ ref, old, new string }

// moved is what git tells of a refChange before state follows it.
type moved struct {
	refChange
	branch  string      // "" for a tag
	commits []gitCommit // what is new, newest first
	head    *gitCommit
	files   map[string][]fileChange
	forced  bool
	merged  map[int]bool // open pull requests whose head the base branch now holds
	stats   map[int]pullStats
	bases   map[int]string // base commits of the pull requests whose head moved
}

// pushedCommits is the most commits that a push webhook lists.
const pushedCommits = 20

// refsMoved lets everything follow refs that git has moved: webhooks, pull requests, check suites, closing
// keywords, actors. r.git is held.
func (g *GitHub) refsMoved(ctx context.Context, by actor, r *repository, changes []refChange) error {
	for _, change := range changes {
		m, err := g.inspect(ctx, r, change)
		if err != nil {
			return err
		}
		g.mu.Lock()
		heads := g.follow(by, r, m)
		g.mu.Unlock()
		for ref, sha := range heads {
			if _, err := r.dir.run(ctx, nil, nil, "update-ref", ref, sha); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *GitHub) inspect(ctx context.Context, r *repository, change refChange) (moved, error) {
	m := moved{refChange: change, files: map[string][]fileChange{}, merged: map[int]bool{}, stats: map[int]pullStats{}, bases: map[int]string{}}
	m.branch, _ = strings.CutPrefix(change.ref, "refs/heads/")
	if !strings.HasPrefix(change.ref, "refs/heads/") {
		m.branch = ""
	}
	if change.new == zeroSHA {
		return m, nil
	}
	if err := g.inspectCommits(ctx, r, &m); err != nil {
		return m, err
	}
	return m, g.inspectPulls(ctx, r, &m)
}

// inspectPulls finds out what the move means for the open pull requests into or from the branch.
func (g *GitHub) inspectPulls(ctx context.Context, r *repository, m *moved) error {
	heads, bases := map[int]string{}, map[int]string{}
	g.mu.Lock()
	for _, i := range r.issues {
		if i.pull != nil && i.open && i.pull.base == m.branch {
			heads[i.number] = i.pull.headSHA
		}
		if i.pull != nil && i.open && i.pull.head == m.branch {
			bases[i.number] = i.pull.base
		}
	}
	g.mu.Unlock()
	var err error
	for number, head := range heads {
		if m.merged[number], err = r.dir.isAncestor(ctx, head, m.new); err != nil {
			return err
		}
	}
	for number, base := range bases {
		sha, err := r.dir.ref(ctx, "refs/heads/"+base)
		if err != nil || sha == "" {
			return err
		}
		if m.stats[number], err = r.stats(ctx, sha, m.new); err != nil {
			return err
		}
		m.bases[number] = sha
	}
	return nil
}

func (g *GitHub) inspectCommits(ctx context.Context, r *repository, m *moved) error {
	what := []string{m.new}
	if m.old != zeroSHA {
		what = append(what, "^"+m.old)
		straight, err := r.dir.isAncestor(ctx, m.old, m.new)
		if err != nil {
			return err
		}
		m.forced = !straight
	} else {
		others, err := r.dir.refs(ctx, "refs/heads")
		if err != nil {
			return err
		}
		for name, sha := range others {
			if name != m.ref {
				what = append(what, "^"+sha)
			}
		}
	}
	var err error
	if m.commits, err = r.dir.log(ctx, pushedCommits, append(what, "--")...); err != nil {
		return err
	}
	if m.head, err = r.dir.commit(ctx, m.new); err != nil {
		return err
	}
	for _, c := range m.commits {
		from := emptyTree
		if len(c.parents) > 0 {
			from = c.parents[0]
		}
		if m.files[c.sha], err = r.dir.diff(ctx, from, c.sha, false); err != nil {
			return err
		}
	}
	return nil
}

// emptyTree is git's id of a tree without files.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// follow changes state after a move and queues the webhooks. It answers the pull requests' own refs to set.
// g.mu is held.
func (g *GitHub) follow(by actor, r *repository, m moved) map[string]string {
	r.pushed = g.now()
	g.emit("push", "", r, by.user, g.pushJSON(by, r, m))
	heads := map[string]string{}
	if m.branch == "" {
		return heads
	}
	if m.new != zeroSHA {
		g.requestSuite(by, r, m)
	}
	for _, number := range sortedKeys(r.issues) {
		i := r.issues[number]
		if i.pull == nil || !i.open {
			continue
		}
		if g.followPull(by, r, i, m) {
			heads[pullRef(number)] = m.new
		}
	}
	if m.branch == r.branch {
		for _, c := range m.commits {
			g.closeNamed(by, r, c.message)
		}
	}
	return heads
}

// followPull does to an open pull request what a move of its head or base asks for, and says whether its head is
// another commit now. g.mu is held.
func (g *GitHub) followPull(by actor, r *repository, i *issue, m moved) (newHead bool) {
	switch p := i.pull; {
	case p.head == m.branch && m.new == zeroSHA:
		p.headGone = true
		g.closeIssue(by, r, i, "")
	case p.head == m.branch:
		g.synchronize(by, r, i, m)
		return true
	case p.base == m.branch && m.new == zeroSHA:
		g.closeIssue(by, r, i, "")
	case p.base == m.branch && m.merged[i.number] && m.old != zeroSHA:
		g.markMerged(by, r, i, m.new, m.old)
	}
	return false
}

// synchronize lets a pull request follow its head branch. g.mu is held.
func (g *GitHub) synchronize(by actor, r *repository, i *issue, m moved) {
	p := i.pull
	p.headSHA, i.updated = m.new, g.now()
	if base := m.bases[i.number]; base != "" {
		p.baseSHA, p.stats = base, m.stats[i.number]
	}
	if r.protections[p.base].Dismiss {
		for _, v := range p.reviews {
			if v.state == "APPROVED" {
				v.state = "DISMISSED"
				g.emit("pull_request_review", "dismissed", r, by.user, obj{"review": g.reviewEvent(r, i, v), "pull_request": g.pullJSON(r, i, nil)})
			}
		}
	}
	g.emit("pull_request", "synchronize", r, by.user, obj{"number": i.number, "before": m.old, "after": m.new, "pull_request": g.pullJSON(r, i, nil)})
	g.startCI(r, i)
	g.startReviewer(r, i, "synchronize")
}

// moveRef sets a ref through the API: sha zeroSHA deletes it, force allows what is no fast-forward. r.git is held.
func (g *GitHub) moveRef(ctx context.Context, by actor, r *repository, ref, sha string, force bool) error {
	old, err := r.dir.ref(ctx, ref)
	if err != nil {
		return err
	}
	if old == "" {
		return no(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	if sha != zeroSHA && !force {
		straight, err := r.dir.isAncestor(ctx, old, sha)
		if err != nil {
			return err
		}
		if !straight {
			return no(http.StatusUnprocessableEntity, "Update is not a fast forward")
		}
	}
	if err := r.dir.setRef(ctx, ref, sha, old); err != nil {
		return err
	}
	return g.refsMoved(ctx, by, r, []refChange{{ref, old, sha}})
}

// pushJSON is the push webhook without the common fields. g.mu is held.
func (g *GitHub) pushJSON(by actor, r *repository, m moved) obj {
	commits := make([]any, 0, len(m.commits))
	for n := len(m.commits) - 1; n >= 0; n-- { // oldest first
		commits = append(commits, g.pushCommit(r, m.commits[n], m.files[m.commits[n].sha]))
	}
	out := obj{"ref": m.ref, "before": m.old, "after": m.new, "created": m.old == zeroSHA, "deleted": m.new == zeroSHA, "forced": m.forced,
		"base_ref": nil, "compare": g.web("/%s/compare/%s...%s", r.full(), m.old[:12], m.new[:12]), "commits": commits, "head_commit": nil}
	if m.head != nil {
		out["head_commit"] = g.pushCommit(r, *m.head, m.files[m.head.sha])
	}
	pusher := obj{"name": "unknown"}
	if by.user != nil {
		pusher = obj{"name": by.user.login, "email": by.user.email}
	}
	repo := g.repoJSON(r)
	repo["created_at"], repo["pushed_at"] = r.created.Unix(), r.pushed.Unix()
	repo["url"], repo["stargazers"], repo["master_branch"] = g.web("/%s", r.full()), 0, r.branch
	repo["owner"] = with(g.user(r.owner), obj{"name": r.owner.login, "email": nil})
	if r.owner.kind == "Organization" {
		repo["organization"] = r.owner.login
	}
	out["pusher"], out["repository"] = pusher, repo
	return out
}

func (g *GitHub) pushCommit(r *repository, c gitCommit, files []fileChange) obj {
	lists := map[string][]any{"added": {}, "removed": {}, "modified": {}}
	for _, f := range files {
		switch f.status {
		case "renamed":
			lists["added"], lists["removed"] = append(lists["added"], f.path), append(lists["removed"], f.old)
		default:
			lists[f.status] = append(lists[f.status], f.path)
		}
	}
	return obj{"id": c.sha, "tree_id": c.tree, "distinct": true, "message": c.message, "timestamp": stamp(c.author.Time),
		"url": g.web("/%s/commit/%s", r.full(), c.sha), "author": g.pushUser(c.author), "committer": g.pushUser(c.committer),
		"added": lists["added"], "removed": lists["removed"], "modified": lists["modified"]}
}

func (g *GitHub) pushUser(s signature) obj {
	out := obj{"name": s.Name, "email": s.Email}
	if a := g.byEmail(s); a != nil {
		out["username"] = a.login
	}
	return out
}
