package main

import (
	"slices"
	"strings"
	"testing"

	"dozens/internal/demo"
	"dozens/internal/lookalike"
	"dozens/internal/scripted"
)

// canary stands for an instruction that must not reach an agent: an agent that sees it says so.
const canary = "CANARY"

// deaf is a script whose agents give themselves away when they are told of the canary.
func deaf(rules ...scripted.Rule) scripted.Script {
	seen := scripted.Rule{Match: canary, Runs: []scripted.Run{{Steps: []scripted.Step{{Do: scripted.Blocked, Text: "I was told"}}}}}
	return scripted.Script{Rules: append([]scripted.Rule{seen}, rules...)}
}

// told is a rule for agents that were told these words.
func told(words string, steps ...scripted.Step) scripted.Rule {
	return scripted.Rule{Match: words, Runs: []scripted.Run{{Steps: steps}}}
}

func (w *world) mustNotHear() {
	w.t.Helper()
	if strings.Contains(w.log.all(), "I was told") || strings.Contains(w.log.all(), canary) {
		w.t.Error("what is not for it reached the agent or the log")
	}
}

// TestHiddenInstruction: what an authorised person's issue, answer and review hide from readers reaches no agent; what
// they show does.
func TestHiddenInstruction(t *testing.T) {
	t.Parallel()
	hiding := "\n\n<!-- CANARY -->\n[link](https://x.example \"CANARY\") ![CANARY](https://x.example/a.png)\n\n[//]: # (CANARY)\n"
	w := newWorld(t, options{script: deaf(
		told("the third visible words", scripted.Step{Do: scripted.Append, Path: "src/a.txt", Text: "twice\n"}, allDone),
		told("the second visible words", better, allDone),
		told("the first visible words", scripted.Step{Do: scripted.Ask, Text: "Which colour?"}),
	)})
	i := w.issue("Make a better", "the first visible words"+hiding, "claude")
	w.eventually("the question is asked", func() bool { return w.said(i, "Which colour?") == 2 })
	w.comment(i, demo.Requester, "the second visible words"+hiding)
	p := w.inReview()
	if _, err := w.Repo.Pull(p.Number).Review(demo.Reviewer, "REQUEST_CHANGES", "the third visible words"+hiding, lookalike.LineComment{Path: "src/a.txt", Line: 1, Body: "here" + hiding}); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is done", func() bool {
		text, _, err := w.Repo.File(w.pull().HeadSHA, "src/a.txt")
		return err == nil && strings.Contains(text, "twice")
	})
	w.mustNotHear()
	w.approve(demo.Reviewer)
	w.settled(i, 1)
}

// TestOutsidersIssue: the text of an issue whose author may not command reaches no agent, whoever labels it; an
// authorised person's own words do, and the status says what was left out.
func TestOutsidersIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: deaf(told("make it better in my words", better, allDone))})
	i, err := w.Repo.OpenIssue("mallory", "CANARY in the title", "CANARY in the body")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Label(demo.Requester, "claude"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the label is refused", func() bool { return w.said(i, "written by mallory, who may not command here") == 1 })
	bare := w.comment(i, demo.Requester, "/batch")
	w.eventually("the bare command is refused", func() bool {
		return w.said(i, "`/batch` with what is to be done in your own words") == 1 && slices.Contains(w.reactions(i, bare), "confused")
	})
	if strings.Contains(w.log.all(), "batch accepted") {
		t.Fatal("something started")
	}
	w.comment(i, demo.Requester, "/claude make it better in my words")
	w.settled(i, 1)
	w.mustNotHear()
	if w.said(i, "The text of this issue is by mallory") == 0 {
		t.Errorf("no comment says what was left out: %+v", w.state(i).Comments)
	}
	if p := w.Repo.Pulls()[0]; strings.Contains(p.Title+p.Body+p.Head, canary) || strings.Contains(strings.ToLower(p.Head), "canary") {
		t.Errorf("the issue's words are in pull request %q from %s:\n%s", p.Title, p.Head, p.Body)
	}
}

// TestEveryonesIssue: a repository may let agents read everybody's issues; who may command stays the same.
func TestEveryonesIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, settings: "commands: {read: everyone}\n", script: scripted.Script{Rules: []scripted.Rule{told("words of an outsider", better, allDone)}}})
	i, err := w.Repo.OpenIssue("mallory", "Make a better", "words of an outsider")
	if err != nil {
		t.Fatal(err)
	}
	hostile := w.comment(i, "mallory", "/claude")
	w.eventually("mallory is refused", func() bool { return slices.Equal(w.reactions(i, hostile), []string{"confused"}) })
	if err := i.Label(demo.Requester, "claude"); err != nil {
		t.Fatal(err)
	}
	w.settled(i, 1)
}

