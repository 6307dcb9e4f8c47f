package runner

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"

	"dozens/batch/plan"
	"dozens/batch/work"
	"dozens/runner/worktree"
)

// checkPlan notes what is wrong with a plan. The host does it, because only the host has the files.
func (a act) checkPlan(r *work.Report, tree worktree.Tree) {
	var out work.PlanOutput
	if err := json.Unmarshal(r.Output, &out); err != nil {
		r.Problems = []string{"The plan cannot be read: " + err.Error()}
		return
	}
	files, err := filesOf(tree.Path)
	if err != nil {
		a.failed(r, "the files that the plan speaks of could not be listed", err)
		return
	}
	for _, p := range plan.Check(plan.From(out), files, a.order.Units) {
		r.Problems = append(r.Problems, p.String())
	}
	if len(r.Problems) > 0 {
		a.lines.say("the plan has %d problems; the first: %s", len(r.Problems), r.Problems[0])
	}
}

// filesOf lists the files of a worktree in which nothing has changed, so that they are those of its commit.
// Links count as files and are not followed.
func filesOf(dir string) ([]string, error) {
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".git" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list files of the worktree: %w", err)
	}
	return files, nil
}
