package say

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dozens/batch"
	"dozens/batch/plan"
	"dozens/batch/task"
)

// View is what the status comment and the final comment are made from.
type View struct {
	Batch batch.Batch
	Tasks []task.Task // the units, without the planner's task
	// Planner is the planner's task of a /batch.
	Planner *task.Task
	Now     time.Time
	URL     string // of the batch's page, "" when there is none
	NoBox   bool   // agents run without a sandbox
}

func (v View) cost() int64 {
	var sum int64
	for _, t := range v.all() {
		sum += t.CostMicroUSD
	}
	return sum
}

func (v View) all() []task.Task {
	if v.Planner == nil {
		return v.Tasks
	}
	return append([]task.Task{*v.Planner}, v.Tasks...)
}

// Status is the sticky comment of a batch: one, edited, always the truth.
func Status(v View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", headline(v))
	if v.Batch.Detail != "" {
		fmt.Fprintf(&b, "%s\n\n", Block(v.Batch.Detail, 2000))
	}
	if v.Batch.Outsider != "" {
		fmt.Fprintf(&b, "The text of this issue is by %s, who may not command here: agents are not shown it (`commands.read`).\n\n", login(v.Batch.Outsider))
	}
	if v.Planner != nil && len(v.Tasks) == 0 && !v.Batch.Stage.Final() {
		fmt.Fprintf(&b, "%s\n\n", plannerLine(*v.Planner))
	}
	if len(v.Tasks) > 0 {
		table(&b, v)
	}
	fmt.Fprintf(&b, "Asked by %s · batch `%s` · %s", login(v.Batch.Requester.Login), v.Batch.ID, Money(v.cost()))
	if v.URL != "" {
		fmt.Fprintf(&b, " · [live](%s)", v.URL)
	}
	b.WriteString(" · `/help`\n")
	if v.NoBox {
		fmt.Fprintf(&b, "\n%s\n", Sandbox)
	}
	return b.String()
}

func headline(v View) string {
	done := 0
	for _, t := range v.Tasks {
		if t.Stage == task.Done {
			done++
		}
	}
	units := count(len(v.Tasks), "unit", "units")
	hold := ""
	if v.Batch.Hold {
		hold = " · merging is on hold (`/unhold`)"
	}
	switch v.Batch.Stage {
	case batch.Plan:
		return "Planning"
	case batch.Approval:
		return "The plan waits for `/go`"
	case batch.Work:
		return fmt.Sprintf("%d of %s merged%s", done, units, hold)
	case batch.Done:
		return fmt.Sprintf("Done: %s merged", units)
	case batch.Cancelled:
		return fmt.Sprintf("Cancelled: %d of %s merged", done, units)
	case batch.Failed:
		if len(v.Tasks) == 0 {
			return "Failed"
		}
		return fmt.Sprintf("Ended: %d of %s merged", done, units)
	}
	return string(v.Batch.Stage)
}

func plannerLine(t task.Task) string {
	line := fmt.Sprintf("Planner: %s", stageWords(t))
	if t.Returns > 0 {
		line += fmt.Sprintf(", plan sent back %s", count(t.Returns, "time", "times"))
	}
	return line
}

func table(b *strings.Builder, v View) {
	b.WriteString("| unit | label | stage | pull request | checks | cost | time |\n|--:|---|---|---|---|--:|--:|\n")
	for i, t := range v.Tasks {
		pr := ""
		if t.PR != 0 {
			pr = fmt.Sprintf("#%d", t.PR)
		}
		fmt.Fprintf(b, "| %d | `%s` | %s | %s | %s | %s | %s |\n",
			i+1, t.Label, stageWords(t), pr, Inline(t.Checks, 60), Money(t.CostMicroUSD), spent(t, v.Now))
	}
	b.WriteString("\n")
	for _, t := range v.Tasks {
		if t.Detail != "" && t.Stage != task.Done {
			fmt.Fprintf(b, "- `%s`:%s\n", t.Label, within(t.Detail, 700))
		}
	}
	b.WriteString("\n")
}

// stageWords is the stage and, where it waits, what for.
func stageWords(t task.Task) string {
	if t.Waiting != task.NotWaiting {
		return fmt.Sprintf("%s, waiting: %s", t.Stage, t.Waiting)
	}
	return string(t.Stage)
}

