package worktree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dozens/batch/work"
)

// CommitOptions are the words and the identity for edits that the agent left uncommitted.
type CommitOptions struct {
	Message string // empty: a plain sentence
	Name    string // author and committer
	Email   string
}

// Look is what is really in a worktree after a run.
type Look struct {
	Head    string        // everything is committed in it; = BaseSHA when nothing changed
	Commits int           // from BaseSHA to Head
	Changes []work.Change // BaseSHA to Head, sorted by path, renames found
	Added   int           // lines; files that are not text count none
	Removed int           // lines
	// Unmerged are paths that the agent left in conflict; their content is committed as it lay there.
	Unmerged []string
}

// Look commits whatever the agent left uncommitted and says what its branch now holds. The commit that counts is
// the worktree's HEAD, whatever branch the agent moved to; the task's branch is set to it, and the worktree
// stands on that branch afterwards. When Look refuses, nothing is changed: branch, index and edits stay as the
// agent left them. No process of the task's agent may run meanwhile.
//
// Errors: ErrSpec, ErrLost, ErrForeign, ErrNested, ErrUnsafe, ErrTooBig, ErrDisk, and others that may pass.
func (t *Trees) Look(ctx context.Context, tree Tree, o CommitOptions) (Look, error) {
	if err := tree.check(); err != nil {
		return Look{}, fmt.Errorf("look at worktree: %w", err)
	}
	p, err := t.sit(ctx, tree.Spec)
	if err != nil {
		return Look{}, fmt.Errorf("look at worktree %s: %w", tree.name(), err)
	}
	defer p.leave()
	look, err := p.look(ctx, o)
	if err != nil {
		return Look{}, fmt.Errorf("look at worktree %s: %w", tree.name(), explain(err, Credential{}))
	}
	return look, nil
}

func (p *seat) look(ctx context.Context, o CommitOptions) (Look, error) {
	if p.spec.BaseSHA == "" {
		p.spec.BaseSHA = p.state.Spec.BaseSHA
	}
	if p.spec.BaseSHA == "" {
		return Look{}, fmt.Errorf("%w: no base commit", ErrSpec)
	}
	if err := p.enter(ctx); err != nil {
		return Look{}, err
	}
	release, err := p.t.core(ctx)
	if err != nil {
		return Look{}, err
	}
	defer release()
	head, err := p.head(ctx)
	if err != nil {
		return Look{}, err
	}
	found, err := p.snapshot(ctx, head, o, strict)
	if err != nil {
		return Look{}, err
	}
	built := found.commit
	if len(found.unmerged) > 0 {
		built = head // a merge in conflict has not brought in what it merges
	}
	if err := p.native(ctx, built); err != nil {
		return Look{}, err
	}
	look, err := p.measure(ctx, found.commit)
	if err != nil {
		return Look{}, err
	}
	look.Unmerged = found.unmerged
	if err := p.restore(ctx, found.sparse); err != nil {
		return Look{}, err
	}
	return look, p.settle(ctx, found.commit)
}

// enter makes the worktree and its mirror fit for our git.
func (p *seat) enter(ctx context.Context) error {
	if err := p.present(); err != nil {
		return err
	}
	if err := p.mirror.ensure(ctx, p.spec.CloneURL); err != nil {
		return err
	}
	return p.mend(ctx)
}

// head is the commit the agent left its worktree at. With a sandbox around the agent, this is the one place
// that has to fetch it instead.
func (p *seat) head(ctx context.Context) (string, error) {
	args := []string{"rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}"}
	s, err := p.t.git(ctx, call{args: args, gitDir: p.admin, common: p.mirror.dir, tree: p.path, hold: []*flock{p.lock}})
	if err == nil {
		return sha(s.out)
	}
	if !exited(err, 1) && !exited(err, 128) {
		return "", err
	}
	text, rerr := readPlain(filepath.Join(p.admin, "HEAD"), 4<<10)
	if rerr == nil && string(text) == p.headFile() && p.state.Head != "" {
		return p.state.Head, nil // its branch was deleted under it
	}
	return "", fmt.Errorf("%w: HEAD has no commit", ErrForeign)
}

