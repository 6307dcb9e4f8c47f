package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dozens/batch/work"
	"dozens/runner/claude"
	"dozens/runner/worktree"
)

// nowhere is a server for work that is carried out without a wire.
type nowhere struct {
	Server
	lines []work.Line
}

func (n *nowhere) Emit(l work.Line) { n.lines = append(n.lines, l) }

// carry carries out one order and returns its report.
func carry(t *testing.T, kind work.Kind, a *agent, w *trees, change func(*work.Order)) work.Report {
	t.Helper()
	return carryOn(t, hostFor(t, a, w), kind, change)
}

func hostFor(t *testing.T, a *agent, w *trees) *Host {
	t.Helper()
	h, err := New(Options{Name: "h1", Dir: t.TempDir(), Slots: 1, Server: &nowhere{}, Trees: w, Agent: a, Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	if h.journal, err = openJournal(filepath.Join(h.opts.Dir, "journal"), quiet(t)); err != nil {
		t.Fatal(err)
	}
	return h
}

func carryOn(t *testing.T, h *Host, kind work.Kind, change func(*work.Order)) work.Report {
	t.Helper()
	o := orderOf(work.Offer{Task: "a", Generation: 1, Kind: kind})
	if change != nil {
		change(o)
	}
	j, _ := h.jobs.begin(t.Context(), o.Offer)
	defer h.jobs.end(j)
	r := h.carryOut(t.Context(), j, o)
	if e, ok := h.journal.get(o.ID()); !ok || e.Report == nil || e.Report.Outcome != r.Outcome {
		t.Errorf("the journal does not hold the report")
	}
	return r
}

func says(r claude.Result, err error) *agent {
	return &agent{run: func(context.Context, claude.Session, func(work.Line)) (claude.Result, error) { return r, err }}
}

func TestOutcomesOfRuns(t *testing.T) {
	t.Parallel()
	wrapped := func(err error) error { return fmt.Errorf("look at worktree: %w: vendor/x", err) }
	for name, tc := range map[string]struct {
		agent   claude.Result
		err     error // of the agent
		prepare error
		look    error
		want    work.Outcome
		head    string
		reason  string // what it contains
	}{
		"done":              {agent: claude.Result{Outcome: work.Done}, want: work.Done, head: head},
		"done, nested":      {agent: claude.Result{Outcome: work.Done}, look: wrapped(worktree.ErrNested), want: work.Fault, reason: "repository inside the worktree (look at worktree"},
		"done, lost":        {agent: claude.Result{Outcome: work.Done}, look: worktree.ErrLost, want: work.Fault, reason: "worktree is gone"},
		"done, other":       {agent: claude.Result{Outcome: work.Done}, look: errors.New("/secret/path"), want: work.Fault, reason: "on host h1; its log says more (task a)"},
		"question":          {agent: claude.Result{Outcome: work.Question}, want: work.Question, head: head},
		"question, foreign": {agent: claude.Result{Outcome: work.Question}, look: worktree.ErrForeign, want: work.Question},
		"blocked":           {agent: claude.Result{Outcome: work.Blocked, Reason: "no way"}, want: work.Blocked, head: head, reason: "no way"},
		"limit":             {agent: claude.Result{Outcome: work.Limit}, want: work.Limit, head: head},
		"usage limit":       {agent: claude.Result{Outcome: work.UsageOver}, want: work.UsageOver, head: head},
		"unusable":          {agent: claude.Result{Outcome: work.Unusable}, want: work.Unusable, head: head},
		"failed":            {agent: claude.Result{Outcome: work.Fault, Reason: "key"}, want: work.Fault, head: head, reason: "key"},
		"no agent":          {err: claude.ErrNotFound, want: work.Fault, head: head, reason: "could not be started on host h1"},
		"empty repository":  {prepare: wrapped(worktree.ErrEmptyRepo), want: work.Gone, reason: "no commits yet"},
		"gone":              {prepare: wrapped(worktree.ErrGone), want: work.Gone, reason: "not there any more"},
		"no access":         {prepare: worktree.ErrAuth, want: work.Fault, reason: "did not let this host"},
		"full disk":         {prepare: worktree.ErrDisk, want: work.Fault, reason: "disk is too full"},
		"other":             {prepare: errors.New("exit 128"), want: work.Fault, reason: "on host h1; its log says more (task a)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTrees(t)
			w.prepare = func(context.Context, worktree.Spec) error { return tc.prepare }
			if tc.look != nil {
				w.look = func() (worktree.Look, error) { return worktree.Look{}, tc.look }
			}
			r := carry(t, work.Run, says(tc.agent, tc.err), w, nil)
			if r.Outcome != tc.want || r.Head != tc.head || !strings.Contains(r.Reason, tc.reason) || (tc.reason == "" && r.Reason != "") {
				t.Errorf("got %s, head %q, reason %q; want %s, head %q, reason with %q", r.Outcome, r.Head, r.Reason, tc.want, tc.head, tc.reason)
			}
			if strings.Contains(r.Reason, "/secret/path") {
				t.Errorf("reason %q shows an inner error", r.Reason)
			}
		})
	}
}

func TestStuckAgentMeetsItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &agent{run: untilStopped(make(chan string, 1), nil)}
		began := time.Now()
		r := carry(t, work.Run, a, newTrees(t), func(o *work.Order) { o.Limits.Time = time.Hour })
		if r.Outcome != work.Limit || r.Reason != errOvertime.Error() || r.Head != head {
			t.Errorf("got %s, head %q, reason %q; want limit with its reason", r.Outcome, r.Head, r.Reason)
		}
		if took := time.Since(began); took != time.Hour+overtime {
			t.Errorf("stopped after %v, want %v", took, time.Hour+overtime)
		}
	})
}

