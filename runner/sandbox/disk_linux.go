package sandbox

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	diskEach  = time.Second     // a look at what is free
	walkEach  = 2 * time.Second // a walk through all files
	walkShare = 200             // of our time at most 1/200 goes into regular walks,
	rushShare = 10              // and 1/10 when the disk fills up
	leastDisk = 256 << 20       // bytes that must be left on a disk,
	leastPart = 100             // and the part of it: 1/100
	deepest   = 256             // folders inside of each other
)

// diskWatch ends a box that writes too much into what it may write.
type diskWatch struct {
	cage      *Cage
	processes processes
	roots     []int           // writable files and folders of the host
	devices   map[uint64]bool // where they are
	start     int64           // bytes in them when the box began
	freeStart int64
	freeThen  int64 // when they were last walked through
	walked    time.Time
	took      time.Duration
}

// newDiskWatch measures what is there already.
func newDiskWatch(c *Cage, p processes) *diskWatch {
	w := &diskWatch{cage: c, processes: p, devices: map[uint64]bool{}}
	for i, b := range c.box.Binds {
		var st unix.Stat_t
		if !b.Write || insideAnother(c.box.Binds, i) {
			continue
		}
		fd, err := b.pin()
		if err != nil {
			continue
		}
		if unix.Fstat(fd, &st) != nil {
			shut(fd)
			continue
		}
		w.roots = append(w.roots, fd)
		w.devices[st.Dev] = true
	}
	w.start, _ = w.walk(time.Now())
	w.freeStart = w.freeThen
	return w
}

// insideAnother says whether the bind is a part of another writable one, so that it is counted there.
func insideAnother(binds []Bind, i int) bool {
	for j, other := range binds {
		if other.Write && within(binds[i].From, other.From) && (other.From != binds[i].From || j < i) {
			return true
		}
	}
	return false
}

func (w *diskWatch) run() {
	defer w.close()
	tick := time.NewTicker(diskEach)
	defer tick.Stop()
	for {
		select {
		case <-w.cage.over:
			return
		case now := <-tick.C:
			if reason := w.look(now); reason != "" {
				w.cage.end(reason)
				return
			}
		}
	}
}

func (w *diskWatch) close() {
	w.processes.dir.Close()
	for _, fd := range w.roots {
		shut(fd)
	}
}

// look returns why the box must end, or nothing.
func (w *diskWatch) look(now time.Time) string {
	free, full := w.free()
	if full {
		return "the disk it writes to is almost full"
	}
	limit := w.cage.box.Limits.Disk
	since := now.Sub(w.walked)
	rush := w.freeThen-free > limit/4 && since > w.took*rushShare
	if !rush && since < max(walkEach, w.took*walkShare) {
		return ""
	}
	there, hidden := w.walk(now)
	_, deleted := w.processes.nameless(w.devices)
	grown := there + deleted - w.start
	if hidden { // then all that the disk lost is its own
		grown = max(grown, w.freeStart-free)
	}
	if grown > limit {
		return "it wrote more than " + megabytes(limit) + " to disk"
	}
	return ""
}

// free is how many bytes the disks have left, and whether one of them has too little.
func (w *diskWatch) free() (bytes int64, full bool) {
	for _, fd := range w.roots {
		var fs unix.Statfs_t
		if unix.Fstatfs(fd, &fs) != nil {
			continue
		}
		size := int64(fs.Bsize) //nolint:unconvert // it has 32 bits on some machines
		left := int64(fs.Bavail) * size
		full = full || left < max(leastDisk, int64(fs.Blocks)*size/leastPart) || fs.Files > 0 && fs.Ffree < fs.Files/leastPart
		bytes += left
	}
	return bytes, full
}

// walk counts the bytes of all files, and says whether some could not be seen.
func (w *diskWatch) walk(now time.Time) (bytes int64, hidden bool) {
	t := &walk{over: w.cage.over, seen: map[uint64]bool{}}
	for _, fd := range w.roots {
		t.file(fd, "", 0)
	}
	w.freeThen, _ = w.free()
	w.walked, w.took = now, time.Since(now)
	return t.bytes, t.hidden
}

// walk adds up files without following links: the box may change them meanwhile.
type walk struct {
	over   <-chan struct{}
	seen   map[uint64]bool // files with several names
	bytes  int64
	hidden bool
}

// file adds one file or folder, which is dir itself when the name is empty.
func (t *walk) file(dir int, name string, depth int) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH); err != nil {
		t.hidden = t.hidden || err != unix.ENOENT
		return
	}
	if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if t.seen[st.Ino] {
			return
		}
		t.seen[st.Ino] = true
	}
	t.bytes += st.Blocks * 512
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		t.folder(dir, name, depth)
	}
}

func (t *walk) folder(dir int, name string, depth int) {
	select {
	case <-t.over:
		return
	default:
	}
	if depth > deepest {
		t.hidden = true
		return
	}
	if name == "" {
		name = "."
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		t.hidden = t.hidden || err != unix.ENOENT
		return
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000)
		for _, n := range names {
			t.file(fd, n, depth+1)
		}
		if err != nil {
			return
		}
	}
}
