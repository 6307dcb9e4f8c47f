package worktree

import "context"

// gitFunc runs git on one view of a repository: the mirror, the mirror and what was taken from an agent, or an
// agent's own folder in a box.
type gitFunc func(ctx context.Context, c call) (said, error)

// has says whether the commit is there.
func (git gitFunc) has(ctx context.Context, sha string) (bool, error) {
	_, err := git(ctx, call{args: []string{"cat-file", "-e", sha + "^{commit}"}})
	if err == nil {
		return true, nil
	}
	if exited(err, 1) || exited(err, 128) {
		return false, nil
	}
	return false, err
}

// descends says whether commit has base among its ancestors, or is base.
func (git gitFunc) descends(ctx context.Context, commit, base string) (bool, error) {
	_, err := git(ctx, call{args: []string{"merge-base", "--is-ancestor", base, commit}})
	if exited(err, 1) {
		return false, nil
	}
	return err == nil, err
}
