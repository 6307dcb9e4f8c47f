package sandbox

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path"
)

const deepestOpen = 64 // folders that are open at the same time

// DeleteAll deletes what an agent could write to: closed folders are opened, no link is followed, and a tree of any depth
// takes a bounded number of open files. (os.RemoveAll holds one for each level: all this process may have.)
func DeleteAll(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return errors.Join(err, os.Remove(name))
	}
	if err := os.Chmod(name, 0o700); err != nil {
		return err
	}
	top, err := os.OpenRoot(name)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := emptyFolder(top, top, ".", 0); err != nil {
		return err
	}
	return os.Remove(name)
}

// emptyFolder deletes what is in folder, which is at from below top. What lies too deep is moved to the top, whose turn
// comes again.
func emptyFolder(top, folder *os.Root, from string, depth int) error {
	for {
		entries, err := someOf(folder)
		if len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			switch {
			case !e.IsDir():
				err = folder.Remove(name)
			case depth == deepestOpen:
				err = errors.Join(folder.Chmod(name, 0o700), top.Rename(path.Join(from, name), rand.Text()))
			default:
				err = emptyBelow(top, folder, from, name, depth)
			}
			if err != nil {
				return err
			}
		}
	}
}

func emptyBelow(top, folder *os.Root, from, name string, depth int) error {
	if err := folder.Chmod(name, 0o700); err != nil {
		return err
	}
	below, err := folder.OpenRoot(name)
	if err != nil {
		return err
	}
	err = emptyFolder(top, below, path.Join(from, name), depth+1)
	below.Close()
	return errors.Join(err, folder.Remove(name))
}

func someOf(folder *os.Root) ([]os.DirEntry, error) {
	f, err := folder.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(1000)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return entries, err
}
