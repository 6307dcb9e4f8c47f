package claude

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dozens/batch/work"
	"dozens/internal/scripted"
)

// Ways for an agent to end that no real one can be asked for.
func TestScriptedAccidents(t *testing.T) {
	t.Parallel()
	garbage := "not JSON\n[1,2]\n{\"type\":\"result\"\n\x00\xff\xfe\n{\"type\":7}\n{\"type\":\"result\",\"errors\":{}}\n\n"
	tests := map[string]struct {
		steps  []scripted.Step
		want   work.Outcome
		reason string
	}{
		"crash before the first line": {[]scripted.Step{{Do: scripted.Exit, N: 3}}, work.Unusable, "exit status 3"},
		"crash with words":            {[]scripted.Step{{Do: scripted.Stderr, Text: "out of paper\n"}, {Do: scripted.Exit, N: 1}}, work.Unusable, "out of paper"},
		"killed":                      {[]scripted.Step{{Do: scripted.Signal, N: int(syscall.SIGKILL)}}, work.Unusable, "killed"},
		"terminated by others":        {[]scripted.Step{{Do: scripted.Exit, N: 143}}, work.Stopped, "from outside"},
		"says nothing":                {[]scripted.Step{{Do: scripted.Exit, N: 0}}, work.Unusable, "without a result"},
		"garbage, then a result":      {[]scripted.Step{{Do: scripted.Stdout, Text: garbage}, {Do: scripted.Result, Output: doneJSON}}, work.Done, ""},
		"a result, then garbage":      {[]scripted.Step{{Do: scripted.Stdout, Text: garbage}, {Do: scripted.Exit, N: 0}}, work.Unusable, "cannot be read"},
		"a good result, then a bad":   {[]scripted.Step{{Do: scripted.Stdout, Text: `{"type":"result","subtype":"success","is_error":false,"structured_output":{"status":"done","summary":"s"}}` + "\n"}, {Do: scripted.APIError, N: 401}}, work.Fault, "401"},
		"a good result, then a crash": {[]scripted.Step{{Do: scripted.Stdout, Text: `{"type":"result","subtype":"success","is_error":false,"structured_output":{"status":"done","summary":"s"}}` + "\n"}, {Do: scripted.Exit, N: 7}}, work.Unusable, "exit status 7"},
		"no line end":                 {[]scripted.Step{{Do: scripted.Stdout, Text: `{"type":"result","subtype":"success","is_error":false,"structured_output":{"status":"done","summary":"s"}}`}, {Do: scripted.Exit, N: 0}}, work.Done, ""},
		"unknown step":                {[]scripted.Step{{Do: "dance"}}, work.Unusable, "dance"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := scriptedRig(t, runs(test.steps), nil)
			r.want(r.start(t.Context()), test.want, test.reason)
		})
	}
}

// A program that does not even take its arguments is a fault of the host, not of the task.
func TestCouldNotStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Binary: os.Args[0], Args: []string{verb, "--frobnicate"}}, nil)
	r.want(r.start(t.Context()), work.Fault, "unknown option")
}

