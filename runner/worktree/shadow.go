package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dozens/runner/sandbox"
)

// The shadow is a task's private git folder: a box shows it at the mirror's path, so that the worktree's .git file
// leads to it. It borrows the mirror's objects, which are shown read-only below it, and holds the refs of this task
// only. What the agent puts into it (configuration, hooks, refs, objects) nobody else's git ever uses: ours reads it
// inside of boxes, as data. It lives from Prepare to the Look that takes the agent's commits, and is then made anew.

// baseName is where in the shadow the mirror's objects are shown.
const baseName = "base"

// shaded says whether the task has a shadow: an agent may have written commits into it that we have not taken.
func (p *seat) shaded() bool {
	info, err := os.Lstat(p.shadow)
	return p.t.box != nil && err == nil && info.IsDir()
}

// binds are what an agent's box shows of the host for git: the worktree, with its .git file out of reach, and the
// shadow.
func (p *seat) binds() []sandbox.Bind {
	if p.t.box == nil {
		return nil
	}
	link := filepath.Join(p.path, ".git")
	return append([]sandbox.Bind{{From: p.path, Write: true}, {From: link}}, p.shadowBinds()...)
}

func (p *seat) shadowBinds() []sandbox.Bind {
	return []sandbox.Bind{{From: p.shadow, To: p.mirror.dir, Write: true}, {From: p.mirror.objects(), To: filepath.Join(p.mirror.dir, baseName)}}
}

// shade makes the shadow if there is none. One that is there stays: an unfinished run's commits are in it, unless
// the agent broke it so that git cannot read it any more.
func (p *seat) shade(ctx context.Context) error {
	if p.t.box == nil {
		return p.unshade(true) // of a time with a sandbox: nothing here can read it
	}
	if p.shaded() {
		if err := openUp(p.shadow); err != nil {
			return fmt.Errorf("open up the agent's git folder: %w", err)
		}
		sound, err := p.soundShadow(ctx)
		if sound || err != nil {
			return err
		}
		p.t.log.Warn().Str("task", p.spec.Task).Msg("the agent's git folder is broken; made anew")
		if err := p.salvage(ctx); err != nil {
			return err
		}
	}
	if err := p.buildShadow(ctx); err != nil {
		return fmt.Errorf("make the agent's git folder: %w", err)
	}
	return nil
}

// soundShadow says whether git works in it as an agent uses it, and its HEAD is a commit or another branch to be.
func (p *seat) soundShadow(ctx context.Context) (bool, error) {
	h, err := p.headsAt(ctx, p.admin, "")
	if err != nil && !lasting(err) {
		return false, err
	}
	if err != nil || h.head != "" {
		return err == nil, nil
	}
	text, err := p.readShadow("worktrees/" + p.spec.name() + "/HEAD")
	return err == nil && headShape.Match(text) && string(text) != p.headFile(), nil
}

// unshade takes the shadow away; with keep it is moved to where nothing is deleted.
func (p *seat) unshade(keep bool) error {
	if keep {
		return p.aside(p.shadow, "git-of-"+filepath.Base(p.shadow))
	}
	return p.t.trash.take(p.shadow)
}