func TestOutcomesOfPushes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		want   work.Outcome
		head   string
		reason string
	}{
		"pushed":    {nil, work.Pushed, head, ""},
		"moved":     {fmt.Errorf("push: %w", &worktree.MovedError{Remote: base}), work.Rejected, base, "somebody else pushed"},
		"refused":   {fmt.Errorf("%w: protected branch", worktree.ErrRefused), work.Rejected, "", "protected branch"},
		"no access": {worktree.ErrAuth, work.Fault, "", "did not let this host"},
		"gone":      {worktree.ErrGone, work.Gone, "", "not there any more"},
		"network":   {errors.New("could not resolve host"), work.Fault, "", "the push did not succeed on host h1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTrees(t)
			w.push = func(context.Context) error { return tc.err }
			r := carry(t, work.Publish, nilAgent(), w, nil)
			if r.Outcome != tc.want || r.Head != tc.head || !strings.Contains(r.Reason, tc.reason) {
				t.Errorf("got %s, head %q, reason %q; want %s, head %q, reason with %q", r.Outcome, r.Head, r.Reason, tc.want, tc.head, tc.reason)
			}
		})
	}
}

func nilAgent() *agent { return &agent{} }

const goodPlan = `{"units":[{"label":"one","title":"One","brief":"Do it.","owned_paths":["src/*.go"]}]}`