// Stopped, timed out or done: whatever a run has started is gone after it, deaf and hidden processes too.
func TestNothingOutlivesARun(t *testing.T) {
	t.Parallel()
	const started = "touch started; while :; do sleep 1; done"
	background := scripted.Step{Do: scripted.Background, Text: started}
	wait := scripted.Step{Do: scripted.WaitFor, Path: "started"}
	tests := map[string]struct {
		steps []scripted.Step
		stop  string // text of the log at which the run is cancelled
		want  work.Outcome
	}{
		"done":           {[]scripted.Step{background, wait}, "", work.Done},
		"crashed":        {[]scripted.Step{background, wait, {Do: scripted.Signal, N: 9}}, "", work.Unusable},
		"cancelled":      {[]scripted.Step{background, wait, {Do: scripted.Say, Text: "NOW"}, {Do: scripted.Hang}}, "NOW", work.Stopped},
		"cancelled deaf": {[]scripted.Step{background, wait, {Do: scripted.Deaf}, {Do: scripted.Say, Text: "NOW"}, {Do: scripted.Hang}}, "NOW", work.Stopped},
		"in a command":   {[]scripted.Step{{Do: scripted.Say, Text: "NOW"}, {Do: scripted.Shell, Text: started}}, "NOW", work.Stopped},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := scriptedRig(t, runs(test.steps), nil)
			r.driver.grace = 300 * time.Millisecond
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.stop != "" {
				go func() {
					r.await(test.stop)
					cancel()
				}()
			}
			began := time.Now()
			r.want(r.start(ctx), test.want, "") // start looks for processes that are left
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestStoppedBeforeItBegan(t *testing.T) {
	t.Parallel()
	r := scriptedRig(t, runs([]scripted.Step{{Do: scripted.Write, Path: "b.txt"}}), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.want(r.start(ctx), work.Stopped, "before it began")
}

// 100 MB of output cost neither memory nor room in the log, and the result at their end is still understood.
func TestFlood(t *testing.T) {
	const megabytes = 100
	tests := map[string][]scripted.Step{
		"lines":    {{Do: scripted.Flood, N: megabytes}},
		"one line": {{Do: scripted.LongLine, N: megabytes}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			r := scriptedRig(t, runs(append(steps, scripted.Step{Do: scripted.Result, Output: doneJSON})), nil)
			bytes, most := 0, uint64(0)
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			before := m.HeapSys
			got, err := r.driver.Run(t.Context(), r.session(), func(l work.Line) {
				bytes += len(l.Text) + len(l.Data)
				if l.Seq%500 == 0 || l.Kind == "host" {
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapSys)
				}
			})
			if err != nil || got.Outcome != work.Done {
				t.Errorf("Run = %s (%s), %v; want done", got.Outcome, got.Reason, err)
			}
			if bytes > maxLog+(1<<20) {
				t.Errorf("logged %d bytes, want at most about %d", bytes, maxLog)
			}
			if grown := int64(most) - int64(before); grown > 64<<20 {
				t.Errorf("the heap grew by %d MB", grown>>20)
			}
		})
	}
}

// A run that was killed together with its host is found by its mark, and its session goes on.
func TestReapAfterACrash(t *testing.T) {
	t.Parallel()
	r := scriptedRig(t, runs(
		[]scripted.Step{{Do: scripted.Write, Path: "b.txt", Text: "half"}, {Do: scripted.Say, Text: "NOW"}, {Do: scripted.Hang}},
		[]scripted.Step{{Do: scripted.Result, Output: doneJSON}},
	), nil)
	ended := make(chan Result)
	go func() { ended <- r.start(t.Context()) }()
	r.await("NOW")
	if err := r.driver.Reap(t.Context(), r.order.Task+".9.run"); err != nil {
		t.Fatal(err)
	}
	if len(running(t, r.order.ID())) == 0 {
		t.Fatal("reaping another run ended this one")
	}
	if err := r.driver.ReapAll(t.Context(), r.order.Task+"."); err != nil {
		t.Fatal(err)
	}
	r.want(<-ended, work.Unusable, "killed")
	got := r.start(t.Context())
	r.want(got, work.Done, "")
	if !got.Resumed {
		t.Error("the session did not go on")
	}
	if err := r.driver.Reap(t.Context(), ""); err == nil {
		t.Error("Reap of no run is to be refused")
	}
}

// When the host itself is killed, the agent dies with it.
func TestAgentDiesWithItsHost(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent")
	}
	r := scriptedRig(t, runs([]scripted.Step{{Do: scripted.Say, Text: "NOW"}, {Do: scripted.Hang}}), nil)
	host := hostProcess(t, r)
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()                                                             // it was killed
	t.Cleanup(func() { _ = r.driver.Reap(context.Background(), r.order.ID()) }) // the files that a killed host leaves
	look, late := time.NewTicker(10*time.Millisecond), time.After(10*time.Second)
	defer look.Stop()
	for len(running(t, r.order.ID())) > 0 {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("still there: %v", running(t, r.order.ID()))
		}
	}
}

func TestOneRunPerSession(t *testing.T) {
	t.Parallel()
	r := scriptedRig(t, runs([]scripted.Step{{Do: scripted.Say, Text: "NOW"}, {Do: scripted.WaitFor, Path: "go-on"}}), nil)
	ended := make(chan Result)
	go func() { ended <- r.start(t.Context()) }()
	r.await("NOW")
	if _, err := r.driver.Run(t.Context(), r.session(), r.take); !errors.Is(err, ErrBusy) {
		t.Errorf("second run: %v, want ErrBusy", err)
	}
	write(t, filepath.Join(r.dir, "go-on"), "")
	r.want(<-ended, work.Done, "")
}

