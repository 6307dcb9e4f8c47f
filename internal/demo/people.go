package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dozens/internal/lookalike"
)

// The people of the sample repository. The requester's own approval does not count.
const (
	Requester = "ada"
	Reviewer  = "grace"
)

// World is the look-alike GitHub with the sample repository and its people.
type World struct {
	GitHub *lookalike.GitHub
	Repo   *lookalike.Repo
}

// Options say how the world behaves.
type Options struct {
	Dir      string            // for the repositories; must exist
	Files    map[string]string // nil: Files()
	CITime   time.Duration     // how long a CI run takes
	Approves bool              // the reviewer approves whatever is ready for review
	Validate bool              // hold all traffic against GitHub's own description
}

// Start starts the world. Close its GitHub in the end.
func Start(ctx context.Context, o Options) (*World, error) {
	if o.Files == nil {
		o.Files = Files()
	}
	opts := lookalike.Options{Dir: o.Dir, Validate: o.Validate, CI: ci(o.CITime)}
	if o.Approves {
		opts.Reviewer = approve
	}
	gh, err := lookalike.Start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start the look-alike GitHub: %w", err)
	}
	w := &World{GitHub: gh}
	if err := w.people(o.Files); err != nil {
		_ = gh.Close() // the first error says more
		return nil, err
	}
	return w, nil
}

func (w *World) people(files map[string]string) (err error) {
	for _, login := range []string{Requester, Reviewer, "mallory"} {
		if _, err := w.GitHub.AddPerson(login, "User"); err != nil {
			return err
		}
	}
	if w.Repo, err = w.GitHub.CreateRepo("acme", "shop", files); err != nil {
		return fmt.Errorf("create the sample repository: %w", err)
	}
	for login, role := range map[string]string{Requester: "admin", Reviewer: "write", "mallory": "read"} {
		if err := w.Repo.Grant(login, role); err != nil {
			return err
		}
	}
	return nil
}

// ci is the sample's CI: it reads every file of the commit and says what is wrong with it.
func ci(takes time.Duration) lookalike.CI {
	return func(ctx context.Context, job lookalike.CIJob) {
		_ = job.Run(ctx, "build", func(ctx context.Context) (conclusion, title, summary string) { // a closed world has nobody to tell
			lookalike.Sleep(ctx, takes)
			paths, err := job.Files()
			if err != nil {
				return "failure", "The files could not be read", err.Error()
			}
			files := map[string]string{}
			for _, path := range paths {
				if text, ok, err := job.ReadFile(path); err == nil && ok && strings.HasSuffix(path, ".js") {
					files[path] = text
				}
			}
			if found := Problems(files); len(found) > 0 {
				return "failure", fmt.Sprintf("%d problems", len(found)), strings.Join(found, "\n")
			}
			return "success", "All files are good", fmt.Sprintf("%d files", len(files))
		})
	}
}

// approve plays the reviewer: what is ready for review is approved, at the commit that is there now.
func approve(_ context.Context, job lookalike.ReviewJob) {
	if job.Draft {
		return
	}
	_, _ = job.Pull.Review(Reviewer, "APPROVE", "Looks good.") // merged or closed meanwhile: nothing to review
}
