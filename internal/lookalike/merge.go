package lookalike

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// mergeAsk is what a merge is asked with.
type mergeAsk struct {
	Title   *string `json:"commit_title"`
	Message *string `json:"commit_message"`
	SHA     string  `json:"sha"`
	Method  string  `json:"merge_method"`
}

func putMerge(c *call) (reply, error) {
	ask := mergeAsk{}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	n, err := c.number("pull_number")
	if err != nil {
		return reply{}, err
	}
	sha, err := c.g.mergePull(c.g.ctx, c.by, c.repo, int(n), ask)
	if err != nil {
		return reply{}, err
	}
	return ok(obj{"sha": sha, "merged": true, "message": "Pull Request successfully merged"})
}

// mergePull merges for real: in git, and then in all that follows. It answers the new commit of the base.
func (g *GitHub) mergePull(ctx context.Context, by actor, r *repository, number int, ask mergeAsk) (string, error) {
	if ask.Method == "" {
		ask.Method = "merge"
	}
	if ask.Method != "merge" && ask.Method != "squash" && ask.Method != "rebase" {
		return "", no(http.StatusUnprocessableEntity, "Invalid request.\n\nFor 'properties/merge_method', %s is not a member of [\"merge\", \"squash\", \"rebase\"].", ask.Method)
	}
	r.git.Lock()
	defer r.git.Unlock()
	g.mu.Lock()
	i, err := r.pull(number)
	g.mu.Unlock()
	if err != nil {
		return "", err
	}
	base, err := r.dir.ref(ctx, "refs/heads/"+i.pull.base)
	if err != nil {
		return "", err
	}
	if err := g.refuseEarly(r, i, base, ask); err != nil {
		return "", err
	}
	try, err := g.tryMerge(ctx, r, base, i.pull.headSHA)
	if err != nil {
		return "", err
	}
	if err := g.refuseMerge(ctx, by, r, i, try); err != nil {
		return "", err
	}
	sha, err := g.writeMerge(ctx, by, r, i, try, ask)
	if err != nil {
		return "", err
	}
	if err := r.dir.setRef(ctx, "refs/heads/"+i.pull.base, sha, base); err != nil {
		return "", no(http.StatusMethodNotAllowed, "Base branch was modified. Review and try the merge again.")
	}
	g.mu.Lock()
	g.markMerged(by, r, i, sha, base)
	remove := r.autoDelete && !i.pull.headGone
	g.mu.Unlock()
	err = g.refsMoved(ctx, by, r, []refChange{{"refs/heads/" + i.pull.base, base, sha}})
	if err == nil && remove {
		err = g.moveRef(ctx, by, r, "refs/heads/"+i.pull.head, zeroSHA, true)
	}
	return sha, err
}