// Each run's cost is its own, though the program tells the session's; a session that starts again starts from nothing.
func TestCosts(t *testing.T) {
	t.Parallel()
	script := runs([]scripted.Step{{Do: scripted.Say}})
	script.Rules[0].Runs[0].CostMicroUSD, script.Rules[0].Runs[0].Turns = 1234, 3
	r := scriptedRig(t, script, nil)
	for range 3 {
		if got := r.start(t.Context()).Usage; got.CostMicroUSD != 1234 || got.Turns != 3 {
			t.Errorf("usage = %+v, want 1234 and 3 turns", got)
		}
	}
	if err := os.RemoveAll(filepath.Join(r.home, "home", ".claude")); err != nil {
		t.Fatal(err)
	}
	if got := r.start(t.Context()); got.Usage.CostMicroUSD != 1234 || got.Resumed {
		t.Errorf("after a loss: cost %d, resumed %v; want 1234, false", got.Usage.CostMicroUSD, got.Resumed)
	}
}

func TestBadSessions(t *testing.T) {
	t.Parallel()
	tests := map[string]func(s *Session){
		"session id": func(s *Session) { s.Order.Session = "../../etc" },
		"worktree":   func(s *Session) { s.Dir = "tree" },
		"no tree":    func(s *Session) { s.Dir = filepath.Join(s.Dir, "gone") },
		"home":       func(s *Session) { s.Home = "home" },
		"run":        func(s *Session) { s.RunID = "" },
		"run's path": func(s *Session) { s.RunID = "../x" },
		"model":      func(s *Session) { s.Order.Model = "--dangerously-skip-permissions" },
		"schema":     func(s *Session) { s.Order.Schema = []byte(`{"type":7}`) },
	}
	r := scriptedRig(t, runs([]scripted.Step{{Do: scripted.Say}}), nil)
	for name, spoil := range tests {
		s := r.session()
		spoil(&s)
		if got, err := r.driver.Run(t.Context(), s, r.take); err == nil || got.Outcome != work.Fault || got.Reason == "" {
			t.Errorf("%s: Run = %+v, %v; want a fault", name, got, err)
		}
	}
	if log := r.log(); log != "" {
		t.Errorf("something was started: %s", log)
	}
}

// The path of a session's tools comes before the host's.
func TestPathAdditions(t *testing.T) {
	t.Parallel()
	r := scriptedRig(t, runs([]scripted.Step{{Do: scripted.Shell, Text: "mytool"}}), nil)
	tools := t.TempDir()
	write(t, filepath.Join(tools, "mytool"), "#!/bin/sh\necho tool-was-here\n")
	s := r.session()
	s.Path = []string{tools}
	if _, err := r.driver.Run(t.Context(), s, r.take); err != nil || !strings.Contains(r.log(), "tool-was-here") {
		t.Errorf("Run: %v; the log:\n%s", err, r.log())
	}
}

// A run's temp folder goes with the run, and after a crash with Reap.
func TestFilesOfARun(t *testing.T) {
	t.Parallel()
	r := scriptedRig(t, runs([]scripted.Step{{Do: scripted.Shell, Text: "touch $TMPDIR/x; ls -a $TMPDIR/.. " + inBox}}), nil)
	folder := folderOf(r.order.ID())
	write(t, filepath.Join(folder, "of-an-earlier-try"), "")
	r.start(t.Context())
	if log := r.log(); !strings.Contains(log, "settings.json") || !strings.Contains(log, "system.md") || strings.Contains(log, "of-an-earlier-try") {
		t.Errorf("the run's folder is to hold its files only; the log:\n%s", log)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("%s is left after the run (%v)", folder, err)
	}
	for _, reap := range []func() error{
		func() error { return r.driver.Reap(t.Context(), r.order.ID()) },
		func() error { return r.driver.ReapAll(t.Context(), r.order.Task) },
	} {
		folder := folderOf(r.order.ID())
		write(t, filepath.Join(folder, "tmp", "x"), "")
		if err := reap(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("%s is left after reaping (%v)", folder, err)
		}
	}
}

// BenchmarkStart is a whole run of an agent that does nothing: what the driver itself costs.
func BenchmarkStart(b *testing.B) {
	v, err := runs([]scripted.Step{{Do: scripted.Result, Output: doneJSON}}).Variable()
	if err != nil {
		b.Fatal(err)
	}
	d, err := New(Options{Binary: os.Args[0], Args: []string{verb}, Env: append(FromEnviron(os.Environ()), v)})
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for i := 0; b.Loop(); i++ {
		s := Session{Dir: dir, Home: filepath.Join(dir, "home"), RunID: "b." + strconv.Itoa(i)}
		s.Order.Session = "11111111-1111-4111-8111-111111111111"
		s.Order.Schema = work.ResultSchema()
		if got, err := d.Run(b.Context(), s, func(work.Line) {}); err != nil || got.Outcome != work.Done {
			b.Fatalf("Run = %+v, %v", got, err)
		}
	}
}
