package sandbox

import (
	"errors"

	"github.com/rs/zerolog"
)

// ErrNotFound says that this machine has no bubblewrap, or no Linux to run it on.
var ErrNotFound = errors.New("there is no bubblewrap (bwrap)")

// ErrBox says that a box could not be made, so that its program never began. Bubblewrap's words are in Stderr.
var ErrBox = errors.New("the box could not be made")

// Trouble says why boxes do not work on this machine and what a person can do about it.
type Trouble struct {
	What string // what went wrong
	Hint string // what to install, enable or set
	Err  error  // what lies below; may be nil
}

// Error is one line for a log; a person wants to see What and Hint.
func (t *Trouble) Error() string { return t.What + ": " + t.Hint }

// Unwrap is what lies below.
func (t *Trouble) Unwrap() error { return t.Err }

// Bind shows a file or folder of the host inside a box.
type Bind struct {
	From  string // absolute path on the host; no part of it may be a symbolic link
	To    string // absolute path inside; "" is the same as From
	Write bool
}

// Limits is what all processes of a box may use together. Zero: not held.
type Limits struct {
	Memory    int64 // bytes resident
	Processes int   // processes and their threads
	FileSize  int64 // bytes of one file
	OpenFiles int   // of one process
	Disk      int64 // bytes by which the writable binds may grow together
	Tmp       int64 // bytes of /tmp and of /dev/shm, each, which are held in memory; 0: 256 MB
}

// Box is what a program sees and may use.
type Box struct {
	Dir    string // working directory inside; it must be there
	Binds  []Bind // in this order: later ones lie over earlier ones
	Env    []string
	Limits Limits
	Egress string // path of the egress proxy's socket on the host; "": no network at all
}

// Options is what all boxes of a host have in common.
type Options struct {
	Bwrap string // path of bubblewrap; "": bwrap in PATH
	// Read names more files and folders of the host that every box may read, such as tools. Links are followed.
	Read []string
	// Forwarder is a command of this program that lets a box reach its egress socket: it listens on 127.0.0.1:3128
	// inside and runs a program meanwhile. Appended are: SOCKET -- PROGRAM ARGS...
	Forwarder []string
	Log       zerolog.Logger

	groups string // where cgroup v2 is mounted; tests set it. "": looked up
}