// refuseEarly holds a merge to what needs no git.
func (g *GitHub) refuseEarly(r *repository, i *issue, base string, ask mergeAsk) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := map[string]string{"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}
	switch {
	case !i.open || base == "":
		return no(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case i.pull.draft:
		return no(http.StatusMethodNotAllowed, "Pull Request is still a draft")
	case ask.SHA != "" && ask.SHA != i.pull.headSHA:
		return no(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	case !r.methods[ask.Method]:
		return no(http.StatusMethodNotAllowed, "%s are not allowed on this repository.", names[ask.Method])
	case r.protections[i.pull.base].Queue:
		return no(http.StatusMethodNotAllowed, "Repository rule violations found\n\nChanges must be made through the merge queue\n\n")
	}
	return nil
}

// refuseMerge holds it to conflicts, protection and the permission for workflow files. r.git is held.
func (g *GitHub) refuseMerge(ctx context.Context, by actor, r *repository, i *issue, try mergeTry) error {
	g.mu.Lock()
	rule, missing := r.protections[i.pull.base], g.unmet(r, i)
	g.mu.Unlock()
	switch {
	case !try.ok:
		return no(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case missing != "":
		return no(http.StatusMethodNotAllowed, "%s", missing)
	case rule.Strict && !try.current:
		return no(http.StatusMethodNotAllowed, "Head branch is out of date. Review and try the merge again.")
	}
	if by.install == nil || by.tok.perms["workflows"] == "write" {
		return nil
	}
	files, err := r.changes(ctx, try.base, try.head, false)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasPrefix(f.path, ".github/workflows/") {
			return no(http.StatusForbidden, "refusing to allow a GitHub App to create or update workflow `%s` without `workflows` permission", f.path)
		}
	}
	return nil
}

// writeMerge writes the commit or commits of a merge and answers the last one. r.git is held.
func (g *GitHub) writeMerge(ctx context.Context, by actor, r *repository, i *issue, try mergeTry, ask mergeAsk) (string, error) {
	github := signature{Name: "GitHub", Email: "noreply@github.com", Time: g.now()}
	commits, err := r.dir.log(ctx, 250, try.head, "^"+try.base, "--")
	if err != nil {
		return "", err
	}
	slices.Reverse(commits)
	g.mu.Lock()
	now := *i // title and body may be edited meanwhile
	i = &now
	g.mu.Unlock()
	switch ask.Method {
	case "squash":
		title, body := squashText(i, commits)
		return r.dir.commitTree(ctx, try.tree, []string{try.base}, g.sign(i.user), github, mergeText(title, body, ask))
	case "rebase":
		return r.rebase(ctx, try.base, commits, github)
	}
	title := fmt.Sprintf("Merge pull request #%d from %s/%s", i.number, r.owner.login, i.pull.head)
	return r.dir.commitTree(ctx, try.tree, []string{try.base, try.head}, g.sign(by.user), github, mergeText(title, i.title, ask))
}

// mergeText puts what was asked over the defaults. An empty message asked for means none.
func mergeText(title, body string, ask mergeAsk) string {
	if ask.Title != nil && *ask.Title != "" {
		title = *ask.Title
	}
	if ask.Message != nil {
		body = *ask.Message
	}
	if strings.TrimSpace(body) == "" {
		return title + "\n"
	}
	return title + "\n\n" + strings.TrimRight(body, "\n") + "\n"
}

// squashText is GitHub's default: the only commit's own text, or the title and a list of the commits, with
// the other authors as co-authors.
func squashText(i *issue, commits []gitCommit) (title, body string) {
	title = fmt.Sprintf("%s (#%d)", i.title, i.number)
	if len(commits) == 1 {
		title, body = fmt.Sprintf("%s (#%d)", commits[0].subject(), i.number), commits[0].body()
	} else {
		var parts []string
		for _, c := range commits {
			parts = append(parts, strings.TrimSpace("* "+c.subject()+"\n\n"+c.body()))
		}
		body = strings.Join(parts, "\n\n")
	}
	var trailers []string
	for _, c := range commits {
		line := fmt.Sprintf("Co-authored-by: %s <%s>", c.author.Name, c.author.Email)
		if !strings.EqualFold(c.author.Email, i.user.email) && !slices.Contains(trailers, line) && !strings.Contains(body, line) {
			trailers = append(trailers, line)
		}
	}
	if len(trailers) > 0 {
		body = strings.TrimSpace(body + "\n\n" + strings.Join(trailers, "\n"))
	}
	return title, body
}

// rebase copies the commits onto base one by one; merges among them are left out, as GitHub does.
func (r *repository) rebase(ctx context.Context, base string, commits []gitCommit, committer signature) (string, error) {
	tip := base
	for _, c := range commits {
		if len(c.parents) != 1 {
			continue
		}
		tree, ok, err := r.dir.pick(ctx, tip, c, committer)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", no(http.StatusMethodNotAllowed, "This branch can't be rebased")
		}
		if tip, err = r.dir.commitTree(ctx, tree, []string{tip}, c.author, committer, c.message+"\n"); err != nil {
			return "", err
		}
	}
	return tip, nil
}

// markMerged closes a pull request as merged by a commit on a base that was at before. g.mu is held.
func (g *GitHub) markMerged(by actor, r *repository, i *issue, sha, before string) {
	p := i.pull
	p.merged, p.mergedAt, p.mergedBy, p.mergeSHA, p.diffBase = true, g.now(), by.user, sha, before
	g.closeIssue(by, r, i, "")
	if p.base == r.branch {
		g.closeNamed(by, r, i.body)
	}
}

// updateBranch merges the base into the head branch, as its button does.
func updateBranch(c *call) (reply, error) {
	var in struct {
		Expected string `json:"expected_head_sha"`
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
	if in.Expected != "" && in.Expected != i.pull.headSHA {
		return reply{}, no(http.StatusUnprocessableEntity, "expected head sha didn’t match current head ref.")
	}
	if err := c.g.updateHead(c.g.ctx, c.by, c.repo, i); err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return reply{status: http.StatusAccepted, body: obj{"message": "Updating pull request branch.",
		"url": c.g.web("/repos/%s/pulls/%d", c.repo.full(), i.number)}}, nil
}

func (g *GitHub) updateHead(ctx context.Context, by actor, r *repository, i *issue) error {
	base, err := r.dir.ref(ctx, "refs/heads/"+i.pull.base)
	g.mu.Lock()
	open := i.open
	g.mu.Unlock()
	if err != nil || base == "" || !open {
		return no(http.StatusUnprocessableEntity, "The pull request is closed or its base is gone.")
	}
	try, err := g.tryMerge(ctx, r, base, i.pull.headSHA)
	switch {
	case err != nil:
		return err
	case try.current:
		return no(http.StatusUnprocessableEntity, "There are no new commits on the base branch.")
	case !try.ok:
		return no(http.StatusUnprocessableEntity, "merge conflict between base and head")
	}
	author, message := g.sign(by.user), fmt.Sprintf("Merge branch '%s' into %s\n", i.pull.base, i.pull.head)
	sha, err := r.dir.commitTree(ctx, try.tree, []string{i.pull.headSHA, base}, author, signature{Name: "GitHub", Email: "noreply@github.com", Time: g.now()}, message)
	if err != nil {
		return err
	}
	return g.moveRef(ctx, by, r, "refs/heads/"+i.pull.head, sha, false)
}
