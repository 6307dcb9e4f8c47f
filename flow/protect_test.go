package flow

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/config"
)

// TestSignalOf: what becomes of a diff. Owned paths decide what is stray, of a rename both sides, and only then the
// settings what is protected.
func TestSignalOf(t *testing.T) {
	t.Parallel()
	usual := config.DefaultRepository()
	narrow := config.Repository{Paths: config.Paths{Protected: []string{"infra/**"}}}
	change := func(path, old string) work.Change { return work.Change{Path: path, Old: old, Status: "M"} }
	for _, c := range []struct {
		name                        string
		owned                       []string
		set                         config.Repository
		changes                     []work.Change
		stray, protected, workflows []string
	}{
		{name: "ordinary", set: usual, changes: []work.Change{change("src/a.go", "")}},
		{name: "protected, everything owned", set: usual, changes: []work.Change{change("src/a.go", ""), change("docs/CODEOWNERS", "")}, protected: []string{"docs/CODEOWNERS"}},
		{name: "workflow", set: usual, changes: []work.Change{change(".github/workflows/deep/ci.sh", ""), change(".github/x", "")},
			protected: []string{".github/workflows/deep/ci.sh", ".github/x"}, workflows: []string{".github/workflows/deep/ci.sh"}},
		{name: "both sides of a rename", set: usual, changes: []work.Change{change("old.yml", ".github/workflows/ci.yml"), change("CLAUDE.md", "notes.md")},
			protected: []string{".github/workflows/ci.yml", "CLAUDE.md"}, workflows: []string{".github/workflows/ci.yml"}},
		{name: "stray and protected", owned: []string{"src/**"}, set: usual, changes: []work.Change{change(".mcp.json", ""), change("src/CLAUDE.md", "")},
			stray: []string{".mcp.json"}, protected: []string{".mcp.json", "src/CLAUDE.md"}},
		{name: "settings of one's own keep the settings", set: narrow, changes: []work.Change{change("infra/a", ""), change("CODEOWNERS", ""), change(settingsFile, "")}, protected: []string{settingsFile, "infra/a"}},
		{name: "nothing protected keeps the settings", set: config.Repository{}, changes: []work.Change{change("CODEOWNERS", ""), change(settingsFile, "")}, protected: []string{settingsFile}},
		{name: "a path that is not clean", owned: []string{"src/**"}, set: usual, changes: []work.Change{change("src/../x", "")}, stray: []string{"src/../x"}, protected: []string{"src/../x"}},
	} {
		r := work.Report{Offer: work.Offer{Kind: work.Run}, Outcome: work.Done, Changes: c.changes}
		got := signalOf(task.Task{Kind: task.Code, Owned: c.owned}, r, c.set)
		want := [][]string{c.stray, c.protected, c.workflows}
		if diff := cmp.Diff(want, [][]string{got.Stray, got.Protected, got.Workflows}, nilIsEmpty()); diff != "" {
			t.Errorf("%s: stray, protected, workflows, want - got +:\n%s", c.name, diff)
		}
	}
	plan := signalOf(task.Task{Kind: task.Plan}, work.Report{Offer: work.Offer{Kind: work.Run}, Changes: []work.Change{change("CODEOWNERS", "")}}, usual)
	if len(plan.Stray)+len(plan.Protected) > 0 {
		t.Errorf("a plan changes nothing: got %+v", plan)
	}
}

func nilIsEmpty() cmp.Option {
	return cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })
}

// TestRefusedWorkflows: GitHub's words, in the forms that have been seen, and words that are something else.
func TestRefusedWorkflows(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"[remote rejected] (refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission)": ".github/workflows/ci.yml",
		"Refusing to allow an integration to create or update .github/workflows/deep/a-b.yaml":                                                      ".github/workflows/deep/a-b.yaml",
		"refusing to allow an OAuth App to create or update workflow `.github/workflows/dependencies.sh` without `workflow` scope":                  ".github/workflows/dependencies.sh",
		"remote: refusing to allow a GitHub App to create or update workflow \".github/workflows/x.yml\" without \"workflows\" permission":          ".github/workflows/x.yml",
		"GH006: Protected branch update failed for refs/heads/main.":                                                                                "",
		"pre-receive hook declined": "",
		"":                          "",
	} {
		got := refusedWorkflows(words)
		if want == "" && got != nil || want != "" && (len(got) != 1 || got[0] != want) {
			t.Errorf("%q: got %q, want %q", words, got, want)
		}
		r := work.Report{Offer: work.Offer{Kind: work.Publish}, Outcome: work.Rejected, Reason: words}
		if s := signalOf(task.Task{Kind: task.Code}, r, config.Repository{}); len(s.Workflows) != len(got) || s.Stray != nil {
			t.Errorf("%q: got signal %+v", words, s)
		}
	}
}

// TestUnwantedPush: an old offer of a push that waits for a permission is dropped, so that it does not pass by the wait.
func TestUnwantedPush(t *testing.T) {
	t.Parallel()
	offer := work.Offer{Kind: work.Publish, Generation: 1}
	for waiting, wanted := range map[task.Waiting]bool{task.NotWaiting: true, task.ForPermission: false} {
		if why := unwanted(task.Task{Stage: task.Publish, Generation: 1, Waiting: waiting}, offer, "h1"); (why == "") != wanted {
			t.Errorf("waiting %q: got %q, want wanted %v", waiting, why, wanted)
		}
	}
}
