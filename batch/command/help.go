package command

import (
	"fmt"
	"slices"
	"strings"
)

// entry is a row of the help.
type entry struct {
	verb Verb
	args string // what may follow the verb
	does string
	who  string
}

// writers are those who may command; the help's last line says who they are.
const writers = "write access"

// entries is the table of commands: what is known, how it is written, what it does, and who may.
func entries() []entry {
	return []entry{
		{Batch, "[TEXT]" + optionUsage(Batch), "plans the text, or this issue, into units, shows the plan and runs it with one agent for each", writers},
		{Claude, "[TEXT]" + optionUsage(Claude), "one agent does the text, or this issue; on one of our pull requests: tells its agent what else to do", writers},
		{Go, "[1,3-5]", "runs the plan that is shown, or only those units of it", writers},
		{Status, "", "says where everything stands", writers},
		{ShowHelp, "", "shows this", writers},
		{Stop, "[LABEL]", "stops all work here, or one task, within seconds", writers},
		{Retry, "[LABEL ... | failed]", "starts those tasks again; alone: all that failed", writers},
		{Hold, "[LABEL]", "merges nothing here, or not that task, for the time being; work goes on", writers},
		{Unhold, "[LABEL]", "lifts every hold here, or that of one task", writers},
		{Budget, "DOLLARS", "sets a new limit for the batch; tasks that waited for money go on", writers},
	}
}

func optionUsage(verb Verb) string {
	var b strings.Builder
	for _, o := range options() {
		if !slices.Contains(o.verbs, verb) {
			continue
		}
		b.WriteString(" [--" + o.name)
		if o.value != "" {
			b.WriteString(" " + o.value)
		}
		b.WriteString("]")
	}
	return b.String()
}

// Usage says how a command is written, on one line without Markdown. For a verb that is not known it says how to
// get help.
func Usage(v Verb) string {
	for _, e := range entries() {
		if e.verb == v {
			return e.usage()
		}
	}
	return "/dozens help"
}

func (e entry) usage() string { return strings.TrimSpace("/" + string(e.verb) + " " + e.args) }

// Help is the text of /help, in Markdown. The bot is the name of the App; the labels are the names of those that
// start one task and a batch, in this order, and may be left out.
func Help(bot string, labels ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**What you can say to %s**, at the start of a line in a new comment:\n\n", inline(bot))
	b.WriteString("| command | does | who may |\n|---|---|---|\n")
	for _, e := range entries() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(e.usage()), e.does, e.who)
	}
	b.WriteString("\n| option | means |\n|---|---|\n")
	for _, o := range options() {
		fmt.Fprintf(&b, "| %s | %s |\n", cell(strings.TrimSpace("--"+o.name+" "+o.value)), o.does)
	}
	b.WriteString("\n")
	does := []string{"has this issue done as one task", "has this issue planned and done by many agents"}
	for i, l := range labels {
		if i < len(does) && l != "" {
			fmt.Fprintf(&b, "The label %s %s. Removing it stops the work. ", inline(l), does[i])
		}
	}
	b.WriteString("A reply to a question answers it. Where another bot listens to the same word, write `/dozens` before it, as in `/dozens status`. ")
	b.WriteString("Commands need write access to this repository, unless `.github/dozens.yml` on the base branch says otherwise.\n")
	return b.String()
}

// cell is code within a table, where a bar would end the column.
func cell(s string) string { return "`" + strings.ReplaceAll(s, "|", `\|`) + "`" }

// inline is a foreign name as code within a sentence.
func inline(s string) string { return "`" + strings.ReplaceAll(shown(s), "`", "'") + "`" }

func known(v Verb) bool { return slices.Contains(verbNames(), string(v)) }

func verbNames() []string {
	out := []string{}
	for _, e := range entries() {
		out = append(out, string(e.verb))
	}
	return out
}

// meant asks whether a known word was meant.
func meant(word string, names []string) string {
	if n := nearest(word, names); n != "" {
		return " Did you mean /" + n + "?"
	}
	return " /dozens help lists what there is."
}

// nearest is the name that differs from the word in the fewest letters, if it is like it at all.
func nearest(word string, names []string) string {
	best, distance := "", 3
	for _, n := range names {
		if d := edits(clip(word, 30), n); d < distance && d < len(n) {
			best, distance = n, d
		}
	}
	return best
}

// edits is how many letters must be put in, taken out or changed to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
