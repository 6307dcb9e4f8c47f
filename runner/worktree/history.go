package worktree

import (
	"context"
	"strings"
)

// newCommits names the commits that neither the base commit nor the server has, oldest last. All of them travel with a
// push, also what a later one takes back.
func (p *seat) newCommits(ctx context.Context, git gitFunc, head string) ([]string, error) {
	s, err := git(ctx, call{args: []string{"rev-list", head, "--not", p.spec.BaseSHA, "--remotes=origin"}, limit: listLimit})
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(s.out)), nil
}

// review holds what each new commit brings to the same rules as their sum. Of a merge it sees what none of its
// parents has.
func (p *seat) review(ctx context.Context, git gitFunc, head string) error {
	commits, err := p.newCommits(ctx, git, head)
	if err != nil || len(commits) < 2 { // the sum says it all
		return err
	}
	s, err := git(ctx, call{args: []string{"diff-tree", "--stdin", "-r", "-z", "-c", "--root", "--raw", "--no-abbrev", "--no-renames", "--no-commit-id",
		"--no-ext-diff", "--no-textconv", "--ignore-submodules=none"}, stdin: strings.NewReader(strings.Join(commits, "\n") + "\n"), limit: listLimit})
	if err != nil {
		return err
	}
	changes, err := parseHistory(s.out)
	if err != nil {
		return err
	}
	return p.inspect(ctx, git, changes)
}

// parseHistory reads raw records, "::MODE MODE MODE BLOB BLOB BLOB STATUS", with a colon for each parent.
func parseHistory(out []byte) ([]change, error) {
	var changes []change
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		words := strings.TrimLeft(fields[i], ":")
		parents := len(fields[i]) - len(words)
		meta := strings.Fields(words)
		if parents == 0 || len(meta) != 2*(parents+1)+1 || meta[len(meta)-1] == "" {
			return nil, badDiff(fields[i])
		}
		c := change{mode: meta[parents], blob: meta[2*parents+1]}
		c.Path, c.Status = fields[i+1], meta[len(meta)-1][:1]
		if c.mode == "000000" {
			c.Status = "D"
		}
		changes = append(changes, c)
	}
	return changes, nil
}
