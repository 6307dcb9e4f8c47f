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

// GitToken mints a token for git (user x-access-token) that opens this one repository: its contents, to read
// or to write, and nothing else. It is made fresh each time and belongs to the caller, who revokes it.
func (r *Repo) GitToken(ctx context.Context, write bool) (token work.Secret, expires time.Time, err error) {
	what := "mint a git token for " + r.repo.FullName()
	if r.repo.ID <= 0 || r.repo.Installation <= 0 {
		return "", time.Time{}, fmt.Errorf("%s: repository id or installation is unknown", what)
	}
	level := "read"
	if write {
		level = "write"
	}
	made, _, err := r.app.installation(0).rest.Apps.CreateInstallationToken(ctx, r.repo.Installation, &gh.InstallationTokenOptions{
		RepositoryIDs: []int64{r.repo.ID},
		Permissions:   &gh.InstallationPermissions{Contents: gh.String(level), Metadata: gh.String("read")},
	})
	if err != nil {
		return "", time.Time{}, explain(what, err)
	}
	token = work.Secret(made.GetToken())
	if token == "" {
		return "", time.Time{}, fmt.Errorf("%s: GitHub returned none", what)
	}
	if err := narrow(made, r.repo.ID, level); err != nil {
		return "", time.Time{}, errors.Join(fmt.Errorf("%s: %w", what, err), r.RevokeToken(ctx, token))
	}
	return token, made.GetExpiresAt().Time, nil
}

// narrow checks that a token is cut as asked, as far as the answer says.
func narrow(made *gh.InstallationToken, repo int64, level string) error {
	for _, opened := range made.Repositories {
		if opened.GetID() != repo {
			return errors.New("it opens other repositories too")
		}
	}
	if got := made.GetPermissions().GetContents(); got != "" && got != level {
		return fmt.Errorf("it may %s contents, not %s", oneLine(got, 20), level)
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
