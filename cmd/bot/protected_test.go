package main

import (
	"slices"
	"strings"
	"testing"

	"dozens/internal/demo"
	"dozens/internal/scripted"
)

const (
	guarded  = "dozens:protected"
	flowFile = ".github/workflows/nightly.yml"
)

func writes(path, text string) scripted.Step {
	return scripted.Step{Do: scripted.Write, Path: path, Text: text}
}

// person adds somebody with a role in the sample repository.
func (w *world) person(login, role string) {
	w.t.Helper()
	if _, err := w.GitHub.AddPerson(login, "User"); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Repo.Grant(login, role); err != nil {
		w.t.Fatal(err)
	}
}

// pushes counts what went to git-receive-pack.
func (w *world) pushes() (n int) {
	for _, c := range w.GitHub.Calls() {
		if c.Kind == "git" && c.Method == "POST" && strings.HasSuffix(c.Path, "/git-receive-pack") {
			n++
		}
	}
	return n
}

// TestProtectedPaths: a change of protected paths is published with its label and the paths in its text, and merges
// only when an admin who did not ask for it has approved that very commit, whatever becomes of the label.
func TestProtectedPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{script: code(better, writes("CODEOWNERS", "* @mallory\n"), allDone)})
	w.person("linus", "admin")
	i := w.issue("Make a better", "", "claude")
	p := w.inReview()
	if !slices.Contains(p.Labels, guarded) || !strings.Contains(p.Body, "**Protected paths:** this changes `CODEOWNERS`.") {
		t.Errorf("got labels %q and text %q, want both to say that it is protected", p.Labels, p.Body)
	}
	w.approve(demo.Reviewer)
	w.heldBecause("This commit needs the approval of somebody with admin permission, because it changes protected paths (CODEOWNERS).")
	w.approve(demo.Requester)
	w.heldBecause("The approval of " + demo.Requester + " does not count")
	if err := w.Repo.Issue(p.Number).Unlabel("mallory", guarded); err != nil {
		t.Fatal(err)
	}
	w.comment(w.Repo.Issue(p.Number), demo.Requester, "/claude change nothing")
	w.eventually("it was looked at without the label", func() bool { return w.said(w.Repo.Issue(p.Number), "changed nothing more") > 0 })
	w.heldBecause("somebody with admin permission")
	w.approve("linus")
	w.settled(i, 1)
}

// TestProtectedApprovers: the settings of the base branch name who approves, not those that the pull request brings, and
// neither an admin nor a writer replaces that person.
func TestProtectedApprovers(t *testing.T) {
	t.Parallel()
	theirs := "paths: {protected: []}\nmerge: {protected_approvers: [" + demo.Reviewer + "]}\n"
	w := newWorld(t, options{script: code(better, writes(".github/dozens.yml", theirs), allDone),
		settings: "labels: {protected: careful}\npaths: {protected: [infra/**]}\nmerge: {protected_approvers: [Linus]}\n"})
	w.person("linus", "write")
	w.person("margaret", "admin")
	i := w.issue("Make a better", "", "claude")
	p := w.inReview()
	w.eventually("the named person is asked for a review", func() bool { return slices.Contains(w.pull().Requested, "linus") })
	if !slices.Contains(p.Labels, "careful") || !strings.Contains(p.Body, "approval of Linus") {
		t.Errorf("got labels %q and text %q, want the base branch's settings", p.Labels, p.Body)
	}
	for _, who := range []string{demo.Reviewer, "margaret"} {
		w.approve(who)
		w.heldBecause(who + " approved this commit")
		w.heldBecause("This commit needs the approval of Linus")
	}
	w.approve("linus")
	w.settled(i, 1)
}

