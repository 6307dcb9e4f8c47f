package sandbox

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

const (
	ourLeaf   = "dozens-host" // the group of this process, beside those of its boxes
	boxWeight = 50            // a box's share of the processor; others have 100
)

// groups makes cgroups below the one that the host gave us (cgroups(7), version 2). A nil groups makes none.
type groups struct {
	dir   string
	holds []string // controllers
}

// openGroups finds out what we may divide. The error says why nothing.
func openGroups(mount string) (*groups, error) {
	if mount == "" {
		var err error
		if mount, err = groupMount(); err != nil {
			return nil, err
		}
	}
	own, err := ownGroup()
	if err != nil {
		return nil, err
	}
	return divide(filepath.Join(mount, own))
}

// groupMount is where cgroup v2 is mounted (proc_pid_mountinfo(5)).
func groupMount() (string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find the cgroups: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		mount, fs, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(mount); strings.HasPrefix(fs, "cgroup2 ") && len(fields) > 4 && fields[3] == "/" {
			return fields[4], nil
		}
	}
	return "", errors.New("find the cgroups: version 2 is not mounted")
}

// ownGroup is the path of our cgroup below the mount.
func ownGroup() (string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("find our cgroup: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSpace(path), nil
		}
	}
	return "", errors.New("find our cgroup: we are in none of version 2")
}

// divide makes ready to have groups below dir, our own group or the one that a former look made of it. A group with
// processes in it cannot hand controllers down, so we move into a leaf first.
func divide(dir string) (*groups, error) {
	if filepath.Base(dir) == ourLeaf {
		dir = filepath.Dir(dir)
	}
	has, err := words(dir, "cgroup.controllers")
	if err != nil {
		return nil, err
	}
	g := &groups{dir: dir}
	for _, name := range []string{"memory", "pids", "cpu"} {
		if slices.Contains(has, name) {
			g.holds = append(g.holds, name)
		}
	}
	if !slices.Contains(g.holds, "memory") && !slices.Contains(g.holds, "pids") {
		return nil, fmt.Errorf("divide the cgroup %s: it has neither memory nor pids, but %q", dir, has)
	}
	if handed, err := words(dir, "cgroup.subtree_control"); err != nil || g.handsDown(handed) {
		return g, err
	}
	if err := moveInto(filepath.Join(dir, ourLeaf), os.Getpid()); err != nil {
		return nil, err
	}
	if err := write(dir, "cgroup.subtree_control", "+"+strings.Join(g.holds, " +")); err != nil {
		// Somebody else is in it. Leave it as it was.
		back := write(dir, "cgroup.procs", strconv.Itoa(os.Getpid()))
		return nil, errors.Join(err, back, os.Remove(filepath.Join(dir, ourLeaf)))
	}
	return g, nil
}

func (g *groups) handsDown(handed []string) bool {
	for _, name := range g.holds {
		if !slices.Contains(handed, name) {
			return false
		}
	}
	return true
}

func moveInto(dir string, pid int) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	return nil
}

// group is the cgroup of one box. A nil group holds nothing.
type group struct {
	dir   *os.File
	holds []string
}

// make makes a group with these limits.
func (g *groups) make(l Limits) (*group, error) {
	if g == nil {
		return nil, nil
	}
	path := filepath.Join(g.dir, "dozens-box-"+rand.Text())
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a cgroup: %w", err), os.Remove(path))
	}
	b := &group{dir: dir}
	b.hold(l)
	return b, nil
}

// hold sets limits, and notes which the kernel took. What it does not take, the guard holds.
func (b *group) hold(l Limits) {
	b.set("cpu.weight", strconv.Itoa(boxWeight))
	if l.Memory > 0 && b.set("memory.max", strconv.FormatInt(l.Memory, 10)) {
		b.set("memory.swap.max", "0")
		b.set("memory.oom.group", "1")
		b.holds = append(b.holds, "memory")
	}
	if l.Processes > 0 && b.set("pids.max", strconv.Itoa(l.Processes)) {
		b.holds = append(b.holds, "pids")
	}
}

// set says whether the kernel took a value.
func (b *group) set(name, value string) bool { return write(b.dir.Name(), name, value) == nil }

func (b *group) holdsMemory() bool    { return b != nil && slices.Contains(b.holds, "memory") }
func (b *group) holdsProcesses() bool { return b != nil && slices.Contains(b.holds, "pids") }

// kill ends all processes of the group at once.
func (b *group) kill() {
	if b != nil {
		b.set("cgroup.kill", "1")
	}
}

// reason says why the kernel ended the box, if it did.
func (b *group) reason(l Limits) string {
	if b == nil || !b.holdsMemory() {
		return ""
	}
	events, _ := words(b.dir.Name(), "memory.events")
	if i := slices.Index(events, "oom_kill"); i >= 0 && i+1 < len(events) && events[i+1] != "0" {
		return "it used more than " + megabytes(l.Memory) + " of memory"
	}
	return ""
}

// remove takes the group away once its last process is gone from it, which may be a moment after its end.
func (b *group) remove(log zerolog.Logger) {
	if b == nil {
		return
	}
	defer b.dir.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var err error
	for range 1000 {
		if err = unix.Rmdir(b.dir.Name()); err == nil || errors.Is(err, unix.ENOENT) {
			return
		}
		<-tick.C
	}
	log.Warn().Err(err).Msg("a cgroup is left behind")
}

func words(dir, name string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("read a cgroup: %w", err)
	}
	return strings.Fields(string(bytes.TrimSpace(data))), nil
}

func write(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write to a cgroup: %w", err)
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s to %s of a cgroup: %w", value, name, err)
	}
	return nil
}
