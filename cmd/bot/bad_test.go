package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dozens/internal/demo"
	"dozens/internal/scripted"
)

// code is a script with these steps for every code run.
func code(steps ...scripted.Step) scripted.Script {
	return scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{{Steps: steps}}}}}
}

func returns(output string) scripted.Step {
	return scripted.Step{Do: scripted.Result, Output: json.RawMessage(output)}
}

var (
	better  = scripted.Step{Do: scripted.Write, Path: "src/a.txt", Text: "better\n"}
	allDone = returns(`{"status":"done","summary":"Made it better."}`)
)

// TestAgentMisbehaves: whatever the agent does to itself and its worktree, the person gets a clear word where
// they look, and the work goes on where it can.
func TestAgentMisbehaves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []scripted.Step
		says  string // in the final comment; "": it merges
	}{
		"crashes":                  {[]scripted.Step{better, {Do: scripted.Exit, N: 3}}, "1 failed"},
		"is killed":                {[]scripted.Step{better, {Do: scripted.Signal, N: 9}}, "1 failed"},
		"prints garbage":           {[]scripted.Step{better, {Do: scripted.Stdout, Text: "\x00\xff{not json\n"}, {Do: scripted.Exit, N: 0}}, "1 failed"},
		"prints nothing":           {[]scripted.Step{{Do: scripted.Exit, N: 0}}, "1 failed"},
		"changes nothing":          {[]scripted.Step{allDone}, "without changing anything"},
		"prints 100 MB":            {[]scripted.Step{better, {Do: scripted.Flood, N: 100}, allDone}, ""},
		"commits elsewhere":        {[]scripted.Step{{Do: scripted.Checkout, Text: "elsewhere"}, better, {Do: scripted.Commit, Text: "x"}, allDone}, ""},
		"deletes .git":             {[]scripted.Step{better, {Do: scripted.Shell, Text: "rm -rf .git || true"}, allDone}, ""},
		"leaves a process":         {[]scripted.Step{better, {Do: scripted.Background, Text: "sleep 86399"}, allDone}, ""},
		"returns text and no more": {[]scripted.Step{better, {Do: scripted.Plain, Text: "All done!"}}, "without a usable result"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{approves: true, script: code(c.steps...)})
			i := w.issue("Make a better", "", "claude")
			if c.says == "" {
				w.settled(i, 1)
			} else {
				w.eventually("the end is said", func() bool { return w.said(i, "dozens:final:") == 1 })
				if w.said(i, c.says) == 0 || w.squashes() != 0 {
					t.Errorf("got comments %+v, want one with %q", w.state(i).Comments, c.says)
				}
			}
			if pids := running(t, "86399"); len(pids) > 0 {
				t.Errorf("processes are left: %v", pids)
			}
		})
	}
}

// running lists processes with an argument.
func running(t *testing.T, arg string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if text, err := os.ReadFile(f); err == nil && strings.Contains("\x00"+string(text), "\x00"+arg+"\x00") {
			found = append(found, f)
		}
	}
	return found
}

// TestStrayPaths: a diff outside of the owned paths goes back to the session once, then fails with the list.
func TestStrayPaths(t *testing.T) {
	t.Parallel()
	stray := scripted.Step{Do: scripted.Write, Path: "src/b.txt", Text: "not mine\n"}
	s := planThen(scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{better, stray, allDone}},
		{Steps: []scripted.Step{{Do: scripted.Shell, Text: "git checkout HEAD~1 -- src/b.txt"}, allDone}},
	}}}})
	w := newWorld(t, options{approves: true, script: s})
	i := w.issue("Make a better", "")
	w.comment(i, demo.Requester, "/batch --yes make a better")
	w.settled(i, 1)
	if text, _, err := w.Repo.File("main", "src/b.txt"); err != nil || text != "b\n" {
		t.Errorf("got %q on main, %v", text, err)
	}

	always := newWorld(t, options{approves: true, script: planThen(code(better, stray, allDone))})
	j := always.issue("Make a better", "")
	always.comment(j, demo.Requester, "/batch --yes make a better")
	always.eventually("it fails with the list", func() bool { return always.said(j, "- src/b.txt") > 0 && always.said(j, "1 failed") > 0 })
	if n := len(always.Repo.Pulls()); n != 0 {
		t.Errorf("got %d pull requests of a diff that strays", n)
	}
}

