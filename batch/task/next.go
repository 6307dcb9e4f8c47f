package task

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dozens/batch/gate"
	"dozens/batch/work"
)

// ErrIgnored says that a signal means nothing at the task's stage: late, doubled, or of an old generation.
// The caller changes nothing and notes it.
var ErrIgnored = errors.New("signal means nothing at this stage")

// rule is one row of the table: at one of these stages this signal leads to one of those stages.
type rule struct {
	at   []Stage
	on   string
	to   []Stage
	says string // one sentence for docs/state-machine.md
	do   func(*Task, Signal, time.Time) ([]Effect, error)
}

var live = []Stage{Queue, Run, Publish, CI, Review, Merge}

// table is the state machine. A function, so that nothing can change it.
func table() []rule {
	return []rule{
		{[]Stage{Queue}, "leased", []Stage{Run}, "a host took it; the run begins", leased},
		{[]Stage{Queue}, "unblocked", []Stage{Queue}, "what it depends on is merged; it starts from a base that has it", unblocked},
		{[]Stage{Queue}, "skipped", []Stage{Cleanup}, "what it depends on did not come; cancelled with the reason", skipped},
		{[]Stage{Queue, Publish, CI}, "answered", []Stage{Queue}, "the question is answered; the same session goes on", answered},
		{[]Stage{Queue}, "funded", []Stage{Queue}, "budget or usage limit allow it again", funded},
		{[]Stage{Queue}, "overspent", []Stage{Queue}, "the batch's budget is spent; it waits for /budget", overspent},
		{live, "held", live, "merging it is held, or allowed again", held},
		{[]Stage{Run}, "lapsed", []Stage{Queue}, "the host is gone; a new generation may be leased", lapsed},
		{[]Stage{Run}, "reported", []Stage{Publish, Queue, CI, Cleanup}, "done: publish; question, limit, stray paths, unusable result: queue; nothing new for its pull request: ci; plan: cleanup", ranRun},
		{[]Stage{Publish}, "reported", []Stage{Publish, Queue, Cleanup}, "pushed: the pull request is opened; workflow files refused: again, with the permission; refused: failed", ranPublish},
		{[]Stage{Publish}, "barred", []Stage{Publish, Queue}, "the app may not push workflow files: it waits for the permission, or for words to go on without them, which may be there: queue", barred},
		{[]Stage{Publish}, "allowed", []Stage{Publish}, "the permission is there, or a person wants it tried: it is pushed", allowed},
		{[]Stage{Publish}, "opened", []Stage{CI, Queue}, "the pull request exists at the pushed commit; instructions that came meanwhile: queue", opened},
		{[]Stage{CI, Review, Merge}, "judged", []Stage{CI, Review, Merge, Queue, Cleanup}, "green: review; approved: merge; red, change request, conflict: queue; closed: cleanup", judged},
		{live, "merged", []Stage{Cleanup}, "the squash commit is on the base branch, by us or by a person", merged},
		{[]Stage{Cleanup}, "merged", []Stage{Cleanup}, "it was merged while it was being stopped: it ends done", mergedLate},
		{[]Stage{Merge}, "unmerged", []Stage{CI, Review}, "the head or base moved: the gate looks again; a rule refused: review, with the words", unmerged},
		{[]Stage{Queue, Run, Publish, CI, Review, Merge}, "instructed", []Stage{Queue, Run, Publish}, "further instructions: the session gets them with its next run", instructed},
		{live, "stopped", []Stage{Cleanup}, "a person ended it, or the issue was closed", stopped},
		{live, "failed", []Stage{Cleanup}, "the server cannot go on with it", failed},
		{[]Stage{Cleanup}, "reported", []Stage{Cleanup}, "the last words of stopped work: its cost counts, and what it pushed is removed", lateReport},
		{[]Stage{Cleanup}, "cleaned", []Stage{Done, Failed, Cancelled}, "nothing is left behind", cleaned},
		{[]Stage{Failed, Cancelled}, "retried", []Stage{Queue}, "a person wants it again: a new generation and a new session", retried},
	}
}

