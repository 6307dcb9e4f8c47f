package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"

	"dozens/batch"
	"dozens/batch/gate"
)

// recorded is one exchange with github.com.
type recorded struct {
	Method          string
	Path            string
	Status          int
	Response        json.RawMessage
	ResponseHeaders map[string]any `json:"responseHeaders"`
	Headers         map[string]any `json:"headers"`
}

// replay answers as github.com did, from a recording. The last of several answers to the same call is given.
func replay(t *testing.T, name string, change func(*recorded)) *world {
	t.Helper()
	raw, err := os.ReadFile("testdata/octokit/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	raw = bytes.ReplaceAll(raw, []byte("https://api.github.com"), []byte(w.srv.URL+"/api/v3"))
	var list []recorded
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	answers := map[string]recorded{}
	for _, r := range list {
		if change != nil {
			change(&r)
		}
		answers[strings.ToUpper(r.Method)+" "+r.Path] = r
	}
	for pattern, r := range answers {
		w.on(pattern, func(rw http.ResponseWriter, _ *http.Request) {
			for _, headers := range []map[string]any{r.ResponseHeaders, r.Headers} {
				for k, v := range headers {
					if text, ok := v.(string); ok && http.CanonicalHeaderKey(k) == "Location" {
						rw.Header().Set(k, text)
					}
				}
			}
			give(rw, r.Status, string(r.Response))
		})
	}
	return w
}

func (w *world) fixture(name string) *Repo {
	return w.app.Repo(batch.Repo{Installation: testInstID, Owner: "octokit-fixture-org", Name: name})
}

func TestRecordedRename(t *testing.T) {
	t.Parallel()
	// The first PATCH did the renaming and has the same address as the one that was redirected.
	w := replay(t, "rename-repository", nil)
	repo := w.fixture("rename-repository")
	info, err := repo.Info(t.Context())
	if err != nil || info.ID != 1000 || info.Name != "rename-repository-newname" || info.Owner != "octokit-fixture-org" ||
		!strings.HasSuffix(info.CloneURL, "/octokit-fixture-org/rename-repository-newname.git") || info.DefaultBranch == "" {
		t.Errorf("got %+v, %v; want the renamed repository", info, err)
	}
	edited, _, err := repo.in.rest.Repositories.Edit(t.Context(), "octokit-fixture-org", "rename-repository",
		&gh.Repository{Description: gh.String("test description")})
	if err != nil || edited.GetDescription() != "test description" {
		t.Errorf("write to the old name: got %v, %v; want it carried out under the new one", edited, err)
	}
	moved := w.sent("PATCH", "/repositories/1000")
	if len(moved) != 1 || !strings.Contains(moved[0].Body, "test description") {
		t.Errorf("moved write: got %+v, want one PATCH with its body", moved)
	}
}

func TestRecordedStatuses(t *testing.T) {
	t.Parallel()
	w := replay(t, "create-status", nil)
	f := &reading{repo: w.fixture("create-status")}
	f.facts.Head = "0000000000000000000000000000000000000001"
	if err := f.readStatuses(t.Context()); err != nil || len(f.facts.Unread) != 0 {
		t.Fatalf("got %v, unread %q", err, f.facts.Unread)
	}
	got := map[string]string{}
	for _, c := range f.facts.Checks {
		got[c.Name] = c.Source + " " + c.Status + " " + c.Conclusion + " " + c.URL + " " + c.Summary
		if c.StartedAt.IsZero() || c.EndedAt.IsZero() || c.ID == 0 {
			t.Errorf("%s: got %+v, want times and an id", c.Name, c)
		}
	}
	want := map[string]string{
		"example/1": "status completed failure https://example.com create-status failure test",
		"example/2": "status completed success https://example.com create-status success test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestRecordedIssue(t *testing.T) {
	t.Parallel()
	w := replay(t, "add-labels-to-issue", func(r *recorded) {
		if strings.HasSuffix(r.Path, "/issues") { // the answer to its creation is what a read gives
			r.Method, r.Path, r.Status = "get", r.Path+"/1", 200
		}
	})
	issue, err := w.fixture("add-labels-to-issue").Issue(t.Context(), 1)
	want := gate.Actor{Login: "octokit-fixture-user-a", ID: issue.Author.ID, Type: "User"}
	if err != nil || issue.Title != "Issue without a label" || issue.State != "open" || issue.Author != want || issue.Author.ID == 0 || issue.IsPull || issue.UpdatedAt.IsZero() {
		t.Errorf("got %+v, %v", issue, err)
	}
}

func TestRecordedRefusal(t *testing.T) {
	t.Parallel()
	w := replay(t, "errors", nil)
	_, _, err := w.fixture("errors").in.rest.Issues.CreateLabel(t.Context(), "octokit-fixture-org", "errors",
		&gh.Label{Name: gh.String("foo"), Color: gh.String("invalid")})
	err = explain("make label", err)
	want := "make label: GitHub refused it (HTTP 422: Validation Failed; Label color invalid)"
	if !errors.Is(err, ErrRefused) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
