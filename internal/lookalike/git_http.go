package lookalike

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

func gitRoutes() []route {
	const repo = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: repo + "/git/ref/{ref...}", need: "contents:read", handle: getRef},
		{method: "GET", pattern: repo + "/git/matching-refs/{ref...}", need: "contents:read", handle: matchingRefs},
		{method: "POST", pattern: repo + "/git/refs", need: "contents:write", handle: postRef},
		{method: "PATCH", pattern: repo + "/git/refs/{ref...}", need: "contents:write", handle: patchRef},
		{method: "DELETE", pattern: repo + "/git/refs/{ref...}", need: "contents:write", handle: dropRef},
		{method: "GET", pattern: repo + "/git/commits/{commit_sha}", need: "contents:read", handle: getGitCommit},
		{method: "GET", pattern: repo + "/git/trees/{tree_sha}", need: "contents:read", handle: getTree},
		{method: "GET", pattern: repo + "/git/blobs/{file_sha}", need: "contents:read", handle: getBlob},
		{method: "GET", pattern: repo + "/commits", need: "contents:read", handle: listCommits},
		{method: "GET", pattern: repo + "/commits/{commit_sha}/pulls", need: "pull_requests:read", handle: commitPulls},
		{method: "GET", pattern: repo + "/commits/{ref...}/check-runs", need: "checks:read", handle: commitRuns},
		{method: "GET", pattern: repo + "/commits/{ref...}/check-suites", need: "checks:read", handle: commitSuites},
		{method: "GET", pattern: repo + "/commits/{ref...}/status", need: "statuses:read", handle: combinedStatus},
		{method: "GET", pattern: repo + "/commits/{ref...}/statuses", need: "statuses:read", handle: listStatuses},
		{method: "GET", pattern: repo + "/commits/{ref...}", need: "contents:read", handle: getCommit},
		{method: "GET", pattern: repo + "/compare/{basehead...}", need: "contents:read", handle: compare},
	}
}

func (c *call) refJSON(ref, sha string) obj {
	c.g.mu.Lock()
	full := c.repo.full()
	c.g.mu.Unlock()
	return obj{"ref": ref, "node_id": "REF_" + sha[:20], "url": c.g.api("/repos/%s/git/%s", full, escapePath(ref)),
		"object": obj{"type": "commit", "sha": sha, "url": c.g.api("/repos/%s/git/commits/%s", full, sha)}}
}

func getRef(c *call) (reply, error) {
	ref := "refs/" + c.param("ref")
	sha, err := c.repo.dir.ref(c.g.ctx, ref)
	if err != nil {
		return reply{}, err
	}
	if sha == "" {
		return reply{}, notFound()
	}
	return ok(c.refJSON(ref, sha))
}

func matchingRefs(c *call) (reply, error) {
	refs, err := c.repo.dir.refs(c.g.ctx)
	if err != nil {
		return reply{}, err
	}
	out := []any{}
	for _, ref := range sortedKeys(refs) {
		if strings.HasPrefix(ref, "refs/"+c.param("ref")) {
			out = append(out, c.refJSON(ref, refs[ref]))
		}
	}
	return ok(out)
}

func postRef(c *call) (reply, error) {
	var in struct{ Ref, SHA string }
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	rest, full := strings.CutPrefix(in.Ref, "refs/")
	if !full || !strings.Contains(rest, "/") || !validBranch(rest) || !(strings.HasPrefix(rest, "heads/") || strings.HasPrefix(rest, "tags/")) {
		return reply{}, no(http.StatusUnprocessableEntity, "Reference name must start with 'refs/heads/' or 'refs/tags/' and be valid: %q", in.Ref)
	}
	c.repo.git.Lock()
	defer c.repo.git.Unlock()
	if one, err := c.knownCommit(in.SHA); err != nil || one == nil {
		return reply{}, no(http.StatusUnprocessableEntity, "Object does not exist")
	}
	have, err := c.repo.dir.ref(c.g.ctx, in.Ref)
	if err != nil {
		return reply{}, err
	}
	if have != "" {
		return reply{}, no(http.StatusUnprocessableEntity, "Reference already exists")
	}
	if err := c.repo.dir.setRef(c.g.ctx, in.Ref, in.SHA, zeroSHA); err != nil {
		return reply{}, no(http.StatusUnprocessableEntity, "Reference cannot be created: %v", err)
	}
	if err := c.g.refsMoved(c.g.ctx, c.by, c.repo, []refChange{{in.Ref, zeroSHA, in.SHA}}); err != nil {
		return reply{}, err
	}
	return created(c.refJSON(in.Ref, in.SHA))
}