// Next decides what a signal does to a task. It returns ErrIgnored, and the task unchanged, for a signal that
// means nothing now. Next never changes its argument's slices.
func Next(t Task, s Signal, now time.Time) (Task, []Effect, error) {
	for _, r := range table() {
		if r.on != s.Name() || !slices.Contains(r.at, t.Stage) {
			continue
		}
		next := t
		next.ReadBack, next.Asked = slices.Clone(t.ReadBack), slices.Clone(t.Asked)
		effects, err := r.do(&next, s, now)
		if err != nil {
			return t, nil, err
		}
		if !slices.Contains(r.to, next.Stage) {
			return t, nil, fmt.Errorf("task %s: %s at %s led to %s, which the table does not know", t.ID, s.Name(), t.Stage, next.Stage)
		}
		if next.Stage != t.Stage {
			next.StageSince = now
		}
		if next.Stage.Final() {
			next.EndedAt = now
		}
		return next, append(effects, Effect{Kind: Refresh}), nil
	}
	return t, nil, ErrIgnored
}

// requeue sends the task back to the queue under a new generation; prompt is what its session is told.
func requeue(t *Task, prompt string) []Effect {
	t.Stage = Queue
	t.Generation++
	t.Waiting, t.Detail = NotWaiting, ""
	t.Prompt = prompt
	if t.Instructions != "" {
		t.Prompt = strings.TrimSpace(prompt + "\n\n" + t.Instructions)
		t.Instructions = ""
	}
	return []Effect{{Kind: Pump}}
}

// park keeps the task in the queue without a process until somebody or something acts.
func park(t *Task, why Waiting, detail string) {
	t.Stage = Queue
	t.Generation++
	t.Waiting, t.Detail = why, detail
}

// askBeside asks a person while the pull request stays as it is: it goes on when they answer, and as well when
// checks or reviewers come to another view by themselves. prompt is what the session is told beside the answer.
func askBeside(t *Task, question, prompt string) {
	t.Stage, t.Waiting, t.Detail, t.Prompt = CI, ForAnswer, question, prompt
}

// end sends the task through cleanup to its final stage.
func end(t *Task, outcome Stage, detail string) []Effect {
	t.Stage, t.Outcome = Cleanup, outcome
	t.Waiting, t.Detail = NotWaiting, detail
	return []Effect{{Kind: Clean}, {Kind: Pump}}
}

func leased(t *Task, s Signal, now time.Time) ([]Effect, error) {
	if t.Waiting != NotWaiting {
		return nil, ErrIgnored
	}
	t.Stage, t.Host = Run, s.(Leased).Host
	t.Runs++
	if t.StartedAt.IsZero() {
		t.StartedAt = now
	}
	return nil, nil
}

func unblocked(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	if t.Waiting != ForDependency {
		return nil, ErrIgnored
	}
	t.Waiting, t.Detail = NotWaiting, ""
	if sha := s.(Unblocked).BaseSHA; sha != "" {
		t.BaseSHA = sha
	}
	return []Effect{{Kind: Pump}}, nil
}

func skipped(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	if t.Waiting != ForDependency {
		return nil, ErrIgnored
	}
	return end(t, Cancelled, s.(Skipped).Why), nil
}

func answered(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	if t.Waiting != ForAnswer && t.Waiting != ForPermission {
		return nil, ErrIgnored
	}
	a := s.(Answered)
	t.Rounds = 0 // a person looked at it: the count of rounds without one begins anew
	t.Asked = append(t.Asked, a.By)
	prompt := strings.TrimSpace(t.Prompt + "\n\n" + unpushable(t) + Quote("answer", a.By, a.Text))
	if t.Stage != Queue {
		return requeue(t, prompt), nil
	}
	t.Waiting, t.Detail, t.Prompt = NotWaiting, "", prompt
	return []Effect{{Kind: Pump}}, nil
}

