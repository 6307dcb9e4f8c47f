package egress

import (
	"os/exec"
	"syscall"
)

// separate gives the program a process group of its own, so that a signal to ours reaches it once, through us. And it
// does not outlive us.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
