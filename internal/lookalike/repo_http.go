package lookalike

import (
	"context"
	"encoding/base64"
	"net/http"
	"path"
	"strings"
)

func repoRoutes() []route {
	const repo = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: repo, need: "metadata:read", handle: getRepo},
		{method: "GET", pattern: repo + "/contents/{path*}", need: "contents:read", handle: getContents},
		{method: "GET", pattern: repo + "/readme", need: "contents:read", handle: getReadme},
		{method: "GET", pattern: repo + "/branches", need: "contents:read", handle: listBranches},
		{method: "GET", pattern: repo + "/branches/{branch...}", need: "contents:read", handle: getBranch},
		{method: "GET", pattern: repo + "/rules/branches/{branch...}", need: "metadata:read", handle: branchRules},
		{method: "GET", pattern: repo + "/collaborators", need: "metadata:read", handle: listCollaborators},
		{method: "GET", pattern: repo + "/collaborators/{username}", need: "metadata:read", handle: isCollaborator},
		{method: "GET", pattern: repo + "/collaborators/{username}/permission", need: "metadata:read", handle: getPermission},
		{method: "GET", pattern: repo + "/assignees", need: "metadata:read", handle: listAssignees},
		{method: "GET", pattern: repo + "/assignees/{assignee}", need: "metadata:read", handle: isAssignee},
	}
}

func getRepo(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return ok(c.g.fullRepoJSON(c.by, c.repo))
}

// at is the commit that ?ref= names, the default branch without it.
func (c *call) at() (string, error) {
	name := c.query("ref")
	if name == "" {
		name = c.repo.branch
	}
	sha, err := c.repo.dir.resolve(c.g.ctx, name)
	if err == nil && sha == "" {
		err = no(http.StatusNotFound, "No commit found for the ref %s", name)
		if c.query("ref") == "" {
			err = no(http.StatusNotFound, "This repository is empty.")
		}
	}
	return sha, err
}

func getContents(c *call) (reply, error) {
	commit, err := c.at()
	if err != nil {
		return reply{}, err
	}
	name := strings.Trim(c.param("path"), "/")
	if name == "" {
		return c.folder(commit, "")
	}
	if path.Clean(name) != name || strings.HasPrefix(name, "../") {
		return reply{}, notFound()
	}
	list, err := c.repo.dir.list(c.g.ctx, commit, name, false)
	if err != nil {
		return reply{}, err
	}
	if len(list) != 1 || list[0].path != name {
		return reply{}, notFound()
	}
	if list[0].kind == "tree" {
		return c.folder(commit, name+"/")
	}
	return c.file(list[0])
}

func (c *call) folder(commit, under string) (reply, error) {
	list, err := c.repo.dir.list(c.g.ctx, commit, under, false)
	if err != nil {
		return reply{}, err
	}
	out := []any{}
	for _, e := range list {
		out = append(out, c.entry(e))
	}
	return ok(out)
}

// entry is what files and folders have in common.
func (c *call) entry(e treeEntry) obj {
	ref := c.query("ref")
	if ref == "" {
		ref = c.repo.branch
	}
	c.g.mu.Lock()
	full := c.repo.full()
	c.g.mu.Unlock()
	name := escapePath(e.path)
	kind := map[string]string{"tree": "dir", "commit": "submodule"}[e.kind]
	git := c.g.api("/repos/%s/git/%ss/%s", full, e.kind, e.sha)
	html := c.g.web("/%s/%s/%s/%s", full, map[bool]string{true: "tree", false: "blob"}[kind == "dir"], escapePath(ref), name)
	u := c.g.api("/repos/%s/contents/%s?ref=%s", full, name, escape(ref))
	out := obj{"name": path.Base(e.path), "path": e.path, "sha": e.sha, "size": e.size, "url": u, "html_url": html, "git_url": git,
		"download_url": nil, "type": kind, "_links": obj{"self": u, "git": git, "html": html}}
	if kind == "" {
		out["type"] = "file"
		out["download_url"] = c.g.web("/%s/raw/%s/%s", full, escapePath(ref), name)
	}
	if e.mode == "120000" {
		out["type"] = "symlink"
	}
	return out
}

func (c *call) file(e treeEntry) (reply, error) {
	out := c.entry(e)
	if e.kind != "blob" {
		out["submodule_git_url"] = nil
		return ok(out)
	}
	raw, err := c.repo.dir.blob(c.g.ctx, e.sha)
	if err != nil {
		return reply{}, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		return ok(string(raw))
	}
	if e.mode == "120000" {
		out["target"] = string(raw)
		return ok(out)
	}
	out["encoding"], out["content"] = "base64", wrapped(raw)
	return ok(out)
}