func funded(t *Task, _ Signal, _ time.Time) ([]Effect, error) {
	if t.Waiting != ForBudget && t.Waiting != ForUsage {
		return nil, ErrIgnored
	}
	t.Waiting, t.Detail, t.Offered = NotWaiting, "", 0
	return []Effect{{Kind: Pump}}, nil
}

func overspent(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	if t.Waiting != NotWaiting {
		return nil, ErrIgnored
	}
	t.Waiting, t.Detail = ForBudget, s.(Overspent).Why
	return []Effect{{Kind: Ask}}, nil
}

func held(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	t.Hold = s.(Held).On
	return []Effect{{Kind: Look}}, nil
}

func lapsed(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	if l := s.(Lapsed); l.Generation != t.Generation {
		return nil, ErrIgnored
	}
	return requeue(t, t.Prompt), nil
}

// book adds what a run cost to its task.
func book(t *Task, r work.Report) {
	t.CostMicroUSD += r.Usage.CostMicroUSD
	t.Turns += r.Usage.Turns
	if d := r.Ended.Sub(r.Started); d > 0 && r.Kind == work.Run {
		t.AgentTime += d
	}
}

const maxReturns = 2

// sendBack gives the session one more chance with the reason, a bounded number of times.
func sendBack(t *Task, limit int, prompt, otherwise string) []Effect {
	if t.Returns >= limit {
		return end(t, Failed, otherwise)
	}
	t.Returns++
	return requeue(t, prompt)
}

func ranRun(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	rep := s.(Reported)
	r := rep.Report
	if r.Kind != work.Run || r.Generation != t.Generation {
		return nil, ErrIgnored
	}
	book(t, r)
	switch r.Outcome {
	case work.Done:
		if t.Kind == Plan {
			return planned(t, r), nil
		}
		return coded(t, rep), nil
	case work.Question, work.Blocked:
		park(t, ForAnswer, r.Reason)
		t.Prompt = ""
		return []Effect{{Kind: Ask}, {Kind: Pump}}, nil
	case work.Limit:
		park(t, ForBudget, r.Reason)
		t.Prompt = "Your last run was stopped because a limit was reached. Go on where you were."
		return []Effect{{Kind: Ask}, {Kind: Pump}}, nil
	case work.UsageOver:
		park(t, ForUsage, r.Reason)
		return []Effect{{Kind: Wake, After: usagePause}, {Kind: Pump}}, nil
	case work.Stopped:
		return requeue(t, t.Prompt), nil
	case work.Unusable:
		return sendBack(t, maxReturns, unusablePrompt, "the agent ended without a usable result: "+r.Reason), nil
	case work.Gone:
		return end(t, Failed, r.Reason), nil
	case work.Fault, work.Pushed, work.Rejected, work.Cleaned:
		return sendBack(t, maxReturns, t.Prompt, r.Reason), nil
	}
	return nil, fmt.Errorf("task %s: unknown outcome %q", t.ID, r.Outcome)
}

const (
	usagePause     = 15 * time.Minute
	unusablePrompt = "Your last run ended without the structured result. Finish the task and end by giving the structured result."
	nothingPrompt  = "You reported done, but nothing in the worktree differs from the base commit. Do the task, or report blocked and say why it needs no change."
)

func planned(t *Task, r work.Report) []Effect {
	if len(r.Problems) > 0 {
		prompt := "Your plan cannot be accepted. Mend it and return the whole plan again.\n- " + strings.Join(r.Problems, "\n- ")
		return sendBack(t, maxReturns, prompt, "the plan was refused three times:\n- "+strings.Join(r.Problems, "\n- "))
	}
	return end(t, Done, "")
}