// TestBadPlans: a plan that cannot be accepted goes back to the planner twice with the reasons, then to the person.
func TestBadPlans(t *testing.T) {
	t.Parallel()
	unit := func(label, paths, needs string) string {
		return `{"label":"` + label + `","title":"T","brief":"B","owned_paths":[` + paths + `],"depends_on":[` + needs + `]}`
	}
	good := returns(`{"units":[` + unit("one", `"src/a.txt"`, "") + `]}`)
	for name, c := range map[string]struct{ plan, says string }{
		"overlap": {unit("one", `"src/**"`, "") + "," + unit("two", `"src/a.txt"`, ""), "`src/"},
		"cycle":   {unit("one", `"src/a.txt"`, `"two"`) + "," + unit("two", `"src/b.txt"`, `"one"`), "one"},
		"label":   {unit("../../etc", `"src/a.txt"`, ""), "etc"},
		"paths":   {unit("one", `"../secrets"`, ""), ".."},
		"no file": {unit("one", `"nowhere/*.go"`, ""), "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := returns(`{"units":[` + c.plan + `]}`)
			w := newWorld(t, options{approves: true, script: scripted.Script{Rules: []scripted.Rule{{Kind: "plan", Runs: []scripted.Run{{Steps: []scripted.Step{bad}}}}}}})
			i := w.issue("Plan this", "")
			w.comment(i, demo.Requester, "/batch")
			w.eventually("the person is told", func() bool { return w.said(i, "refused three times") > 0 })
			if w.said(i, strings.ReplaceAll(c.says, "`", "")) == 0 {
				t.Errorf("no comment says %q: %+v", c.says, w.state(i).Comments)
			}
			if n := strings.Count(w.log.all(), `"signal":"leased"`); n != 3 {
				t.Errorf("the planner ran %d times, want 3", n)
			}
		})
	}
	mended := edits()
	mended.Rules = append([]scripted.Rule{{Kind: "plan", Runs: []scripted.Run{{Steps: []scripted.Step{returns(`{"units":[]}`)}}, {Steps: []scripted.Step{good}}}}}, mended.Rules...)
	w := newWorld(t, options{approves: true, script: mended})
	i := w.issue("Plan this", "")
	w.comment(i, demo.Requester, "/batch")
	w.settled(i, 1)
}

// TestStop: an agent that hangs and does not listen is gone within seconds of /stop, and nothing is left.
func TestStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{script: code(scripted.Step{Do: scripted.Deaf}, scripted.Step{Do: scripted.Background, Text: "sleep 86398"},
		scripted.Step{Do: scripted.Write, Path: here, Text: "x"}, scripted.Step{Do: scripted.Hang})})
	i := w.issue("Hang", "", "claude")
	w.eventually("the agent hangs", func() bool { return len(w.marks(here)) == 1 && len(running(t, "86398")) > 0 })
	w.comment(i, demo.Requester, "/stop")
	w.eventually("the end is said", func() bool { return w.said(i, "1 cancelled") == 1 })
	if pids := running(t, "86398"); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
	if trees, _ := filepath.Glob(filepath.Join(w.dir, "data", "host", "trees", "*")); len(trees) > 0 {
		t.Errorf("worktrees are left: %v", trees)
	}
}

// TestWithdrawn: removing the label or closing the issue stops the work.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	hang := code(scripted.Step{Do: scripted.Hang})
	w := newWorld(t, options{script: hang})
	i, j := w.issue("Hang", "", "claude"), w.issue("Hang too", "", "claude")
	w.eventually("both run", func() bool { return strings.Count(w.log.all(), `"signal":"leased"`) == 2 })
	if err := i.Unlabel(demo.Requester, "claude"); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(demo.Requester); err != nil {
		t.Fatal(err)
	}
	w.eventually("both are cancelled", func() bool { return w.said(i, "1 cancelled") == 1 && w.said(j, "1 cancelled") == 1 })
}

// TestStrangeRepositories: empty, renamed and gone. Each ends in a clear word, and others go on.
func TestStrangeRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: code(better, scripted.Step{Do: scripted.Write, Path: here, Text: "x"}, scripted.Step{Do: scripted.WaitFor, Path: goOn}, allDone)})
	empty, err := w.GitHub.CreateEmptyRepo("acme", "empty")
	if err != nil {
		t.Fatal(err)
	}
	gone, err := w.GitHub.CreateRepo("acme", "gone", map[string]string{"src/a.txt": "a\n"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []interface {
		Grant(login, role string) error
	}{empty, gone} {
		if err := r.Grant(demo.Requester, "admin"); err != nil {
			t.Fatal(err)
		}
	}
	nothing, err := empty.OpenIssue(demo.Requester, "Nothing here", "", "claude")
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("the empty repository is refused", func() bool {
		s, err := nothing.State()
		return err == nil && len(s.Comments) == 1 && strings.Contains(s.Comments[0].Body, "There is no branch")
	})
	i := w.issue("Make a better", "", "claude")
	if _, err := gone.OpenIssue(demo.Requester, "Make a better", "", "claude"); err != nil {
		t.Fatal(err)
	}
	w.eventually("both agents work", func() bool { return len(w.marks(here)) == 2 })
	if err := gone.Delete(); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Rename("store"); err != nil {
		t.Fatal(err)
	}
	w.mark(goOn)
	w.settled(i, 1)
	w.eventually("the batch of the gone repository has failed", func() bool { return strings.Contains(w.page("/"), "failed") })
}

// page reads the bot's own web page.
func (w *world) page(path string) string {
	w.t.Helper()
	resp, err := http.Get("http://" + w.addr + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}
