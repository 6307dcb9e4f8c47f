package main

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"dozens/internal/demo"
	"dozens/internal/lookalike"
	"dozens/internal/scripted"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func write(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// inReview waits until the pull request is green and out of draft.
func (w *world) inReview() lookalike.PullState {
	w.t.Helper()
	w.eventually("the pull request is ready for review", func() bool {
		pulls := w.Repo.Pulls()
		return len(pulls) == 1 && !pulls[0].Draft
	})
	return w.Repo.Pulls()[0]
}

func (w *world) approve(who string) {
	w.t.Helper()
	p := w.pull()
	if _, err := w.Repo.Pull(p.Number).Review(who, "APPROVE", "fine"); err != nil {
		w.t.Fatal(err)
	}
}

// gate is the text of the check run dozens/gate on the pull request's head.
func (w *world) gate() string {
	w.t.Helper()
	for _, c := range w.Repo.Checks(w.pull().HeadSHA) {
		if c.Name == "dozens/gate" {
			return c.Title + "\n" + c.Summary
		}
	}
	return ""
}

// heldBecause waits until the gate says a reason, and makes sure that nothing was merged.
func (w *world) heldBecause(words string) {
	w.t.Helper()
	w.eventually("the gate says: "+words, func() bool { return strings.Contains(w.gate(), words) })
	if p := w.pull(); p.Merged || w.squashes() != 0 {
		w.t.Fatalf("pull request %d is merged", p.Number)
	}
}

func asked(t *testing.T, o options) (*world, *lookalike.Issue) {
	t.Helper()
	o.script = edits()
	w := newWorld(t, o)
	return w, w.issue("Make a better", "", "claude")
}

// TestApprovalThenPush: a person pushes after the approval; that commit is not ours to merge.
func TestApprovalThenPush(t *testing.T) {
	t.Parallel()
	w, _ := asked(t, options{})
	p := w.inReview()
	var pushed atomic.Bool
	w.GitHub.Intercept(func(c lookalike.Call) lookalike.Action {
		if c.Kind == "rest" && c.Phase == lookalike.Before && c.Pattern == mergePath && pushed.CompareAndSwap(false, true) {
			if _, err := w.Repo.Pull(p.Number).PushAs("ada", map[string]string{"src/a.txt": "mine\n"}, "Not reviewed"); err != nil {
				t.Error(err)
			}
		}
		return lookalike.Action{}
	})
	w.approve(demo.Reviewer)
	w.eventually("the push raced the merge", pushed.Load)
	w.eventually("the status says so", func() bool { return w.said(w.Repo.Issue(1), "somebody pushed to the branch") > 0 })
	if p := w.pull(); p.Merged || w.squashes() != 0 {
		t.Error("a commit that nobody approved was merged")
	}
}

// TestNoChecks: no check at all is never green, unless the settings say so.
func TestNoChecks(t *testing.T) {
	t.Parallel()
	w, _ := asked(t, options{noCI: true})
	p := w.pull()
	if err := w.Repo.Pull(p.Number).SetDraft("ada", false); err != nil {
		t.Fatal(err)
	}
	w.approve(demo.Reviewer)
	w.heldBecause("approv")
	w.heldBecause("check")
	allowed, i := asked(t, options{noCI: true, approves: true, settings: "merge: {checks: none}\n"})
	allowed.settled(i, 1)
}

// TestLateCheck: green and approved, and then another check begins and fails.
func TestLateCheck(t *testing.T) {
	t.Parallel()
	w, i := asked(t, options{noCI: true})
	p := w.pull()
	set := func(name, status, conclusion string) {
		t.Helper()
		if err := w.Repo.SetCheck(p.HeadSHA, "ci", name, status, conclusion, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	set("slow", "in_progress", "")
	set("build", "completed", "success")
	w.approve(demo.Reviewer)
	w.heldBecause("slow")
	set("slow", "completed", "success")
	w.settled(i, 1)
}

// TestWhoseApproval: a bot's, a reader's and the requester's approvals do not count; a writer's does.
func TestWhoseApproval(t *testing.T) {
	t.Parallel()
	w, i := asked(t, options{})
	if _, err := w.GitHub.AddPerson("robot", "Bot"); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Grant("robot", "write"); err != nil {
		t.Fatal(err)
	}
	w.inReview()
	for _, who := range []string{"robot", "mallory", demo.Requester} {
		w.approve(who)
		w.heldBecause(who)
	}
	w.approve(demo.Reviewer)
	w.settled(i, 1)
}

// TestChangeRequest: an outstanding request for changes blocks, whoever else approves, until its author approves.
func TestChangeRequest(t *testing.T) {
	t.Parallel()
	w, i := asked(t, options{settings: "limits: {rounds: 0}\n"})
	if _, err := w.GitHub.AddPerson("linus", "User"); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Grant("linus", "write"); err != nil {
		t.Fatal(err)
	}
	p := w.inReview()
	if _, err := w.Repo.Pull(p.Number).Review("linus", "REQUEST_CHANGES", "No."); err != nil {
		t.Fatal(err)
	}
	w.approve(demo.Reviewer)
	w.heldBecause("linus")
	w.comment(w.Repo.Issue(p.Number), demo.Requester, "leave it as it is")
	w.approve("linus")
	w.settled(i, 1)
}

// TestMergeAnswerLost: GitHub merges and answers 502, or drops the connection. Nothing is merged twice.
func TestMergeAnswerLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]lookalike.Action{"502": lookalike.BadGateway(), "dropped": {Drop: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, i := asked(t, options{approves: true})
			w.GitHub.Intercept(lookalike.On(lookalike.After, "PUT", mergePath, 1, fault))
			w.settled(i, 1)
			n := 0
			for _, c := range w.GitHub.Calls() {
				if c.Method == "PUT" && c.Pattern == mergePath {
					n++
				}
			}
			if n != 1 {
				t.Errorf("got %d merge calls, want one", n)
			}
		})
	}
}

