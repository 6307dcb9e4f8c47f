package worktree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"dozens/batch/work"
)

// measure says what lies between the base commit and head, and refuses what must not leave this host.
func (p *seat) measure(ctx context.Context, git gitFunc, head string) (Look, error) {
	look := Look{Head: head}
	if head == p.spec.BaseSHA {
		return look, nil
	}
	s, err := git(ctx, call{args: []string{"rev-list", "--count", p.spec.BaseSHA + ".." + head}})
	if err != nil {
		return Look{}, err
	}
	if look.Commits, err = strconv.Atoi(strings.TrimSpace(string(s.out))); err != nil {
		return Look{}, fmt.Errorf("count commits: %w", err)
	}
	if err := p.weigh(ctx, git, head); err != nil {
		return Look{}, err
	}
	changes, err := p.diff(ctx, git, head, &look)
	if err != nil {
		return Look{}, err
	}
	if len(changes) > pathLimit {
		return Look{}, fmt.Errorf("%w: %d changed paths, the limit is %d", ErrTooBig, len(changes), pathLimit)
	}
	if err := p.inspect(ctx, git, changes); err != nil {
		return Look{}, err
	}
	if err := p.review(ctx, git, head); err != nil {
		return Look{}, err
	}
	for _, c := range changes {
		look.Changes = append(look.Changes, c.Change)
	}
	slices.SortFunc(look.Changes, func(a, b work.Change) int { return strings.Compare(a.Path, b.Path) })
	return look, nil
}

// weigh looks at the size of every file that the commits bring, also of those that a later commit removes: they
// all travel with a push.
func (p *seat) weigh(ctx context.Context, git gitFunc, head string) error {
	s, err := git(ctx, call{args: []string{"rev-list", "--objects", head, "--not", p.spec.BaseSHA, "--remotes=origin"}, limit: listLimit})
	if errors.Is(err, errOutput) {
		return fmt.Errorf("%w: too many objects", ErrTooBig)
	}
	if err != nil {
		return err
	}
	s, err = git(ctx, call{args: []string{"cat-file", "--batch-check=%(objecttype) %(objectsize) %(rest)"}, stdin: bytes.NewReader(s.out), limit: listLimit})
	if err != nil {
		return err
	}
	var total int64
	for line := range strings.Lines(string(s.out)) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if kind != "blob" {
			continue
		}
		digits, name, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return fmt.Errorf("read size of %s: %w", quote(name), err)
		}
		if n > fileLimit {
			return tooBig(name, n)
		}
		total += n
	}
	if total > totalLimit {
		return fmt.Errorf("%w: the commits bring files of %d MB together, the limit is %d MB", ErrTooBig, total>>20, totalLimit>>20)
	}
	return nil
}

// change is one record of git's raw diff.
type change struct {
	work.Change
	mode string // of the new side
	blob string // of the new side
}

func (p *seat) diff(ctx context.Context, git gitFunc, head string, look *Look) ([]change, error) {
	s, err := git(ctx, call{args: []string{"diff-tree", "-r", "-z", "--raw", "--numstat", "--no-abbrev", "-M", "-l2000",
		"--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "--end-of-options", p.spec.BaseSHA, head}, limit: listLimit})
	if err != nil {
		return nil, err
	}
	return parseDiff(s.out, look)
}

var errDiff = errors.New("git's diff cannot be understood")

func badDiff(record string) error { return fmt.Errorf("%w: %s", errDiff, quote(record)) }

// parseDiff reads the raw records and the line counts that follow them.
func parseDiff(out []byte, look *Look) ([]change, error) {
	fields := strings.Split(string(out), "\x00")
	fields = fields[:len(fields)-1]
	next := func() (string, bool) {
		if len(fields) == 0 {
			return "", false
		}
		f := fields[0]
		fields = fields[1:]
		return f, true
	}
	var changes []change
	for {
		record, ok := next()
		if !ok {
			return changes, nil
		}
		if meta, ok := strings.CutPrefix(record, ":"); ok {
			c, err := parseRaw(strings.Fields(meta), next)
			if err != nil {
				return nil, err
			}
			changes = append(changes, c)
			continue
		}
		count := strings.SplitN(record, "\t", 3)
		if len(count) != 3 {
			return nil, badDiff(record)
		}
		added, _ := strconv.Atoi(count[0]) // "-" of a file that is not text counts as none
		removed, _ := strconv.Atoi(count[1])
		look.Added, look.Removed = look.Added+added, look.Removed+removed
		if count[2] == "" { // a rename: both names follow
			next()
			next()
		}
	}
}

func parseRaw(meta []string, next func() (string, bool)) (change, error) {
	name, ok := next()
	if len(meta) != 5 || meta[4] == "" || !ok {
		return change{}, fmt.Errorf("%w: %s", errDiff, quote(strings.Join(meta, " ")))
	}
	c := change{Change: work.Change{Path: name, Status: meta[4][:1]}, mode: meta[1], blob: meta[3]}
	if c.Status == "R" {
		c.Old = name
		if c.Path, ok = next(); !ok {
			return change{}, fmt.Errorf("%w: rename of %s", errDiff, quote(name))
		}
	}
	return c, nil
}

const (
	modeLink    = "120000"
	modeGitlink = "160000"
	linkLimit   = 4096
)

// inspect checks every changed path, and where changed links lead.
func (p *seat) inspect(ctx context.Context, git gitFunc, changes []change) error {
	var links []change
	for _, c := range changes {
		if c.mode == modeGitlink {
			return fmt.Errorf("%w: %s", ErrNested, quote(c.Path))
		}
		if c.Status == "D" {
			continue
		}
		if err := checkPath(c.Path); err != nil {
			return err
		}
		if c.mode == modeLink {
			links = append(links, c)
		}
		if c.mode == modeLink && strings.EqualFold(path.Base(c.Path), ".gitmodules") {
			return fmt.Errorf("%w: %s is a symbolic link", ErrUnsafe, quote(c.Path))
		}
	}
	if len(links) == 0 {
		return nil
	}
	var ask strings.Builder
	for _, c := range links {
		ask.WriteString(c.blob + "\n")
	}
	s, err := git(ctx, call{args: []string{"cat-file", "--batch=%(objecttype) %(objectsize)"}, stdin: strings.NewReader(ask.String()), limit: listLimit})
	if err != nil {
		return err
	}
	return checkLinks(links, s.out)
}

// checkLinks reads git's answers, "blob SIZE\nTARGET\n" each.
func checkLinks(links []change, answers []byte) error {
	for _, c := range links {
		head, rest, _ := bytes.Cut(answers, []byte{'\n'})
		digits, ok := bytes.CutPrefix(head, []byte("blob "))
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil || n < 0 || n >= len(rest) {
			return fmt.Errorf("read symbolic link %s: git answered %s", quote(c.Path), quote(string(head)))
		}
		if n > linkLimit {
			return fmt.Errorf("%w: the symbolic link %s has %d bytes", ErrUnsafe, quote(c.Path), n)
		}
		if err := checkLink(c.Path, string(rest[:n])); err != nil {
			return err
		}
		answers = rest[n+1:]
	}
	return nil
}
