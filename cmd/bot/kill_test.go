package main

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dozens/internal/demo"
	"dozens/internal/lookalike"
	"dozens/internal/scripted"
)

// killSwitch kills the bot once, at the first call that fits.
type killSwitch struct {
	w    *world
	fits func(lookalike.Call) bool
	used atomic.Bool
	hit  chan struct{}
}

func (w *world) killAt(fits func(lookalike.Call) bool) *killSwitch {
	k := &killSwitch{w: w, fits: fits, hit: make(chan struct{})}
	w.GitHub.Intercept(func(c lookalike.Call) lookalike.Action {
		if !k.fits(c) || !k.used.CompareAndSwap(false, true) {
			return lookalike.Action{}
		}
		w.kill()
		close(k.hit)
		return lookalike.Action{Drop: true}
	})
	return k
}

// wait returns when the bot is dead.
func (k *killSwitch) wait() {
	k.w.t.Helper()
	select {
	case <-k.hit:
	case <-time.After(patience):
		k.w.t.Fatal("the step never came")
	}
}

// rest picks REST calls by phase, method and GitHub's pattern.
func rest(phase lookalike.Phase, method, pattern string) func(lookalike.Call) bool {
	return func(c lookalike.Call) bool {
		return c.Kind == "rest" && c.Phase == phase && c.Method == method && c.Pattern == pattern
	}
}

const (
	mergePath   = "/repos/{owner}/{repo}/pulls/{pull_number}/merge"
	pullsPath   = "/repos/{owner}/{repo}/pulls"
	commentPath = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
)

// TestKillEverywhere kills the server with -9 at every step of one task's life. After the restart the task ends
// merged exactly once, with one pull request and one squash commit.
func TestKillEverywhere(t *testing.T) {
	t.Parallel()
	comment := func(word string) func(lookalike.Call) bool {
		post := rest(lookalike.After, "POST", commentPath)
		return func(c lookalike.Call) bool { return post(c) && strings.Contains(string(c.Body), word) }
	}
	git := func(phase lookalike.Phase, path string) func(lookalike.Call) bool {
		return func(c lookalike.Call) bool {
			return c.Kind == "git" && c.Phase == phase && c.Method == "POST" && strings.HasSuffix(c.Path, path)
		}
	}
	for name, fits := range map[string]func(lookalike.Call) bool{
		"delivery stored":               rest(lookalike.Before, "GET", "/app"),
		"reacted":                       rest(lookalike.After, "POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"),
		"status said":                   comment("dozens:status:"),
		"planned":                       comment("dozens:plan:"),
		"git token minted":              rest(lookalike.After, "POST", "/app/installations/{installation_id}/access_tokens"),
		"leased, repository is fetched": git(lookalike.Before, "git-upload-pack"),
		"push begins":                   git(lookalike.Before, "git-receive-pack"),
		"pushed":                        git(lookalike.After, "git-receive-pack"),
		"about to open":                 rest(lookalike.Before, "POST", pullsPath),
		"opened":                        rest(lookalike.After, "POST", pullsPath),
		"verdict shown":                 rest(lookalike.After, "POST", "/repos/{owner}/{repo}/check-runs"),
		"ready for review":              func(c lookalike.Call) bool { return c.Kind == "graphql" && c.Phase == lookalike.After },
		"about to merge":                rest(lookalike.Before, "PUT", mergePath),
		"merging":                       rest(lookalike.After, "PUT", mergePath),
		"merged, branch goes":           rest(lookalike.Before, "DELETE", "/repos/{owner}/{repo}/git/refs/{ref...}"),
		"branch gone":                   rest(lookalike.After, "DELETE", "/repos/{owner}/{repo}/git/refs/{ref...}"),
		"end said":                      comment("dozens:final:"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{approves: true, script: planThen(edits())})
			k := w.killAt(fits)
			i := w.issue("Make a better", "It should be better.")
			w.comment(i, demo.Requester, "/batch --yes make a better")
			k.wait()
			w.start()
			w.settled(i, 1)
		})
	}
}

// planThen puts a plan of one unit in front of a script's code runs.
func planThen(s scripted.Script) scripted.Script {
	plan := scripted.Rule{Kind: "plan", Runs: []scripted.Run{{Steps: []scripted.Step{{Do: scripted.Result,
		Output: json.RawMessage(`{"units":[{"label":"better","title":"Make a better","brief":"Make src/a.txt better.","owned_paths":["src/a.txt"],"size":"small"}]}`)}}}}}
	s.Rules = append([]scripted.Rule{plan}, s.Rules...)
	return s
}

// TestKillWithAgent kills the server while its agent works, and after it has committed. The agent ends with the
// server, and the next run does the work.
func TestKillWithAgent(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]scripted.Step{
		"running":   {{Do: scripted.Write, Path: "src/a.txt", Text: "half\n"}},
		"committed": {{Do: scripted.Write, Path: "src/a.txt", Text: "better\n"}, {Do: scripted.Commit, Text: "Make it better"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps = append(steps, scripted.Step{Do: scripted.Write, Path: here, Text: "x"}, scripted.Step{Do: scripted.WaitFor, Path: goOn},
				scripted.Step{Do: scripted.Write, Path: "src/a.txt", Text: "better\n"},
				scripted.Step{Do: scripted.Result, Output: json.RawMessage(`{"status":"done","summary":"Made it better."}`)})
			w := newWorld(t, options{approves: true, script: scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{{Steps: steps}}}}}})
			i := w.issue("Make a better", "")
			if err := i.Label(demo.Requester, "claude"); err != nil {
				t.Fatal(err)
			}
			w.eventually("the agent is at work", func() bool { return len(w.marks(here)) == 1 })
			w.kill()
			w.mark(goOn)
			w.start()
			w.settled(i, 1)
			if text, _, err := w.Repo.File("main", "src/a.txt"); err != nil || text != "better\n" {
				t.Errorf("got %q on main, %v", text, err)
			}
		})
	}
}

// TestKillWhenApproved kills the server between the approval and whatever it would have done about it.
func TestKillWhenApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{script: edits()})
	i := w.issue("Make a better", "", "claude")
	w.inReview()
	var reviewed atomic.Bool
	k := w.killAt(func(c lookalike.Call) bool { return reviewed.Load() && c.Kind == "rest" && c.Phase == lookalike.Before })
	reviewed.Store(true)
	w.approve(demo.Reviewer)
	k.wait()
	w.start()
	w.settled(i, 1)
}