// wrapped is base64 in lines of 60, as GitHub sends it.
func wrapped(raw []byte) string {
	text := base64.StdEncoding.EncodeToString(raw)
	var b strings.Builder
	for len(text) > 0 {
		n := min(60, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return b.String()
}

func getReadme(c *call) (reply, error) {
	commit, err := c.at()
	if err != nil {
		return reply{}, err
	}
	list, err := c.repo.dir.list(c.g.ctx, commit, "", false)
	if err != nil {
		return reply{}, err
	}
	for _, e := range list {
		if stem, _, _ := strings.Cut(strings.ToLower(e.path), "."); stem == "readme" && e.kind == "blob" {
			return c.file(e)
		}
	}
	return reply{}, notFound()
}

func listBranches(c *call) (reply, error) {
	refs, err := c.repo.dir.refs(c.g.ctx, "refs/heads")
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for _, ref := range sortedKeys(refs) {
		name := strings.TrimPrefix(ref, "refs/heads/")
		rule, protected := c.repo.protections[name]
		if want := c.query("protected"); want != "" && (want == "true") != protected {
			continue
		}
		out = append(out, obj{"name": name, "commit": obj{"sha": refs[ref], "url": c.g.api("/repos/%s/commits/%s", c.repo.full(), refs[ref])},
			"protected": protected, "protection": rule.json(protected), "protection_url": c.g.protectionURL(c.repo, name)})
	}
	return ok(page(c, out))
}

func (g *GitHub) protectionURL(r *repository, branch string) string {
	return g.api("/repos/%s/branches/%s/protection", r.full(), escapePath(branch))
}

// json is the part of a protection that everybody who reads the branch may see.
func (p Protection) json(on bool) obj {
	contexts, checks, level := []any{}, []any{}, "off"
	for _, name := range p.Checks {
		contexts, checks, level = append(contexts, name), append(checks, obj{"context": name, "app_id": nil}), "non_admins"
	}
	return obj{"enabled": on, "required_status_checks": obj{"enforcement_level": level, "contexts": contexts, "checks": checks}}
}

func getBranch(c *call) (reply, error) {
	name := c.param("branch")
	sha, err := c.repo.dir.ref(c.g.ctx, "refs/heads/"+name)
	if err != nil {
		return reply{}, err
	}
	if sha == "" {
		return reply{}, no(http.StatusNotFound, "Branch not found")
	}
	one, err := c.repo.dir.commit(c.g.ctx, sha)
	if err != nil {
		return reply{}, err
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	rule, protected := c.repo.protections[name]
	return ok(obj{"name": name, "commit": c.g.commitJSON(c.repo, *one, nil), "protected": protected, "protection": rule.json(protected),
		"protection_url": c.g.protectionURL(c.repo, name), "_links": obj{"self": c.g.api("/repos/%s/branches/%s", c.repo.full(), escapePath(name)),
			"html": c.g.web("/%s/tree/%s", c.repo.full(), escapePath(name))}})
}

func branchRules(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	list := append([]any{}, c.repo.rules[c.param("branch")]...)
	return ok(page(c, list))
}

// collaborators are the people with a role of their own. g.mu is held.
func (c *call) collaborators() []*account {
	var list []*account
	for _, login := range sortedKeys(c.repo.grants) {
		if a := c.g.accounts[login]; a != nil && rank(c.repo.grants[login]) > 0 && !strings.HasSuffix(a.login, "[bot]") {
			list = append(list, a)
		}
	}
	return list
}

func listCollaborators(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := []any{}
	for _, a := range c.collaborators() {
		role := c.repo.role(a)
		out = append(out, with(c.g.user(a), obj{"permissions": roleJSON(rank(role)), "role_name": role}))
	}
	return ok(page(c, out))
}

// member is the account of a path, with a role above none. g.mu is held.
func (c *call) member(login string) *account {
	a := c.g.accounts[strings.ToLower(login)]
	if a == nil || a.kind == "Organization" || rank(c.repo.role(a)) < rank("read") {
		return nil
	}
	return a
}

func isCollaborator(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if a := c.member(c.param("username")); a == nil || c.repo.grants[strings.ToLower(a.login)] == "" && a != c.repo.owner {
		return reply{}, notFound()
	}
	return noContent()
}

// getPermission answers the coarse permission and the role; an App's bot and unknown people are 404.
func getPermission(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	a := c.g.accounts[strings.ToLower(c.param("username"))]
	if a == nil || a.kind != "User" {
		return reply{}, no(http.StatusNotFound, "%s is not a user", c.param("username"))
	}
	role := c.repo.role(a)
	coarse := role
	switch role {
	case "maintain":
		coarse = "write"
	case "triage":
		coarse = "read"
	}
	return ok(obj{"permission": coarse, "role_name": role, "user": with(c.g.user(a), obj{"permissions": roleJSON(rank(role)), "role_name": role})})
}

func listAssignees(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return ok(c.g.users(page(c, c.collaborators())))
}

func isAssignee(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if c.member(c.param("assignee")) == nil {
		return reply{}, notFound()
	}
	return noContent()
}

// resolved is the commit that {ref} names.
func (c *call) resolved() (string, error) {
	sha, err := c.repo.dir.resolve(c.g.ctx, c.param("ref"))
	if err == nil && sha == "" {
		err = no(http.StatusUnprocessableEntity, "No commit found for SHA: %s", c.param("ref"))
	}
	return sha, err
}

// tip is a branch's commit, "" when there is none.
func (r *repository) tip(ctx context.Context, branch string) (string, error) {
	return r.dir.ref(ctx, "refs/heads/"+branch)
}
