package handlers

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"dozens/batch"
)

// example is a real payload with what is expected of it.
type example struct {
	Event        string
	Action       string
	Lane         string
	Installation int64
	Payload      json.RawMessage
}

func examples(t *testing.T) []example {
	t.Helper()
	f, err := os.Open("testdata/payloads.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRealPayloadsFindTheirLane(t *testing.T) {
	t.Parallel()
	box := &memory{}
	srv := hook(t, box, zerolog.Nop(), secret)
	seen := map[string]bool{}
	for i, ex := range examples(t) {
		seen[ex.Event] = true
		id := fmt.Sprint("d-", i)
		if got, body := do(t, request(t, srv.URL, ex.Event, id, string(ex.Payload))); got != 202 {
			t.Fatalf("%s %s: status %d: %s", ex.Event, ex.Action, got, body)
		}
		want := batch.Delivery{
			ID: id, Event: ex.Event, Action: ex.Action, Lane: ex.Lane, Installation: ex.Installation, Payload: ex.Payload, At: testNow,
		}
		if !slices.Contains(Events(), ex.Event) {
			want.Note = noteUnused
		}
		if got := box.all()[i]; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			got.Payload, want.Payload = nil, nil
			t.Errorf("%s %s: stored\n%+v, want\n%+v", ex.Event, ex.Action, got, want)
		}
	}
	for _, event := range Events() {
		if !seen[event] {
			t.Errorf("no example of %s", event)
		}
	}
}

func TestLanes(t *testing.T) {
	t.Parallel()
	sha := strings.Repeat("a1", 20)
	for _, tt := range []struct{ name, event, payload, want string }{
		{"issue", "issues", `{"repository":{"id":42},"issue":{"number":3}}`, "42/3"},
		{"comment on a pull request", "issue_comment", `{"repository":{"id":42},"issue":{"number":9,"pull_request":{"url":"x"}}}`, "42/9"},
		{"the pull request itself", "pull_request", `{"repository":{"id":42},"pull_request":{"number":9}}`, "42/9"},
		{"its review", "pull_request_review", `{"repository":{"id":42},"pull_request":{"number":9}}`, "42/9"},
		{"its thread", "pull_request_review_thread", `{"repository":{"id":42},"pull_request":{"number":9}}`, "42/9"},
		{"check run", "check_run", `{"repository":{"id":42},"check_run":{"head_sha":"` + sha + `","pull_requests":[{"number":9}]}}`, "42/sha/" + sha},
		{"status", "status", `{"repository":{"id":42},"sha":"` + sha + `"}`, "42/sha/" + sha},
		{"workflow run", "workflow_run", `{"repository":{"id":42},"workflow_run":{"head_sha":"` + sha + `"}}`, "42/sha/" + sha},
		{"commit that is none", "status", `{"repository":{"id":42},"sha":"../../x"}`, "42"},
		{"negative number", "issues", `{"repository":{"id":42},"issue":{"number":-3}}`, "42"},
		{"push", "push", `{"repository":{"id":42},"issue":{"number":3}}`, "42"},
		{"installation", "installation_repositories", `{"installation":{"id":5},"repository":{"id":42}}`, "inst/5"},
		{"null issue", "issues", `{"repository":{"id":42},"issue":null}`, "42"},
	} {
		d := batch.Delivery{Event: tt.event, Payload: []byte(tt.payload)}
		describe(&d)
		if d.Lane != tt.want || d.Note != "" {
			t.Errorf("%s: lane %q, note %q, want %q and no note", tt.name, d.Lane, d.Note, tt.want)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add("issues", []byte(issue))
	f.Add("status", []byte(`{"sha":"x","repository":{"id":1e99}}`))
	f.Fuzz(func(t *testing.T, event string, payload []byte) {
		d := batch.Delivery{Event: event, Payload: payload}
		describe(&d)
		if strings.Trim(d.Lane, "0123456789abcdef/shint") != "" || len(d.Lane) > 100 {
			t.Errorf("lane %q of %q", d.Lane, payload)
		}
		if d.Action != "" && !isWord(d.Action) {
			t.Errorf("action %q", d.Action)
		}
	})
}
