package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"dozens/internal/testenv"
)

// realGroups are cgroups of this machine in which we may make one, without asking for controllers.
func realGroups(t *testing.T) *groups {
	t.Helper()
	mount, err := groupMount()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(mount, "dozens-test-"+strconv.Itoa(os.Getpid())+"-"+t.Name())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("we may not make cgroups here: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("the cgroup of the test is not empty at its end: %v", err)
		}
	})
	return &groups{dir: dir}
}

// A box starts in a group of its own, is killed with it, and takes it away.
func TestGroupOfABox(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	s := open(t, Options{})
	s.groups = realGroups(t)
	m := mark()
	c, err := s.Command(t.Context(), Box{Dir: "/", Env: []string{searchPath}}, "/bin/sh", "-c", stubborn(m)+"sleep "+m)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return len(marked(m)) > 2 })
	inside, err := words(c.group.dir.Name(), "cgroup.procs")
	if err != nil || len(inside) < 3 {
		t.Errorf("the group has processes %q, %v, want all of the box", inside, err)
	}
	c.group.kill() // alone
	await(t, func() bool { return len(marked(m)) == 0 })
	_ = c.Wait()
	if left, _ := filepath.Glob(s.groups.dir + "/dozens-box-*"); len(left) > 0 {
		t.Errorf("after Wait there is left: %q", left)
	}
}

// fakeGroups is a folder with the files of a cgroup: the kernel of this machine may have no controllers to give.
func fakeGroups(t *testing.T, controllers, handed string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir+"/cgroup.controllers", controllers+"\n")
	put(t, dir+"/cgroup.subtree_control", handed)
	put(t, dir+"/cgroup.procs", "")
	return dir
}

func TestGroupsAreDivided(t *testing.T) {
	t.Parallel()
	dir := fakeGroups(t, "cpuset cpu io memory pids", "")
	if err := os.Mkdir(dir+"/"+ourLeaf, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/"+ourLeaf+"/cgroup.procs", "")
	g, err := divide(dir)
	if err != nil || g.dir != dir || strings.Join(g.holds, " ") != "memory pids cpu" {
		t.Fatalf("divide: %+v, %v", g, err)
	}
	for file, want := range map[string]string{"cgroup.subtree_control": "+memory +pids +cpu", ourLeaf + "/cgroup.procs": strconv.Itoa(os.Getpid())} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", file, got, err, want)
		}
	}
	// Divided once, it is found again from the leaf.
	put(t, dir+"/cgroup.subtree_control", "cpu memory pids")
	if again, err := divide(dir + "/" + ourLeaf); err != nil || again.dir != dir {
		t.Errorf("divide from the leaf: %+v, %v", again, err)
	}
}

func TestGroupsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	if _, err := divide(fakeGroups(t, "hugetlb", "")); err == nil || !strings.Contains(err.Error(), "neither memory nor pids") {
		t.Errorf("without controllers: %v", err)
	}
	if _, err := divide(t.TempDir()); err == nil {
		t.Error("no cgroup at all: no error")
	}
	// Without groups everything goes on.
	var none *groups
	g, err := none.make(Limits{Memory: 1})
	if g != nil || err != nil || g.holdsMemory() || g.holdsProcesses() || g.reason(Limits{}) != "" {
		t.Errorf("a group of no groups: %v, %v", g, err)
	}
	g.kill()
	g.remove(zerolog.Nop())
}

func TestGroupHoldsWhatTheKernelTakes(t *testing.T) {
	t.Parallel()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	g := &group{dir: dir}
	put(t, dir.Name()+"/memory.max", "max")
	put(t, dir.Name()+"/memory.swap.max", "max")
	g.hold(Limits{Memory: 64 << 20, Processes: 5})
	if !g.holdsMemory() || g.holdsProcesses() {
		t.Errorf("held are %q, want memory only: there is no pids.max", g.holds)
	}
	for file, want := range map[string]string{"memory.max": "67108864", "memory.swap.max": "0"} {
		if got, _ := os.ReadFile(filepath.Join(dir.Name(), file)); !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
	put(t, dir.Name()+"/memory.events", "low 0\noom 1\noom_kill 0\n")
	if got := g.reason(Limits{Memory: 64 << 20}); got != "" {
		t.Errorf("reason %q though nothing was killed", got)
	}
	put(t, dir.Name()+"/memory.events", "low 0\noom 1\noom_kill 2\n")
	if got := g.reason(Limits{Memory: 64 << 20}); got != "it used more than 64 MB of memory" {
		t.Errorf("reason %q", got)
	}
}
