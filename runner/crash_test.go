package runner

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"dozens/batch/work"
	"dozens/runner/claude"
)

// The test binary plays the host process that is killed: these variables tell it so.
const (
	childURL = "DOZENS_TEST_HOST_URL"
	childDir = "DOZENS_TEST_HOST_DIR"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		os.Exit(hostProcess(url, os.Getenv(childDir)))
	}
	os.Exit(m.Run())
}

// hostProcess runs host h1 with an agent that works until it is killed, and prints what it begins.
func hostProcess(url, dir string) int {
	ctx := context.Background()
	server, err := dialFromChild(ctx, url, "h1")
	if err != nil {
		fmt.Fprintln(os.Stdout, "dial:", err)
		return 1
	}
	began := make(chan string, 10)
	h, err := New(Options{
		Name: "h1", Dir: dir, Slots: 2, Server: server, Trees: &trees{dir: filepath.Join(dir, "trees")},
		Agent: &agent{run: untilStopped(began, nil)}, Log: zerolog.Nop(),
	})
	if err != nil {
		fmt.Fprintln(os.Stdout, "new:", err)
		return 1
	}
	go func() {
		for id := range began {
			fmt.Fprintln(os.Stdout, id)
		}
	}()
	if err := h.Run(ctx); err != nil {
		fmt.Fprintln(os.Stdout, "run:", err)
	}
	return 1
}

func TestKilledHostLosesNothing(t *testing.T) {
	t.Parallel()
	w, dir := openWire(t, time.Second), t.TempDir()
	w.offer(t, runOf("a"))
	w.offer(t, runOf("b"))
	killWhenBegan(t, w, dir, 2)
	if b := receive(t, w.desk.firsts); len(b.Held) != 0 {
		t.Fatalf("first beat of the new host process: holds %v", b.Held)
	}
	// A half-written file and one that cannot be read, as a full disk may leave them.
	for name, text := range map[string]string{"c.1.run.json.tmp": "{", "d.1.run.json": "{"} {
		if err := os.WriteFile(filepath.Join(dir, "journal", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	a := &agent{}
	end := start(t, Options{Name: "h1", Dir: dir, Slots: 2, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: a})
	if b := receive(t, w.desk.firsts); !b.First || len(b.Held) != 0 {
		t.Errorf("first beat after the crash: got %+v, want it to hold nothing", b)
	}
	got := map[string]work.Outcome{}
	for range 2 {
		r := receive(t, w.desk.reports)
		got[r.ID()] = r.Outcome
	}
	if diff := cmp.Diff(map[string]work.Outcome{"a.2.run": work.Done, "b.2.run": work.Done}, got); diff != "" {
		t.Errorf("reports after the crash (-want +got):\n%s", diff)
	}
	end()
	if diff := cmp.Diff([]string{"a.1.run", "b.1.run", "d.1.run"}, a.reaped); diff != "" {
		t.Errorf("runs whose leftovers were ended (-want +got):\n%s", diff)
	}
	if n := a.started("a.1.run") + a.started("b.1.run"); n != 0 {
		t.Errorf("starts of the lost generation: got %d, want 0", n)
	}
}

// killWhenBegan starts a host process and kills it when it has begun n runs.
func killWhenBegan(t *testing.T, w *wire, dir string, n int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childURL+"=nats://"+w.Addr(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := range n {
		if !lines.Scan() {
			t.Fatalf("the host process ended after %d of %d runs: %v", i, n, lines.Err())
		}
		if got := lines.Text(); got != "a.1.run" && got != "b.1.run" {
			t.Fatalf("the host process says %q", got)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
}

// Leftovers that cannot be ended would work on in the same worktree: the host must not begin.
func TestHostDoesNotBeginBesideLeftovers(t *testing.T) {
	t.Parallel()
	w, dir := openWire(t, 0), t.TempDir()
	j, err := openJournal(filepath.Join(dir, "journal"), quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.begin(runOf("a"), time.Now()); err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{Name: "h1", Dir: dir, Slots: 1, Server: w.connect(t, "h1"), Trees: newTrees(t), Agent: stubborn{}, Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // and it must not forget
		if err := h.Run(t.Context()); err == nil {
			t.Error("host began although leftovers could not be ended")
		}
	}
}

type stubborn struct{ *agent }

func (stubborn) Reap(context.Context, string) error { return fmt.Errorf("process 1 does not die") }

func TestJournal(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	reopen := func() *journal {
		j, err := openJournal(dir, quiet(t))
		if err != nil {
			t.Fatalf("open journal: %v", err)
		}
		return j
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	j := reopen()
	must(j.begin(runOf("held"), now))
	for _, task := range []string{"unsent", "sent", "old"} {
		must(j.begin(runOf(task), now))
		must(j.finish(work.Report{Offer: runOf(task), Outcome: work.Done, Ended: now}))
	}
	must(j.sent("sent.1.run", now))
	must(j.sent("old.1.run", now.Add(-journalAge-time.Hour)))
	must(j.sent("unknown.1.run", now))

	state := func(j *journal) map[string][]string {
		var unsent []string
		for _, r := range j.unsent() {
			unsent = append(unsent, r.ID())
		}
		return map[string][]string{
			"unfinished": j.unfinished(), "unsent": unsent,
			"all": j.finishedSince(time.Time{}), "lately": j.finishedSince(now.Add(-time.Minute)),
		}
	}
	want := map[string][]string{
		"unfinished": {"held.1.run"}, "unsent": {"unsent.1.run"},
		"all": {"old.1.run", "sent.1.run", "unsent.1.run"}, "lately": {"sent.1.run", "unsent.1.run"},
	}
	if diff := cmp.Diff(want, state(j)); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, state(reopen())); diff != "" {
		t.Errorf("journal read again (-want +got):\n%s", diff)
	}
	must(j.begin(runOf("new"), now)) // forgets what is old
	must(j.forget("held.1.run"))
	must(j.forget("held.1.run"))
	want["unfinished"], want["all"] = []string{"new.1.run"}, []string{"sent.1.run", "unsent.1.run"}
	if diff := cmp.Diff(want, state(reopen())); diff != "" {
		t.Errorf("journal after forgetting (-want +got):\n%s", diff)
	}
}

var _ Agent = (*claude.Driver)(nil)
