package task

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/gate"
	"dozens/batch/work"
)

var update = flag.Bool("update", false, "write docs/state-machine.md")

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(stage Stage) Task {
	return Task{ID: "t1", Batch: "b1", Kind: Code, Label: "users", Stage: stage, Generation: 3, BaseSHA: "base", Head: "head", Pushed: "head", PR: 7, Host: "h1"}
}

func ran(outcome work.Outcome, change func(*work.Report)) Reported {
	r := work.Report{Offer: work.Offer{Task: "t1", Generation: 3, Kind: work.Run}, Outcome: outcome, Head: "new", Reason: "why",
		Started: now, Ended: now.Add(time.Minute), Usage: work.Usage{CostMicroUSD: 5, Turns: 2}}
	if change != nil {
		change(&r)
	}
	return Reported{Report: r}
}

func pushed(outcome work.Outcome) Reported {
	return Reported{Report: work.Report{Offer: work.Offer{Task: "t1", Generation: 3, Kind: work.Publish}, Outcome: outcome, Head: "head", Reason: "why"}}
}

func verdict(v gate.Verdict) Judged {
	v.Head = "head"
	return Judged{Verdict: v, Limits: Limits{Rounds: 2}}
}

func told(j Judged, key string) Judged {
	j.Key, j.Feedback = key, "mend it"
	return j
}

// flows changes a workflow file and is not pushed yet; waits waits for the permission to.
func flows(t Task) Task {
	t.Protected, t.Workflows, t.Head = []string{"ci.yml"}, []string{"ci.yml"}, "new"
	return t
}

func waits(t Task) Task {
	t = flows(t)
	t.Waiting, t.Detail = ForPermission, "no permission"
	return t
}

func barredPush() Reported {
	r := pushed(work.Rejected)
	r.Workflows = []string{"ci.yml"}
	return r
}

func with(t Task, change func(*Task)) Task {
	change(&t)
	return t
}

