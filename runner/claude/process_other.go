//go:build unix && !linux

package claude

import (
	"context"
	"os/exec"
	"syscall"
)

// ownGroup makes the process the leader of a group of its own.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// reap does nothing here: only Linux shows by which run a process was started. A run's group is killed at its end.
func reap(context.Context, func(runID string) bool) error { return nil }
