package worktree

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// readPlain reads a file that must be a regular one, not a link, and at most limit bytes long.
func readPlain(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return readOpen(f, limit)
}

// readIn is readPlain below root, which no link leads out of.
func readIn(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return readOpen(f, limit)
}

func readOpen(f *os.File, limit int64) ([]byte, error) {
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", f.Name(), limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// replaceFile writes aside and renames: readers see the old or the new content, and a link at path is
// replaced, never followed.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // already failing; the leftover is harmless
	}
	return err
}

// indexLimit is the most bytes of an index: a million files need about 100 MB.
const indexLimit = 1 << 30

// copyIndex copies an index with its time of change: git compares that time with those of the files to know
// which of them it must read again.
func copyIndex(from, to string) error {
	src, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > indexLimit {
		return fmt.Errorf("%s is not an index", from)
	}
	dst, err := os.CreateTemp(filepath.Dir(to), ".new-")
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chtimes(dst.Name(), info.ModTime(), info.ModTime())
	}
	if err == nil {
		err = os.Rename(dst.Name(), to)
	}
	if err != nil {
		_ = os.Remove(dst.Name()) // already failing; the leftover is harmless
	}
	return err
}