// buildShadow makes it aside and renames it into place.
func (p *seat) buildShadow(ctx context.Context) error {
	head, refs, err := p.shadowRefs(ctx)
	if err != nil {
		return err
	}
	aside := filepath.Join(p.notes, "shadow.new")
	if err := p.t.trash.take(aside); err != nil { // of a killed process: we hold the task's lock
		return err
	}
	admin := filepath.Join(aside, "worktrees", p.spec.name())
	for _, dir := range []string{"objects/info", "objects/pack", "refs/heads", baseName, "info"} {
		if err := os.MkdirAll(filepath.Join(aside, dir), 0o700); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(admin, 0o700); err != nil {
		return err
	}
	files := map[string]string{"config": config(p.spec.CloneURL), "HEAD": noHead, "packed-refs": refs, "objects/info/alternates": "../" + baseName + "\n"}
	for name, text := range p.adminFiles() {
		files["worktrees/"+p.spec.name()+"/"+name] = text
	}
	files["worktrees/"+p.spec.name()+"/HEAD"] = head
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(aside, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, index := range []string{filepath.Join(p.admin, "index"), p.index()} {
		err := copyIndex(index, filepath.Join(admin, "index"))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(aside, p.shadow)
}

// shadowRefs are the refs an agent begins with: its branch, and the base branch at the commit that the order names,
// whatever came after it.
func (p *seat) shadowRefs(ctx context.Context) (head, packed string, err error) {
	tip, err := p.mirror.resolve(ctx, p.spec.ref())
	if err != nil {
		return "", "", err
	}
	if tip == "" {
		return "", "", fmt.Errorf("%w: branch %s", ErrGone, p.spec.Branch)
	}
	lines := []string{tip + " " + p.spec.ref() + "\n"}
	if gitAllows(p.spec.Base) && p.spec.Base != "" {
		lines = append(lines, p.spec.BaseSHA+" refs/remotes/origin/"+p.spec.Base+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[strings.Index(a, " "):], b[strings.Index(b, " "):]) })
	head, err = p.shadowHead(ctx)
	return head, "# pack-refs with: sorted \n" + strings.Join(lines, ""), err
}

// shadowHead is the worktree's HEAD. It leads elsewhere only if an agent without a sandbox was here before.
func (p *seat) shadowHead(ctx context.Context) (string, error) {
	text, err := readPlain(filepath.Join(p.admin, "HEAD"), 4<<10)
	if err != nil || string(text) == p.headFile() || !headShape.Match(text) {
		return p.headFile(), nil
	}
	ref, named := strings.CutPrefix(strings.TrimSpace(string(text)), "ref: ")
	commit, err := p.mirror.resolve(ctx, ref)
	if err != nil {
		return "", err
	}
	if commit == "" && named {
		return p.headFile(), nil
	}
	return commit + "\n", nil
}

// lstatShadow says what an entry of the shadow is. No link leads out of it.
func (p *seat) lstatShadow(name string) (fs.FileInfo, error) {
	root, err := os.OpenRoot(p.shadow)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Lstat(name)
}

// readShadow reads one of the agent's own small files. No link leads out of the shadow.
func (p *seat) readShadow(name string) ([]byte, error) {
	root, err := os.OpenRoot(p.shadow)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return readIn(root, name, 4<<10)
}

// heads are commits the agent left, by its own words; "": none.
type heads struct {
	head   string // of the worktree
	branch string // of the task's branch
	unread bool   // git cannot work there: these are our own notes
}

// headsAt asks one of the agent's git folders. It fails with exit 128 when git cannot work in it.
func (p *seat) headsAt(ctx context.Context, gitDir, common string) (heads, error) {
	ask := "HEAD^{commit}\n" + p.spec.ref() + "^{commit}\n"
	s, err := p.theirs(ctx, call{args: []string{"cat-file", "--batch-check=%(objectname) %(objecttype)"}, gitDir: gitDir, common: common,
		stdin: strings.NewReader(ask)})
	if err != nil {
		return heads{}, err
	}
	lines := strings.Split(string(s.out), "\n")
	if len(lines) != 3 {
		return heads{}, fmt.Errorf("git answered %s instead of two commits", quote(string(s.out)))
	}
	commit := func(line string) string {
		name, kind, _ := strings.Cut(line, " ")
		if kind != "commit" || !shaShape.MatchString(name) {
			return ""
		}
		return name
	}
	return heads{head: commit(lines[0]), branch: commit(lines[1])}, nil
}

// shadowHeads finds the agent's commit even if it deleted its branch or damaged its worktree's folder. Without a
// shadow nothing has happened since we looked.
func (p *seat) shadowHeads(ctx context.Context) (heads, error) {
	if !p.shaded() {
		tip, err := p.mirror.resolve(ctx, p.spec.ref())
		if err == nil && tip == "" {
			err = fmt.Errorf("%w: HEAD has no commit", ErrForeign)
		}
		return heads{head: tip, branch: tip}, err
	}
	if err := openUp(p.shadow); err != nil {
		return heads{}, fmt.Errorf("open up the agent's git folder: %w", err)
	}
	h, err := p.headsAt(ctx, p.admin, p.mirror.dir)
	if exited(err, 128) {
		h, err = p.headsAt(ctx, p.mirror.dir, "")
		h.head = "" // the common folder's own
	}
	h.unread = exited(err, 128)
	if err != nil && !h.unread || h.head != "" {
		return h, err
	}
	text, rerr := p.readShadow("worktrees/" + p.spec.name() + "/HEAD")
	switch {
	case rerr == nil && headShape.Match(text) && string(text) != p.headFile():
		return h, fmt.Errorf("%w: HEAD has no commit", ErrForeign)
	case h.branch != "":
		h.head = h.branch
	case p.state.Head != "":
		h.head = p.state.Head // its branch was deleted under it
	default:
		return h, fmt.Errorf("%w: HEAD has no commit", ErrForeign)
	}
	return h, nil
}
