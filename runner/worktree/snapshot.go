package worktree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// How a snapshot takes what does not fit into a commit.
type manner bool

const (
	strict  manner = true  // refuse
	lenient manner = false // leave it out and say so
)

// Limits of what a task may bring.
const (
	fileLimit  = 50 << 20  // bytes of one file
	totalLimit = 200 << 20 // bytes of all changed files together
	pathLimit  = 10_000    // changed paths
)

// found is what a snapshot made of a worktree.
type found struct {
	commit   string   // HEAD, or a new commit on it with all that was left uncommitted
	unmerged []string // paths in conflict
	sparse   []string // paths that the agent chose not to have in the worktree
	left     []string // with lenient: paths that are not in the commit, and why
}

// scratch is the index a snapshot is made with; settle makes it ours.
func (p *seat) scratch() string {
	if p.t.box != nil {
		return p.work("index")
	}
	return filepath.Join(p.notes, "index.work")
}

// snapshot makes a commit of everything in the worktree that is not ignored. It works with plumbing and an index
// of its own: the agent's index may hide changes, porcelain looks into nested repositories and follows their
// configuration. No ref moves.
func (p *seat) snapshot(ctx context.Context, head string, o CommitOptions, m manner) (found, error) {
	if err := p.readHead(ctx, head); err != nil {
		if m == strict {
			err = p.reword(ctx, head, err) // git's index refuses some of the names that we refuse
		}
		return found{}, err
	}
	agent := p.agentIndex(ctx, head)
	edits, err := p.edits(ctx, agent)
	if err != nil {
		return found{}, err
	}
	f := found{unmerged: agent.unmerged, sparse: edits.sparse}
	if f.left, err = p.vet(&edits, m); err != nil {
		return found{}, err
	}
	if err := p.stage(ctx, edits); err != nil {
		return found{}, err
	}
	f.commit, err = p.commit(ctx, head, o)
	return f, err
}

