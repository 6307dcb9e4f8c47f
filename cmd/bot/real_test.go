package main

import (
	"testing"

	"dozens/internal/demo"
	"dozens/internal/fakemodel"
	"dozens/internal/testenv"
)

// realAgent is a world whose agent is the real claude binary, talking to a fake model.
func realAgent(t *testing.T) *world {
	t.Helper()
	binary := testenv.Claude(t)
	model := fakemodel.Start(fakemodel.MigrateActor())
	t.Cleanup(model.Close)
	return newWorld(t, options{approves: true, agent: binary, files: demo.Files(), env: model.Env()})
}

// TestRealClaude takes one issue to a merge with the real claude binary.
func TestRealClaude(t *testing.T) {
	t.Parallel()
	w := realAgent(t)
	i := w.issue("fetchUser is old", "All callers should use the new service.")
	w.comment(i, demo.Requester, "/claude "+demo.Request)
	w.settled(i, 1)
	w.migrated()
}

// TestRealBatch plans, approves and merges a batch with the real claude binary.
func TestRealBatch(t *testing.T) {
	t.Parallel()
	w := realAgent(t)
	i := w.issue("fetchUser is old", "All callers should use the new service.")
	w.comment(i, demo.Requester, "/batch "+demo.Request)
	w.eventually("the plan is shown", func() bool { return w.said(i, "`/go` runs it") == 1 })
	w.comment(i, demo.Requester, "/go")
	w.settled(i, 8)
	w.migrated()
}

// migrated looks at main: every file uses the new call and imports it.
func (w *world) migrated() {
	w.t.Helper()
	names, err := w.Repo.Files("main")
	if err != nil {
		w.t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		text, ok, err := w.Repo.File("main", name)
		if err != nil || !ok {
			w.t.Fatalf("read %s: %v", name, err)
		}
		files[name] = text
	}
	if bad := demo.Problems(files); len(bad) > 0 {
		w.t.Errorf("main is not good: %v", bad)
	}
}
