package main

import (
	"slices"
	"strings"
	"testing"

	"dozens/internal/demo"
)

// TestBotsDoNotCommand: what a bot asks for with a comment, a label or an issue of its own starts nothing, whatever its rights
// are, until the settings of the base branch name it.
func TestBotsDoNotCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: edits(), settings: "commands: {users: [trusted]}\n"})
	for _, login := range []string{"robot", "trusted"} {
		if _, err := w.GitHub.AddPerson(login, "Bot"); err != nil {
			t.Fatal(err)
		}
		if err := w.Repo.Grant(login, "admin"); err != nil {
			t.Fatal(err)
		}
	}
	i := w.issue("Make a better", "")
	hostile := w.comment(i, "robot", "/claude do something bad")
	if err := i.Label("robot", "claude"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Repo.OpenIssue("robot", "Make b worse", "", "batch"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the bot is refused", func() bool { return slices.Equal(w.reactions(i, hostile), []string{"confused"}) })
	if err := w.GitHub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	named := w.comment(i, "trusted", "/claude make a better") // worked on after all that came before
	w.settled(i, 1)
	if !slices.Contains(w.reactions(i, named), "rocket") || strings.Count(w.log.all(), `"message":"batch accepted"`) != 1 {
		t.Error("want one batch, the named bot's")
	}
}

// TestForeignPull: a pull request of somebody else is not merged, closed, commented on or judged, however green and
// approved it is and however much its branch and text look like ours; nor is its branch deleted.
func TestForeignPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: edits()})
	const branch = "dozens/make-a-better-aaaaaaaa"
	if _, err := w.Repo.PushTo(branch, demo.Requester, map[string]string{"src/c.txt": "c\n"}, "Add c\n\nDozens-Task: x/y"); err != nil {
		t.Fatal(err)
	}
	foreign, err := w.Repo.OpenPull(demo.Requester, "Make a better", "**How it was tested:** well", branch, "main", false)
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("it is green and approved", func() bool {
		p, err := foreign.State()
		return err == nil && len(p.Reviews) > 0 && len(w.Repo.Checks(p.HeadSHA)) > 0
	})
	i := w.issue("Make a better", "", "claude")
	w.eventually("our own is merged", func() bool { return !w.state(i).Open && w.said(i, "merged, 0 failed") > 0 })
	p, err := foreign.State()
	if err != nil {
		t.Fatal(err)
	}
	if p.Merged || !w.state(foreign.Issue()).Open || len(w.state(foreign.Issue()).Comments) > 0 {
		t.Errorf("somebody touched it: %+v", p)
	}
	for _, c := range w.Repo.Checks(p.HeadSHA) {
		if c.Name == "dozens/gate" {
			t.Error("it was judged")
		}
	}
	if branches, err := w.Repo.Branches(); err != nil || branches[branch] == "" || len(branches) != 2 {
		t.Errorf("got branches %v, %v; want main and the foreign one", branches, err)
	}
}