func patchRef(c *call) (reply, error) {
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	ref := "refs/" + c.param("ref")
	c.repo.git.Lock()
	defer c.repo.git.Unlock()
	if one, err := c.knownCommit(in.SHA); err != nil || one == nil {
		return reply{}, no(http.StatusUnprocessableEntity, "Object does not exist")
	}
	if err := c.shut(ref); err != nil {
		return reply{}, err
	}
	if err := c.g.moveRef(c.g.ctx, c.by, c.repo, ref, in.SHA, in.Force); err != nil {
		return reply{}, err
	}
	return ok(c.refJSON(ref, in.SHA))
}

func dropRef(c *call) (reply, error) {
	ref := "refs/" + c.param("ref")
	c.repo.git.Lock()
	defer c.repo.git.Unlock()
	if ref == "refs/heads/"+c.repo.branch {
		return reply{}, no(http.StatusUnprocessableEntity, "Cannot delete the default branch")
	}
	if err := c.shut(ref); err != nil {
		return reply{}, err
	}
	if err := c.g.moveRef(c.g.ctx, c.by, c.repo, ref, zeroSHA, true); err != nil {
		return reply{}, err
	}
	return noContent()
}

// shut refuses direct changes of a protected branch.
func (c *call) shut(ref string) error {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if _, protected := c.repo.protections[strings.TrimPrefix(ref, "refs/heads/")]; protected {
		return no(http.StatusUnprocessableEntity, "Cannot update this protected ref.")
	}
	return nil
}

// anyCommit is the commit of an id in the path, 404 when there is none.
func (c *call) anyCommit(sha string) (*gitCommit, error) {
	if !isSHA(sha) {
		return nil, notFound()
	}
	one, err := c.repo.dir.commit(c.g.ctx, sha)
	if err == nil && one == nil {
		err = notFound()
	}
	return one, err
}

func getGitCommit(c *call) (reply, error) {
	one, err := c.anyCommit(c.param("commit_sha"))
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	full := c.repo.full()
	return ok(obj{"sha": one.sha, "node_id": "C_" + one.sha[:20], "url": c.g.api("/repos/%s/git/commits/%s", full, one.sha),
		"html_url": c.g.web("/%s/commit/%s", full, one.sha), "author": gitUser(one.author), "committer": gitUser(one.committer), "message": one.message,
		"tree":    obj{"sha": one.tree, "url": c.g.api("/repos/%s/git/trees/%s", full, one.tree)},
		"parents": c.g.parentsJSON(c.repo, *one), "verification": unsigned()})
}

