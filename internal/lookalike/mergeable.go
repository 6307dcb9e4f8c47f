package lookalike

import (
	"context"
	"fmt"
	"slices"
)

// mergeTry is the outcome of merging two commits, kept because each pair is asked for many times.
type mergeTry struct {
	base, head string
	tree       string // merged files
	ok         bool   // no conflict
	current    bool   // the head holds the base's commit
	sha        string // test merge commit
}

// tryMerge merges head into base without moving a branch.
func (g *GitHub) tryMerge(ctx context.Context, r *repository, base, head string) (mergeTry, error) {
	key := base + head
	g.mu.Lock()
	try, done := r.merges[key]
	g.mu.Unlock()
	if done {
		return try, nil
	}
	try = mergeTry{base: base, head: head}
	var err error
	if try.current, err = r.dir.isAncestor(ctx, base, head); err != nil {
		return try, err
	}
	if try.tree, try.ok, err = r.dir.mergeTree(ctx, base, head); err != nil {
		return try, err
	}
	if try.ok {
		by := signature{Name: "GitHub", Email: "noreply@github.com", Time: g.now()}
		if try.sha, err = r.dir.commitTree(ctx, try.tree, []string{base, head}, by, by, fmt.Sprintf("Merge %s into %s", head, base)); err != nil {
			return try, err
		}
	}
	g.mu.Lock()
	r.merges[key] = try
	g.mu.Unlock()
	return try, nil
}

// view computes what a read of a pull request says about merging it.
func (g *GitHub) view(ctx context.Context, r *repository, i *issue) (mergeView, error) {
	g.mu.Lock()
	p, open := *i.pull, i.open
	g.mu.Unlock()
	base, err := r.dir.ref(ctx, "refs/heads/"+p.base)
	if err != nil {
		return mergeView{}, err
	}
	if !open || base == "" {
		return mergeView{state: "unknown"}, nil
	}
	if g.stillNull(r, i, base+p.headSHA) {
		return mergeView{state: "unknown"}, nil
	}
	try, err := g.tryMerge(ctx, r, base, p.headSHA)
	if err != nil {
		return mergeView{}, err
	}
	if try.ok {
		if _, err := r.dir.run(ctx, nil, nil, "update-ref", fmt.Sprintf("refs/pull/%d/merge", i.number), try.sha); err != nil {
			return mergeView{}, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.open && i.pull.headSHA == p.headSHA {
		i.pull.mergeSHA = try.sha
	}
	return mergeView{mergeable: &try.ok, state: g.mergeState(r, i, try)}, nil
}

// stillNull counts the reads that are to answer null after every move of base or head.
func (g *GitHub) stillNull(r *repository, i *issue, key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.pull.mergeKey != key {
		i.pull.mergeKey, i.pull.nullLeft = key, r.nullReads
	}
	if i.pull.nullLeft > 0 {
		i.pull.nullLeft--
		return true
	}
	return false
}

// mergeState is GitHub's one word on it. g.mu is held.
func (g *GitHub) mergeState(r *repository, i *issue, try mergeTry) string {
	rule, protected := r.protections[i.pull.base]
	switch {
	case !try.ok:
		return "dirty"
	case i.pull.draft:
		return "draft"
	case protected && (g.unmet(r, i) != "" || rule.Queue):
		return "blocked"
	case protected && rule.Strict && !try.current:
		return "behind"
	}
	for _, word := range r.results(i.pull.headSHA) {
		if word != "good" {
			return "unstable"
		}
	}
	return "clean"
}

// unmet is GitHub's sentence about the first thing a protected branch misses, "" when nothing. g.mu is held.
func (g *GitHub) unmet(r *repository, i *issue) string {
	rule := r.protections[i.pull.base]
	results := r.results(i.pull.headSHA)
	for _, name := range rule.Checks {
		switch word, known := results[name]; {
		case !known:
			return fmt.Sprintf("Required status check %q is expected.", name)
		case word == "pending":
			return fmt.Sprintf("Required status check %q is in progress.", name)
		case word == "bad":
			return fmt.Sprintf("Required status check %q is failing.", name)
		}
	}
	approvals, changes := g.opinions(r, i)
	if rule.Approvals > 0 && len(changes) > 0 {
		return "Changes have been requested on this pull request by reviewers with write access."
	}
	if len(approvals) < rule.Approvals {
		return fmt.Sprintf("At least %d approving review%s required by reviewers with write access.", rule.Approvals,
			map[bool]string{true: " is", false: "s are"}[rule.Approvals == 1])
	}
	return ""
}

// opinions are the latest opinionated reviews of people with write access. g.mu is held.
func (g *GitHub) opinions(r *repository, i *issue) (approvals, changes []*review) {
	for _, v := range i.pull.latest() {
		if v.user == nil || v.user.kind != "User" || rank(r.role(v.user)) < rank("write") {
			continue
		}
		switch v.state {
		case "APPROVED":
			approvals = append(approvals, v)
		case "CHANGES_REQUESTED":
			changes = append(changes, v)
		}
	}
	return approvals, changes
}

// latest is each reviewer's last review that is not a mere comment.
func (p *pull) latest() []*review {
	var list []*review
	for _, v := range p.reviews {
		if v.state == "COMMENTED" || v.state == "PENDING" {
			continue
		}
		list = slices.DeleteFunc(list, func(old *review) bool { return old.user == v.user })
		list = append(list, v)
	}
	return list
}

// results is good, bad or pending per check and status of a commit; of one name reported twice the worse counts.
func (r *repository) results(sha string) map[string]string {
	out := map[string]string{}
	put := func(name, word string) {
		worse := map[string]int{"": 0, "good": 1, "pending": 2, "bad": 3}
		if worse[word] > worse[out[name]] {
			out[name] = word
		}
	}
	for _, run := range r.latestRuns(sha) {
		switch {
		case run.status != "completed":
			put(run.name, "pending")
		case goodConclusion(run.conclusion):
			put(run.name, "good")
		default:
			put(run.name, "bad")
		}
	}
	for _, s := range r.latestStatuses(sha) {
		put(s.context, map[string]string{"success": "good", "pending": "pending"}[s.state])
		if s.state == "failure" || s.state == "error" {
			put(s.context, "bad")
		}
	}
	return out
}

func goodConclusion(word string) bool {
	return word == "success" || word == "neutral" || word == "skipped"
}