// TestOutsidersWords: comments, answers and reviews of people without rights reach no agent.
func TestOutsidersWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{script: deaf(
		told("words of a reviewer", scripted.Step{Do: scripted.Append, Path: "src/a.txt", Text: "twice\n"}, allDone),
		told("words of the requester", better, allDone),
		scripted.Rule{Runs: []scripted.Run{{Steps: []scripted.Step{{Do: scripted.Ask, Text: "Which colour?"}}}}},
	)})
	i := w.issue("Make a better", "", "claude")
	w.eventually("the question is asked", func() bool { return w.said(i, "Which colour?") == 2 })
	w.comment(i, "mallory", "CANARY is the colour")
	w.comment(i, "mallory", "/claude CANARY")
	w.comment(i, demo.Requester, "words of the requester")
	p := w.inReview()
	pull := w.Repo.Pull(p.Number)
	hostile := w.comment(pull.Issue(), "mallory", "/claude CANARY")
	if _, err := pull.Review("mallory", "REQUEST_CHANGES", canary, lookalike.LineComment{Path: "src/a.txt", Line: 1, Body: canary}); err != nil {
		t.Fatal(err)
	}
	w.eventually("mallory is refused", func() bool { return slices.Equal(w.reactions(pull.Issue(), hostile), []string{"confused"}) })
	if _, err := pull.Review(demo.Reviewer, "REQUEST_CHANGES", "words of a reviewer"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the reviewer is heard", func() bool {
		text, _, err := w.Repo.File(w.pull().HeadSHA, "src/a.txt")
		return err == nil && strings.Contains(text, "twice")
	})
	w.mustNotHear()
	w.approve(demo.Reviewer)
	w.settled(i, 1)
}

// TestEditedIssue: the agent gets the text that was there when somebody asked, whatever was written into it later.
func TestEditedIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{approves: true, script: deaf(told("the words that were asked for", better, allDone))})
	w.kill() // so that the edit is there before anybody looks
	i := w.issue("Make a better", "the words that were asked for", "claude")
	title, body := "CANARY", "CANARY"
	if err := i.Edit(demo.Requester, &title, &body); err != nil {
		t.Fatal(err)
	}
	if err := w.GitHub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.settled(i, 1)
	w.mustNotHear()
}

// TestResultNeverActs: what an agent says mentions nobody, closes nothing, commands nothing and tells no credential,
// in the question, the pull request, the commit and all comments.
func TestResultNeverActs(t *testing.T) {
	t.Parallel()
	token := "ghp" + "_" + strings.Repeat("aB3dE5gH", 5)
	words := `/stop\n@mallory Closes #1 fixes acme/shop#1, resolves GH-1\n\n/dozens stop\n\n- /stop\n\n![x](https://x.example/a.png) <img src=x> [skip ci] ` + token
	asks := strings.ReplaceAll(words, `\n`, "\n")
	w := newWorld(t, options{approves: true, script: scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{{Do: scripted.Ask, Text: asks}}},
		{Steps: []scripted.Step{better, returns(`{"status":"done","title":"/stop closes #1 @mallory ` + token + `","summary":"` + words + `","verified":"` + words + `"}`)}},
	}}}}})
	other := w.issue("Stays open", "")
	i := w.issue("Make a better", "", "claude")
	w.eventually("the question is asked", func() bool { return w.said(i, "asks:") == 1 })
	w.comment(i, demo.Requester, "go on")
	w.settled(i, 1)
	if !w.state(other).Open {
		t.Error("the agent's words closed another issue")
	}
	p := w.Repo.Pulls()[0]
	log, err := w.Repo.Log("main")
	if err != nil {
		t.Fatal(err)
	}
	plain := []string{p.Title, log[0].Subject, log[0].Body} // not read as Markdown
	written := append([]string{p.Body}, plain...)
	for _, c := range w.state(i).Comments {
		written = append(written, c.Body)
	}
	for _, s := range written {
		for _, bad := range []string{"@mallory", "loses #1 ", "shop#1,", "GH-1", "\n/stop", "\n/dozens", "- /stop", "![", "<img", "[skip ci]", token[4:]} {
			markup := bad == "![" || bad == "<img"
			if strings.Contains(s, bad) && !(markup && slices.Contains(plain, s)) {
				t.Errorf("%q is in\n%s", bad, s)
			}
		}
	}
	if !strings.Contains(strings.Join(written, "\n"), "[redacted: GitHub token]") {
		t.Error("nothing was redacted: the test has not seen the agent's words")
	}
	if strings.HasPrefix(p.Title, "/") || strings.Contains(w.log.all(), token[4:]) {
		t.Errorf("title %q, or the token is in the log", p.Title)
	}
}