func spent(t task.Task, now time.Time) string {
	switch {
	case t.StartedAt.IsZero():
		return ""
	case t.EndedAt.IsZero():
		return Time(now.Sub(t.StartedAt))
	}
	return Time(t.EndedAt.Sub(t.StartedAt))
}

// Plan is the comment that shows a plan. With needsGo it ends with what to say to start it.
func Plan(p plan.Plan, needsGo bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Plan: %s\n\n", count(len(p.Units), "unit", "units"))
	if p.Notes != "" {
		fmt.Fprintf(&b, "%s\n\n", Block(p.Notes, 3000))
	}
	b.WriteString("| unit | label | what | owned paths | after | size |\n|--:|---|---|---|---|---|\n")
	for i, u := range p.Units {
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s | %s |\n",
			i+1, u.Label, Inline(u.Title, 120), paths(u.Owned, 8), codes(u.DependsOn), u.Size)
	}
	b.WriteString("\n")
	for _, u := range p.Units {
		fmt.Fprintf(&b, "<details><summary>Brief of %s</summary>\n\n%s\n\n</details>\n", Inline(u.Label, 40), Block(u.Brief, 1500))
	}
	if needsGo {
		b.WriteString("\n`/go` runs it, `/go 1,3-5` only those units, `/stop` drops it.\n")
	} else {
		b.WriteString("\nIt starts now.\n")
	}
	return b.String()
}

func paths(globs []string, most int) string {
	if len(globs) > most {
		return codes(globs[:most]) + fmt.Sprintf(" and %d more", len(globs)-most)
	}
	return codes(globs)
}

// codes writes each word as code, so that nothing in it is Markdown.
func codes(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, "`"+strings.ReplaceAll(Code(w, 200), "|", "\\|")+"`")
	}
	return strings.Join(all, ", ")
}

// Question is the comment by which a parked session asks.
func Question(t task.Task) string {
	var b strings.Builder
	if t.Waiting == task.ForBudget {
		fmt.Fprintf(&b, "`%s` has stopped at a limit:%s\n\nIts work is kept. `/budget N` raises the limit and goes on, `/stop %s` ends it.\n",
			t.Label, beside(t.Detail, 2000), t.Label)
		return b.String()
	}
	fmt.Fprintf(&b, "`%s` asks:\n\n%s\n\nReply here; the same session goes on with your answer. `/stop %s` ends it.\n",
		t.Label, Block(t.Detail, 6000), t.Label)
	return b.String()
}

// Final is the comment at the end of a batch.
func Final(v View) string {
	ended := map[task.Stage]int{}
	var agents time.Duration
	for _, t := range v.Tasks {
		ended[t.Stage]++
		agents += t.AgentTime
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", headline(v))
	fmt.Fprintf(&b, "%d merged, %d failed, %d cancelled · %s elapsed, %s of agents' time · %s\n\n",
		ended[task.Done], ended[task.Failed], ended[task.Cancelled], Time(v.Batch.EndedAt.Sub(v.Batch.CreatedAt)), Time(agents), Money(v.cost()))
	if v.Batch.Detail != "" {
		fmt.Fprintf(&b, "%s\n\n", Block(v.Batch.Detail, 6000))
	}
	for _, t := range v.Tasks {
		if t.Stage == task.Done {
			fmt.Fprintf(&b, "- `%s`: merged as #%d\n", t.Label, t.PR)
			continue
		}
		fmt.Fprintf(&b, "- `%s`: %s.%s\n", t.Label, t.Stage, within(t.Detail, 1500))
	}
	if ended[task.Done] < len(v.Tasks) {
		b.WriteString("\n`/retry failed` or `/retry LABEL` tries again.\n")
	}
	return b.String()
}

// beside is Block for text that goes on a line of ours.
func beside(s string, most int) string {
	s = Block(s, most)
	begin, _ := utf8.DecodeRuneInString(s)
	if unicode.IsLetter(begin) || !strings.Contains(s, "\n") {
		return " " + s
	}
	return "\n\n" + s // a list, a code block: what it begins with needs a line of its own
}

// within is beside for text that goes on an item of a list.
func within(s string, most int) string {
	return strings.ReplaceAll(beside(s, most), "\n", "\n  ")
}
