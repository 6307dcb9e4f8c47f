package flow

import (
	"context"
	"errors"
	"fmt"
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
	good := f.settings[key].good
	if err == nil {
		good = &set
	}
	f.settings[key] = settings{value: set, err: err, good: good, until: time.Now().Add(remembered)}
	f.mu.Unlock()
	return set, err
}

// limitsOf are the settings for work that has begun: should the file be broken meanwhile, what it said last holds,
// and the defaults when nothing is known. Other errors come back, so that no limit is forgotten.
func (f *Flow) limitsOf(ctx context.Context, r batch.Repo, branch string) (config.Repository, error) {
	set, err := f.settingsOf(ctx, r, branch)
	var bad *settingsError
	if !errors.As(err, &bad) {
		return set, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if known, ok := f.settings[keyOf(r, branch)]; ok && known.good != nil {
		return *known.good, nil
	}
	return config.DefaultRepository(), nil
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
	for key, known := range f.settings {
		if strings.HasPrefix(key, prefix) {
			known.until = time.Time{} // read anew; what was good stays known
			f.settings[key] = known
		}
	}
}
