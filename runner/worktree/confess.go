package worktree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"dozens/batch/secret"
)

// secretsLimit is how many strings of a change may look like secrets before it is refused without a look at where
// they come from.
const secretsLimit = 50

// confess refuses commits that bring a secret to the server: in the lines they add, also those that a later commit
// takes back, and in their messages. What stands in the base commit already is no news.
func (p *seat) confess(ctx context.Context, git gitFunc, head string) error {
	commits, err := p.newCommits(ctx, git, head)
	if err != nil || len(commits) == 0 {
		return err
	}
	list := strings.Join(commits, "\n") + "\n"
	found := &secrets{}
	s, err := git(ctx, call{args: []string{"cat-file", "--batch=%(objectname)"}, stdin: strings.NewReader(list), limit: listLimit})
	if err != nil {
		return err
	}
	found.look("a commit's message", string(s.out))
	if err := p.added(ctx, git, list, found); err != nil {
		return err
	}
	if len(found.list) > secretsLimit {
		return fmt.Errorf("%w: %s in %s, and more than %d others", ErrSecret, found.list[0].kind, found.list[0].where, secretsLimit-1)
	}
	for _, f := range found.list {
		known, err := p.inBase(ctx, git, f.text)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("%w: %s in %s", ErrSecret, f.kind, f.where)
		}
	}
	return nil
}

// suspect is a string that looks like a secret. It must not get into an error or a log.
type suspect struct{ where, kind, text string }

type secrets struct{ list []suspect }

func (s *secrets) look(where, text string) {
	for _, m := range secret.Find(text) {
		if !m.Certain() || strings.Contains(strings.ToUpper(text[m.Start:m.End]), "EXAMPLE") { // documentation's own
			continue
		}
		f := suspect{where: where, kind: m.Kind, text: longestLine(text[m.Start:m.End])}
		if len(s.list) <= secretsLimit && !slices.ContainsFunc(s.list, func(have suspect) bool { return have.text == f.text }) {
			s.list = append(s.list, f)
		}
	}
}

// longestLine stands for a match of several lines, such as a key: git looks for lines.
func longestLine(text string) string {
	longest := ""
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, "\r\n"); len(line) > len(longest) {
			longest = line
		}
	}
	return longest
}

// added streams what the commits add, file by file.
func (p *seat) added(ctx context.Context, git gitFunc, commits string, found *secrets) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	done := make(chan error, 1)
	go func() {
		err := readPatches(out, found.look)
		out.Close() // git ends if we do not read on
		done <- err
	}()
	// Without a work tree no attributes are read: a file cannot ask not to be shown.
	_, err = git(ctx, call{args: []string{"diff-tree", "--stdin", "-r", "-c", "-p", "-U0", "--root", "--text", "-M", "-l2000", "--no-color", "--no-ext-diff", "--no-textconv",
		"--ignore-submodules=all", "--src-prefix=a/", "--dst-prefix=b/"}, stdin: strings.NewReader(commits), stdout: in})
	in.Close()
	if rerr := <-done; err == nil || rerr != nil && !errors.Is(rerr, io.EOF) {
		err = errors.Join(rerr, err)
	}
	return err
}

// inBase looks for a text in the base commit. It goes in by a pipe: arguments can be seen by others.
func (p *seat) inBase(ctx context.Context, git gitFunc, text string) (bool, error) {
	_, err := git(ctx, call{args: []string{"grep", "--quiet", "--text", "--fixed-strings", "-f", "-", p.spec.BaseSHA},
		stdin: strings.NewReader(text + "\n")})
	if exited(err, 1) {
		return false, nil
	}
	return err == nil, err
}
