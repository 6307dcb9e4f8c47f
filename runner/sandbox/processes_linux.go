package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// processes reads the /proc of a box. It is for one goroutine.
type processes struct {
	dir *os.File // owned by whoever asked for it
}

// processes are those of the box, for one more reader.
func (c *Cage) processes() (processes, error) {
	fd, err := unix.Openat(int(c.proc.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return processes{}, fmt.Errorf("open /proc of the box: %w", err)
	}
	return processes{dir: os.NewFile(uintptr(fd), "/proc of the box")}, nil
}

// list is the numbers of all processes.
func (p processes) list() ([]string, error) {
	if _, err := p.dir.Seek(0, 0); err != nil {
		return nil, err
	}
	names, err := p.dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	pids := names[:0]
	for _, name := range names {
		if name[0] >= '1' && name[0] <= '9' {
			pids = append(pids, name)
		}
	}
	if len(pids) == 0 {
		return nil, errEnded
	}
	return pids, nil
}

// read returns the beginning of a file of a process, nothing when it has ended.
func (p processes) read(pid, name string, buf []byte) []byte {
	fd, err := unix.Openat(int(p.dir.Fd()), pid+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer shut(fd)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// stat is the number of threads of a process and of the memory pages it has (proc_pid_stat(5): 20 and 24).
func (p processes) stat(pid string) (threads int, pages int64) {
	var buf [512]byte
	line := p.read(pid, "stat", buf[:])
	fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:]) // from the third on: the second may hold anything
	if len(fields) < 22 {
		return 1, 0
	}
	threads, _ = strconv.Atoi(string(fields[17]))
	pages, _ = strconv.ParseInt(string(fields[21]), 10, 64)
	return threads, pages
}

// share is the memory of the processes when what several share counts once. Nameless files count, whether or not
// somebody has them mapped.
func (p processes) share(pids []string, hidden int64) int64 {
	var all, shared int64
	var buf [4096]byte
	for _, pid := range pids {
		rollup := p.read(pid, "smaps_rollup", buf[:]) // proc_pid_smaps(5)
		pss := kilobytes(rollup, "Pss:")
		if pss == 0 { // the kernel does not let us see it
			_, pages := p.stat(pid)
			pss = pages * int64(os.Getpagesize())
		}
		all += pss
		shared += kilobytes(rollup, "Pss_Shmem:")
	}
	return max(all, all-shared+hidden)
}

// mostFiles bounds one look at open files: about 50 ms.
const mostFiles = 20000

// nameless counts the bytes of files that are open but have no name any more, or never had one: in memory, and on the
// given devices.
func (p processes) nameless(devices map[uint64]bool) (memory, disk int64) {
	pids, err := p.list()
	if err != nil {
		return 0, 0
	}
	seen := map[[2]uint64]bool{}
	looked := 0
	for _, pid := range pids {
		fd, err := unix.Openat(int(p.dir.Fd()), pid+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		dir := os.NewFile(uintptr(fd), pid)
		names, _ := dir.Readdirnames(mostFiles)
		for _, name := range names {
			var st unix.Stat_t
			looked++
			if looked > mostFiles || unix.Fstatat(fd, name, &st, 0) != nil || st.Nlink > 0 || seen[[2]uint64{st.Dev, st.Ino}] {
				continue
			}
			seen[[2]uint64{st.Dev, st.Ino}] = true
			if devices[st.Dev] {
				disk += st.Blocks * 512
			} else {
				memory += st.Blocks * 512
			}
		}
		dir.Close()
	}
	return memory, disk
}
