package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTry(t *testing.T) {
	t.Parallel()
	if err := open(t, Options{}).Try(t.Context()); err != nil {
		t.Errorf("Try: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, Options{}).Try(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Try after the end of its context: %v", err)
	}
}

// Try must notice a bubblewrap that shows too much.
func TestTryNoticesABoxThatDoesNotHold(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	s.tools = append(s.tools, "--bind", "/var/lib", "/var/lib")
	var trouble *Trouble
	if err := s.Try(t.Context()); !errors.As(err, &trouble) || !strings.Contains(trouble.What, "it sees /var/lib") {
		t.Errorf("got %v, want that it sees /var/lib", err)
	}
}

func TestTrySaysWhatToDo(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, tt := range []struct {
		name, said string
		machine    machine
		hint       string
	}{
		{"Ubuntu", "bwrap: setting up uid map: Permission denied", machine{apparmor: "1", most: "1000"}, "/etc/apparmor.d/bwrap"},
		{"Debian 10", "bwrap: No permissions to create a new namespace", machine{clone: "0", most: "1000"}, "unprivileged_userns_clone=1"},
		{"none at all", "bwrap: Creating new namespace failed", machine{most: "0", root: true}, "user.max_user_namespaces"},
		{"container", "bwrap: Can't mount proc on /newroot/proc: Operation not permitted", machine{most: "1000", container: true}, "systempaths=unconfined"},
		{"container's filter", "bwrap: No permissions to create new namespace", machine{most: "1000", container: true, root: true}, "seccomp=unconfined"},
		{"unknown", "bwrap: something", machine{most: "1000", apparmor: "1", root: true}, "unshare -Ur true"},
	} {
		err := diagnose(cause, tt.said, tt.machine)
		var trouble *Trouble
		if !errors.As(err, &trouble) || !strings.Contains(trouble.Hint, tt.hint) || !strings.Contains(trouble.What, tt.said) || !errors.Is(err, cause) {
			t.Errorf("%s: got %v, want a hint with %q", tt.name, err, tt.hint)
		}
	}
}

// A bubblewrap that fails is told by its own words.
func TestTryWithABrokenBubblewrap(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	s.bwrap = filepath.Join(folder(t), "bwrap")
	if err := os.WriteFile(s.bwrap, []byte("#!/bin/sh\necho 'bwrap: no luck' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var trouble *Trouble
	if err := s.Try(t.Context()); !errors.As(err, &trouble) || !strings.Contains(trouble.What, "no luck") {
		t.Errorf("got %v, want the words of bubblewrap", err)
	}
}

func TestOpenWithoutBubblewrap(t *testing.T) {
	t.Parallel()
	_, err := Open(Options{Bwrap: "/nowhere/bwrap"})
	var trouble *Trouble
	if !errors.Is(err, ErrNotFound) || !errors.As(err, &trouble) || !strings.Contains(trouble.Hint, "apt install") {
		t.Errorf("got %v, want ErrNotFound and what to install", err)
	}
}

func TestOpenWithAnOldBubblewrap(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder(t), "bwrap")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '    --args FD    Parse'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Bwrap: path})
	if err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("got %v, want that it is too old", err)
	}
}
