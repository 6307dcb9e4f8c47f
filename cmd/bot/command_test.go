package main

import (
	"slices"
	"strings"
	"testing"

	"dozens/internal/demo"
	"dozens/internal/lookalike"
	"dozens/internal/scripted"
)

// TestWhoMayCommand: readers and bots get no answer in words and nothing starts; edits and quotes are no commands.
func TestWhoMayCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{script: edits()})
	i := w.issue("Make a better", "")
	hostile := w.comment(i, "mallory", "/claude do something bad")
	quoted := w.comment(i, demo.Requester, "> /claude quoted\n\n```\n/claude in code\n```\n")
	edited := w.comment(i, demo.Requester, "nothing")
	if err := i.EditComment(demo.Requester, edited, "/claude edited in"); err != nil {
		t.Fatal(err)
	}
	wrong := w.comment(i, demo.Requester, "/budget lots")
	w.eventually("the wrong usage is answered", func() bool { return w.said(i, "/budget") == 1 })
	if err := w.GitHub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.reactions(i, hostile); !slices.Equal(got, []string{"confused"}) {
		t.Errorf("reader: got reactions %v", got)
	}
	if got := w.reactions(i, quoted); len(got) != 0 {
		t.Errorf("quote and code: got reactions %v", got)
	}
	if got := w.reactions(i, edited); len(got) != 0 {
		t.Errorf("edit: got reactions %v", got)
	}
	if got := w.reactions(i, wrong); !slices.Contains(got, "confused") || !slices.Contains(got, "eyes") {
		t.Errorf("wrong usage: got reactions %v", got)
	}
	if n := len(w.state(i).Comments); n != 5 {
		t.Errorf("got %d comments, want 4 of people and one reply", n)
	}
	if strings.Contains(w.log.all(), "batch accepted") {
		t.Error("something started")
	}
}

// TestOneBatch: doubled deliveries, and label and comment at once, start one batch.
func TestOneBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: edits()})
	w.GitHub.Double(func(lookalike.Delivery) bool { return true })
	i := w.issue("Make a better", "", "claude")
	w.comment(i, demo.Requester, "/claude make it better")
	w.settled(i, 1)
	if err := w.GitHub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(w.log.all(), "batch accepted"); n != 1 {
		t.Errorf("got %d batches, want one", n)
	}
}

// TestLostWebhooks: what GitHub could not bring while the server was away is fetched when it is back.
func TestLostWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: edits()})
	w.kill()
	i := w.issue("Make a better", "", "claude")
	if err := w.GitHub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.settled(i, 1)
}

// TestConversation: help, status, a question and its answer, instructions on the pull request, a budget.
func TestConversation(t *testing.T) {
	t.Parallel()
	script := scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{{Do: scripted.Ask, Text: "Which colour?"}}},
		{Steps: []scripted.Step{better, allDone}},
		{Steps: []scripted.Step{{Do: scripted.Write, Path: "src/b.txt", Text: "also\n"}, allDone}},
	}}}}
	w := newWorld(t, options{script: script})
	i := w.issue("Make a better", "", "claude")
	w.eventually("the question is asked", func() bool { return w.said(i, "Which colour?") == 2 }) // status and question
	w.comment(i, "mallory", "Green!")
	w.comment(i, demo.Requester, "Blue, please.")
	p := w.inReview()
	pull := w.Repo.Issue(p.Number)
	w.comment(pull, demo.Requester, "/claude also change b")
	w.eventually("the instruction is done", func() bool {
		text, _, err := w.Repo.File(p.Head, "src/b.txt")
		return err == nil && text == "also\n"
	})
	w.comment(i, demo.Requester, "/help")
	w.eventually("help is given", func() bool { return w.said(i, "What you can say") == 1 })
	w.comment(i, demo.Requester, "/status")
	w.eventually("the status is said", func() bool { return w.said(i, "dozens:status-reply:") == 1 })
	w.eventually("it is green again", func() bool { p := w.pull(); return !p.Draft && strings.Contains(w.gate(), "approv") })
	w.approve(demo.Reviewer)
	w.settled(i, 1)
	if strings.Contains(w.log.all(), "Green!") {
		t.Error("a stranger's words reached the log or the agent")
	}
}

// TestReviewAndRedChecks: the session mends a red check and does what a reviewer asks for.
func TestReviewAndRedChecks(t *testing.T) {
	t.Parallel()
	script := scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{{Do: scripted.Write, Path: "src/a.js", Text: "userService.get(1);\n"}, allDone}},
		{Steps: []scripted.Step{{Do: scripted.Write, Path: "src/a.js", Text: "import { userService } from \"x\";\nuserService.get(1);\n"}, allDone}},
		{Steps: []scripted.Step{{Do: scripted.Append, Path: "src/a.js", Text: "// as asked\n"}, allDone}},
	}}}}
	w := newWorld(t, options{script: script})
	i := w.issue("Make a better", "", "claude")
	p := w.inReview()
	if _, err := w.Repo.Pull(p.Number).Review(demo.Reviewer, "REQUEST_CHANGES", "Say why.", lookalike.LineComment{Path: "src/a.js", Line: 1, Body: "here"}); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is done", func() bool {
		text, _, err := w.Repo.File(w.pull().HeadSHA, "src/a.js")
		return err == nil && strings.Contains(text, "as asked")
	})
	w.approve(demo.Reviewer)
	w.settled(i, 1)
}

// TestBudget: a batch whose money is spent parks with its work kept, and goes on with a new limit.
func TestBudget(t *testing.T) {
	t.Parallel()
	script := scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{better, {Do: scripted.Ask, Text: "Go on?"}}, CostMicroUSD: 30_000},
		{Steps: []scripted.Step{allDone}, CostMicroUSD: 10_000},
	}}}}
	w := newWorld(t, options{approves: true, script: script})
	i := w.issue("Make a better", "")
	w.comment(i, demo.Requester, "/claude --budget 0.035 make it better")
	w.eventually("it asks", func() bool { return w.said(i, "Go on?") > 0 })
	w.comment(i, demo.Requester, "/budget 0.02")
	w.comment(i, demo.Requester, "yes")
	w.eventually("it has stopped at the limit", func() bool {
		return w.said(i, "budget of $0.02 is spent") > 0 && w.said(i, "has stopped at a limit") == 1
	})
	w.comment(i, demo.Requester, "/budget 1")
	w.settled(i, 1)
}