// TestMergeRaces: answers that mean "look again".
func TestMergeRaces(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]lookalike.Action{
		"base modified":   lookalike.Fault(405, "Base branch was modified. Review and try the merge again."),
		"in progress":     lookalike.Fault(405, "Merge already in progress"),
		"502, not merged": lookalike.BadGateway(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, i := asked(t, options{approves: true})
			w.GitHub.Intercept(lookalike.On(lookalike.Before, "PUT", mergePath, 2, fault))
			w.settled(i, 1)
		})
	}
}

// TestNullMergeable: GitHub computes mergeability late; that costs seconds, not correctness.
func TestNullMergeable(t *testing.T) {
	t.Parallel()
	w, i := asked(t, options{approves: true})
	w.Repo.NullMergeable(4)
	w.settled(i, 1)
}

// TestHold: nothing merges while a person holds it.
func TestHold(t *testing.T) {
	t.Parallel()
	w, i := asked(t, options{})
	w.inReview()
	w.comment(i, demo.Requester, "/hold")
	w.heldBecause("held")
	w.approve(demo.Reviewer)
	w.heldBecause("held")
	w.comment(i, demo.Requester, "/unhold")
	w.settled(i, 1)
}

// TestWhoInstructsDoesNotApprove: a reviewer who told the session what to do cannot approve it alone.
func TestWhoInstructsDoesNotApprove(t *testing.T) {
	t.Parallel()
	w, i := asked(t, options{})
	if _, err := w.GitHub.AddPerson("linus", "User"); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Grant("linus", "write"); err != nil {
		t.Fatal(err)
	}
	first := w.inReview()
	w.comment(w.Repo.Issue(first.Number), demo.Reviewer, "/claude do it again")
	w.eventually("the session says that nothing changes", func() bool { return w.said(w.Repo.Issue(first.Number), "changed nothing more") > 0 })
	w.approve(demo.Reviewer)
	w.heldBecause("The approval of " + demo.Reviewer + " does not count")
	w.approve("linus")
	w.settled(i, 1)
}

// TestPersonTakesOver: a person merges, or closes, the pull request while its session waits for an answer.
func TestPersonTakesOver(t *testing.T) {
	t.Parallel()
	red := func(ctx context.Context, job lookalike.CIJob) {
		_ = job.Set("build", "completed", "failure", "no", "no")
	}
	for name, merges := range map[string]bool{"merges": true, "closes": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, i := asked(t, options{ci: red, settings: "limits: {rounds: 0}\n"})
			p := w.pull()
			w.eventually("the rounds are over", func() bool { return w.said(w.Repo.Issue(p.Number), "rounds did not satisfy") > 0 })
			if !merges {
				if err := w.Repo.Issue(p.Number).Close(demo.Requester); err != nil {
					t.Fatal(err)
				}
				w.eventually("it is cancelled", func() bool { return w.said(i, "1 cancelled") == 1 })
				return
			}
			if err := w.Repo.Pull(p.Number).SetDraft(demo.Requester, false); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Repo.Pull(p.Number).Merge(demo.Requester, "squash"); err != nil {
				t.Fatal(err)
			}
			w.settled(i, 1)
		})
	}
}

// TestRetry: a task that failed after its pull request was open is done again, on a branch of its own.
func TestRetry(t *testing.T) {
	t.Parallel()
	crash := scripted.Run{Steps: []scripted.Step{{Do: scripted.Exit, N: 3}}}
	script := scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{
		{Steps: []scripted.Step{better, allDone}}, crash, crash, crash,
	}}}}
	w := newWorld(t, options{script: script})
	i := w.issue("Make a better", "", "claude")
	p := w.inReview()
	w.comment(w.Repo.Issue(p.Number), demo.Requester, "/claude and more")
	w.eventually("it fails", func() bool { return w.said(i, "1 failed") == 1 })
	w.comment(i, demo.Requester, "/retry failed")
	w.eventually("a second pull request is ready", func() bool { pulls := w.Repo.Pulls(); return len(pulls) == 2 && !pulls[1].Draft })
	if _, err := w.Repo.Pull(w.Repo.Pulls()[1].Number).Review(demo.Reviewer, "APPROVE", "fine"); err != nil {
		t.Fatal(err)
	}
	w.eventually("it is merged", func() bool { return w.squashes() == 1 && !w.state(i).Open })
}
