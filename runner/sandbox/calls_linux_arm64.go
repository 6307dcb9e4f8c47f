package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch    = unix.AUDIT_ARCH_AARCH64
	foreignCalls = 0xffffffff // there are none
)

// refusedHere are calls that only this machine has.
func refusedHere() []uint32 { return nil }