func coded(t *Task, rep Reported) []Effect {
	r := rep.Report
	if len(rep.Stray) > 0 {
		list := "\n- " + strings.Join(rep.Stray, "\n- ")
		return sendBack(t, 1, "These changed paths are outside of the paths you own. Undo your changes to them, keep the rest, and report again:"+list,
			"it changed paths outside of the ones it owns:"+list)
	}
	if r.Head == "" || r.Head == t.BaseSHA {
		return sendBack(t, 1, nothingPrompt, "the agent reported done without changing anything")
	}
	if t.PR != 0 && r.Head == t.Pushed && t.Instructions == "" {
		askBeside(t, "The session changed nothing more. It says: "+t.Summary, "")
		return []Effect{{Kind: Ask}, {Kind: Look}, {Kind: Pump}}
	}
	t.Head, t.Protected, t.Workflows = r.Head, rep.Protected, rep.Workflows
	if t.Instructions != "" {
		return requeue(t, "")
	}
	t.Stage, t.Prompt = Publish, ""
	return []Effect{{Kind: Push}, {Kind: Pump}}
}

func judged(t *Task, s Signal, now time.Time) ([]Effect, error) {
	j := s.(Judged)
	v := j.Verdict
	t.Checks = j.Checks
	if v.Action == gate.Merged {
		return mergedBy(t, j.MergeCommit), nil
	}
	if v.Action == gate.Closed {
		return end(t, Cancelled, "the pull request was closed by a person"), nil
	}
	if v.Head != t.Pushed {
		t.Stage, t.Waiting, t.Detail = CI, NotWaiting, "somebody pushed to the branch; a person has to merge it"
		return nil, nil
	}
	if j.Key != "" && !slices.Contains(t.ReadBack, j.Key) {
		return sendOn(t, j), nil
	}
	if t.Waiting == ForAnswer && v.Action == gate.Fix {
		return nil, nil // a person has been asked, and nothing is better
	}
	was := t.Stage
	t.Waiting, t.Prompt = NotWaiting, ""
	t.Stage, t.Detail = stageOf(v), j.Overdue
	if t.Stage != was && t.Stage == Merge && t.ApprovedAt.IsZero() {
		t.ApprovedAt = now
	}
	switch {
	case t.Stage == Merge:
		return []Effect{{Kind: DoMerge}}, nil
	case t.Stage == Review && (was == CI || j.Draft):
		return []Effect{{Kind: Ready}}, nil
	}
	return nil, nil
}

// stageOf is the stage that a verdict without anything to fix stands for.
func stageOf(v gate.Verdict) Stage {
	switch {
	case v.Action == gate.Merge:
		return Merge
	case v.Checks == gate.Green:
		return Review
	default:
		return CI
	}
}

// sendOn hands the feedback to the session, or asks a person when it had its rounds.
func sendOn(t *Task, j Judged) []Effect {
	t.ReadBack = append(t.ReadBack, j.Key)
	if t.Rounds >= j.Limits.Rounds {
		askBeside(t, fmt.Sprintf("%d rounds did not satisfy checks and reviewers. What should the session do?", t.Rounds), j.Feedback)
		return []Effect{{Kind: Ask}}
	}
	t.Rounds++
	if j.BaseSHA != "" {
		t.BaseSHA = j.BaseSHA
	}
	return requeue(t, j.Feedback)
}

func merged(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	generation, running := t.Generation, t.Stage == Run
	return stopping(running, generation, mergedBy(t, s.(Merged).SHA)), nil
}

func mergedLate(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	t.Merged, t.Outcome, t.Detail = s.(Merged).SHA, Done, ""
	return nil, nil
}

// stopping puts the end of a run in front of the effects, when there is one.
func stopping(running bool, generation int, effects []Effect) []Effect {
	if !running {
		return effects
	}
	return append([]Effect{{Kind: StopRun, Generation: generation}}, effects...)
}

func mergedBy(t *Task, sha string) []Effect {
	t.Merged = sha
	return end(t, Done, "")
}

