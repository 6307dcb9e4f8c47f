package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"dozens/batch"
	"dozens/batch/gate"
)

// Repo is a handle on one repository. It is safe for concurrent use.
type Repo struct {
	app  *App
	in   *installation
	repo batch.Repo
}

// Info is what the rest of Dozens needs to know about a repository.
type Info struct {
	ID            int64
	Owner         string
	Name          string
	CloneURL      string // as GitHub gives it; without a credential
	DefaultBranch string
	HTMLURL       string
	Private       bool
	Archived      bool
}

// Info reads the repository by its id, so that renames and transfers are followed; calls made afterwards use
// the name it has now. Where ids cannot be looked up, the name is used, and must lead to the same id.
func (r *Repo) Info(ctx context.Context) (Info, error) {
	what := "read repository " + r.repo.FullName()
	repo, err := r.lookUp(ctx)
	if err != nil {
		return Info{}, explain(what, err)
	}
	if r.repo.ID > 0 && repo.GetID() != r.repo.ID {
		return Info{}, fmt.Errorf("%s: another repository has this name now: %w", what, ErrNotFound)
	}
	info := Info{
		ID: repo.GetID(), Owner: repo.GetOwner().GetLogin(), Name: repo.GetName(), CloneURL: repo.GetCloneURL(),
		DefaultBranch: repo.GetDefaultBranch(), HTMLURL: repo.GetHTMLURL(), Private: repo.GetPrivate(), Archived: repo.GetArchived(),
	}
	if !validOwner(info.Owner) || !validName(info.Name) {
		return Info{}, fmt.Errorf("%s: answered name %q: %w", what, info.Owner+"/"+info.Name, errBadName)
	}
	r.app.rename(info.ID, fullName{info.Owner, info.Name})
	return info, nil
}

func (r *Repo) lookUp(ctx context.Context) (*gh.Repository, error) {
	if r.repo.ID > 0 {
		repo, _, err := r.in.rest.Repositories.GetByID(ctx, r.repo.ID)
		if err == nil || !errors.Is(explain("", err), ErrNotFound) {
			return repo, err
		}
	}
	repo, _, err := r.in.rest.Repositories.Get(ctx, r.repo.Owner, r.repo.Name)
	return repo, err
}

func (a *App) rename(id int64, name fullName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names[id] = name
}

// learnName notes a new name that an answer shows: reads follow the redirects of a renamed repository, but a
// merge, which is sent once, does not.
func (r *Repo) learnName(seen *gh.Repository) {
	owner, name := seen.GetOwner().GetLogin(), seen.GetName()
	if seen.GetID() == r.repo.ID && r.repo.ID != 0 && validOwner(owner) && validName(name) {
		r.app.rename(r.repo.ID, fullName{owner, name})
	}
}

// at returns the owner and name to call, as far as we know.
func (r *Repo) at() (owner, name string) {
	r.app.mu.Lock()
	defer r.app.mu.Unlock()
	if now, ok := r.app.names[r.repo.ID]; ok {
		return now.owner, now.name
	}
	return r.repo.Owner, r.repo.Name
}

// level is a remembered permission.
type level struct {
	permission string
	user       int64 // the account the answer is about; 0 unknown
	until      time.Time
}

const levelAge = time.Minute

// Permission says what a person may do here: none, read, triage, write, maintain or admin. Who is not known to
// the repository has none. The answer is up to a minute old.
func (r *Repo) Permission(ctx context.Context, login string) (string, error) {
	l, err := r.level(ctx, login)
	return l.permission, err
}

func (r *Repo) level(ctx context.Context, login string) (level, error) {
	what := "read permission of " + oneLine(login, 100)
	if !validLogin(login) {
		return level{}, fmt.Errorf("%s: %w", what, errBadName)
	}
	key := fmt.Sprintf("%d/%d/%s", r.repo.Installation, r.repo.ID, strings.ToLower(login))
	if r.repo.ID == 0 {
		key += "/" + strings.ToLower(r.repo.FullName())
	}
	now := r.app.set.Now()
	if l, ok := r.app.levels.Get(key); ok && now.Before(l.until) {
		return l, nil
	}
	l, err := r.readLevel(ctx, login)
	if err != nil {
		return level{}, explain(what, err)
	}
	l.until = now.Add(levelAge)
	r.app.levels.Add(key, l)
	return l, nil
}