// TestProtectedNoMore: when a later commit leaves the protected paths alone, the label goes and no admin is needed.
func TestProtectedNoMore(t *testing.T) {
	t.Parallel()
	script := scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{better, writes(".mcp.json", "{}\n"), allDone}},
		{Steps: []scripted.Step{{Do: scripted.Delete, Path: ".mcp.json"}, allDone}},
	}}}}
	w := newWorld(t, options{script: script})
	i := w.issue("Make a better", "", "claude")
	p := w.inReview()
	if !slices.Contains(p.Labels, guarded) {
		t.Errorf("got labels %q, want %s", p.Labels, guarded)
	}
	w.comment(w.Repo.Issue(p.Number), demo.Requester, "/claude without .mcp.json")
	w.eventually("the label is off again", func() bool { return !slices.Contains(w.pull().Labels, guarded) })
	w.eventually("the second commit is in review", func() bool { return strings.Contains(w.gate(), "It changes no protected path.") })
	w.approve(demo.Reviewer)
	w.settled(i, 1)
}

// TestWorkflowPermission: without the app's permission a change of workflow files is said before anything is pushed, and
// goes on from where it is as soon as the permission is there.
func TestWorkflowPermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{script: code(better, writes(flowFile, "on: push\n"), allDone)})
	w.person("linus", "admin")
	i := w.issue("Make a better", "", "claude")
	w.eventually("it is said", func() bool { return w.said(i, "`workflows: write`") == 1 && w.said(i, "(`"+flowFile+"`)") == 1 })
	w.eventually("the status says so", func() bool { return w.said(i, "publish, waiting: permission") == 1 })
	again := w.comment(i, demo.Requester, "/retry")
	w.eventually("it is refused", func() bool {
		return slices.Contains(w.reactions(i, again), "confused") && w.said(i, "still has no permission") == 1
	})
	if n, pulls := w.pushes(), w.Repo.Pulls(); n != 0 || len(pulls) != 0 {
		t.Errorf("got %d pushes and %d pull requests without the permission", n, len(pulls))
	}
	if err := w.GitHub.Allow("workflows", "write"); err != nil {
		t.Fatal(err)
	}
	w.inReview()
	if n := w.pushes(); n != 1 {
		t.Errorf("got %d pushes with the permission, want one", n)
	}
	if n := strings.Count(w.log.all(), `"signal":"leased"`); n != 1 {
		t.Errorf("the agent ran %d times, want once: its work is kept", n)
	}
	w.approve(demo.Reviewer)
	w.heldBecause("somebody with admin permission")
	w.approve("linus")
	w.settled(i, 1)
}

// TestWorkflowWithout: a person's words instead of the permission let the same session find another way.
func TestWorkflowWithout(t *testing.T) {
	t.Parallel()
	script := scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{better, writes(flowFile, "on: push\n"), allDone}},
		{Steps: []scripted.Step{{Do: scripted.Shell, Text: "git reset -q --soft HEAD~1 && git rm -q --cached " + flowFile + " && rm " + flowFile}, allDone}},
	}}}}
	w := newWorld(t, options{approves: true, script: script})
	i := w.issue("Make a better", "", "claude")
	w.eventually("it is said", func() bool { return w.said(i, "`workflows: write`") == 1 })
	w.comment(i, demo.Requester, "leave the workflow alone")
	w.settled(i, 1)
	if p := w.pull(); slices.Contains(p.Labels, guarded) {
		t.Errorf("got labels %q of a change that is not protected any more", p.Labels)
	}
}

// TestWorkflowRefused: GitHub refuses a push for commits whose sum changes no workflow file. The same words are said, and
// the permission helps here too.
func TestWorkflowRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: code(writes(flowFile, "on: push\n"), scripted.Step{Do: scripted.Commit, Text: "Try"},
		scripted.Step{Do: scripted.Delete, Path: flowFile}, better, allDone)})
	i := w.issue("Make a better", "", "claude")
	w.eventually("it is said", func() bool { return w.said(i, "`workflows: write`") == 1 && w.said(i, "(`"+flowFile+"`)") == 1 })
	if err := w.GitHub.Allow("workflows", "write"); err != nil {
		t.Fatal(err)
	}
	w.settled(i, 1)
}
