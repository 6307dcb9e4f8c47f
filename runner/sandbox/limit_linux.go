package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	boxNice = 5   // more than ours
	boxOOM  = 500 // of 1000: when memory ends, the kernel takes an agent before the rest
)

// limit sets what the kernel holds for each process or user, while the first process of the box waits: all others
// inherit it. That the number of processes is held needs a host that does not run as root; the guard sees to the rest.
func limit(pid int, l Limits) error {
	for _, set := range []struct {
		what  string
		which int
		most  uint64
	}{
		{"core files", unix.RLIMIT_CORE, 0},
		{"size of files", unix.RLIMIT_FSIZE, uint64(l.FileSize)},
		{"open files", unix.RLIMIT_NOFILE, uint64(l.OpenFiles)},
		{"processes", unix.RLIMIT_NPROC, uint64(l.Processes)},
	} {
		if set.most == 0 && set.which != unix.RLIMIT_CORE {
			continue
		}
		var old unix.Rlimit
		err := unix.Prlimit(pid, set.which, nil, &old)
		if err == nil {
			most := min(set.most, old.Max)
			err = unix.Prlimit(pid, set.which, &unix.Rlimit{Cur: most, Max: most}, nil)
		}
		if err != nil {
			return fmt.Errorf("limit %s of the box: %w", set.what, err)
		}
	}
	// These two are courtesy to the host: without them the box is held all the same.
	_ = unix.Setpriority(unix.PRIO_PROCESS, pid, boxNice)
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte(strconv.Itoa(boxOOM)), 0)
	return nil
}

// megabytes is for people.
func megabytes(n int64) string { return strconv.FormatInt(n>>20, 10) + " MB" }

// errEnded says that a box ended while it was looked at.
var errEnded = errors.New("the box has ended")