// readLevel asks GitHub. go-github drops role_name, which alone tells triage and maintain from read and write.
func (r *Repo) readLevel(ctx context.Context, login string) (level, error) {
	var answer struct {
		Permission string   `json:"permission"`
		RoleName   string   `json:"role_name"`
		User       *gh.User `json:"user"`
	}
	err := r.get(ctx, "collaborators/"+url.PathEscape(login)+"/permission", &answer)
	if err != nil {
		if errors.Is(explain("", err), ErrNotFound) {
			return level{permission: "none"}, nil
		}
		return level{}, err
	}
	l := level{permission: answer.Permission, user: answer.User.GetID()}
	if knownLevel(answer.RoleName) {
		l.permission = answer.RoleName
	}
	if !knownLevel(l.permission) {
		return level{}, fmt.Errorf("unknown permission %q", oneLine(l.permission, 40))
	}
	return l, nil
}

func knownLevel(s string) bool {
	switch s {
	case "none", "read", "triage", "write", "maintain", "admin":
		return true
	}
	return false
}

// Branch returns the commit a branch stands at, or ErrNotFound.
func (r *Repo) Branch(ctx context.Context, name string) (sha string, err error) {
	what := "read branch " + oneLine(name, 250)
	if !validBranch(name) {
		return "", fmt.Errorf("%s: %w", what, errBadName)
	}
	owner, repo := r.at()
	// Not the branches API: that one follows renames of branches.
	ref, _, err := r.in.rest.Git.GetRef(ctx, owner, repo, "heads/"+name)
	if err != nil {
		return "", explain(what, err)
	}
	if ref.GetRef() != "refs/heads/"+name {
		return "", fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return ref.GetObject().GetSHA(), nil
}

const maxFile = 1 << 20 // bytes; GitHub gives no content of larger files

// File returns the content of a file at a branch, tag or commit: ErrNotFound when there is no file of that
// name, ErrTooLarge above 1 MB.
func (r *Repo) File(ctx context.Context, path, ref string) ([]byte, error) {
	what := "read file " + oneLine(path, 250)
	if !validPath(path) {
		return nil, fmt.Errorf("%s: %w", what, errBadName)
	}
	owner, repo := r.at()
	file, _, _, err := r.in.rest.Repositories.GetContents(ctx, owner, repo, path, &gh.RepositoryContentGetOptions{Ref: ref})
	if err != nil {
		err = explain(what, err)
		if status(err) == http.StatusForbidden && said(err, "too large") {
			return nil, fmt.Errorf("%s: %w", what, ErrTooLarge)
		}
		return nil, err
	}
	if file == nil || (file.Type != nil && file.GetType() != "file") {
		return nil, fmt.Errorf("%s: it is not a file: %w", what, ErrNotFound)
	}
	if file.GetSize() > maxFile || file.GetEncoding() == "none" {
		return nil, fmt.Errorf("%s: %w", what, ErrTooLarge)
	}
	content, err := file.GetContent()
	if err != nil {
		return nil, fmt.Errorf("%s: decode: %w", what, err)
	}
	return []byte(content), nil
}

// get reads one REST address below the repository into out, for answers that go-github does not decode fully.
func (r *Repo) get(ctx context.Context, below string, out any) error {
	owner, repo := r.at()
	req, err := r.in.rest.NewRequest(http.MethodGet, "repos/"+owner+"/"+repo+"/"+below, nil)
	if err != nil {
		return err
	}
	_, err = r.in.rest.Do(ctx, req, out)
	return err
}

// actorOf returns an account by its API identity. A deleted account has none.
func actorOf(u *gh.User) gate.Actor {
	return gate.Actor{Login: u.GetLogin(), ID: u.GetID(), Type: u.GetType()}
}

func labelNames(labels []*gh.Label) []string {
	var names []string
	for _, l := range labels {
		names = append(names, l.GetName())
	}
	return names
}

// pages reads all pages of a list, at most limit; complete is false when there were more.
func pages[T any](limit int, fetch func(gh.ListOptions) ([]T, *gh.Response, error)) (all []T, complete bool, err error) {
	page := 1
	for range limit {
		items, resp, err := fetch(gh.ListOptions{Page: page, PerPage: 100})
		if err != nil {
			return all, false, err
		}
		all = append(all, items...)
		if resp.NextPage <= page {
			return all, resp.NextPage == 0, nil
		}
		page = resp.NextPage
	}
	return all, false, nil
}
