package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"dozens/batch"
	"dozens/config"
	"dozens/github"
)

const (
	settingsFile = ".github/dozens.yml"
	remembered   = time.Minute
)

// settingsError says that .github/dozens.yml is there and cannot be used. Nothing is started then: a mistyped
// limit must not become the default.
type settingsError struct {
	branch string
	err    error
}

func (e *settingsError) Error() string {
	return fmt.Sprintf("`%s` on %s cannot be used:\n\n```\n%v\n```", settingsFile, e.branch, e.err)
}

func (e *settingsError) Unwrap() error { return e.err }

// settingsOf reads the repository's settings from a base branch, never from a pull request's; the empty
// branch is the default one. Remembered for a minute.
func (f *Flow) settingsOf(ctx context.Context, r batch.Repo, branch string) (config.Repository, error) {
	if branch == "" {
		in, err := f.infoOf(ctx, r)
		if err != nil {
			return config.Repository{}, err
		}
		branch = in.DefaultBranch
	}
	key := keyOf(r, branch)
	f.mu.Lock()
	known, ok := f.settings[key]
	f.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.value, known.err
	}
	set, err := f.readSettings(ctx, r, branch)
	var bad *settingsError
	if err != nil && !errors.As(err, &bad) {
		return set, err
	}
	f.mu.Lock()
	f.settings[key] = settings{value: set, err: err, until: time.Now().Add(remembered)}
	f.mu.Unlock()
	return set, err
}

func (f *Flow) readSettings(ctx context.Context, r batch.Repo, branch string) (config.Repository, error) {
	data, err := f.github.Repo(r).File(ctx, settingsFile, branch)
	if errors.Is(err, github.ErrNotFound) {
		return config.DefaultRepository(), nil
	} else if err != nil {
		return config.Repository{}, err
	}
	set, err := config.ParseRepository(data)
	if err != nil {
		return set, &settingsError{branch: branch, err: err}
	}
	return set, nil
}

// infoOf reads the repository's present name, clone URL and default branch. Remembered for a minute.
func (f *Flow) infoOf(ctx context.Context, r batch.Repo) (github.Info, error) {
	f.mu.Lock()
	known, ok := f.infos[r.ID]
	f.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.value, nil
	}
	in, err := f.github.Repo(r).Info(ctx)
	if err != nil {
		return in, err
	}
	f.mu.Lock()
	f.infos[r.ID] = info{value: in, until: time.Now().Add(remembered)}
	f.mu.Unlock()
	return in, nil
}

func keyOf(r batch.Repo, branch string) string { return strconv.FormatInt(r.ID, 10) + "/" + branch }

// forget drops what is remembered of a repository: something was pushed to it, or it was renamed.
func (f *Flow) forget(repo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.infos, repo)
	prefix := strconv.FormatInt(repo, 10) + "/"
	maps.DeleteFunc(f.settings, func(key string, _ settings) bool { return strings.HasPrefix(key, prefix) })
}
