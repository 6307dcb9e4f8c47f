package sandbox

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mustEnd runs a cage that must be ended by the guard for a reason.
func mustEnd(t *testing.T, c *Cage, reason string) {
	t.Helper()
	out, err := c.CombinedOutput()
	if code := exitCode(t, err); code != 137 || !strings.Contains(c.Reason(), reason) {
		t.Errorf("it ended with %d, %q, want a kill because %q; it said %s", code, c.Reason(), reason, out)
	}
}

func TestLimitForkBomb(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	c := actor(t, s, Box{Limits: Limits{Processes: 100}}, "bomb")
	done := make(chan struct{})
	go func() { // meanwhile the host can start processes
		defer close(done)
		for range 20 {
			if err := exec.CommandContext(t.Context(), "/bin/true").Run(); err != nil {
				t.Errorf("start a process beside a fork bomb: %v", err)
			}
		}
	}()
	if os.Geteuid() == 0 { // the kernel lets root have any number
		mustEnd(t, c, "more than 100 processes")
	} else {
		heldBack(t, c)
	}
	<-done
}

// heldBack runs a fork bomb that the kernel holds, and looks at it after a while.
func heldBack(t *testing.T, c *Cage) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	list := lookAt(t, c)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && c.Reason() == ""; {
		pids, err := list.list()
		if err != nil {
			break
		}
		if len(pids) > 100 {
			t.Errorf("it has %d processes, want at most 100", len(pids))
		}
		if len(pids) > 80 { // the rest are threads
			break
		}
	}
	_ = c.Kill()
	_ = c.Wait()
}

func TestLimitMemory(t *testing.T) {
	t.Parallel()
	b := Box{Limits: Limits{Memory: 64 << 20}}
	mustEnd(t, actor(t, open(t, Options{}), b, "eat", "400"), "more than 64 MB of memory")
}

// Memory that several processes share counts once, and that of a file without a name counts too.
func TestLimitMemoryOfNamelessFiles(t *testing.T) {
	t.Parallel()
	b := Box{Limits: Limits{Memory: 64 << 20}}
	c := actor(t, open(t, Options{}), b, "hoard", "300")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w := &memoryWatch{cage: c, limits: b.Limits, processes: lookAt(t, c)}
	await(t, func() bool { // the guard looks into files every ten seconds; we do not want to wait for that
		memory, _ := w.processes.nameless(nil)
		return memory > 64<<20
	})
	if reason := w.look(true); !strings.Contains(reason, "more than 64 MB of memory") {
		t.Errorf("the guard says %q", reason)
	}
	_ = c.Kill()
	_ = c.Wait()
}

// lookAt opens the processes of a box once more.
func lookAt(t *testing.T, c *Cage) processes {
	t.Helper()
	p, err := c.processes()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.dir.Close() })
	return p
}

func TestLimitMemoryOfTheHost(t *testing.T) {
	t.Parallel()
	s := &Sandbox{boxes: map[*Cage]int64{}}
	small, big := &Cage{sandbox: s}, &Cage{sandbox: s}
	s.note(small, 10)
	s.note(big, 20)
	if s.largest(small) || !s.largest(big) {
		t.Error("when the host is short of memory, the box that uses most must go first")
	}
	s.forget(big)
	if !s.largest(small) {
		t.Error("a box that is gone still counts")
	}
	if available, total := hostMemory(); available < 1<<20 || total < available {
		t.Errorf("this machine has %d of %d bytes", available, total)
	}
}

func TestLimitDisk(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	put(t, dir+"/before", strings.Repeat("x", 1<<20)) // does not count
	b := Box{Dir: dir, Env: []string{searchPath}, Binds: []Bind{{From: dir, Write: true}}, Limits: Limits{Disk: 20 << 20}}
	c, err := open(t, Options{}).Command(t.Context(), b, "/bin/sh", "-c",
		"i=0; while [ $i -lt 60 ]; do head -c 1000000 /dev/zero > file$i; i=$((i+1)); done; sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	mustEnd(t, c, "more than 20 MB to disk")
}

func TestLimitDiskOfNamelessFiles(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b := Box{Binds: []Bind{{From: dir, Write: true}}, Limits: Limits{Disk: 20 << 20}}
	mustEnd(t, actor(t, open(t, Options{}), b, "hoard", "100", dir), "more than 20 MB to disk")
}

func TestLimitDiskWithin(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b := Box{Dir: dir, Binds: []Bind{{From: dir, Write: true}}, Limits: Limits{Disk: 100 << 20, Memory: 1 << 30, Processes: 100}}
	if out, err := shell(t, b, "head -c 50000000 /dev/zero > file; sleep 1.5"); err != nil {
		t.Errorf("a box within its limits: %v: %s", err, out)
	}
}

// What a folder hides from us is known by what the disk lost.
func TestLimitDiskWalk(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	put(t, dir+"/a", strings.Repeat("x", 100_000))
	if err := os.Link(dir+"/a", dir+"/b"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr", dir+"/usr"); err != nil {
		t.Fatal(err)
	}
	deep := dir + strings.Repeat("/d", deepest+5)
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(fd)
	w := &walk{seen: map[uint64]bool{}}
	w.file(fd, "", 0)
	if w.bytes < 100_000 || w.bytes > 100_000+(deepest+10)*8192 {
		t.Errorf("counted %d bytes, want one file of 100000 and folders", w.bytes)
	}
	if !w.hidden {
		t.Error("folders too deep to be counted are not noticed")
	}
}

func TestLimitOfWhatIsInMemory(t *testing.T) {
	t.Parallel()
	out, _ := shell(t, Box{Limits: Limits{Tmp: 4 << 20}}, `
		for dir in /tmp /dev/shm; do head -c 20000000 /dev/zero > $dir/file; stat -c %s $dir/file; done 2>&1 | grep -v 'No space'
		awk '$4 ~ /^rw/ && $3 == "tmpfs" {print $2}' /proc/mounts | sort`)
	if want := "4194304\n4194304\n/dev/shm\n/tmp\n"; out != want {
		t.Errorf("got %q, want %q: two bounded folders, and no other that can be written", out, want)
	}
}

func TestLimitsOfTheKernel(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	b := Box{Dir: dir, Binds: []Bind{{From: dir, Write: true}}, Limits: Limits{FileSize: 1 << 20, OpenFiles: 50, Processes: 60}}
	out, err := shell(t, b, `ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hf; ulimit -f 4096 2>/dev/null && echo RAISED
		cat /proc/self/oom_score_adj; head -c 5000000 /dev/zero > big; echo $?; stat -c %s big`)
	if err != nil {
		t.Fatal(err, out)
	}
	want := []string{"50", "50", "0", "2048", strconv.Itoa(boxOOM), "File", "153", "1048576"}
	got := strings.Fields(strings.ReplaceAll(out, " size limit exceeded", ""))
	if strings.Join(got, " ") != strings.Join(want, " ") && strings.Join(got, " ") != strings.ReplaceAll(strings.Join(want, " "), "File ", "") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
