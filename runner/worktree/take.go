package worktree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"dozens/runner/sandbox"
)

// haul is what was taken from an agent and is not let into the mirror yet: a folder of objects that git has read
// from a stream, named anew by their content, and checked. The zero folder means that there was nothing to take.
type haul struct {
	p   *seat
	dir string
}

// Limits of what is taken, beside those of measure: how far a small stream may unfold.
const (
	packLimit   = 256 << 20 // bytes of the stream
	objectLimit = 200_000
	unfoldLimit = 1 << 30  // bytes of all objects together
	treeLimit   = 16 << 20 // bytes of one folder's list
	commitLimit = 1 << 20  // bytes of one commit or tag
)

// take reads commit, and all that the mirror has not got of what it builds on, out of the agent's objects. Only data
// comes through: a boxed git packs, another one unpacks, checks each object, and refuses what is malformed or
// incomplete. Without a sandbox the objects are in the mirror already.
func (p *seat) take(ctx context.Context, commit string) (*haul, error) {
	h := &haul{p: p}
	if p.t.box == nil {
		return h, nil
	}
	have, err := p.ownCommits(ctx)
	if err != nil || slices.Contains(have, "^"+commit) {
		return h, err
	}
	if h.dir, err = os.MkdirTemp(p.notes, "take-"); err != nil {
		return nil, fmt.Errorf("take the agent's commits: %w", err)
	}
	if err := os.MkdirAll(h.packs(), 0o700); err != nil {
		return nil, fmt.Errorf("take the agent's commits: %w", err)
	}
	err = h.stream(ctx, commit+"\n"+strings.Join(have, "\n")+"\n")
	if err == nil {
		err = h.count(ctx)
	}
	if err == nil {
		err = h.connected(ctx, commit, have)
	}
	if err != nil {
		h.drop()
		return nil, fmt.Errorf("take the agent's commits: %w", err)
	}
	return h, nil
}

// ownCommits are complete in the mirror: those of the server, and those we let in before for this task.
func (p *seat) ownCommits(ctx context.Context) ([]string, error) {
	s, err := p.git(ctx, call{args: []string{"for-each-ref", "--format=^%(objectname)", "refs/remotes/origin/", p.spec.ref(), p.spec.kept()}, limit: listLimit})
	if err != nil {
		return nil, err
	}
	have := strings.Fields(string(s.out))
	if base := p.spec.BaseSHA; base != "" { // perhaps no branch leads to it any more
		has, err := p.mirror.has(ctx, base)
		if err != nil {
			return nil, err
		}
		if has {
			have = append(have, "^"+base)
		}
	}
	return have, nil
}

func (h *haul) objects() string { return filepath.Join(h.dir, "objects") }

func (h *haul) packs() string { return filepath.Join(h.dir, "objects", "pack") }

// git is our own git on the mirror with what was taken.
func (h *haul) git(ctx context.Context, c call) (said, error) {
	if h.dir != "" {
		c.env = append(c.env, objectsAt(h.objects(), h.p.mirror.objects())...)
	}
	return h.p.git(ctx, c)
}

// stream packs in one box and unpacks in another, which sees nothing of the agent's but the stream. revs are commits
// to take, and with a ^ those not to.
func (h *haul) stream(ctx context.Context, revs string) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	var wait sync.WaitGroup
	var packed error
	wait.Go(func() {
		defer in.Close() // the end of the stream
		args := []string{"pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset"}
		_, packed = h.p.ours(ctx, call{args: args, stdin: strings.NewReader(revs), stdout: in})
	})
	err = h.unpack(ctx, out)
	out.Close() // else the packer would wait for a reader that has ended
	wait.Wait()
	switch {
	case packed == nil || exited(packed, 128+int(syscall.SIGPIPE)): // the reader had enough
		return err
	case exited(packed, 128):
		return fmt.Errorf("%w: git cannot read the agent's objects: %w", ErrUnsafe, packed)
	}
	return packed
}