// TestNext is the truth table: the task, the signal, and where it leads.
func TestNext(t *testing.T) {
	t.Parallel()
	green := gate.Verdict{Action: gate.Wait, Checks: gate.Green}
	for _, c := range []struct {
		name    string
		task    Task
		signal  Signal
		stage   Stage
		waiting Waiting
		effects string
		check   func(Task) bool
	}{
		{"a host takes it", at(Queue), Leased{"h2"}, Run, "", "refresh", func(t Task) bool { return t.Host == "h2" && t.Runs == 1 && t.Generation == 3 }},
		{"done with changes", at(Run), ran(work.Done, nil), Publish, "", "push pump refresh", func(t Task) bool { return t.Head == "new" && t.CostMicroUSD == 5 && t.AgentTime == time.Minute }},
		{"done without changes goes back once", at(Run), ran(work.Done, func(r *work.Report) { r.Head = "base" }), Queue, "", "pump refresh", func(t Task) bool { return t.Generation == 4 && t.Returns == 1 && t.Prompt == nothingPrompt }},
		{"done without changes twice fails", with(at(Run), func(t *Task) { t.Returns = 1 }), ran(work.Done, func(r *work.Report) { r.Head = "base" }), Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Failed }},
		{"stray paths go back once", at(Run), Reported{Report: ran(work.Done, nil).Report, Stray: []string{"x"}}, Queue, "", "pump refresh", func(t Task) bool { return strings.Contains(t.Prompt, "- x") }},
		{"stray paths twice fail with the list", with(at(Run), func(t *Task) { t.Returns = 1 }), Reported{Report: ran(work.Done, nil).Report, Stray: []string{"x"}}, Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Failed && strings.Contains(t.Detail, "- x") }},
		{"a question parks", at(Run), ran(work.Question, nil), Queue, ForAnswer, "ask pump refresh", func(t Task) bool { return t.Detail == "why" && t.Generation == 4 }},
		{"a limit parks", at(Run), ran(work.Limit, nil), Queue, ForBudget, "ask pump refresh", nil},
		{"the account's limit parks and wakes", at(Run), ran(work.UsageOver, nil), Queue, ForUsage, "wake pump refresh", nil},
		{"no usable result goes back", at(Run), ran(work.Unusable, nil), Queue, "", "pump refresh", nil},
		{"no usable result three times fails", with(at(Run), func(t *Task) { t.Returns = 2 }), ran(work.Unusable, nil), Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Failed }},
		{"the repository is gone", at(Run), ran(work.Gone, nil), Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Failed && t.Detail == "why" }},
		{"the host drains", at(Run), ran(work.Stopped, nil), Queue, "", "pump refresh", nil},
		{"the host dies", at(Run), Lapsed{Generation: 3}, Queue, "", "pump refresh", func(t Task) bool { return t.Generation == 4 }},
		{"instructions during a run bring another run", with(at(Run), func(t *Task) { t.Instructions = "more" }), ran(work.Done, nil), Queue, "", "pump refresh", func(t Task) bool { return t.Prompt == "more" && t.Instructions == "" }},
		{"a plan ends its task", with(at(Run), func(t *Task) { t.Kind = Plan }), ran(work.Done, nil), Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Done }},
		{"a bad plan goes back", with(at(Run), func(t *Task) { t.Kind = Plan }), ran(work.Done, func(r *work.Report) { r.Problems = []string{"overlap"} }), Queue, "", "pump refresh", func(t Task) bool { return strings.Contains(t.Prompt, "- overlap") }},
		{"a third bad plan fails", with(at(Run), func(t *Task) { t.Kind = Plan; t.Returns = 2 }), ran(work.Done, func(r *work.Report) { r.Problems = []string{"overlap"} }), Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Failed && strings.Contains(t.Detail, "overlap") }},
		{"pushed", at(Publish), pushed(work.Pushed), Publish, "", "open refresh", func(t Task) bool { return t.Pushed == "head" }},
		{"push refused", at(Publish), pushed(work.Rejected), Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Failed }},
		{"push did not work", at(Publish), pushed(work.Fault), Publish, "", "push refresh", func(t Task) bool { return t.Pushes == 1 }},
		{"protected and workflow files are published", at(Run), Reported{Report: ran(work.Done, nil).Report, Protected: []string{"CODEOWNERS"}, Workflows: []string{"w"}}, Publish, "", "push pump refresh", func(t Task) bool { return t.Protected[0] == "CODEOWNERS" && t.Workflows[0] == "w" }},
		{"a later result without them forgets them", flows(at(Run)), ran(work.Done, nil), Publish, "", "push pump refresh", func(t Task) bool { return t.Protected == nil && t.Workflows == nil }},
		{"the app may not push workflow files", flows(at(Publish)), Barred{}, Publish, ForPermission, "ask refresh", func(t Task) bool { return strings.Contains(t.Detail, "ci.yml") && t.Generation == 3 && t.Head == "new" }},
		{"it may not, and there are other words", with(flows(at(Publish)), func(t *Task) { t.Instructions = "without" }), Barred{}, Queue, "", "pump refresh", func(t Task) bool {
			return strings.Contains(t.Prompt, "ci.yml") && strings.HasSuffix(t.Prompt, "without") && t.Generation == 4
		}},
		{"it may now", waits(at(Publish)), Allowed{}, Publish, "", "push refresh", func(t Task) bool { return t.Detail == "" && t.Head == "new" && t.Generation == 3 }},
		{"words instead of the permission", waits(at(Publish)), Answered{"leave it", "ada"}, Queue, "", "pump refresh", func(t Task) bool {
			return strings.Contains(t.Prompt, "reset --soft") && strings.Contains(t.Prompt, "leave it") && t.Generation == 4
		}},
		{"instructions instead of the permission", waits(at(Publish)), Instructed{Text: "leave it", By: "ada", Key: "k"}, Queue, "", "pump refresh", func(t Task) bool { return strings.Contains(t.Prompt, "leave it") && t.Generation == 4 }},
		{"stopped while it waits for the permission", waits(at(Publish)), Stopped{"stop"}, Cleanup, "", "clean pump refresh", nil},
		{"GitHub refuses workflow files that the diff does not show", at(Publish), barredPush(), Publish, "", "push refresh", func(t Task) bool { return t.Pushes == 1 && t.Workflows[0] == "ci.yml" }},
		{"GitHub refuses workflow files although the permission was asked for", flows(at(Publish)), barredPush(), Publish, ForPermission, "ask refresh", func(t Task) bool { return t.Pushes == 1 && len(t.Workflows) == 1 }},
		{"opened with its label", at(Publish), Opened{PR: 9, Head: "head", Marked: true}, CI, "", "look refresh", func(t Task) bool { return t.Marked }},
		{"opened", at(Publish), Opened{PR: 9, Head: "head"}, CI, "", "look refresh", func(t Task) bool { return t.PR == 9 }},
		{"green", at(CI), verdict(green), Review, "", "ready refresh", nil},
		{"pending", at(Review), verdict(gate.Verdict{Action: gate.Wait, Checks: gate.Pending}), CI, "", "refresh", nil},
		{"no checks are not green", at(CI), verdict(gate.Verdict{Action: gate.Wait, Checks: gate.None}), CI, "", "refresh", nil},
		{"green and approved", at(Review), verdict(gate.Verdict{Action: gate.Merge, Checks: gate.Green}), Merge, "", "merge refresh", func(t Task) bool { return t.ApprovedAt.Equal(now) }},
		{"approval withdrawn", at(Merge), verdict(green), Review, "", "refresh", nil},
		{"red checks go to the session", at(CI), told(verdict(gate.Verdict{Action: gate.Fix, Checks: gate.Red}), "checks:head"), Queue, "", "pump refresh", func(t Task) bool { return t.Prompt == "mend it" && t.Rounds == 1 && t.Generation == 4 }},
		{"the same red checks only once", with(at(CI), func(t *Task) { t.ReadBack = []string{"checks:head"} }), told(verdict(gate.Verdict{Action: gate.Fix, Checks: gate.Red}), "checks:head"), CI, "", "refresh", nil},
		{"rounds are bounded", with(at(CI), func(t *Task) { t.Rounds = 2 }), told(verdict(gate.Verdict{Action: gate.Fix, Checks: gate.Red}), "checks:head"), CI, ForAnswer, "ask refresh", func(t Task) bool { return t.Prompt == "mend it" }},
		{"somebody pushed", at(Review), Judged{Verdict: gate.Verdict{Head: "theirs", Action: gate.Merge, Checks: gate.Green}}, CI, "", "refresh", nil},
		{"closed by a person", at(Review), verdict(gate.Verdict{Action: gate.Closed}), Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Cancelled }},
		{"merged by a person", at(Review), Judged{Verdict: gate.Verdict{Action: gate.Merged, Head: "head"}, MergeCommit: "squash"}, Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Done && t.Merged == "squash" }},
		{"merged by us", at(Merge), Merged{"squash"}, Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Done }},
		{"head moved", at(Merge), Unmerged{Moved: true, Why: "moved"}, CI, "", "look refresh", nil},
		{"refused by a rule", at(Merge), Unmerged{Why: "rule"}, Review, "", "refresh", func(t Task) bool { return t.Detail == "rule" }},
		{"stopped while running", at(Run), Stopped{"stop"}, Cleanup, "", "stop clean pump refresh", func(t Task) bool { return t.Outcome == Cancelled }},
		{"stopped while waiting", with(at(Queue), func(t *Task) { t.Waiting = ForAnswer }), Stopped{"stop"}, Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Waiting == "" }},
		{"a stopped run's cost counts", at(Cleanup), ran(work.Stopped, nil), Cleanup, "", "refresh", func(t Task) bool { return t.CostMicroUSD == 5 }},
		{"cleaned", with(at(Cleanup), func(t *Task) { t.Outcome = Done }), Cleaned{}, Done, "", "settle pump refresh", func(t Task) bool { return t.EndedAt.Equal(now) }},
		{"answered", with(at(Queue), func(t *Task) { t.Waiting = ForAnswer }), Answered{"SQLite", "ada"}, Queue, "", "pump refresh", func(t Task) bool { return strings.Contains(t.Prompt, "SQLite") }},
		{"its dependency is merged", with(at(Queue), func(t *Task) { t.Waiting = ForDependency }), Unblocked{"later"}, Queue, "", "pump refresh", func(t Task) bool { return t.BaseSHA == "later" }},
		{"its dependency failed", with(at(Queue), func(t *Task) { t.Waiting = ForDependency }), Skipped{"no"}, Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Cancelled }},
		{"instructions during publish bring another run", with(at(Publish), func(t *Task) { t.Instructions = "more" }), Opened{PR: 9, Head: "head"}, Queue, "", "pump refresh", func(t Task) bool { return t.PR == 9 && t.Prompt == "more" }},
		{"an answer to red checks without a commit asks a person", at(Run), ran(work.Done, func(r *work.Report) { r.Head = "head" }), CI, ForAnswer, "ask look pump refresh", nil},
		{"asked, and red as before", with(at(CI), func(t *Task) { t.Waiting = ForAnswer }), verdict(gate.Verdict{Action: gate.Fix, Checks: gate.Red}), CI, ForAnswer, "refresh", nil},
		{"asked, and a reviewer has approved", with(at(CI), func(t *Task) { t.Waiting = ForAnswer; t.Prompt = "x" }), verdict(gate.Verdict{Action: gate.Merge, Checks: gate.Green}), Merge, "", "merge refresh", func(t Task) bool { return t.Prompt == "" }},
		{"asked and answered", with(at(CI), func(t *Task) { t.Waiting = ForAnswer; t.Prompt = "mend it" }), Answered{"like this", "ada"}, Queue, "", "pump refresh", func(t Task) bool {
			return strings.HasPrefix(t.Prompt, "mend it") && strings.Contains(t.Prompt, "like this")
		}},
		{"merged by a person while its session waits", with(at(Queue), func(t *Task) { t.Waiting = ForAnswer }), Merged{"squash"}, Cleanup, "", "clean pump refresh", func(t Task) bool { return t.Outcome == Done && t.Waiting == "" }},
		{"merged while being stopped", with(at(Cleanup), func(t *Task) { t.Outcome = Cancelled }), Merged{"squash"}, Cleanup, "", "refresh", func(t Task) bool { return t.Outcome == Done }},
		{"a push that lands while being stopped is removed", at(Cleanup), pushed(work.Pushed), Cleanup, "", "clean refresh", nil},
		{"who instructs does not approve", at(Review), Instructed{Text: "more", By: "ada", Key: "k"}, Queue, "", "pump refresh", func(t Task) bool { return len(t.Asked) == 1 && t.Asked[0] == "ada" }},
		{"a retried dependent waits again", with(at(Cancelled), func(t *Task) { t.DependsOn = []string{"x"} }), Retried{}, Queue, ForDependency, "pump refresh", func(t Task) bool { return t.Branch == "dozens/users-t1-4" }},
		{"retried", at(Failed), Retried{Session: "s2", BaseSHA: "later"}, Queue, "", "pump refresh", func(t Task) bool { return t.Generation == 4 && t.PR == 0 && t.Session == "s2" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, effects, err := Next(c.task, c.signal, now)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, e := range effects {
				kinds = append(kinds, string(e.Kind))
			}
			if got.Stage != c.stage || got.Waiting != c.waiting || strings.Join(kinds, " ") != c.effects {
				t.Errorf("got %s %q with %q, want %s %q with %q", got.Stage, got.Waiting, strings.Join(kinds, " "), c.stage, c.waiting, c.effects)
			}
			if c.check != nil && !c.check(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestIgnored: late, doubled and outdated signals change nothing.
func TestIgnored(t *testing.T) {
	t.Parallel()
	old := ran(work.Done, func(r *work.Report) { r.Generation = 2 })
	for name, c := range map[string]struct {
		task   Task
		signal Signal
	}{
		"result of an old generation":     {at(Run), old},
		"lapse of an old generation":      {at(Run), Lapsed{Generation: 2}},
		"result after it was dealt with":  {at(Publish), ran(work.Done, nil)},
		"lease of a waiting task":         {with(at(Queue), func(t *Task) { t.Waiting = ForAnswer }), Leased{"h2"}},
		"lease of a running task":         {at(Run), Leased{"h2"}},
		"verdict during a run":            {at(Run), verdict(gate.Verdict{Action: gate.Merge})},
		"answer without a question":       {at(Queue), Answered{}},
		"opened at another commit":        {at(Publish), Opened{PR: 7, Head: "other"}},
		"stop of an ended task":           {at(Done), Stopped{}},
		"retry of a merged task":          {at(Done), Retried{}},
		"merge of a task that has ended":  {at(Cancelled), Merged{"x"}},
		"barred twice":                    {waits(at(Publish)), Barred{}},
		"barred without workflow files":   {at(Publish), Barred{}},
		"barred when it is pushed":        {with(flows(at(Publish)), func(t *Task) { t.Pushed = "new" }), Barred{}},
		"allowed without waiting":         {flows(at(Publish)), Allowed{}},
		"answer to a push under way":      {flows(at(Publish)), Answered{}},
		"instruction taken before":        {with(at(Review), func(t *Task) { t.ReadBack = []string{"k"} }), Instructed{Key: "k"}},
		"old run's report during cleanup": {at(Cleanup), old},
	} {
		got, effects, err := Next(c.task, c.signal, now)
		if !errors.Is(err, ErrIgnored) || len(effects) != 0 || !cmp.Equal(got, c.task) {
			t.Errorf("%s: got %v, %d effects, changed: %s", name, err, len(effects), cmp.Diff(c.task, got))
		}
	}
}

// TestWalk sends random signals: whatever comes in whatever order, a task is only merged from the merge stage
// or by a person, the generation never falls, and every end passes cleanup.
func TestWalk(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a seeded walk
	for range 2000 {
		tk := at(Queue)
		for range 60 {
			next, _, err := Next(tk, anySignal(rnd, tk), now)
			if errors.Is(err, ErrIgnored) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			if next.Generation < tk.Generation {
				t.Fatalf("generation fell from %d to %d", tk.Generation, next.Generation)
			}
			if next.Stage.Final() && tk.Stage != Cleanup {
				t.Fatalf("%s to %s without cleanup", tk.Stage, next.Stage)
			}
			if next.Stage == Done && next.Merged == "" {
				t.Fatal("done without a merge")
			}
			if next.Waiting != NotWaiting && next.Stage != Queue && next.Stage != CI && (next.Stage != Publish || next.Waiting != ForPermission) {
				t.Fatalf("waits at %s", next.Stage)
			}
			tk = next
		}
	}
}

func anySignal(rnd *rand.Rand, t Task) Signal {
	outcomes := []work.Outcome{work.Done, work.Question, work.Blocked, work.Limit, work.Stopped, work.Unusable, work.Fault, work.Gone, work.UsageOver}
	pushes := []work.Outcome{work.Pushed, work.Rejected, work.Fault, work.Stopped}
	run := ran(outcomes[rnd.IntN(len(outcomes))], func(r *work.Report) { r.Generation = t.Generation - rnd.IntN(2) })
	push := pushed(pushes[rnd.IntN(len(pushes))])
	push.Report.Generation, push.Report.Head = t.Generation-rnd.IntN(2), t.Head
	if rnd.IntN(3) == 0 {
		run.Workflows, push.Workflows = []string{"ci.yml"}, []string{"ci.yml"}
	}
	actions := []gate.Action{gate.Merge, gate.Wait, gate.Fix, gate.Ask, gate.Closed}
	colours := []gate.Colour{gate.Green, gate.Red, gate.Pending, gate.None}
	judged := Judged{Verdict: gate.Verdict{Head: t.Pushed, Action: actions[rnd.IntN(len(actions))], Checks: colours[rnd.IntN(len(colours))]}, Limits: Limits{Rounds: 3}}
	if rnd.IntN(3) == 0 {
		judged.Key = string(rune('a' + rnd.IntN(20)))
	}
	all := []Signal{Leased{"h1"}, Lapsed{Generation: t.Generation - rnd.IntN(2)}, run, run, push, push, Opened{PR: 7, Head: t.Pushed}, judged, judged, judged,
		Merged{"squash"}, Unmerged{Moved: rnd.IntN(2) == 0}, Answered{"yes", "ada"}, Funded{}, Instructed{Text: "more", By: "ada"}, Overspent{"money"}, Barred{}, Allowed{}, Held{On: rnd.IntN(2) == 0}, Cleaned{}, Retried{Session: "s"}}
	if rnd.IntN(20) == 0 {
		all = append(all, Stopped{"stop"}, FailedNow{"no"})
	}
	return all[rnd.IntN(len(all))]
}

// TestDocument holds docs/state-machine.md to the table.
func TestDocument(t *testing.T) {
	const file = "../../docs/state-machine.md"
	if *update {
		if err := os.WriteFile(file, []byte(Document()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != Document() {
		t.Errorf("docs/state-machine.md does not match the table (%v): run go test ./batch/task -update", err)
	}
}
