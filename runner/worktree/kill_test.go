package worktree

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dozens/internal/testenv"
)

// TestPrepareAfterKill kills a host in the middle of a checkout, alone or with the git it had started, and lets
// another host go on in the same folder.
func TestPrepareAfterKill(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		all  bool
	}{{"host and git", true}, {"host alone", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachMode(t, func(t *testing.T, w *world) {
				w.base = w.commit("main", files(3000))
				for try := range 10 {
					s := w.spec("one" + strconv.Itoa(try))
					s.CloneURL = "file://" + filepath.Join(w.root, "owner", "repo.git")
					if !killInCheckout(t, w, s, tt.all) {
						continue // it was quicker than we were
					}
					tree, err := w.trees.Prepare(t.Context(), s, Credential{})
					if err != nil {
						t.Fatalf("Prepare after the kill: %v", err)
					}
					if got := w.agent(tree, "git status --porcelain --branch; git rev-parse HEAD"); got != "## "+s.Branch+"\n"+w.base {
						t.Errorf("worktree = %q", got)
					}
					run(t, w.mirror(), "git", "fsck")
					return
				}
				t.Fatal("the host was never caught in the middle of a checkout")
			})
		})
	}
}

// killInCheckout says whether the host was caught with some files written and others not.
func killInCheckout(t *testing.T, w *world, s Spec, all bool) bool {
	t.Helper()
	host, ended := startHost(t, w, s, "")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !exists(filepath.Join(w.trees.dir, "trees", s.name(), "many", "d1")) {
		select {
		case <-ended:
			return false
		case <-tick.C:
		}
	}
	pid := strconv.Itoa(host.Process.Pid)
	children := childrenOf(pid)
	_ = host.Process.Kill()
	if all {
		for _, c := range children {
			_ = syscall.Kill(-c, syscall.SIGKILL)
		}
	}
	<-ended
	notes, err := readState(filepath.Join(w.trees.dir, "state", s.name()))
	return err == nil && !notes.Ready && len(children) > 0
}

// startHost starts a host of its own on the world's data folder.
func startHost(t *testing.T, w *world, s Spec, look string) (*exec.Cmd, <-chan struct{}) {
	t.Helper()
	spec, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), "WORKTREE_TEST_HOST="+w.trees.dir, "WORKTREE_TEST_SPEC="+string(spec), "WORKTREE_TEST_LOOK="+look)
	if w.box != nil {
		host.Env = append(host.Env, "WORKTREE_TEST_BWRAP="+testenv.Bwrap(t))
	}
	host.Stderr = os.Stderr
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = host.Wait(); close(ended) }()
	return host, ended
}

// TestLookAfterKill kills a host at many points of a look, and looks again: nothing is lost, and nothing is there that
// an agent could have left.
func TestLookAfterKill(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, "boxed")
	w.base = w.commit("main", files(100))
	caught := 0
	for i, point := range []struct{ what, pattern string }{
		{"work folder", "state/NAME/work"}, {"scratch index", "state/NAME/work/index"}, {"objects of its own", "state/NAME/work/objects/??"},
		{"quarantine", "state/NAME/take-*"}, {"pack", "state/NAME/take-*/objects/pack/*.idx"}, {"second pack in the mirror", "mirrors/7.git/objects/pack/*.idx"},
		{"index of ours", "state/NAME/.new-*"}, {"trash", "trash/dead-*"},
	} {
		label := "one" + strconv.Itoa(i)
		tree := w.prepare(label)
		w.agent(tree, "echo "+label+" > x; git add x; git commit -qm x; echo y > y; git config alias.z z; seq 2000 > many-lines")
		pattern := filepath.Join(w.trees.dir, strings.ReplaceAll(point.pattern, "NAME", tree.name()))
		before := len(glob(t, pattern))
		host, ended := startHost(t, w, tree.Spec, "yes")
		for done := false; !done; {
			select {
			case <-ended:
				done = true
			default:
				if done = len(glob(t, pattern)) > before; done {
					caught++
				}
			}
		}
		_ = host.Process.Kill()
		<-ended
		w.prepare(label)
		look := w.look(tree)
		if len(look.Changes) != 3 || run(t, w.mirror(), "git", "show", look.Head+":x", look.Head+":y") != label+"\ny" {
			t.Errorf("%s: Look = %+v, want what the agent left", point.what, look)
		}
		w.prepare(label)
		if got := w.agent(tree, "git rev-parse HEAD; git status --porcelain"); got != look.Head {
			t.Errorf("%s: the worktree says %q", point.what, got)
		}
		if left := glob(t, filepath.Join(w.trees.dir, "state", tree.name(), "take-*")); len(left) > 0 {
			t.Errorf("%s: left over: %q", point.what, left)
		}
	}
	t.Logf("caught at %d points", caught)
	if caught < 3 {
		t.Errorf("the host was caught at %d points, want at least 3", caught)
	}
	run(t, w.mirror(), "git", "fsck", "--strict")
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// childrenOf reads the parent of every process.
func childrenOf(pid string) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var list []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == pid {
			if c, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				list = append(list, c)
			}
		}
	}
	return list
}

// TestCancelEndsGit cancels a call while the server does not answer.
func TestCancelEndsGit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.hold("/info/refs")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := w.trees.RemoteHead(ctx, w.spec("one"), cred()); done <- err }()
	<-held.reached
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("RemoteHead = %v, want it cancelled", err)
	}
	close(held.let)
	if left := processesWith(w.server.URL); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
}
