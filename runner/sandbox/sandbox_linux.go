package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// Sandbox makes boxes. It is safe for use by many goroutines at once.
type Sandbox struct {
	bwrap     string
	has       map[string]bool // bubblewrap's options
	root      []string        // arguments that make the part of the root that all boxes share
	tools     []string        // and more to read
	forwarder []string
	filter    []byte  // for system calls
	groups    *groups // nil: this host lets us have no cgroups
	log       zerolog.Logger

	mu    sync.Mutex
	boxes map[*Cage]int64 // those that run, and the memory each was last seen with
}

// Open looks for bubblewrap and at the host's folders. It does not try whether boxes work here: see Try. The error
// wraps ErrNotFound when there is no bubblewrap, and is a *Trouble when a person can do something about it.
//
// It changes this process in two ways: files that it inherited are no longer inherited by what it starts, and where the
// host gives us a cgroup to divide, the process moves into a group of its own below that.
func Open(o Options) (*Sandbox, error) {
	s := &Sandbox{forwarder: slices.Clone(o.Forwarder), log: o.Log, boxes: map[*Cage]int64{}}
	var err error
	if s.bwrap, err = findBwrap(o.Bwrap); err != nil {
		return nil, err
	}
	if s.has, err = options(s.bwrap); err != nil {
		return nil, err
	}
	if s.root, err = hostRoot(); err != nil {
		return nil, err
	}
	if s.tools, err = toolBinds(o.Read); err != nil {
		return nil, err
	}
	if len(o.Forwarder) > 0 {
		if s.forwarder[0], err = filepath.EvalSymlinks(o.Forwarder[0]); err != nil {
			return nil, fmt.Errorf("find the forwarder: %w", err)
		}
	}
	if s.filter, err = filter(); err != nil {
		return nil, err
	}
	if err := keepFiles(); err != nil {
		return nil, err
	}
	if err := mayTrace(); err != nil {
		return nil, err
	}
	if s.groups, err = openGroups(o.groups); err != nil {
		s.log.Debug().Err(err).Msg("boxes are held without cgroups")
	}
	return s, nil
}

func findBwrap(name string) (string, error) {
	if name == "" {
		name = "bwrap"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &Trouble{
			What: "there is no bubblewrap (bwrap) on this machine",
			Hint: "install it: apt install bubblewrap, dnf install bubblewrap or apk add bubblewrap",
			Err:  fmt.Errorf("%w: %w", ErrNotFound, err),
		}
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return path, nil
}

// options asks bubblewrap which options it has: a host's may be years old.
func options(bwrap string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, bwrap, "--help")
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its options: %w", bwrap, err)
	}
	has := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 0 && strings.HasPrefix(words[0], "--") {
			has[words[0]] = true
		}
	}
	for _, need := range []string{"--args", "--json-status-fd", "--block-fd", "--seccomp", "--size", "--perms", "--clearenv"} {
		if !has[need] {
			return nil, &Trouble{
				What: fmt.Sprintf("%s has no %s: it is too old", bwrap, need),
				Hint: "install bubblewrap 0.7 or newer",
				Err:  errors.ErrUnsupported,
			}
		}
	}
	return has, nil
}

// keepFiles sees to it that no program we start inherits a file that we ourselves inherited: Go marks those it opens,
// but not those that were open before, and bubblewrap hands all on.
func keepFiles() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list open files: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