// readHead fills the scratch index with HEAD's files. What our own index knows of unchanged files stays known,
// so that git need not read the whole worktree again.
func (p *seat) readHead(ctx context.Context, head string) error {
	if err := os.MkdirAll(p.notes, 0o700); err != nil {
		return err
	}
	if err := p.clearWork(); err != nil {
		return err
	}
	for _, name := range []string{p.scratch(), p.scratch() + ".lock"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := copyIndex(p.index(), p.scratch())
	if err == nil {
		_, err = p.ours(ctx, call{args: []string{"read-tree", "-m", "-i", head}, index: p.scratch()})
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if rerr := os.Remove(p.scratch()); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return rerr
	}
	_, err = p.ours(ctx, call{args: []string{"read-tree", head}, index: p.scratch()})
	return err
}

// edited is what differs between the scratch index and the worktree.
type edited struct {
	gone    []string // tracked, and not there any more
	changed []string // changed or new
	sparse  []string // tracked, and not there because the agent chose so
}

func (p *seat) edits(ctx context.Context, agent agentIndex) (edited, error) {
	e, blind, err := p.list(ctx)
	if err == nil && blind {
		if err := openUp(p.path); err != nil {
			return edited{}, fmt.Errorf("open up folders that cannot be read: %w", err)
		}
		e, blind, err = p.list(ctx)
		if err == nil && blind {
			return edited{}, errors.New("some folders of the worktree cannot be read")
		}
	}
	if err != nil {
		return edited{}, err
	}
	// What the agent forced into its index counts although it is ignored, and what a sparse checkout does not
	// show is not deleted.
	e.gone = slices.DeleteFunc(e.gone, func(name string) bool {
		if agent.sparse[name] {
			e.sparse = append(e.sparse, name)
		}
		return agent.sparse[name]
	})
	have := map[string]bool{}
	for _, name := range e.changed {
		have[name] = true
	}
	root, err := os.OpenRoot(p.path)
	if err != nil {
		return edited{}, err
	}
	defer root.Close()
	for _, name := range agent.forced {
		if _, err := root.Lstat(name); err == nil && !have[name] {
			e.changed = append(e.changed, name)
		}
	}
	return e, nil
}

// list asks git. blind says that it could not see everything.
func (p *seat) list(ctx context.Context) (e edited, blind bool, err error) {
	diff, err := p.ours(ctx, call{args: []string{"diff-files", "-z", "--name-status", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all"},
		tree: p.path, index: p.scratch(), limit: listLimit})
	if err != nil {
		return e, false, err
	}
	fields := bytes.Split(diff.out, []byte{0})
	for i := 0; i+1 < len(fields); i += 2 {
		if string(fields[i]) == "D" {
			e.gone = append(e.gone, string(fields[i+1]))
		} else {
			e.changed = append(e.changed, string(fields[i+1]))
		}
	}
	others, err := p.ours(ctx, call{args: []string{"ls-files", "-z", "--others", "--exclude-standard"},
		tree: p.path, index: p.scratch(), limit: listLimit})
	if err != nil {
		return e, false, err
	}
	e.changed = append(e.changed, names(others.out)...)
	denied := []byte("Permission denied")
	return e, bytes.Contains(diff.err, denied) || bytes.Contains(others.err, denied), nil
}

// names splits a list of paths that end in a zero byte.
func names(out []byte) []string {
	var list []string
	for name := range bytes.SplitSeq(out, []byte{0}) {
		if len(name) > 0 {
			list = append(list, string(name))
		}
	}
	return list
}

// stage brings the edits into the scratch index.
func (p *seat) stage(ctx context.Context, e edited) error {
	steps := []struct {
		args  []string
		paths []string
	}{
		{[]string{"update-index", "-z", "--force-remove", "--stdin"}, e.gone},
		{[]string{"update-index", "-z", "--add", "--remove", "--replace", "--stdin"}, e.changed},
	}
	for _, s := range steps {
		if len(s.paths) == 0 {
			continue
		}
		in := strings.NewReader(strings.Join(s.paths, "\x00") + "\x00")
		if _, err := p.ours(ctx, call{args: s.args, tree: p.path, index: p.scratch(), stdin: in}); err != nil {
			return fmt.Errorf("stage what was left uncommitted: %w", err)
		}
	}
	return nil
}

// commit writes the scratch index as a commit on head, if it differs from head. A merge that the agent had not
// finished stays a merge.
func (p *seat) commit(ctx context.Context, head string, o CommitOptions) (string, error) {
	s, err := p.ours(ctx, call{args: []string{"write-tree"}, index: p.scratch()})
	if err != nil {
		return "", err
	}
	tree, err := sha(s.out)
	if err != nil {
		return "", err
	}
	s, err = p.ours(ctx, call{args: []string{"rev-parse", "--verify", "--end-of-options", head + "^{tree}"}})
	if err != nil {
		return "", err
	}
	merged := p.mergeHeads(ctx)
	if strings.TrimSpace(string(s.out)) == tree && len(merged) == 0 {
		return head, nil
	}
	args := []string{"commit-tree", tree, "-p", head}
	for _, m := range merged {
		args = append(args, "-p", m)
	}
	s, err = p.ours(ctx, call{args: append(args, "-F", "-"), env: o.identity(), stdin: strings.NewReader(o.message())})
	if err != nil {
		return "", fmt.Errorf("commit what was left uncommitted: %w", err)
	}
	return sha(s.out)
}

const mergeLimit = 16

// mergeHeads are the commits that the agent was merging.
func (p *seat) mergeHeads(ctx context.Context) []string {
	var text []byte
	var err error
	if p.t.box != nil {
		text, err = p.readShadow("worktrees/" + p.spec.name() + "/MERGE_HEAD")
	} else {
		text, err = readPlain(filepath.Join(p.admin, "MERGE_HEAD"), 4<<10)
	}
	if err != nil {
		return nil
	}
	var heads []string
	for _, line := range strings.Fields(string(text)) {
		if !shaShape.MatchString(line) || len(heads) == mergeLimit {
			return nil
		}
		if has, err := gitFunc(p.ours).has(ctx, line); err != nil || !has {
			return nil
		}
		heads = append(heads, line)
	}
	return heads
}