func getTree(c *call) (reply, error) {
	sha, err := c.repo.dir.resolve(c.g.ctx, c.param("tree_sha"))
	if err != nil {
		return reply{}, err
	}
	if sha == "" && isSHA(c.param("tree_sha")) {
		sha = c.param("tree_sha")
	}
	list, err := c.repo.dir.list(c.g.ctx, sha, "", c.query("recursive") != "")
	if err != nil || sha == "" {
		return reply{}, notFound()
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for _, e := range list {
		one := obj{"path": e.path, "mode": e.mode, "type": e.kind, "sha": e.sha, "url": c.g.api("/repos/%s/git/%ss/%s", c.repo.full(), e.kind, e.sha)}
		if e.kind == "blob" {
			one["size"] = e.size
		}
		out = append(out, one)
	}
	return ok(obj{"sha": sha, "url": c.g.api("/repos/%s/git/trees/%s", c.repo.full(), sha), "tree": out, "truncated": false})
}

func getBlob(c *call) (reply, error) {
	sha := c.param("file_sha")
	if !isSHA(sha) {
		return reply{}, notFound()
	}
	raw, err := c.repo.dir.blob(c.g.ctx, sha)
	if err != nil {
		return reply{}, notFound()
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return ok(obj{"sha": sha, "node_id": "B_" + sha[:20], "size": len(raw), "url": c.g.api("/repos/%s/git/blobs/%s", c.repo.full(), sha),
		"content": base64.StdEncoding.EncodeToString(raw), "encoding": "base64"})
}

func listCommits(c *call) (reply, error) {
	name := c.query("sha")
	if name == "" {
		name = c.repo.branch
	}
	sha, err := c.repo.dir.resolve(c.g.ctx, name)
	if err != nil {
		return reply{}, err
	}
	if sha == "" && c.query("sha") == "" {
		return reply{}, no(http.StatusConflict, "Git Repository is empty.")
	}
	if sha == "" {
		return reply{}, notFound()
	}
	what := []string{sha}
	for _, when := range []string{"since", "until"} {
		if t := c.query(when); t != "" && utf8.ValidString(t) {
			what = append(what, "--"+when+"="+t)
		}
	}
	what = append(what, "--")
	if p := c.query("path"); p != "" {
		what = append(what, ":(literal)"+p)
	}
	commits, err := c.repo.dir.log(c.g.ctx, 0, what...)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for _, one := range page(c, commits) {
		out = append(out, c.g.commitJSON(c.repo, one, nil))
	}
	return ok(out)
}

func getCommit(c *call) (reply, error) {
	sha, err := c.resolved()
	if err != nil {
		return reply{}, err
	}
	one, err := c.repo.dir.commit(c.g.ctx, sha)
	if err != nil {
		return reply{}, err
	}
	if strings.HasSuffix(c.r.Header.Get("Accept"), "sha") {
		return ok(sha)
	}
	from := emptyTree
	if len(one.parents) > 0 {
		from = one.parents[0]
	}
	files, err := c.repo.dir.diff(c.g.ctx, from, sha, true)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return ok(c.g.commitJSON(c.repo, *one, append([]fileChange{}, files...)))
}

// commitPulls are the pull requests that hold a commit, or that it merged.
func commitPulls(c *call) (reply, error) {
	one, err := c.anyCommit(c.param("commit_sha"))
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for _, n := range sortedKeys(c.repo.issues) {
		if i := c.repo.issues[n]; i.pull != nil && (i.pull.headSHA == one.sha || i.pull.merged && i.pull.mergeSHA == one.sha) {
			out = append(out, c.g.pullSimple(c.repo, i))
		}
	}
	return ok(page(c, out))
}

// compare is base...head.
func compare(c *call) (reply, error) {
	baseName, headName, found := strings.Cut(c.param("basehead"), "...")
	if !found {
		return reply{}, notFound()
	}
	var ends [2]*gitCommit
	for n, name := range []string{baseName, headName} {
		if _, branch, owned := strings.Cut(name, ":"); owned {
			name = branch
		}
		sha, err := c.repo.dir.resolve(c.g.ctx, name)
		if err != nil || sha == "" {
			return reply{}, notFound()
		}
		if ends[n], err = c.repo.dir.commit(c.g.ctx, sha); err != nil {
			return reply{}, err
		}
	}
	return c.comparison(*ends[0], *ends[1])
}

func (c *call) comparison(base, head gitCommit) (reply, error) {
	common, err := c.repo.dir.mergeBase(c.g.ctx, base.sha, head.sha)
	if err != nil || common == "" {
		return reply{}, notFound()
	}
	if c.wantsDiff() {
		out, err := c.repo.dir.run(c.g.ctx, nil, nil, "diff", "-M", "--no-ext-diff", "--no-textconv", "--no-color", common, head.sha, "--")
		if err != nil {
			return reply{}, err
		}
		return ok(string(out))
	}
	root, err := c.repo.dir.commit(c.g.ctx, common)
	if err != nil {
		return reply{}, err
	}
	behind, ahead, err := c.repo.dir.counts(c.g.ctx, base.sha, head.sha)
	if err != nil {
		return reply{}, err
	}
	commits, err := c.repo.dir.log(c.g.ctx, 250, head.sha, "^"+base.sha, "--")
	if err != nil {
		return reply{}, err
	}
	slices.Reverse(commits)
	files, err := c.repo.dir.diff(c.g.ctx, common, head.sha, true)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	word := map[[2]bool]string{{true, true}: "diverged", {true, false}: "ahead", {false, true}: "behind", {false, false}: "identical"}[[2]bool{ahead > 0, behind > 0}]
	list := []any{}
	for _, one := range page(c, commits) {
		list = append(list, c.g.commitJSON(c.repo, one, nil))
	}
	html := c.g.web("/%s/compare/%s...%s", c.repo.full(), base.sha, head.sha)
	return ok(obj{"url": c.g.api("/repos/%s/compare/%s...%s", c.repo.full(), base.sha, head.sha), "html_url": html, "permalink_url": html,
		"diff_url": html + ".diff", "patch_url": html + ".patch", "base_commit": c.g.commitJSON(c.repo, base, nil),
		"merge_base_commit": c.g.commitJSON(c.repo, *root, nil), "status": word, "ahead_by": ahead, "behind_by": behind,
		"total_commits": ahead, "commits": list, "files": c.g.filesJSON(c.repo, head.sha, files)})
}