func unmerged(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	u := s.(Unmerged)
	t.Detail = u.Why
	if u.Moved {
		t.Stage = CI
		t.Unmerged++
		return []Effect{{Kind: Look, After: time.Second << min(t.Unmerged, 6)}}, nil
	}
	t.Stage = Review
	return nil, nil
}

func instructed(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	i := s.(Instructed)
	if i.Key != "" && slices.Contains(t.ReadBack, i.Key) {
		return nil, ErrIgnored
	}
	t.ReadBack, t.Asked = append(t.ReadBack, i.Key), append(t.Asked, i.By)
	text := Quote("instruction", i.By, i.Text)
	t.Returns, t.Rounds = 0, 0
	if t.Waiting == ForPermission { // unpushed for a while yet: the session may find another way
		return requeue(t, strings.TrimSpace(t.Prompt+"\n\n"+unpushable(t)+text)), nil
	}
	switch t.Stage {
	case Run, Publish:
		t.Instructions = strings.TrimSpace(t.Instructions + "\n\n" + text)
		return nil, nil
	case Queue:
		t.Prompt = strings.TrimSpace(t.Prompt + "\n\n" + text)
		if t.Waiting == ForAnswer {
			t.Waiting, t.Detail = NotWaiting, ""
		}
		return []Effect{{Kind: Pump}}, nil
	case CI, Review, Merge:
		return requeue(t, strings.TrimSpace(t.Prompt+"\n\n"+text)), nil
	case Cleanup, Done, Failed, Cancelled:
	}
	return nil, ErrIgnored
}

func stopped(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	generation, running := t.Generation, t.Stage == Run
	return stopping(running, generation, end(t, Cancelled, s.(Stopped).Why)), nil
}

func failed(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	generation, running := t.Generation, t.Stage == Run
	return stopping(running, generation, end(t, Failed, s.(FailedNow).Why)), nil
}

func lateReport(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	r := s.(Reported).Report
	if r.Generation != t.Generation {
		return nil, ErrIgnored
	}
	book(t, r)
	if r.Kind == work.Publish && r.Outcome == work.Pushed {
		t.Pushed = r.Head
		return []Effect{{Kind: Clean}}, nil
	}
	return nil, nil
}

func cleaned(t *Task, _ Signal, _ time.Time) ([]Effect, error) {
	t.Stage = t.Outcome
	return []Effect{{Kind: Settle}, {Kind: Pump}}, nil
}

func retried(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	r := s.(Retried)
	t.Session, t.Outcome, t.EndedAt = r.Session, "", time.Time{}
	t.Returns, t.Rounds, t.Pushes, t.Unmerged = 0, 0, 0, 0
	t.PR, t.Pushed, t.Head, t.Merged = 0, "", "", ""
	t.Protected, t.Workflows, t.Marked = nil, nil, false
	t.ReadBack, t.ApprovedAt = nil, time.Time{}
	if r.BaseSHA != "" {
		t.BaseSHA = r.BaseSHA
	}
	effects := requeue(t, strings.TrimSpace(r.Text))
	t.Branch = Branch(t.Label, t.ID, t.Generation) // what the last try pushed is not in the way
	if len(t.DependsOn) > 0 {
		t.Waiting = ForDependency
	}
	return effects, nil
}

// Branch names a task's branch. The first try has the short name; each retry has its own.
func Branch(label, id string, generation int) string {
	if generation == 1 {
		return "dozens/" + label + "-" + id
	}
	return fmt.Sprintf("dozens/%s-%s-%d", label, id, generation)
}

// Quote wraps a person's words as marked data for a prompt. The closing mark cannot be forged by the text.
func Quote(kind, by, text string) string {
	text = strings.ReplaceAll(text, "</"+kind, "<\\/"+kind)
	return fmt.Sprintf("<%s by=%q>\n%s\n</%s>", kind, by, text, kind)
}
