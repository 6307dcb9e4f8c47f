package command

import (
	"fmt"
	"strings"

	"dozens/batch"
)

const (
	commandsMax = 5      // commands of one comment
	textMax     = 20_000 // bytes of a command's text
	lineShown   = 200    // characters of a line that is shown back
)

// Verb is the word of a command.
type Verb string

// The verbs, in the order in which the help lists them.
const (
	Batch    Verb = "batch"
	Claude   Verb = "claude"
	Go       Verb = "go"
	Status   Verb = "status"
	ShowHelp Verb = "help"
	Stop     Verb = "stop"
	Retry    Verb = "retry"
	Hold     Verb = "hold"
	Unhold   Verb = "unhold"
	Budget   Verb = "budget"
)

// AllFailed is the label of a retry that means every failed task.
const AllFailed = "failed"

// Command is one thing a person asked for.
type Command struct {
	Verb      Verb
	Text      string        // of batch and claude: what to do, at most 20,000 bytes; empty: the issue itself says it
	Options   batch.Options // of batch and claude
	Labels    []string      // of stop, hold and unhold: none or one; of retry: labels, or AllFailed alone; each checked
	Units     []int         // of go: numbers from 1, sorted, each once; nil: all units
	BudgetUSD float64       // of budget: US dollars, more than 0
	Line      string        // the line as it was written, without invisible characters, bounded
}

// Refusal is a line that was meant for us and cannot be carried out. One reply with these words helps.
type Refusal struct {
	Verb    string // the command's word; empty when it is not known
	Line    string // the line as it was written, without invisible characters, bounded; untrusted
	Problem string // a sentence
	Usage   string // how to write it, without Markdown
}

// Parse finds the commands in the Markdown of a comment or an issue, in order. A command stands at the start of a
// line of plain text: not in code, quotes, lists, headings, tables, links, HTML or collapsed sections. Bare words
// that belong to other bots are left alone.
func Parse(markdown string) (cmds []Command, refusals []Refusal) {
	src := normalise(markdown)
	if !anyAddress(src) {
		return nil, nil
	}
	found := calls(src)
	for i, c := range found {
		if i == commandsMax {
			refusals = append(refusals, Refusal{
				Line:    shown(c.line),
				Problem: fmt.Sprintf("One comment can hold %d commands; this one and those after it were left out. Write them in another comment.", commandsMax),
				Usage:   Usage(c.verb),
			})
			break
		}
		cmd, problem := read(c)
		if problem != "" {
			refusals = append(refusals, Refusal{Verb: string(c.verb), Line: shown(c.line), Problem: problem, Usage: Usage(c.verb)})
			continue
		}
		cmds = append(cmds, cmd)
	}
	return cmds, refusals
}

// call is a line that speaks to us, cut into its parts.
type call struct {
	verb Verb   // empty: a word after /dozens that is not known
	word string // as written
	line string // the whole line
	args string // the line behind the verb
	tail string // the lines after it, up to the next call
}

// calls finds the lines that speak to us.
func calls(src string) []call {
	src, lines := plainLines(src)
	found := []call{}
	last := 0 // where the last call's line ends
	for _, l := range lines {
		c, ok := address(src[l.start:l.end])
		if !ok {
			continue
		}
		if n := len(found); n > 0 {
			found[n-1].tail = src[last:l.start]
		}
		found = append(found, c)
		last = l.end
	}
	if n := len(found); n > 0 {
		found[n-1].tail = src[last:]
	}
	return found
}

// anyAddress says whether a line looks as if it spoke to us, before the Markdown is read: most comments do not.
func anyAddress(src string) bool {
	for line := range strings.SplitSeq(src, "\n") {
		if _, ok := address(line); ok {
			return true
		}
	}
	return false
}

// address says whether a line speaks to us, and cuts off the words that do.
func address(line string) (call, bool) {
	line = strings.ReplaceAll(line, hiddenByte, "")
	first, rest := cutWord(line)
	if !strings.HasPrefix(first, "/") {
		return call{}, false
	}
	word := strings.ToLower(first[1:])
	if word != "dozens" {
		verb := Verb(word)
		return call{verb: verb, word: word, line: line, args: rest}, known(verb)
	}
	second, args := cutWord(rest)
	word = strings.ToLower(strings.TrimPrefix(second, "/"))
	if second == "" {
		return call{verb: ShowHelp, word: "dozens", line: line}, true
	}
	c := call{verb: Verb(word), word: word, line: line, args: args}
	if !known(c.verb) {
		c.verb = ""
	}
	return c, true
}

// cutWord splits off the first word that has something visible, with what is invisible removed from it.
func cutWord(s string) (word, rest string) {
	for rest = s; rest != "" && word == ""; {
		rest = strings.TrimLeftFunc(rest, isSpace)
		end := strings.IndexFunc(rest, isSpace)
		if end < 0 {
			end = len(rest)
		}
		word, rest = visible(rest[:end]), rest[end:]
	}
	return word, rest
}

// read turns a call into a command, or says in a sentence why it cannot.
func read(c call) (cmd Command, problem string) {
	cmd = Command{Verb: c.verb, Line: shown(c.line)}
	switch c.verb {
	case Batch, Claude:
		problem = readText(c, &cmd)
	case Stop, Hold, Unhold:
		problem = readLabels(c, &cmd, 1)
	case Retry:
		problem = readLabels(c, &cmd, labelsMax)
	case Go:
		cmd.Units, problem = readUnits(c.args)
	case Budget:
		cmd.BudgetUSD, problem = readBudget(c.args)
	case Status, ShowHelp: // whatever follows is conversation
	default:
		problem = fmt.Sprintf("There is no command %s.%s", quote(c.word), meant(c.word, verbNames()))
	}
	return cmd, problem
}

// readText reads the options of a batch or claude line, and its text.
func readText(c call, cmd *Command) (problem string) {
	first, problem := readOptions(c.verb, c.args, &cmd.Options)
	if problem != "" {
		return problem
	}
	cmd.Text = strings.TrimSpace(first + readable(c.tail))
	if len(cmd.Text) > textMax {
		return fmt.Sprintf("The text is %d bytes long; at most %d are possible. Put details into the issue or a file of the repository.", len(cmd.Text), textMax)
	}
	return ""
}
