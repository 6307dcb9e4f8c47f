package lookalike

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Repo is a handle on a repository. It stays good when the repository is renamed.
type Repo struct {
	g *GitHub
	r *repository
}

func namePattern() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`) }

// CreateRepo makes a private repository with branch main and one commit of the files, and installs the App
// on it. The owner becomes an organization unless it is a person already.
func (g *GitHub) CreateRepo(owner, name string, files map[string]string) (*Repo, error) {
	repo, err := g.CreateEmptyRepo(owner, name)
	if err != nil {
		return nil, err
	}
	r := repo.r
	r.git.Lock()
	defer r.git.Unlock()
	by := signature{Name: owner, Email: r.owner.email, Time: g.now()}
	sha, err := r.dir.commitFiles(g.ctx, "", files, by, "Initial commit", randomHex(6))
	if err == nil {
		err = r.dir.setRef(g.ctx, "refs/heads/"+r.branch, sha, zeroSHA)
	}
	if err != nil {
		return nil, fmt.Errorf("create repository %s/%s: %w", owner, name, err)
	}
	return repo, g.refsMoved(g.ctx, actor{user: r.owner}, r, []refChange{{"refs/heads/" + r.branch, zeroSHA, sha}})
}

// CreateEmptyRepo makes a private repository without a commit, and installs the App on it.
func (g *GitHub) CreateEmptyRepo(owner, name string) (*Repo, error) {
	if !namePattern().MatchString(name) || !loginPattern().MatchString(owner) {
		return nil, fmt.Errorf("create repository %q/%q: not a name", owner, name)
	}
	r := &repository{name: name, private: true, branch: "main", created: g.now(), pushed: g.now(), installed: true,
		issues: map[int]*issue{}, grants: map[string]string{}, protections: map[string]Protection{}, rules: map[string][]any{},
		methods: map[string]bool{"merge": true, "squash": true, "rebase": true}, merges: map[string]mergeTry{}, ci: g.opt.CI, reviewer: g.opt.Reviewer}
	g.mu.Lock()
	r.id = g.nextID()
	g.mu.Unlock()
	r.dir = gitDir(filepath.Join(g.dir, fmt.Sprintf("%d.git", r.id)))
	if err := r.dir.init(g.ctx, r.branch); err != nil {
		return nil, fmt.Errorf("create repository %s/%s: %w", owner, name, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r.owner = g.ensureAccount(owner, "Organization")
	full := strings.ToLower(r.full())
	if g.repos[full] != nil {
		return nil, fmt.Errorf("create repository %s: it exists", r.full())
	}
	g.repos[full] = r
	delete(g.moved, full)
	g.defaultLabels(r)
	g.install(r)
	return &Repo{g: g, r: r}, nil
}

// install puts the App on a new repository and tells it. g.mu is held.
func (g *GitHub) install(r *repository) {
	short := []any{obj{"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.full(), "private": r.private}}
	key := strings.ToLower(r.owner.login)
	i := g.installs[key]
	if i == nil {
		i = &installation{id: g.nextID(), owner: r.owner, created: g.now()}
		g.installs[key] = i
		g.emit("installation", "created", nil, r.owner, obj{"installation": g.installJSON(i), "repositories": short, "requester": nil})
		return
	}
	g.emit("installation_repositories", "added", nil, r.owner, obj{"installation": g.installJSON(i), "repository_selection": "selected",
		"repositories_added": short, "repositories_removed": []any{}, "requester": nil})
}

// Uninstall takes the App off the repository.
func (r *Repo) Uninstall() {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	i := r.g.installs[strings.ToLower(r.r.owner.login)]
	r.r.installed = false
	r.g.emit("installation_repositories", "removed", nil, r.r.owner, obj{"installation": r.g.installJSON(i), "repository_selection": "selected",
		"repositories_added": []any{}, "requester": nil, "repositories_removed": []any{obj{"id": r.r.id, "node_id": nodeID("R", r.r.id),
			"name": r.r.name, "full_name": r.r.full(), "private": r.r.private}}})
}

// repoByID is the repository of that id, nil when there is none. g.mu is held.
func (g *GitHub) repoByID(id int64) *repository {
	for _, r := range g.repos {
		if r.id == id {
			return r
		}
	}
	return nil
}

// Repo finds a repository by its present name.
func (g *GitHub) Repo(owner, name string) (*Repo, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[strings.ToLower(owner+"/"+name)]
	if r == nil {
		return nil, fmt.Errorf("no repository %s/%s", owner, name)
	}
	return &Repo{g: g, r: r}, nil
}

// ID is the repository's id, which outlives its name.
func (r *Repo) ID() int64 { return r.r.id }

// FullName is "owner/name" at present.
func (r *Repo) FullName() string {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.r.full()
}

// CloneURL is the address for git, without credentials.
func (r *Repo) CloneURL() string { return r.g.web("/%s.git", r.FullName()) }

// InstallationID is the App's installation that covers the repository.
func (r *Repo) InstallationID() int64 {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.g.installs[strings.ToLower(r.r.owner.login)].id
}

// Rename gives the repository another name; the old one redirects until it is taken again.
func (r *Repo) Rename(name string) error {
	g := r.g
	if !namePattern().MatchString(name) {
		return fmt.Errorf("rename to %q: not a name", name)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	was, old := strings.ToLower(r.r.full()), r.r.name
	now := strings.ToLower(r.r.owner.login + "/" + name)
	if g.repos[now] != nil {
		return fmt.Errorf("rename %s: %s exists", was, now)
	}
	delete(g.repos, was)
	delete(g.moved, now)
	r.r.name = name
	g.repos[now], g.moved[was] = r.r, r.r.id
	g.emit("repository", "renamed", r.r, r.r.owner, obj{"changes": obj{"repository": obj{"name": obj{"from": old}}}})
	return nil
}

// Delete removes the repository with all that is in it.
func (r *Repo) Delete() error {
	r.r.git.Lock()
	defer r.r.git.Unlock()
	r.g.mu.Lock()
	r.g.emit("repository", "deleted", r.r, r.r.owner, obj{})
	delete(r.g.repos, strings.ToLower(r.r.full()))
	r.g.mu.Unlock()
	return os.RemoveAll(string(r.r.dir))
}

// Suspend suspends the App's installation on the repository's owner, with all of its repositories.
func (r *Repo) Suspend() { r.setSuspended(true) }

// Unsuspend ends Suspend.
func (r *Repo) Unsuspend() { r.setSuspended(false) }

func (r *Repo) setSuspended(on bool) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.g.suspend(r.g.installs[strings.ToLower(r.r.owner.login)], r.r.owner, on)
}

// SetPublic shows the repository to everybody, or hides it again.
func (r *Repo) SetPublic(public bool) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.private = !public
}

// MergeMethods sets which of merge, squash and rebase are allowed; all are until it is called.
func (r *Repo) MergeMethods(methods ...string) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.methods = map[string]bool{}
	for _, m := range methods {
		r.r.methods[m] = true
	}
}

// DeleteBranchOnMerge sets whether GitHub itself removes a merged pull request's branch.
func (r *Repo) DeleteBranchOnMerge(on bool) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.autoDelete = on
}

// Protection is what a protected branch asks for.
type Protection struct {
	Checks    []string // required status checks, by name
	Strict    bool     // the branch must be up to date before merging
	Approvals int      // reviews needed from people with write access
	Dismiss   bool     // a push dismisses approvals
	Queue     bool     // changes must go through a merge queue, which this look-alike refuses
}

// Protect protects a branch, whether it exists yet or not: no direct pushes by Apps, and merges only when met.
func (r *Repo) Protect(branch string, p Protection) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.protections[branch] = p
}

// SetRules sets what rules/branches/{branch} answers, as JSON objects; it has no other effect.
func (r *Repo) SetRules(branch string, rules ...map[string]any) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.rules[branch] = nil
	for _, rule := range rules {
		r.r.rules[branch] = append(r.r.rules[branch], rule)
	}
}

// NullMergeable makes the first n reads of each pull request answer mergeable null, every time its head or base moves.
func (r *Repo) NullMergeable(n int) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.r.nullReads = n
	for _, i := range r.r.issues {
		if i.pull != nil {
			i.pull.mergeKey = ""
		}
	}
}

// PushTo commits files on a branch, which is made from the default branch when it does not exist, as a
// person would push them. It answers the commit's id.
func (r *Repo) PushTo(branch, login string, files map[string]string, message string) (string, error) {
	r.g.mu.Lock()
	by, err := r.g.find(login)
	r.g.mu.Unlock()
	if err != nil || !validBranch(branch) {
		return "", fmt.Errorf("push to %q: %w", branch, errors.Join(err, checkName(branch)))
	}
	sha, err := r.g.pushFiles(r.g.ctx, actor{user: by}, r.r, branch, files, message)
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", branch, err)
	}
	return sha, nil
}

func checkName(branch string) error {
	if validBranch(branch) {
		return nil
	}
	return errors.New("not a branch name")
}

func (g *GitHub) pushFiles(ctx context.Context, by actor, r *repository, branch string, files map[string]string, message string) (string, error) {
	r.git.Lock()
	defer r.git.Unlock()
	ref := "refs/heads/" + branch
	old, err := r.dir.ref(ctx, ref)
	if err != nil {
		return "", err
	}
	parent := old
	if old == "" {
		old = zeroSHA
		if parent, err = r.dir.ref(ctx, "refs/heads/"+r.branch); err != nil {
			return "", err
		}
	}
	sha, err := r.dir.commitFiles(ctx, parent, files, g.sign(by.user), message, randomHex(6))
	if err != nil {
		return "", err
	}
	if err := r.dir.setRef(ctx, ref, sha, old); err != nil {
		return "", err
	}
	return sha, g.refsMoved(ctx, by, r, []refChange{{ref, old, sha}})
}

// DeleteBranch removes a branch as a person would; its open pull requests close.
func (r *Repo) DeleteBranch(branch, login string) error {
	g := r.g
	g.mu.Lock()
	by, err := g.find(login)
	g.mu.Unlock()
	if err != nil {
		return err
	}
	r.r.git.Lock()
	defer r.r.git.Unlock()
	return g.moveRef(g.ctx, actor{user: by}, r.r, "refs/heads/"+branch, zeroSHA, true)
}

func (g *GitHub) sign(a *account) signature {
	return signature{Name: a.login, Email: a.email, Time: g.now()}
}
