package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gh "github.com/google/go-github/v62/github"

	"dozens/batch/work"
)

// Access is what a token for git may do.
type Access struct {
	Write     bool // push, not only fetch
	Workflows bool // push workflow files too, which needs a permission of its own
}

func (a Access) contents() string {
	if a.Write {
		return "write"
	}
	return "read"
}

// GitToken mints a token for git (user x-access-token) that opens this one repository: its contents, as far as
// asked for, and nothing else. It is made fresh each time and belongs to the caller, who revokes it. ErrRefused when
// the installation has not been granted that much.
func (r *Repo) GitToken(ctx context.Context, a Access) (token work.Secret, expires time.Time, err error) {
	what := "mint a git token for " + r.repo.FullName()
	if r.repo.ID <= 0 || r.repo.Installation <= 0 {
		return "", time.Time{}, fmt.Errorf("%s: repository id or installation is unknown", what)
	}
	asked := &gh.InstallationPermissions{Contents: gh.String(a.contents()), Metadata: gh.String("read")}
	if a.Workflows {
		asked.Workflows = gh.String("write")
	}
	made, _, err := r.app.installation(0).rest.Apps.CreateInstallationToken(ctx, r.repo.Installation, &gh.InstallationTokenOptions{
		RepositoryIDs: []int64{r.repo.ID},
		Permissions:   asked,
	})
	if err != nil {
		return "", time.Time{}, explain(what, err)
	}
	token = work.Secret(made.GetToken())
	if token == "" {
		return "", time.Time{}, fmt.Errorf("%s: GitHub returned none", what)
	}
	if err := narrow(made, r.repo.ID, a); err != nil {
		return "", time.Time{}, errors.Join(fmt.Errorf("%s: %w", what, err), r.RevokeToken(ctx, token))
	}
	return token, made.GetExpiresAt().Time, nil
}

// narrow checks that a token is cut as asked, as far as the answer says.
func narrow(made *gh.InstallationToken, repo int64, a Access) error {
	for _, opened := range made.Repositories {
		if opened.GetID() != repo {
			return errors.New("it opens other repositories too")
		}
	}
	if got := made.GetPermissions().GetContents(); got != "" && got != a.contents() {
		return fmt.Errorf("it may %s contents, not %s", oneLine(got, 20), a.contents())
	}
	if made.GetPermissions().GetWorkflows() != "" && !a.Workflows {
		return errors.New("it opens workflow files too")
	}
	return nil
}

// MayPushWorkflows says whether the installation was granted the permission workflows: write, without which GitHub
// takes no commit that changes a file below .github/workflows/ from an App. It is asked each time: people grant it
// while we wait.
func (r *Repo) MayPushWorkflows(ctx context.Context) (bool, error) {
	what := "read the permissions of the installation on " + r.repo.FullName()
	if r.repo.Installation <= 0 {
		return false, fmt.Errorf("%s: installation is unknown", what)
	}
	in, _, err := r.app.installation(0).rest.Apps.GetInstallation(ctx, r.repo.Installation)
	if err != nil {
		return false, explain(what, err)
	}
	return in.GetPermissions().GetWorkflows() == "write", nil
}

// RenewToken makes the next call of the installation fetch a new token: one that is out, for up to an hour, does not
// get the permissions that were granted since.
func (r *Repo) RenewToken() error {
	renewing := r.in.renewer
	if renewing == nil {
		return nil
	}
	renewing.mu.Lock()
	seen := renewing.renewed
	renewing.mu.Unlock()
	if _, err := renewing.replace(seen); err != nil {
		return fmt.Errorf("renew the token for %s: %w", r.repo.FullName(), err)
	}
	return nil
}

// RevokeToken makes a token worthless. One that is worthless already is fine.
func (r *Repo) RevokeToken(ctx context.Context, token work.Secret) error {
	if token == "" {
		return nil
	}
	client := r.app.installation(revoking).rest.WithAuthToken(string(token))
	_, err := client.Apps.RevokeInstallationToken(ctx)
	if err = explain("revoke a git token", err); status(err) == http.StatusUnauthorized {
		return nil
	}
	return err
}
