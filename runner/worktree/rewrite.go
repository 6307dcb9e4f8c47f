package worktree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// rewriteLimit bounds the commits of one run.
const rewriteLimit = 5000

// person is the author or committer line of a commit: the name and address an agent may have made up, and the time.
var person = regexp.MustCompile(`^(author|committer) .*> (-?[0-9]{1,15} [+-][0-9]{4})$`)

// rewrite makes the agent's new commits fit to be published: by the identity of o, whoever they claim to be by, without
// signatures, and with messages that o.Clean has seen. Commits that the server or an earlier look knows stay as they
// are. It returns what head has become; the files are the same.
func (p *seat) rewrite(ctx context.Context, head string, o CommitOptions) (string, error) {
	if o.Clean == nil {
		return head, nil
	}
	list, err := p.unseen(ctx, head)
	if err != nil || len(list) == 0 {
		return head, err
	}
	texts, err := p.commits(ctx, list)
	if err != nil {
		return "", err
	}
	became := map[string]string{}
	for i, old := range list {
		text := o.rewritten(texts[i], became)
		if text == texts[i] {
			continue
		}
		s, err := p.git(ctx, call{args: []string{"hash-object", "-t", "commit", "-w", "--stdin"}, stdin: strings.NewReader(text)})
		if err != nil {
			return "", fmt.Errorf("rewrite commit %s: %w", old, err)
		}
		if became[old], err = sha(s.out); err != nil {
			return "", err
		}
	}
	if now := became[head]; now != "" {
		return now, nil
	}
	return head, nil
}

// unseen lists the commits that only the agent knew, parents first.
func (p *seat) unseen(ctx context.Context, head string) ([]string, error) {
	in := head + "\n^" + p.spec.BaseSHA + "\n"
	for _, known := range []string{p.state.Head, p.spec.Pushed} {
		has, err := p.mirror.has(ctx, known)
		if err != nil {
			return nil, err
		}
		if has {
			in += "^" + known + "\n"
		}
	}
	s, err := p.git(ctx, call{args: []string{"rev-list", "--topo-order", "--reverse", "--max-count=" + strconv.Itoa(rewriteLimit+1),
		"--stdin", "--not", "--remotes=origin"}, stdin: strings.NewReader(in)})
	if err != nil {
		return nil, err
	}
	list := strings.Fields(string(s.out))
	if len(list) > rewriteLimit {
		return nil, fmt.Errorf("%w: more than %d commits", ErrTooBig, rewriteLimit)
	}
	return list, nil
}

// commits reads commit objects as they are.
func (p *seat) commits(ctx context.Context, list []string) ([]string, error) {
	in := strings.NewReader(strings.Join(list, "\n") + "\n")
	s, err := p.git(ctx, call{args: []string{"cat-file", "--batch"}, stdin: in, limit: totalLimit})
	if err != nil {
		return nil, fmt.Errorf("read commits: %w", err)
	}
	var texts []string
	for rest := s.out; len(rest) > 0; {
		header, after, ok := bytes.Cut(rest, []byte{'\n'})
		fields := strings.Fields(string(header))
		if !ok || len(fields) != 3 || fields[1] != "commit" {
			return nil, fmt.Errorf("read commits: git answers %q", header)
		}
		n, err := strconv.Atoi(fields[2])
		if err != nil || n < 0 || n+1 > len(after) {
			return nil, fmt.Errorf("read commits: git answers %q", header)
		}
		texts, rest = append(texts, string(after[:n])), after[n+1:]
	}
	if len(texts) != len(list) {
		return nil, errors.New("read commits: git answers fewer than were asked for")
	}
	return texts, nil
}

// rewritten is a commit object with our identity, a clean message, and parents that may have been rewritten themselves.
func (o CommitOptions) rewritten(text string, became map[string]string) string {
	headers, message, _ := strings.Cut(text, "\n\n")
	who := o.person()
	var kept []string
	skip := false
	for _, line := range strings.Split(headers, "\n") {
		if strings.HasPrefix(line, " ") { // the header before goes on
			if !skip {
				kept = append(kept, line)
			}
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		skip = name != "tree" && name != "parent" && name != "author" && name != "committer"
		switch {
		case skip:
			continue
		case name == "parent" && became[value] != "":
			line = "parent " + became[value]
		case name == "author" || name == "committer":
			if m := person.FindStringSubmatch(line); m != nil {
				line = m[1] + " " + who + " " + m[2]
			}
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n") + "\n\n" + o.Clean(strings.ToValidUTF8(message, "?"))
}

// person is the identity as it stands in a commit.
func (o CommitOptions) person() string {
	who := o.identity()
	name, _ := strings.CutPrefix(who[0], "GIT_AUTHOR_NAME=")
	email, _ := strings.CutPrefix(who[1], "GIT_AUTHOR_EMAIL=")
	return name + " <" + email + ">"
}
