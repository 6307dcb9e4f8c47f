package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	countEach   = 50 * time.Millisecond // a count of processes
	lookEach    = 4                     // counts for each look at memory and threads
	hostEach    = 5                     // looks between two at the host's memory: one second
	hiddenEach  = 50                    // looks between two at memory that no process shows as its own
	scarceShare = 20                    // the host is short when less than 1/20 of its memory is left,
	scarceMost  = 512 << 20             // but not when it has more than this
)

// guard starts what watches over the limits that the kernel does not hold. It runs before the program does.
func (c *Cage) guard() error {
	l := c.box.Limits
	if c.group.holdsMemory() {
		l.Memory = 0
	}
	if c.group.holdsProcesses() {
		l.Processes = 0
	}
	if l.Memory > 0 || l.Processes > 0 {
		p, err := c.processes()
		if err != nil {
			return err
		}
		w := &memoryWatch{cage: c, limits: l, processes: p, first: c.first}
		c.watchers.Go(func() { _ = onOwnThread(w.run) }) // it has no error
	}
	if l.Disk > 0 {
		p, err := c.processes()
		if err != nil {
			return err
		}
		w := newDiskWatch(c, p)
		c.watchers.Go(w.run)
	}
	return nil
}

// memoryWatch ends a box that has too many processes or too much memory.
type memoryWatch struct {
	cage      *Cage
	limits    Limits
	processes processes
	first     int   // pidfd of the first process of the box
	looks     int   // so far
	available int64 // most of the host's free memory since hidden was looked at
	hidden    int64 // bytes that belong to open files without a name
}

// run watches from a thread of its own, which sleeps by itself: the program's timers depend on threads that wait for a
// processor like all others when a box takes them all.
func (w *memoryWatch) run() error {
	defer w.processes.dir.Close()
	favour()
	for n := 0; ; n++ {
		if reason := w.look(n%lookEach == 0); reason != "" {
			w.cage.end(reason)
			return nil
		}
		// The handle can be read when the first process has ended, and is there until no watcher is left.
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(w.first), Events: unix.POLLIN}}, int(countEach/time.Millisecond)); n > 0 {
			return nil
		}
	}
}

// favour puts the calling thread before all others, where we may. Only where the kernel does not hold the number of
// processes is it needed: there the host runs as root, and may.
func favour() {
	err := unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
	if err != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	}
}

// look returns why the box must end, or nothing. Without closely it only counts processes.
func (w *memoryWatch) look(closely bool) string {
	pids, err := w.processes.list()
	if err != nil {
		return "" // it has ended
	}
	tooMany := fmt.Sprintf("it ran more than %d processes and threads at once", w.limits.Processes)
	if w.limits.Processes > 0 && len(pids) > w.limits.Processes {
		return tooMany
	}
	if !closely {
		return ""
	}
	all := 0
	var resident int64
	for _, pid := range pids {
		threads, pages := w.processes.stat(pid)
		all += max(threads, 1)
		resident += pages * int64(os.Getpagesize())
	}
	if w.limits.Processes > 0 && all > w.limits.Processes {
		return tooMany
	}
	if w.limits.Memory == 0 {
		return ""
	}
	return w.weigh(pids, resident)
}

// weigh decides about memory.
func (w *memoryWatch) weigh(pids []string, resident int64) string {
	scarce := false
	if w.looks%hostEach == 0 {
		available, total := hostMemory()
		scarce = available < min(total/scarceShare, scarceMost)
		if w.available-available > w.limits.Memory/4 || w.looks%hiddenEach == 0 {
			w.hidden, _ = w.processes.nameless(nil)
			w.available = available
		}
		w.available = max(w.available, available)
	}
	w.looks++
	used := resident + w.hidden
	if used > w.limits.Memory {
		used = w.processes.share(pids, w.hidden)
	}
	w.cage.sandbox.note(w.cage, used)
	switch {
	case used > w.limits.Memory:
		return "it used more than " + megabytes(w.limits.Memory) + " of memory"
	case scarce && w.cage.sandbox.largest(w.cage):
		return "this machine ran out of memory, and it used most: " + megabytes(used)
	}
	return ""
}

// note keeps how much memory a box uses.
func (s *Sandbox) note(c *Cage, used int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boxes[c] = used
}

// largest says whether no other box uses more memory.
func (s *Sandbox) largest(c *Cage) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, used := range s.boxes {
		if used > s.boxes[c] {
			return false
		}
	}
	return true
}

func (s *Sandbox) forget(c *Cage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.boxes, c)
}

// hostMemory is how many bytes programs can still have, and all there are (proc_meminfo(5)).
func hostMemory() (available, total int64) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 1, 1
	}
	return kilobytes(data, "MemAvailable:"), kilobytes(data, "MemTotal:")
}

// kilobytes finds a line such as "Pss:  12 kB" and returns its bytes, 0 when it is missing.
func kilobytes(data []byte, name string) int64 {
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return n << 10
		}
	}
	return 0
}

// watchProcesses opens the box's own /proc. It belongs to the PID namespace, so that it shows all processes of the box
// and no others, whatever they do, and never those of a later box.
func (c *Cage) watchProcesses(root int) error {
	fd, err := unix.Openat2(root, "proc", &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return fmt.Errorf("open /proc of the box: %w", err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		shut(fd)
		return fmt.Errorf("open /proc of the box: it is of type %#x: %w", fs.Type, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proc = os.NewFile(uintptr(fd), "/proc of the box")
	return nil
}
