package worktree

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Most files and bytes that Files returns.
const (
	blobsLimit = 1000
	blobsBytes = 64 << 20
)

// Files reads files of a commit as data, by path, without a worktree. Symbolic links are followed inside of the
// commit and never out of it. Paths that are missing, no files, or longer than limit bytes are left out.
//
// Errors: ErrSpec, ErrGone when the commit is not on this host, and others that may pass.
func (t *Trees) Files(ctx context.Context, s Spec, commit string, paths []string, limit int64) (map[string][]byte, error) {
	m, err := t.reader(ctx, s, commit)
	if err != nil {
		return nil, fmt.Errorf("read files of %s: %w", s.Repo.FullName(), err)
	}
	if len(paths) > blobsLimit {
		return nil, fmt.Errorf("read files of %s: %w: %d paths", s.Repo.FullName(), ErrSpec, len(paths))
	}
	files, err := m.files(ctx, commit, paths, limit)
	if err != nil {
		return nil, fmt.Errorf("read files of %s: %w", s.Repo.FullName(), err)
	}
	return files, nil
}

// ListFiles names the files of a commit below the folder prefix, in git's order; with an empty prefix all of them.
// Submodules and names with control characters are left out. A prefix that is a symbolic link is followed.
//
// Errors: like Files.
func (t *Trees) ListFiles(ctx context.Context, s Spec, commit, prefix string) ([]string, error) {
	m, err := t.reader(ctx, s, commit)
	if err != nil {
		return nil, fmt.Errorf("list files of %s: %w", s.Repo.FullName(), err)
	}
	list, err := m.list(ctx, commit, strings.Trim(prefix, "/"))
	if err != nil {
		return nil, fmt.Errorf("list files of %s: %w", s.Repo.FullName(), err)
	}
	return list, nil
}

func (t *Trees) reader(ctx context.Context, s Spec, commit string) (*mirror, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if !shaShape.MatchString(commit) {
		return nil, fmt.Errorf("%w: commit %s", ErrSpec, quote(commit))
	}
	m := t.mirror(s.Repo.ID)
	if err := m.ensure(ctx, s.CloneURL); err != nil {
		return nil, err
	}
	has, err := m.has(ctx, commit)
	if err == nil && !has {
		err = fmt.Errorf("%w: commit %s", ErrGone, commit)
	}
	return m, err
}

// entry is what git finds at a path of a commit.
type entry struct {
	object, kind string
	size         int64
}

// find asks for paths; what is not there, or is behind a link that leads out, is not in the answer.
func (m *mirror) find(ctx context.Context, commit string, paths []string) (map[string]entry, error) {
	var ask strings.Builder
	var asked []string
	for _, name := range paths {
		if name == "" || checkPath(name) == nil {
			asked = append(asked, name)
			ask.WriteString(commit + ":" + name + "\n")
		}
	}
	s, err := m.git(ctx, call{args: []string{"cat-file", "--follow-symlinks", "--batch-check=%(objectname) %(objecttype) %(objectsize)"},
		stdin: strings.NewReader(ask.String())})
	if err != nil {
		return nil, err
	}
	found := map[string]entry{}
	rest := s.out
	for _, name := range asked {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		rest = after
		words := strings.Fields(string(line))
		// Of a link git writes "symlink SIZE", "dangling SIZE", "loop SIZE" or "notdir SIZE", and then the text.
		if len(words) == 2 && words[1] != "missing" && words[1] != "ambiguous" {
			n, err := strconv.Atoi(words[1])
			if err != nil || n < 0 || n >= len(rest) {
				return nil, fmt.Errorf("git answered %s", quote(string(line)))
			}
			rest = rest[n+1:]
		}
		if len(words) != 3 || !shaShape.MatchString(words[0]) {
			continue
		}
		n, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("git answered %s", quote(string(line)))
		}
		found[name] = entry{object: words[0], kind: words[1], size: n}
	}
	return found, nil
}

func (m *mirror) files(ctx context.Context, commit string, paths []string, limit int64) (map[string][]byte, error) {
	found, err := m.find(ctx, commit, paths)
	if err != nil {
		return nil, err
	}
	var ask strings.Builder
	var asked []string
	var total int64
	for _, name := range paths {
		e := found[name]
		if e.kind != "blob" || e.size > limit || total+e.size > blobsBytes {
			continue
		}
		delete(found, name) // named twice, asked once
		total += e.size
		asked = append(asked, name)
		ask.WriteString(e.object + "\n")
	}
	files := map[string][]byte{}
	if len(asked) == 0 {
		return files, nil
	}
	s, err := m.git(ctx, call{args: []string{"cat-file", "--batch=%(objectsize)"}, stdin: strings.NewReader(ask.String()), limit: 2 * blobsBytes})
	if err != nil {
		return nil, err
	}
	rest := s.out
	for _, name := range asked {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		n, err := strconv.Atoi(string(line))
		if err != nil || n < 0 || n >= len(after) {
			return nil, fmt.Errorf("read %s: git answered %s", quote(name), quote(string(line)))
		}
		files[name], rest = after[:n:n], after[n+1:]
	}
	return files, nil
}

func (m *mirror) list(ctx context.Context, commit, prefix string) ([]string, error) {
	found, err := m.find(ctx, commit, []string{prefix})
	if err != nil {
		return nil, err
	}
	folder := found[prefix]
	if folder.kind != "tree" {
		return nil, nil
	}
	s, err := m.git(ctx, call{args: []string{"ls-tree", "-r", "-z", "--full-tree", folder.object}, limit: listLimit})
	if err != nil {
		return nil, err
	}
	var list []string
	for _, record := range names(s.out) {
		meta, name, _ := strings.Cut(record, "\t")
		if name = path.Join(prefix, name); strings.Contains(meta, " blob ") && checkPath(name) == nil {
			list = append(list, name)
		}
	}
	return list, nil
}
