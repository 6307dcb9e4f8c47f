package main

import (
	"strings"
	"testing"
)

// TestLabelToMerge: a label on an issue becomes one squash commit, and nothing is left over.
func TestLabelToMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: edits()})
	i := w.issue("Make a better", "It should be better.")
	if err := i.Label("ada", "claude"); err != nil {
		t.Fatal(err)
	}
	w.settled(i, 1)
	log, err := w.Repo.Log("main")
	if err != nil {
		t.Fatal(err)
	}
	top := log[0]
	if !strings.HasSuffix(top.Subject, "(#2)") || !strings.Contains(top.Body, "Requested-by: ada") || !strings.Contains(top.Body, "Dozens-Task: ") {
		t.Errorf("got commit %q with body %q", top.Subject, top.Body)
	}
	pull := w.Repo.Pulls()[0]
	for _, want := range []string{"Closes #1", "Made it better.", "looked at it", "Owned paths"} {
		if !strings.Contains(pull.Body, want) {
			t.Errorf("the pull request does not say %q:\n%s", want, pull.Body)
		}
	}
	if text, _, err := w.Repo.File("main", "src/a.txt"); err != nil || text != "better\n" {
		t.Errorf("got %q on main, %v", text, err)
	}
}

// TestWithoutSandbox: where agents run without a sandbox, everybody is told.
func TestWithoutSandbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{bare: true, approves: true, script: edits()})
	i := w.issue("Make a better", "", "claude")
	w.settled(i, 1)
	if !strings.Contains(w.state(i).Comments[0].Body, "without a sandbox") || !strings.Contains(w.page("/"), "without a sandbox") {
		t.Error("the status or the page does not say that agents run without a sandbox")
	}
}