// native refuses a commit that does not build on the base commit.
func (p *seat) native(ctx context.Context, head string) error {
	ok, err := p.mirror.descends(ctx, head, p.spec.BaseSHA)
	if err == nil && !ok {
		return fmt.Errorf("%w: HEAD is %s, the base commit %s is not among its ancestors", ErrForeign, head, p.spec.BaseSHA)
	}
	return err
}

// restore ends a sparse checkout by writing the files that it left out.
func (p *seat) restore(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	in := strings.NewReader(strings.Join(paths, "\x00") + "\x00")
	_, err := p.git(ctx, call{args: []string{"checkout-index", "-z", "--index", "--stdin"}, tree: p.path, index: p.scratch(), stdin: in})
	return err
}

// settle puts the task's branch, the worktree's HEAD and its index to the commit that was found.
func (p *seat) settle(ctx context.Context, commit string) error {
	_, unlock, err := p.mirror.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := p.mirror.dropLock(p.spec.ref()); err != nil {
		return err
	}
	if err := p.moveBranch(ctx, commit); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(p.admin, "HEAD"), []byte(p.headFile())); err != nil {
		return err
	}
	// A merge or rebase that was under way is over: what it had come to is committed.
	for _, name := range []string{"MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "CHERRY_PICK_HEAD", "REVERT_HEAD",
		"SQUASH_MSG", "rebase-merge", "rebase-apply", "sequencer"} {
		if err := p.t.trash.take(filepath.Join(p.admin, name)); err != nil {
			return err
		}
	}
	if err := os.Rename(p.scratch(), p.index()); err != nil {
		return err
	}
	if err := copyIndex(p.index(), filepath.Join(p.admin, "index")); err != nil {
		return err
	}
	return p.note(state{Spec: p.spec, Head: commit, Ready: true})
}

// moveBranch keeps what the branch held if the new commit does not build on it.
func (p *seat) moveBranch(ctx context.Context, commit string) error {
	tip, err := p.mirror.resolve(ctx, p.spec.ref())
	if err != nil || tip == commit {
		return err
	}
	if tip != "" {
		ok, err := p.mirror.descends(ctx, commit, tip)
		if err != nil {
			return err
		}
		if !ok {
			if err := p.keep(ctx, tip); err != nil {
				return err
			}
		}
	}
	return p.mirror.setRef(ctx, p.spec.ref(), commit)
}

// keep makes sure that a commit which only this host has stays reachable: as refs/dozens/kept/TASK, or with the
// commit's name behind it when something else is kept already.
func (p *seat) keep(ctx context.Context, commit string) error {
	if known, err := p.mirror.known(ctx, commit); known || err != nil {
		return err
	}
	ref := p.spec.kept()
	have, err := p.mirror.resolve(ctx, ref)
	if err != nil || have == commit {
		return err
	}
	if have != "" {
		covered, err := p.mirror.descends(ctx, have, commit)
		if covered || err != nil {
			return err
		}
		grown, err := p.mirror.descends(ctx, commit, have)
		if err != nil {
			return err
		}
		if !grown {
			ref += "-" + commit[:12]
		}
	}
	p.t.log.Info().Str("task", p.spec.Task).Str("sha", commit).Str("ref", ref).Msg("commits kept")
	return p.mirror.setRef(ctx, ref, commit)
}

// identity is safe to stand in a commit; git refuses empty ones.
func (o CommitOptions) identity() []string {
	name, email := plain(o.Name), plain(o.Email)
	if name == "" {
		name = "dozens"
	}
	if email == "" {
		email = "dozens@localhost"
	}
	return []string{"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + email, "GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + email}
}

func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if strange(r) || strings.ContainsRune("<>\"", r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
}

func (o CommitOptions) message() string {
	m := strings.ReplaceAll(strings.ToValidUTF8(o.Message, "?"), "\x00", "")
	if strings.TrimSpace(m) == "" {
		m = "Edits that were left uncommitted"
	}
	return m + "\n"
}
