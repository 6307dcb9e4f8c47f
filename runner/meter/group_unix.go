//go:build unix

package meter

import (
	"os/exec"
	"syscall"
)

// ownGroup starts a command in a process group of its own, and lets its end take the whole group along.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
