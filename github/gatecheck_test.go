package github

import (
	"net/http"
	"strings"
	"testing"

	"dozens/batch/gate"
)

const runsPath = "/repos/acme/shop/check-runs"

func gateWorld(t *testing.T, existing ...obj) *world {
	t.Helper()
	w := newWorld(t)
	w.on("GET /repos/acme/shop/commits/"+sha1+"/check-runs", w.paged(existing, func(page []obj) any {
		return obj{"total_count": len(existing), "check_runs": page}
	}))
	w.on("POST "+runsPath, gives(201, obj{"id": 300}))
	w.on("PATCH "+runsPath+"/{id}", func(rw http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "404" {
			give(rw, 404, obj{"message": "Not Found"})
			return
		}
		give(rw, 200, obj{"id": 300})
	})
	return w
}

// post shows a verdict and counts the writes it took.
func (w *world) post(t *testing.T, c GateCheck) (posts, patches int) {
	t.Helper()
	before := len(w.sent("POST", runsPath))
	patched := func() (n int) {
		for _, id := range []string{"300", "250", "404"} {
			n += len(w.sent("PATCH", runsPath+"/"+id))
		}
		return n
	}
	was := patched()
	if err := w.repo.PostGate(t.Context(), sha1, "task-a", c); err != nil {
		t.Fatalf("PostGate: %v", err)
	}
	return len(w.sent("POST", runsPath)) - before, patched() - was
}

func TestPostGate(t *testing.T) {
	t.Parallel()
	w := gateWorld(t)
	waiting := GateCheck{Status: "in_progress", Title: "Waits", Summary: "for CI", DetailsURL: "https://h/t"}
	good := GateCheck{Status: "completed", Conclusion: "success", Title: "Good", Summary: "all"}
	for i, c := range []struct {
		check          GateCheck
		posts, patches int
	}{
		{waiting, 1, 0}, // made
		{waiting, 0, 0}, // the same: nothing is sent
		{good, 0, 1},    // updated
		{good, 0, 0},
		{waiting, 1, 0}, // a completed run does not open again
	} {
		if posts, patches := w.post(t, c.check); posts != c.posts || patches != c.patches {
			t.Errorf("step %d: got %d posts and %d patches, want %d and %d", i, posts, patches, c.posts, c.patches)
		}
	}
	if got := len(w.sent("GET", "/repos/acme/shop/commits/"+sha1+"/check-runs")); got != 1 {
		t.Errorf("looks: got %d, want 1", got)
	}
	body := w.sent("POST", runsPath)[0].Body
	for _, want := range []string{`"name":"dozens/gate"`, sha1, `"external_id":"task-a"`, `"title":"Waits"`, `"details_url":"https://h/t"`} {
		if !strings.Contains(body, want) {
			t.Errorf("body lacks %s: %s", want, body)
		}
	}
}

func TestPostGateFindsWhatWasMadeBefore(t *testing.T) {
	t.Parallel()
	mine := run(250, testAppID, gate.CheckName, "in_progress", "")
	mine["external_id"] = "task-a"
	foreign := run(260, 15, gate.CheckName, "in_progress", "")
	foreign["external_id"] = "task-a"
	other := run(270, testAppID, gate.CheckName, "in_progress", "")
	other["external_id"] = "task-b"
	w := gateWorld(t, mine, foreign, other)
	if posts, patches := w.post(t, GateCheck{Status: "completed", Conclusion: "success", Title: "Good"}); posts != 0 || patches != 1 {
		t.Errorf("got %d posts and %d patches, want 0 and 1", posts, patches)
	}
	if got := len(w.sent("PATCH", runsPath+"/250")); got != 1 {
		t.Errorf("the run with our external id: got %d updates, want 1", got)
	}
}

func TestPostGateWhenTheRunIsGone(t *testing.T) {
	t.Parallel()
	w := gateWorld(t, run(404, testAppID, gate.CheckName, "in_progress", ""))
	if posts, patches := w.post(t, GateCheck{Status: "completed", Conclusion: "failure", Title: "Bad"}); posts != 1 || patches != 1 {
		t.Errorf("got %d posts and %d patches, want a new run after one try", posts, patches)
	}
}

func TestPostGateLooksAgainAfterAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	existing := []obj{}
	w.on("GET /repos/acme/shop/commits/"+sha1+"/check-runs", func(rw http.ResponseWriter, _ *http.Request) {
		give(rw, 200, obj{"total_count": len(existing), "check_runs": existing})
	})
	w.on("POST "+runsPath, func(http.ResponseWriter, *http.Request) {
		existing = append(existing, run(300, testAppID, gate.CheckName, "in_progress", ""))
		panic(http.ErrAbortHandler)
	})
	w.on("PATCH "+runsPath+"/300", gives(200, obj{"id": 300}))
	c := GateCheck{Status: "in_progress", Title: "Waits"}
	if err := w.repo.PostGate(t.Context(), sha1, "x", c); err == nil {
		t.Fatal("first: got nil, want the dropped connection")
	}
	if err := w.repo.PostGate(t.Context(), sha1, "x", c); err != nil || len(existing) != 1 {
		t.Errorf("second: got %v and %d runs, want one run", err, len(existing))
	}
}