func (h *haul) unpack(ctx context.Context, stream *os.File) error {
	m := h.p.mirror
	_, err := m.git(ctx, call{
		args: []string{"index-pack", "--stdin", "--strict", "--max-input-size=" + strconv.Itoa(packLimit)},
		env:  objectsAt(h.objects(), m.objects()), stdin: stream, within: boxTime,
		box: &box{binds: []sandbox.Bind{{From: m.dir}, {From: h.dir, Write: true}}, limits: limits()},
	})
	var f *fault
	if !errors.As(err, &f) || f.code <= 0 || errors.Is(explain(err, Credential{}), ErrDisk) {
		return err
	}
	switch {
	case strings.Contains(f.words, "maximum allowed size"):
		return fmt.Errorf("%w: the commits are packed into more than %d MB", ErrTooBig, packLimit>>20)
	case f.code == 128 || f.code == 1:
		return fmt.Errorf("%w: git refused the commits: %w", ErrUnsafe, err)
	}
	return err
}

// count looks at how much the objects are unfolded, by their headers.
func (h *haul) count(ctx context.Context) error {
	s, err := h.p.git(ctx, call{args: []string{"cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch-check=%(objecttype) %(objectsize)"},
		env: objectsAt(h.objects()), limit: 32 * objectLimit})
	if errors.Is(err, errOutput) {
		return fmt.Errorf("%w: more than %d objects", ErrTooBig, objectLimit)
	}
	if err != nil {
		return err
	}
	var total int64
	for line := range strings.Lines(string(s.out)) {
		kind, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return fmt.Errorf("read the size of an object: %w", err)
		}
		if kind == "tree" && n > treeLimit || (kind == "commit" || kind == "tag") && n > commitLimit {
			return fmt.Errorf("%w: a %s object of %d bytes", ErrTooBig, kind, n)
		}
		total += n
	}
	if n := bytes.Count(s.out, []byte{'\n'}); n > objectLimit || total > unfoldLimit {
		return fmt.Errorf("%w: %d objects of %d MB together", ErrTooBig, n, total>>20)
	}
	return nil
}

// connected makes sure that nothing is missing of what commit builds on.
func (h *haul) connected(ctx context.Context, commit string, have []string) error {
	in := strings.NewReader(commit + "\n" + strings.Join(have, "\n") + "\n")
	_, err := h.git(ctx, call{args: []string{"rev-list", "--objects", "--quiet", "--stdin"}, stdin: in})
	if exited(err, 128) || exited(err, 1) {
		return fmt.Errorf("%w: objects are missing: %w", ErrUnsafe, err)
	}
	return err
}

var packShape = regexp.MustCompile(`^pack-([0-9a-f]{40}|[0-9a-f]{64})\.(pack|rev|idx)$`)

// admit lets what was taken into the mirror, under the mirror's lock. A pack becomes visible with its index, which
// therefore goes last.
func (h *haul) admit() error {
	if h.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(h.packs())
	if err != nil {
		return fmt.Errorf("let commits into the mirror: %w", err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(order(a), order(b)) })
	for _, e := range entries {
		if !packShape.MatchString(e.Name()) || !e.Type().IsRegular() {
			return fmt.Errorf("let commits into the mirror: %w: %s", ErrUnsafe, quote(e.Name()))
		}
	}
	to := filepath.Join(h.p.mirror.objects(), "pack")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("let commits into the mirror: %w", err)
	}
	for _, e := range entries {
		if have, err := there(filepath.Join(to, e.Name())); have || err != nil { // the same name is the same content
			if err != nil {
				return fmt.Errorf("let commits into the mirror: %w", err)
			}
			continue
		}
		if err := os.Rename(filepath.Join(h.packs(), e.Name()), filepath.Join(to, e.Name())); err != nil {
			return fmt.Errorf("let commits into the mirror: %w", err)
		}
	}
	return nil
}

func order(e fs.DirEntry) string {
	if filepath.Ext(e.Name()) == ".idx" {
		return "last"
	}
	return "first" + e.Name()
}

// drop deletes what was not let in.
func (h *haul) drop() {
	if h == nil || h.dir == "" {
		return
	}
	if err := h.p.t.trash.take(h.dir); err != nil {
		h.p.t.log.Warn().Err(err).Str("task", h.p.spec.Task).Msg("objects of an agent stay in the task's notes")
	}
}
