package sandbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// check says what is wrong with a bind whose paths are complete and clean.
func (b *Bind) check() error {
	for _, path := range []string{b.From, b.To} {
		if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
			return fmt.Errorf("bind %q to %q: not an absolute path", b.From, b.To)
		}
	}
	for _, ours := range []string{"/proc", "/dev", "/sys", "/usr", ourDir} {
		if within(b.To, ours) || within(ours, b.To) {
			return fmt.Errorf("bind %s to %s: a box has its own %s", b.From, b.To, ours)
		}
	}
	if within("/proc", b.From) || within(b.From, "/proc") {
		return fmt.Errorf("bind %s: it would show the host's processes", b.From)
	}
	fd, err := b.pin()
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// pin opens what is to be bound, without reading it. An agent may write where a path leads through, so no part of it
// may be a symbolic link: it could lead anywhere.
func (b *Bind) pin() (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, b.From, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if errors.Is(err, unix.ELOOP) {
		return -1, fmt.Errorf("bind %s: it is reached through a symbolic link", b.From)
	}
	if err != nil {
		return -1, fmt.Errorf("bind %s: %w", b.From, err)
	}
	return fd, nil
}

// checkPlaces looks whether a place where something is bound inside an earlier bind is reached through a link there.
// Bubblewrap would follow it while it makes the box, and make folders wherever that leads.
func checkPlaces(binds []Bind) error {
	for i, b := range binds {
		for _, under := range binds[:i] {
			if b.To == under.To || !within(b.To, under.To) {
				continue
			}
			rel, err := filepath.Rel(under.To, b.To)
			if err != nil {
				return fmt.Errorf("bind %s to %s: %w", b.From, b.To, err)
			}
			fd, err := unix.Openat2(unix.AT_FDCWD, filepath.Join(under.From, rel), &unix.OpenHow{
				Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
			})
			switch {
			case err == nil:
				shut(fd)
			case errors.Is(err, unix.ENOENT) && under.Write: // bubblewrap makes it
			default:
				return fmt.Errorf("bind %s to %s, inside of %s: %w", b.From, b.To, under.From, err)
			}
		}
	}
	return nil
}

// place is where a bind must be found in a box.
type place struct {
	fd int // what was to be bound
	to string
}

// pinAll opens what is bound and will be seen in the box: what a later bind covers is left out.
func pinAll(binds []Bind) ([]place, error) {
	var places []place
	for i, b := range binds {
		covered := false
		for _, later := range binds[i+1:] {
			covered = covered || within(b.To, later.To)
		}
		if covered {
			continue
		}
		fd, err := b.pin()
		if err != nil {
			unpin(places)
			return nil, err
		}
		places = append(places, place{fd, b.To})
	}
	return places, nil
}

func unpin(places []place) {
	for _, p := range places {
		shut(p.fd)
	}
}

// verify compares what a finished box shows with what was to be bound. The names may have come to mean something else
// between our look and bubblewrap's.
func verify(root int, places []place) error {
	for _, p := range places {
		fd, err := unix.Openat2(root, strings.TrimPrefix(p.to, "/"), &unix.OpenHow{
			Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
		})
		if err != nil {
			return fmt.Errorf("look at %s in the box: %w", p.to, err)
		}
		same, err := sameFile(fd, p.fd)
		shut(fd)
		if err != nil {
			return fmt.Errorf("look at %s in the box: %w", p.to, err)
		}
		if !same {
			return fmt.Errorf("%s in the box is not what was to be there", p.to)
		}
	}
	return nil
}

func sameFile(a, b int) (bool, error) {
	var x, y unix.Stat_t
	if err := errors.Join(unix.Fstat(a, &x), unix.Fstat(b, &y)); err != nil {
		return false, err
	}
	return x.Dev == y.Dev && x.Ino == y.Ino, nil
}

// within says whether the cleaned path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
