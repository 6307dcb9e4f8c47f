package worktree

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// agentIndex is what only the agent's own index knows.
type agentIndex struct {
	forced   []string        // added to it, not in HEAD
	unmerged []string        // in conflict
	sparse   map[string]bool // left out of the worktree on purpose
}

const unmergedLimit = 100

// agentIndex reads; an index that git cannot read has nothing to say.
func (p *seat) agentIndex(ctx context.Context, head string) agentIndex {
	a := agentIndex{sparse: map[string]bool{}}
	base := call{tree: p.path, limit: listLimit}
	if !p.agentHasIndex() {
		return a
	}
	tags, added := base, base
	tags.args = []string{"ls-files", "-z", "-t", "--cached"}
	added.args = []string{"diff-index", "-z", "--cached", "--name-only", "--no-renames", "--diff-filter=A", "--ignore-submodules=all", head, "--"}
	s, err := p.theirs(ctx, tags)
	if err == nil {
		for _, name := range names(s.out) {
			if rest, ok := strings.CutPrefix(name, "S "); ok {
				a.sparse[rest] = true
			}
			if rest, ok := strings.CutPrefix(name, "M "); ok && len(a.unmerged) < unmergedLimit && !slices.Contains(a.unmerged, rest) {
				a.unmerged = append(a.unmerged, rest)
			}
		}
		s, err = p.theirs(ctx, added)
	}
	if err != nil {
		p.t.log.Warn().Str("task", p.spec.Task).Err(err).Msg("the agent's index cannot be read")
		return a
	}
	a.forced = names(s.out)
	return a
}

func (p *seat) agentHasIndex() bool {
	info, err := os.Lstat(filepath.Join(p.admin, "index"))
	if p.t.box != nil {
		info, err = p.lstatShadow("worktrees/" + p.spec.name() + "/index")
	}
	return err == nil && info.Mode().IsRegular()
}
