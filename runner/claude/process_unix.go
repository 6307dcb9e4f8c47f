//go:build unix

package claude

import (
	"errors"
	"os"
	"syscall"
)

// stopGroup asks the process and all of its group to end.
func stopGroup(p *os.Process) error { return signalGroup(p, syscall.SIGTERM) }

// killGroup ends all that is left of the process's group.
func killGroup(p *os.Process) { _ = signalGroup(p, syscall.SIGKILL) }

func signalGroup(p *os.Process, sig syscall.Signal) error {
	err := syscall.Kill(-p.Pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
