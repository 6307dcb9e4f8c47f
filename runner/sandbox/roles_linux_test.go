package sandbox

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// roleSocket opens sockets of the families that are given as numbers.
func roleSocket(args []string) {
	for _, arg := range args {
		family, _ := strconv.Atoi(arg)
		fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
		if err == nil {
			shut(fd)
			say(arg + " open")
			continue
		}
		var errno unix.Errno
		errors.As(err, &errno)
		say(arg + " " + unix.ErrnoName(errno))
	}
}

// roleDial connects to an address.
func roleDial(args []string) {
	c, err := net.DialTimeout(args[0], args[1], time.Second)
	if err != nil {
		say("no: " + err.Error())
		return
	}
	c.Close()
	say("connected")
}

// roleCall makes calls that must be refused.
func roleCall([]string) {
	try := func(name string, number uintptr, args ...uintptr) {
		var a [6]uintptr
		copy(a[:], args)
		_, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		say(name + " " + unix.ErrnoName(errno))
	}
	try("keyctl", unix.SYS_KEYCTL, 0, 0xfffffffd)
	try("add_key", unix.SYS_ADD_KEY)
	try("bpf", unix.SYS_BPF)
	try("perf_event_open", unix.SYS_PERF_EVENT_OPEN)
	try("userfaultfd", unix.SYS_USERFAULTFD)
	try("io_uring_setup", unix.SYS_IO_URING_SETUP)
	try("kexec_load", unix.SYS_KEXEC_LOAD)
	try("open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT)
	try("mount", unix.SYS_MOUNT)
	try("umount2", unix.SYS_UMOUNT2)
	try("fsopen", unix.SYS_FSOPEN)
	try("open_tree", unix.SYS_OPEN_TREE)
	try("setns", unix.SYS_SETNS)
	try("chroot", unix.SYS_CHROOT)
	try("unshare", unix.SYS_UNSHARE, unix.CLONE_NEWUSER)
	try("unshare-net", unix.SYS_UNSHARE, unix.CLONE_NEWNET)
	try("clone", unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD))
	try("clone3", unix.SYS_CLONE3)
	try("tiocsti", unix.SYS_IOCTL, 0, unix.TIOCSTI)
	try("unshare-files", unix.SYS_UNSHARE, unix.CLONE_FILES) // makes no namespace
}

// mostBombs bounds the fork bomb, in case nobody else does.
const mostBombs = 3000

// roleBomb starts children until it may not any more.
func roleBomb([]string) {
	for range mostBombs {
		cmd := exec.Command("/bin/sleep", "60")
		if cmd.Start() != nil {
			_ = unix.Pause() // the kernel holds it; it keeps what it has
		}
	}
	say("nobody stopped it")
}

// roleEat takes as many megabytes as it is told, and keeps them.
func roleEat(args []string) {
	most, _ := strconv.Atoi(args[0])
	var kept [][]byte
	for range most {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	say(len(kept))
	_ = unix.Pause() // it is ended from outside
}

// roleHoard fills a file without a name: in memory, or in a folder.
func roleHoard(args []string) {
	most, _ := strconv.Atoi(args[0])
	var fd int
	var err error
	if len(args) > 1 {
		fd, err = unix.Open(args[1], unix.O_TMPFILE|unix.O_RDWR, 0o600)
	} else {
		fd, err = unix.MemfdCreate("x", 0)
	}
	if err != nil {
		say(err)
		return
	}
	b := make([]byte, 1<<20)
	for range most {
		if _, err := unix.Write(fd, b); err != nil {
			say(err)
			return
		}
	}
	_ = unix.Pause() // it is ended from outside
}

// roleHost is a host that starts boxes until it is killed. Its argument marks what runs in them.
func roleHost(args []string) {
	s, err := Open(Options{Log: zerolog.Nop()})
	if err != nil {
		say(err)
		return
	}
	say("up")
	for {
		c, err := s.Command(background(), Box{Dir: "/"}, "/bin/sh", "-c", "setsid sh -c 'trap \"\" TERM; sleep "+args[0]+"' & sleep "+args[1])
		if err == nil {
			c.Stdout = os.Stdout
			err = c.Run()
		}
		if err != nil {
			say(err)
			return
		}
	}
}

// roleForward is a forwarder: it says how it was called and runs the program.
func roleForward(args []string) {
	say("forward " + args[0] + " " + args[1] + " " + args[2])
	cmd := exec.Command(args[3], args[4:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if cmd.Run() != nil {
		os.Exit(1)
	}
}
