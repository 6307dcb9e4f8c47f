package lookalike

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// gitCommit is a commit as git has it.
type gitCommit struct {
	sha, tree string
	parents   []string
	author    signature
	committer signature
	message   string
}

func (c gitCommit) subject() string {
	s, _, _ := strings.Cut(c.message, "\n")
	return s
}

func (c gitCommit) body() string {
	_, b, _ := strings.Cut(c.message, "\n")
	return strings.TrimSpace(b)
}

const logFormat = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B"

// log lists the commits that revisions select, newest first; limit 0 is all.
func (d gitDir) log(ctx context.Context, limit int, revisions ...string) ([]gitCommit, error) {
	args := []string{"log", "-z", logFormat}
	if limit > 0 {
		args = append(args, "--max-count="+strconv.Itoa(limit))
	}
	out, err := d.run(ctx, nil, nil, append(args, revisions...)...)
	if err != nil {
		return nil, err
	}
	return parseLog(string(out))
}

func parseLog(out string) ([]gitCommit, error) {
	if out == "" {
		return nil, nil
	}
	const fields = 10
	parts := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if len(parts)%fields != 0 {
		return nil, fmt.Errorf("git log: %d fields", len(parts))
	}
	var commits []gitCommit
	for ; len(parts) > 0; parts = parts[fields:] {
		commits = append(commits, gitCommit{sha: parts[0], tree: parts[1], parents: strings.Fields(parts[2]),
			author: signed(parts[3:6]), committer: signed(parts[6:9]), message: strings.TrimRight(parts[9], "\n")})
	}
	return commits, nil
}

func signed(parts []string) signature {
	seconds, _ := strconv.ParseInt(parts[2], 10, 64) // git wrote it
	return signature{Name: parts[0], Email: parts[1], Time: time.Unix(seconds, 0).UTC()}
}

// commit is one commit, nil when there is none.
func (d gitDir) commit(ctx context.Context, sha string) (*gitCommit, error) {
	list, err := d.log(ctx, 1, "--no-walk", sha, "--")
	if refused(err, 128) {
		return nil, nil
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// counts says how many commits are only in a, and only in b.
func (d gitDir) counts(ctx context.Context, a, b string) (int, int, error) {
	out, err := d.text(ctx, "rev-list", "--left-right", "--count", a+"..."+b)
	if err != nil {
		return 0, 0, err
	}
	var left, right int
	_, err = fmt.Sscanf(out, "%d %d", &left, &right)
	return left, right, err
}

// treeEntry is a file or folder in a tree.
type treeEntry struct {
	mode, kind, sha, path string
	size                  int64
}

// list is what a commit holds: under a folder ("" is the root), or everything.
func (d gitDir) list(ctx context.Context, commit, folder string, recursive bool) ([]treeEntry, error) {
	args := []string{"ls-tree", "-z", "-l"}
	if recursive {
		args = append(args, "-r", "-t")
	}
	args = append(args, commit)
	if folder != "" {
		args = append(args, "--", folder)
	}
	out, err := d.run(ctx, nil, []string{"GIT_LITERAL_PATHSPECS=1"}, args...)
	if err != nil {
		return nil, err
	}
	var list []treeEntry
	for _, line := range strings.Split(string(out), "\x00") {
		head, name, ok := strings.Cut(line, "\t")
		f := strings.Fields(head)
		if !ok || len(f) != 4 {
			continue
		}
		size, _ := strconv.ParseInt(f[3], 10, 64) // "-" for a folder
		list = append(list, treeEntry{mode: f[0], kind: f[1], sha: f[2], size: size, path: name})
	}
	return list, nil
}

func (d gitDir) blob(ctx context.Context, sha string) ([]byte, error) {
	return d.run(ctx, nil, nil, "cat-file", "blob", sha)
}

// file is the content of a file at a commit; ok is false when there is none.
func (d gitDir) file(ctx context.Context, commit, name string) (content []byte, ok bool, err error) {
	list, err := d.list(ctx, commit, name, false)
	if refused(err, 128) {
		return nil, false, nil
	}
	if err != nil || len(list) != 1 || list[0].kind != "blob" || list[0].path != name {
		return nil, false, err
	}
	content, err = d.blob(ctx, list[0].sha)
	return content, err == nil, err
}

// fileChange is one file of a difference.
type fileChange struct {
	path, old string
	status    string // added, removed, modified, renamed
	sha       string
	add, del  int
	patch     string
}

// diff is the difference between two commits; the patches cost a second process.
func (d gitDir) diff(ctx context.Context, a, b string, patches bool) ([]fileChange, error) {
	base := []string{"diff", "-M", "--no-ext-diff", "--no-textconv", "--full-index", "--no-color"}
	out, err := d.run(ctx, nil, nil, append(base, "-z", "--raw", "--numstat", a, b, "--")...)
	if err != nil {
		return nil, err
	}
	changes := parseRaw(string(out))
	if !patches || len(changes) == 0 {
		return changes, nil
	}
	text, err := d.run(ctx, nil, nil, append(base, "--patch", a, b, "--")...)
	if err != nil {
		return nil, err
	}
	for i, part := range strings.Split("\n"+string(text), "\ndiff --git ")[1:] {
		if at := strings.Index(part, "\n@@"); at >= 0 && i < len(changes) {
			changes[i].patch = strings.TrimSuffix(part[at+1:], "\n")
		}
	}
	return changes, nil
}

// parseRaw reads `git diff -z --raw --numstat`: first all raw records, then all counts, in the same order.
func parseRaw(out string) []fileChange {
	parts := strings.Split(out, "\x00")
	var changes []fileChange
	counted := 0
	for i := 0; i < len(parts) && parts[i] != ""; i++ {
		if strings.HasPrefix(parts[i], ":") {
			f := strings.Fields(parts[i])
			c := fileChange{status: changeWord(f[4]), sha: f[3], path: parts[i+1]}
			if c.sha == zeroSHA {
				c.sha = f[2] // removed: the blob that was there
			}
			i++
			if c.status == "renamed" {
				c.old, c.path = parts[i], parts[i+1]
				i++
			}
			changes = append(changes, c)
			continue
		}
		f := strings.SplitN(parts[i], "\t", 3)
		if len(f) == 3 && counted < len(changes) {
			changes[counted].add, _ = strconv.Atoi(f[0]) // "-" for binary
			changes[counted].del, _ = strconv.Atoi(f[1])
			counted++
			if f[2] == "" {
				i += 2
			}
		}
	}
	return changes
}

func changeWord(letter string) string {
	switch letter[0] {
	case 'A':
		return "added"
	case 'D':
		return "removed"
	case 'R':
		return "renamed"
	}
	return "modified"
}
