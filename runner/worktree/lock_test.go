package worktree

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// slowInput says when git is there to read it, and ends when it is let.
type slowInput struct {
	once    sync.Once
	reached chan struct{}
	let     chan struct{}
}

func (s *slowInput) Read([]byte) (int, error) {
	s.once.Do(func() { close(s.reached) })
	<-s.let
	return 0, io.EOF
}

// TestLockIsInherited shows that a lock outlives whoever took it, until the git it was given to ends.
func TestLockIsInherited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.prepare("one")
	path := filepath.Join(t.TempDir(), "lock")
	l, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	in := &slowInput{reached: make(chan struct{}), let: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		_, err := w.trees.git(t.Context(), call{args: []string{"cat-file", "--batch"}, gitDir: w.mirror(), stdin: in, hold: []*flock{l}})
		done <- err
	}()
	<-in.reached
	l.release()
	if other, err := tryLock(path); other != nil || err != nil {
		t.Errorf("tryLock = %v, %v; want the lock held by git", other, err)
	}
	short, stop := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer stop()
	if _, err := lockFile(short, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("lockFile = %v, want it to wait until the deadline", err)
	}
	close(in.let)
	if err := <-done; err != nil {
		t.Error(err)
	}
	other, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	other.remove()
	if exists(path) {
		t.Error("the lock file is left")
	}
}

// TestLockExcludes removes the lock file each time, so that waiters must notice that theirs is another one.
func TestLockExcludes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var wait sync.WaitGroup
	inside, entered := make(chan struct{}, 1), 0
	for range 8 {
		wait.Go(func() {
			for mine := 0; mine < 300; {
				l, err := tryLock(path)
				if err != nil {
					t.Error(err)
					return
				}
				if l == nil {
					runtime.Gosched()
					continue
				}
				mine++
				select {
				case inside <- struct{}{}:
					entered++
					runtime.Gosched()
					<-inside
				default:
					t.Error("two hold the lock")
				}
				l.remove()
			}
		})
	}
	wait.Wait()
	if entered != 8*300 {
		t.Errorf("entered %d times, want %d", entered, 8*300)
	}
}

// TestCopyIndexKeepsTime: with a younger time git would trust entries of files that changed in the same moment.
func TestCopyIndexKeepsTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	write(t, dir, map[string]string{"from": "index"})
	then := time.Unix(1_700_000_000, 123_456_789)
	if err := os.Chtimes(from, then, then); err != nil {
		t.Fatal(err)
	}
	if err := copyIndex(from, to); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil || !info.ModTime().Equal(then) || read(t, to) != "index" {
		t.Errorf("copy: %v, %v; want the time %v", info, err, then)
	}
}
