package lookalike

import (
	"net/url"
	"strings"
)

func escape(s string) string { return url.PathEscape(s) }

// escapePath escapes each segment.
func escapePath(s string) string {
	parts := strings.Split(s, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// repoJSON is a repository in full. g.mu is held.
func (g *GitHub) repoJSON(r *repository) obj {
	open := 0
	for _, i := range r.issues {
		if i.open {
			open++
		}
	}
	return with(g.repoLinks(r), obj{
		"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.full(), "private": r.private,
		"owner": g.user(r.owner), "html_url": g.web("/%s", r.full()), "description": nil, "fork": false,
		"url": g.api("/repos/%s", r.full()), "created_at": stamp(r.created), "updated_at": stamp(r.pushed), "pushed_at": stamp(r.pushed),
		"git_url": "git" + strings.TrimPrefix(g.base, "http") + "/" + r.full() + ".git", "ssh_url": "git@localhost:" + r.full() + ".git",
		"clone_url": g.web("/%s.git", r.full()), "svn_url": g.web("/%s", r.full()), "homepage": nil, "size": 0,
		"stargazers_count": 0, "watchers_count": 0, "language": nil, "has_issues": true, "has_projects": false, "has_downloads": true,
		"has_wiki": false, "has_pages": false, "has_discussions": false, "forks_count": 0, "mirror_url": nil, "archived": false, "disabled": false,
		"open_issues_count": open, "license": nil, "allow_forking": true, "is_template": false, "web_commit_signoff_required": false,
		"topics": []any{}, "visibility": visibility(r), "forks": 0, "open_issues": open, "watchers": 0, "default_branch": r.branch,
	})
}

// fullRepoJSON adds what only the repository's own address answers.
func (g *GitHub) fullRepoJSON(by actor, r *repository) obj {
	return with(g.repoJSON(r), obj{
		"permissions": g.permissionsJSON(by, r), "allow_squash_merge": r.methods["squash"], "allow_merge_commit": r.methods["merge"],
		"allow_rebase_merge": r.methods["rebase"], "allow_auto_merge": false, "delete_branch_on_merge": r.autoDelete,
		"allow_update_branch": true, "use_squash_pr_title_as_default": false, "squash_merge_commit_message": "COMMIT_MESSAGES",
		"squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "merge_commit_message": "PR_TITLE", "merge_commit_title": "MERGE_MESSAGE",
		"network_count": 0, "subscribers_count": 0, "organization": g.user(r.owner), "custom_properties": obj{},
	})
}

func visibility(r *repository) string {
	if r.private {
		return "private"
	}
	return "public"
}

func (g *GitHub) permissionsJSON(by actor, r *repository) obj {
	level := rank(r.role(by.user))
	if by.install != nil {
		level = rank("read")
		if by.tok.perms["contents"] == "write" {
			level = rank("write")
		}
	}
	return roleJSON(level)
}

func roleJSON(level int) obj {
	return obj{"admin": level >= rank("admin"), "maintain": level >= rank("maintain"), "push": level >= rank("write"),
		"triage": level >= rank("triage"), "pull": level >= rank("read")}
}

func (g *GitHub) repoLinks(r *repository) obj {
	u := g.api("/repos/%s", r.full())
	out := obj{}
	for name, tail := range map[string]string{
		"forks": "/forks", "keys": "/keys{/key_id}", "collaborators": "/collaborators{/collaborator}", "teams": "/teams",
		"hooks": "/hooks", "issue_events": "/issues/events{/number}", "events": "/events", "assignees": "/assignees{/user}",
		"branches": "/branches{/branch}", "tags": "/tags", "blobs": "/git/blobs{/sha}", "git_tags": "/git/tags{/sha}",
		"git_refs": "/git/refs{/sha}", "trees": "/git/trees{/sha}", "statuses": "/statuses/{sha}", "languages": "/languages",
		"stargazers": "/stargazers", "contributors": "/contributors", "subscribers": "/subscribers", "subscription": "/subscription",
		"commits": "/commits{/sha}", "git_commits": "/git/commits{/sha}", "comments": "/comments{/number}",
		"issue_comment": "/issues/comments{/number}", "contents": "/contents/{+path}", "compare": "/compare/{base}...{head}",
		"merges": "/merges", "archive": "/{archive_format}{/ref}", "downloads": "/downloads", "issues": "/issues{/number}",
		"pulls": "/pulls{/number}", "milestones": "/milestones{/number}", "notifications": "/notifications{?since,all,participating}",
		"labels": "/labels{/name}", "releases": "/releases{/id}", "deployments": "/deployments",
	} {
		out[name+"_url"] = u + tail
	}
	return out
}

// commitJSON is a commit as the commits API shows it; files nil leaves them out. g.mu is held.
func (g *GitHub) commitJSON(r *repository, c gitCommit, files []fileChange) obj {
	u := g.api("/repos/%s", r.full())
	out := obj{"sha": c.sha, "node_id": "C_" + c.sha[:20], "url": u + "/commits/" + c.sha, "html_url": g.web("/%s/commit/%s", r.full(), c.sha),
		"comments_url": u + "/commits/" + c.sha + "/comments", "author": g.userJSON(g.byEmail(c.author)), "committer": g.userJSON(g.byEmail(c.committer)),
		"commit": obj{"author": gitUser(c.author), "committer": gitUser(c.committer), "message": c.message, "comment_count": 0,
			"tree": obj{"sha": c.tree, "url": u + "/git/trees/" + c.tree}, "url": u + "/git/commits/" + c.sha, "verification": unsigned()},
		"parents": g.parentsJSON(r, c)}
	if files != nil {
		add, del := 0, 0
		for _, f := range files {
			add, del = add+f.add, del+f.del
		}
		out["stats"] = obj{"additions": add, "deletions": del, "total": add + del}
		out["files"] = g.filesJSON(r, c.sha, files)
	}
	return out
}

func unsigned() obj {
	return obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil}
}

func gitUser(s signature) obj { return obj{"name": s.Name, "email": s.Email, "date": stamp(s.Time)} }

func (g *GitHub) parentsJSON(r *repository, c gitCommit) []any {
	parents := make([]any, 0, len(c.parents))
	for _, p := range c.parents {
		parents = append(parents, obj{"sha": p, "url": g.api("/repos/%s/commits/%s", r.full(), p), "html_url": g.web("/%s/commit/%s", r.full(), p)})
	}
	return parents
}

func (g *GitHub) filesJSON(r *repository, sha string, files []fileChange) []any {
	out := make([]any, 0, len(files))
	for _, f := range files {
		name := escapePath(f.path)
		e := obj{"sha": f.sha, "filename": f.path, "status": f.status, "additions": f.add, "deletions": f.del, "changes": f.add + f.del,
			"blob_url": g.web("/%s/blob/%s/%s", r.full(), sha, name), "raw_url": g.web("/%s/raw/%s/%s", r.full(), sha, name),
			"contents_url": g.api("/repos/%s/contents/%s?ref=%s", r.full(), name, sha)}
		if f.patch != "" {
			e["patch"] = f.patch
		}
		if f.old != "" {
			e["previous_filename"] = f.old
		}
		out = append(out, e)
	}
	return out
}

// byEmail is the account that a commit's address belongs to, as GitHub links commits; nil when nobody's. g.mu is held.
func (g *GitHub) byEmail(s signature) *account {
	for _, a := range g.accounts {
		if strings.EqualFold(a.email, s.Email) {
			return a
		}
	}
	return nil
}

// simpleCommit is a commit as check suites and workflow runs show it.
func simpleCommit(c gitCommit) obj {
	return obj{"id": c.sha, "tree_id": c.tree, "message": c.message, "timestamp": stamp(c.author.Time),
		"author": obj{"name": c.author.Name, "email": c.author.Email}, "committer": obj{"name": c.committer.Name, "email": c.committer.Email}}
}