func TestReadOnlyRuns(t *testing.T) {
	t.Parallel()
	clean := worktree.Look{Head: base}
	done := func(plan string) claude.Result { return claude.Result{Outcome: work.Done, Output: []byte(plan)} }
	for name, tc := range map[string]struct {
		agent   claude.Result
		look    worktree.Look
		lookErr error
		remove  error
		want    work.Report
		calls   string
	}{
		"accepted": {
			agent: done(goodPlan), look: clean,
			want: work.Report{Outcome: work.Done, Head: base}, calls: "prepare look",
		},
		"a path that is not there": {
			agent: done(strings.Replace(goodPlan, "src/*.go", "lib/*.go", 1)), look: clean,
			want: work.Report{Outcome: work.Done, Head: base, Problems: []string{"one: …"}}, calls: "prepare look",
		},
		"too many units": {
			agent: done(`{"units":[` + strings.TrimSuffix(strings.Repeat(`{"label":"x"},`, 3), ",") + `]}`), look: clean,
			want: work.Report{Outcome: work.Done, Head: base, Problems: []string{"…"}}, calls: "prepare look",
		},
		"no plan": {
			agent: done(`[]`), look: clean,
			want: work.Report{Outcome: work.Done, Head: base, Problems: []string{"…"}}, calls: "prepare look",
		},
		"question": {
			agent: claude.Result{Outcome: work.Question}, look: clean,
			want: work.Report{Outcome: work.Question, Head: base}, calls: "prepare look",
		},
		"changed files": {
			agent: done(goodPlan), look: worktree.Look{Head: head, Commits: 1, Changes: []work.Change{{Path: "a"}}},
			want: work.Report{Outcome: work.Done, Head: base}, calls: "prepare look remove prepare",
		},
		"left something that cannot be looked at": {
			agent: done(goodPlan), lookErr: worktree.ErrNested,
			want: work.Report{Outcome: work.Done, Head: base}, calls: "prepare look remove prepare",
		},
		"changed files and cannot be undone": {
			agent: done(goodPlan), look: worktree.Look{Head: head}, remove: errors.New("busy"),
			want: work.Report{Outcome: work.Fault, Head: base}, calls: "prepare look remove",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTrees(t)
			w.look = func() (worktree.Look, error) { return tc.look, tc.lookErr }
			w.remove = func() error { return tc.remove }
			w.prepare = func(_ context.Context, s worktree.Spec) error {
				dir := filepath.Join(w.dir, s.Label+"-"+s.Task, "src")
				return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "x.go"), nil, 0o600),
					os.WriteFile(filepath.Join(dir, "..", ".git"), nil, 0o600))
			}
			got := carry(t, work.Run, says(tc.agent, nil), w, func(o *work.Order) { o.ReadOnly, o.Units = true, 2 })
			if (len(got.Problems) > 0) != (len(tc.want.Problems) > 0) {
				t.Errorf("problems: got %q, want some: %t", got.Problems, len(tc.want.Problems) > 0)
			}
			ignore := cmpopts.IgnoreFields(work.Report{}, "Offer", "Host", "Started", "Ended", "Output", "Reason", "Problems")
			if diff := cmp.Diff(tc.want, got, ignore); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			var calls []string
			for _, c := range w.calls {
				verb, _, _ := strings.Cut(c, " ")
				calls = append(calls, verb)
			}
			if diff := cmp.Diff(tc.calls, strings.Join(calls, " ")); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCleanup(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		keep   bool
		remove error
		want   work.Outcome
		home   bool // is still there
	}{
		"all":                    {false, nil, work.Cleaned, false},
		"keep":                   {true, nil, work.Cleaned, true},
		"worktree does not go":   {false, errors.New("busy"), work.Fault, true},
		"repository is gone too": {false, worktree.ErrGone, work.Gone, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTrees(t)
			w.remove = func() error { return tc.remove }
			h := hostFor(t, nilAgent(), w)
			if err := os.MkdirAll(h.sessionHome("a"), 0o700); err != nil {
				t.Fatal(err)
			}
			r := carryOn(t, h, work.Cleanup, func(o *work.Order) { o.Keep = tc.keep })
			if r.Outcome != tc.want {
				t.Errorf("got %s (%s), want %s", r.Outcome, r.Reason, tc.want)
			}
			if _, err := os.Stat(h.sessionHome("a")); (err == nil) != tc.home {
				t.Errorf("session home: got %v, want it there: %t", err, tc.home)
			}
			if want := fmt.Sprintf("remove a keep=%t", tc.keep); w.calls[0] != want {
				t.Errorf("call: got %q, want %q", w.calls[0], want)
			}
		})
	}
}

// The push can arrive before the last step of the run; giving it back would cost it two seconds.
func TestNextWorkOfATaskWaitsForTheLastStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hostFor(t, nilAgent(), newTrees(t))
		push := work.Offer{Task: "a", Generation: 1, Kind: work.Publish}
		run, _ := h.jobs.begin(t.Context(), runOf("a"))
		if _, how := h.begin(t.Context(), push); how != taskBusy {
			t.Errorf("beside a run that goes on: got %d, want busy", how)
		}
		began := time.Now()
		go func() {
			pause(t.Context(), 10*time.Millisecond)
			h.jobs.end(run)
		}()
		job, how := h.begin(t.Context(), push)
		if how != fresh || time.Since(began) != 10*time.Millisecond {
			t.Fatalf("after the run's last step: got %d after %v, want fresh after 10 ms", how, time.Since(began))
		}
		if _, how := h.begin(t.Context(), push); how != doubled {
			t.Errorf("the same push again: got %d, want doubled", how)
		}
		h.jobs.end(job)
	})
}

func TestLinesAreNumberedAsOne(t *testing.T) {
	t.Parallel()
	server := &nowhere{}
	l := newLines(server, orderOf(runOf("a")))
	l.say("first %s", token)
	l.emit(work.Line{Task: "x", Generation: 7, Seq: 50, Kind: "claude", Data: []byte(`"` + token + `"`)})
	p := newLines(server, orderOf(work.Offer{Task: "a", Generation: 1, Kind: work.Publish}))
	p.say("pushed")
	want := []work.Line{
		{Task: "a", Generation: 1, Seq: 1, Kind: "host", Text: "first ***"},
		{Task: "a", Generation: 1, Seq: 2, Kind: "claude", Data: []byte(`"***"`)},
		{Task: "a", Generation: 1, Seq: 0, Kind: "host", Text: "pushed"},
	}
	if diff := cmp.Diff(want, server.lines, cmpopts.IgnoreFields(work.Line{}, "At")); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc …"}, {"aä", 2, "a …"}, {"a\xff", 9, "a\uFFFD"}} {
		if got := cut(tc.in, tc.n); got != tc.want {
			t.Errorf("cut(%q, %d): got %q, want %q", tc.in, tc.n, got, tc.want)
		}
	}
}

var _ Trees = (*worktree.Trees)(nil)
