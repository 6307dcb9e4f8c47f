package worktree

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"dozens/runner/sandbox"
)

// trash deletes in the background what was renamed into its folder: renaming takes milliseconds, deleting a big
// worktree seconds.
type trash struct {
	dir  string
	log  zerolog.Logger
	wake chan struct{}
	quit chan struct{}
	done sync.WaitGroup
}

func openTrash(dir string, log zerolog.Logger) *trash {
	t := &trash{dir: dir, log: log, wake: make(chan struct{}, 1), quit: make(chan struct{})}
	t.wake <- struct{}{}
	t.done.Go(t.run)
	return t
}

// take renames path into the trash. A path that is not there is no error.
func (t *trash) take(path string) error {
	slot := filepath.Join(t.dir, "dead-"+rand.Text())
	err := os.Rename(path, slot)
	if errors.Is(err, fs.ErrPermission) { // a folder that its owner may not write cannot change its parent
		_ = os.Chmod(path, 0o700) // the rename tells whether it helped
		err = os.Rename(path, slot)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("move to trash: %w", err)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return nil
}

func (t *trash) run() {
	for {
		select {
		case <-t.wake:
			t.empty()
		case <-t.quit:
			t.empty()
			return
		}
	}
}

func (t *trash) close() {
	close(t.quit)
	t.done.Wait()
}

func (t *trash) empty() {
	dead, err := filepath.Glob(filepath.Join(t.dir, "dead-*"))
	if err != nil {
		t.log.Error().Err(err).Msg("trash cannot be read")
	}
	for _, path := range dead {
		if err := sandbox.DeleteAll(path); err != nil {
			t.log.Warn().Str("error", clean(err.Error())).Str("path", path).Msg("trash stays") // the agent chose the names
		}
	}
}

// openUp gives the owner back the rights to read and change everything below path. Links are left alone.
func openUp(path string) error {
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := info.Mode().Perm() | 0o600
		if d.IsDir() {
			want |= 0o700
		} else if !info.Mode().IsRegular() {
			return nil
		}
		if want == info.Mode().Perm() {
			return nil
		}
		return os.Chmod(p, want)
	})
}
