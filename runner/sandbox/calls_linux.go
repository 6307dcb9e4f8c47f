//go:build amd64 || arm64

package sandbox

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Where the parts of a call stand in struct seccomp_data (linux/seccomp.h). Both machines we know are little-endian, so
// the low half of an argument comes first.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArg0 = 16
	offsetArg1 = 24
)

// newNamespaces are the flags of clone and unshare that make a namespace.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// refused are calls that an agent has no use for and that have let programs out before: keys and the kernel's other
// stores are not divided by namespaces, and mounts are ours.
func refused() []uint32 {
	return append([]uint32{
		unix.SYS_ADD_KEY, unix.SYS_KEYCTL, unix.SYS_REQUEST_KEY,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_MEMFD_SECRET,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_SETNS, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
		unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_MOUNT_SETATTR,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
	}, refusedHere()...)
}

// families are the kinds of sockets that a network namespace holds in. Others, such as AF_VSOCK and AF_ALG, reach past it.
func families() []uint32 {
	return []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
}

// calls refuses some calls and leaves the others to what follows. It is nil where we do not know the machine's.
func calls() []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		fail(unix.ENOSYS), // programs of another machine, such as those of 32 bits: their numbers mean other calls
		bpf.LoadAbsolute{Off: offsetCall, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: foreignCalls, SkipTrue: 1},
		fail(unix.ENOSYS),
	}
	for _, number := range refused() {
		p = append(p, when(number, fail(unix.EPERM))...)
	}
	// What clone3 is asked for stands in memory, where no filter can look. Without it the C library takes clone.
	p = append(p, when(unix.SYS_CLONE3, fail(unix.ENOSYS))...)
	p = append(p, when(unix.SYS_CLONE, namespaces()...)...)
	p = append(p, when(unix.SYS_UNSHARE, namespaces()...)...)
	p = append(p, when(unix.SYS_SOCKET, sockets()...)...)
	p = append(p, when(unix.SYS_SOCKETPAIR, sockets()...)...)
	p = append(p, when(unix.SYS_IOCTL, terminals()...)...)
	return p
}

func fail(errno unix.Errno) bpf.Instruction {
	return bpf.RetConstant{Val: answerError | uint32(errno)}
}

// when runs the instructions, which end the filter, for this call only.
func when(call uint32, then ...bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: uint8(len(then))},
	}, then...)
}

// namespaces refuses to make any, for calls whose first argument holds the flags.
func namespaces() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: newNamespaces, SkipTrue: 1},
		fail(unix.EPERM),
		bpf.RetConstant{Val: answerAllow},
	}
}

// sockets lets pass only families we know.
func sockets() []bpf.Instruction {
	known := families()
	p := []bpf.Instruction{bpf.LoadAbsolute{Off: offsetArg0, Size: 4}}
	for i, family := range known {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: family, SkipTrue: uint8(len(known) - i)})
	}
	return append(p, fail(unix.EAFNOSUPPORT), bpf.RetConstant{Val: answerAllow})
}

// terminals refuses to type on a terminal in the name of its user.
func terminals() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArg1, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCSTI, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.TIOCLINUX, SkipTrue: 1},
		fail(unix.EPERM),
		bpf.RetConstant{Val: answerAllow},
	}
}
