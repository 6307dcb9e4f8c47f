//go:build !linux

package sandbox

import (
	"context"
	"os"
	"os/exec"
)

// Sandbox makes boxes, on Linux.
type Sandbox struct{}

// Cage is a program in its box.
type Cage struct{ *exec.Cmd }

func elsewhere() error {
	return &Trouble{
		What: "agents can be confined on Linux only",
		Hint: "run the host on Linux, or set the sandbox to none and let it work on repositories you trust",
		Err:  ErrNotFound,
	}
}

// Open returns an error that wraps ErrNotFound: there is bubblewrap on Linux only.
func Open(Options) (*Sandbox, error) { return nil, elsewhere() }

// Command returns the error of Open.
func (*Sandbox) Command(context.Context, Box, string, ...string) (*Cage, error) {
	return nil, elsewhere()
}

// Try returns the error of Open.
func (*Sandbox) Try(context.Context) error { return elsewhere() }

// Stop says that there is nothing to stop.
func (*Cage) Stop() error { return os.ErrProcessDone }

// Kill says that there is nothing to kill.
func (*Cage) Kill() error { return os.ErrProcessDone }

// Reason is empty.
func (*Cage) Reason() string { return "" }
