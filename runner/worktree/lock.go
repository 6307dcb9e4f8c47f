package worktree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// flock is a file lock that our git processes inherit: when this process is killed in the middle of something,
// its successor waits until the git processes it left behind are done.
type flock struct{ file *os.File }

const (
	lockPollMin = time.Millisecond
	lockPollMax = 50 * time.Millisecond
)

// lockFile waits for the lock at path.
func lockFile(ctx context.Context, path string) (*flock, error) {
	for wait := lockPollMin; ; wait = min(wait*2, lockPollMax) {
		l, err := tryLock(path)
		if l != nil || err != nil {
			return l, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("wait for lock %s: %w", path, context.Cause(ctx))
		}
	}
}

// tryLock returns nil without an error when somebody else holds the lock.
func tryLock(path string) (*flock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil && sameFile(f, path) {
		return &flock{file: f}, nil
	}
	_ = f.Close() // the lock file was removed meanwhile, or is held: nothing was written
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

func sameFile(f *os.File, path string) bool {
	have, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(have, now)
}

// release gives the lock back. A git process that still runs keeps it until it ends.
func (l *flock) release() {
	_ = l.file.Close() // closing is all there is to it
}

// remove deletes the lock file and gives the lock back. Waiters notice and begin anew.
func (l *flock) remove() {
	_ = os.Remove(l.file.Name()) // an empty file left over harms nothing
	l.release()
}
