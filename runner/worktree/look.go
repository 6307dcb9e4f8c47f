package worktree

import (
	"context"
	"errors"
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
	// Clean makes an agent's commit message fit to be published; the agent's commits then also get this identity. With
	// nil they are taken as they are.
	Clean func(message string) string
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
// Errors: ErrSpec, ErrLost, ErrForeign, ErrNested, ErrUnsafe, ErrTooBig, ErrSecret, ErrDisk, and others that may pass.
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
	left, err := p.left(ctx)
	if err != nil {
		return Look{}, err
	}
	found, err := p.snapshot(ctx, left.head, o, strict)
	if err != nil {
		return Look{}, err
	}
	taken, err := p.take(ctx, found.commit)
	if err != nil {
		return Look{}, p.reword(ctx, found.commit, err)
	}
	defer taken.drop()
	built := found.commit
	if len(found.unmerged) > 0 {
		built = left.head // a merge in conflict has not brought in what it merges
	}
	look, err := p.judge(ctx, taken.git, built, found.commit)
	if err != nil {
		return Look{}, err
	}
	look.Unmerged = found.unmerged
	if err := p.restore(ctx, found.sparse); err != nil {
		return Look{}, err
	}
	whole, err := p.keepTip(ctx, left, found.commit)
	if err != nil {
		return Look{}, err
	}
	look.Head, err = p.settle(ctx, found.commit, o, taken, !whole || left.unread)
	return look, err
}

// judge holds what lies between the base commit and commit to our rules. built must build on the base commit.
func (p *seat) judge(ctx context.Context, git gitFunc, built, commit string) (Look, error) {
	if err := p.native(ctx, git, built); err != nil {
		return Look{}, err
	}
	look, err := p.measure(ctx, git, commit)
	if err != nil {
		return Look{}, err
	}
	return look, p.confess(ctx, git, commit)
}

// reword finds our own words for what git refused, which name the path. It looks at the agent's objects in a box:
// what comes out is good for words only.
func (p *seat) reword(ctx context.Context, commit string, err error) error {
	if _, why := p.measure(ctx, p.ours, commit); errors.Is(why, ErrUnsafe) || errors.Is(why, ErrTooBig) || errors.Is(why, ErrNested) {
		return why
	}
	return err
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

// left is the commit the agent left its worktree at, and with a sandbox that of its branch.
func (p *seat) left(ctx context.Context) (heads, error) {
	if p.t.box != nil {
		return p.shadowHeads(ctx)
	}
	head, err := p.head(ctx)
	return heads{head: head}, err
}

// head is left without a sandbox.
func (p *seat) head(ctx context.Context) (string, error) {
	args := []string{"rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}"}
	s, err := p.theirs(ctx, call{args: args, tree: p.path})
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
func (p *seat) native(ctx context.Context, git gitFunc, head string) error {
	ok, err := git.descends(ctx, head, p.spec.BaseSHA)
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
	_, err := p.oursIn(ctx, call{args: []string{"checkout-index", "-z", "--index", "--stdin"}, tree: p.path, index: p.scratch(), stdin: in}, true)
	return err
}

// settle lets what was taken into the mirror, and puts the task's branch, the worktree's HEAD and its index to the
// commit that was found. The shadow has done its service then; keep puts it where nothing is deleted.
func (p *seat) settle(ctx context.Context, commit string, o CommitOptions, taken *haul, keep bool) (head string, err error) {
	_, unlock, err := p.mirror.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := p.mirror.dropLock(p.spec.ref()); err != nil {
		return "", err
	}
	if err := taken.admit(); err != nil {
		return "", err
	}
	if head, err = p.rewrite(ctx, commit, o); err != nil {
		return "", err
	}
	if err := p.moveBranch(ctx, commit); err != nil { // keeps what the agent's commits do not build on
		return "", err
	}
	if head != commit {
		if err := p.mirror.setRef(ctx, p.spec.ref(), head); err != nil {
			return "", err
		}
	}
	return head, p.tidy(head, keep)
}

// tidy puts the worktree's HEAD and its index to the commit, and ends what was under way.
func (p *seat) tidy(commit string, keep bool) error {
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
	if err := p.adoptIndex(); err != nil {
		return err
	}
	if err := copyIndex(p.index(), filepath.Join(p.admin, "index")); err != nil {
		return err
	}
	if err := p.unshade(keep); err != nil { // before it is noted: what it held is on the branch now
		return err
	}
	return p.note(state{Spec: p.spec, Head: commit, Ready: true})
}

// adoptIndex makes the index that git worked with ours.
func (p *seat) adoptIndex() error {
	info, err := os.Lstat(p.scratch())
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not an index", p.scratch())
	}
	return os.Rename(p.scratch(), p.index())
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
