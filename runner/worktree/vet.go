package worktree

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// vet looks at each edit before git reads it.
func (p *seat) vet(e *edited, m manner) (left []string, err error) {
	root, err := os.OpenRoot(p.path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if n := len(e.gone) + len(e.changed); m == strict && n > pathLimit {
		return nil, fmt.Errorf("%w: %d uncommitted paths, the limit is %d", ErrTooBig, n, pathLimit)
	}
	var total int64
	fit, nests := e.changed[:0], map[string]bool{}
	for _, name := range e.changed {
		n, err := vetOne(root, name)
		if err == nil && p.t.box != nil {
			err = notNested(root, path.Dir(name), nests)
		}
		if m == lenient && err != nil {
			left = append(left, err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		total += n
		fit = append(fit, name)
	}
	e.changed = fit
	if m == strict && total > totalLimit {
		return nil, fmt.Errorf("%w: uncommitted files of %d MB together, the limit is %d MB", ErrTooBig, total>>20, totalLimit>>20)
	}
	return left, nil
}

// notNested refuses files of a worktree that an agent made inside of its own: with its git folder out of sight git
// takes that for an ordinary folder.
func notNested(root *os.Root, dir string, nests map[string]bool) error {
	for ; dir != "."; dir = path.Dir(dir) {
		nest, seen := nests[dir]
		if !seen {
			_, err := root.Lstat(dir + "/.git")
			nest = err == nil
			nests[dir] = nest
		}
		if nest {
			return fmt.Errorf("%w: %s", ErrNested, quote(dir))
		}
	}
	return nil
}

func vetOne(root *os.Root, name string) (int64, error) {
	if dir, ok := strings.CutSuffix(name, "/"); ok { // git lists a folder only if it is a repository
		return 0, fmt.Errorf("%w: %s", ErrNested, quote(dir))
	}
	if err := checkPath(name); err != nil {
		return 0, err
	}
	info, err := root.Lstat(name)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", quote(name), err)
	}
	if info.IsDir() {
		return 0, fmt.Errorf("%w: %s", ErrNested, quote(name))
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(name)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", quote(name), err)
		}
		return 0, checkLink(name, target)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%w: %s is neither a file nor a link", ErrUnsafe, quote(name))
	}
	if info.Size() > fileLimit {
		return 0, tooBig(name, info.Size())
	}
	return info.Size(), nil
}

func tooBig(name string, n int64) error {
	return fmt.Errorf("%w: %s has %d MB, the limit is %d MB", ErrTooBig, quote(name), n>>20, int64(fileLimit)>>20)
}
