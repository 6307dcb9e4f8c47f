package command

import (
	"fmt"
	"strings"
	"testing"

	"dozens/batch"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func parseOne(t *testing.T, markdown string) Command {
	t.Helper()
	cmds, refusals := Parse(markdown)
	if len(cmds) != 1 || len(refusals) > 0 {
		t.Fatalf("Parse(%q): got %d commands and refusals %+v, want one command", markdown, len(cmds), refusals)
	}
	return cmds[0]
}

func TestCommands(t *testing.T) {
	t.Parallel()
	opts := func(o batch.Options) batch.Options { return o }
	for _, c := range []struct {
		markdown string
		want     Command
	}{
		{"/batch", Command{Verb: Batch}},
		{"/batch replace a by b", Command{Verb: Batch, Text: "replace a by b"}},
		{"/BATCH x", Command{Verb: Batch, Text: "x"}},
		{"/dozens batch x", Command{Verb: Batch, Text: "x"}},
		{"/Dozens /Batch x", Command{Verb: Batch, Text: "x"}},
		{"/dozens", Command{Verb: ShowHelp}},
		{"Hello,\n/batch x\r\n\r\n- one\r\n- two\r\n", Command{Verb: Batch, Text: "x\n\n- one\n- two"}},
		{"/claude\nThe text\n\n```\n/stop\n```", Command{Verb: Claude, Text: "The text\n\n```\n/stop\n```"}},
		{"   /batch\u00a0x", Command{Verb: Batch, Text: "x"}},
		{"\u200b/ba\u200btch x", Command{Verb: Batch, Text: "x"}},
		{"/batch x --yes --max-parallel 4 y --budget=$20 --label A.b --base release/1", Command{
			Verb: Batch, Text: "x y", Options: opts(batch.Options{MaxParallel: 4, BudgetUSD: 20, Label: "a.b", Base: "release/1", Yes: true}),
		}},
		{"/batch —budget 20.50 x", Command{Verb: Batch, Text: "x", Options: batch.Options{BudgetUSD: 20.5}}},
		{"/batch x — y", Command{Verb: Batch, Text: "x — y"}},
		{"/claude --budget 5usd --label l --base main fix it", Command{Verb: Claude, Text: "fix it", Options: batch.Options{BudgetUSD: 5, Label: "l", Base: "main"}}},
		{"/batch --la\u202ebel \u2066ab\u2069c x", Command{Verb: Batch, Text: "x", Options: batch.Options{Label: "abc"}}},
		{`/batch --base "main" --label='x' don't "--use" the old API`, Command{Verb: Batch, Text: `don't "--use" the old API`, Options: batch.Options{Base: "main", Label: "x"}}},
		{"/batch explain `git push --force` --yes", Command{Verb: Batch, Text: "explain `git push --force`", Options: batch.Options{Yes: true}}},
		{"/batch --yes -- use --force here", Command{Verb: Batch, Text: "use --force here", Options: batch.Options{Yes: true}}},
		{"/batch a <!-- hidden --> b\n\n<!--\nhidden too\n/stop\n-->\nshown `<!-- code -->`", Command{Verb: Batch, Text: "a  b\n\n\nshown `<!-- code -->`"}},
		{"/batch 👩‍💻 \u202eevil\U000E0041", Command{Verb: Batch, Text: "👩‍💻 evil"}},
		{"/go", Command{Verb: Go}},
		{"/go all", Command{Verb: Go}},
		{"/go 1,3-5", Command{Verb: Go, Units: []int{1, 3, 4, 5}}},
		{"/go 5 1, 3 – 4 3", Command{Verb: Go, Units: []int{1, 3, 4, 5}}},
		{"/status please", Command{Verb: Status}},
		{"/help me", Command{Verb: ShowHelp}},
		{"/stop", Command{Verb: Stop}},
		{"/stop `Auth`", Command{Verb: Stop, Labels: []string{"auth"}}},
		{"/hold auth", Command{Verb: Hold, Labels: []string{"auth"}}},
		{"/unhold", Command{Verb: Unhold}},
		{"/unhold auth", Command{Verb: Unhold, Labels: []string{"auth"}}},
		{"/retry", Command{Verb: Retry, Labels: []string{"failed"}}},
		{"/retry FAILED", Command{Verb: Retry, Labels: []string{"failed"}}},
		{"/retry a, b c a", Command{Verb: Retry, Labels: []string{"a", "b", "c"}}},
		{"/budget 50", Command{Verb: Budget, BudgetUSD: 50}},
		{"/budget $ 50.25", Command{Verb: Budget, BudgetUSD: 50.25}},
		{"/budget 50 USD", Command{Verb: Budget, BudgetUSD: 50}},
	} {
		got := parseOne(t, c.markdown)
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Command{}, "Line"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Parse(%q), want - got +:\n%s", c.markdown, diff)
		}
	}
}

func TestNoCommand(t *testing.T) {
	t.Parallel()
	for _, markdown := range []string{
		"", "hello", "/goat", "/gone 1", "/deploy", "/stop-it", "/stop: x", "x /stop", "(/stop)", `\/stop`, "//stop", "/ stop", "&#47;stop",
		"    /stop", "\t/stop", "`/stop`", "`code\n/stop`", "```\n/stop\n```", "~~~~\n/stop\n~~~\n/stop\n~~~~", "```\n/stop",
		"> /stop", "> quoted\n/stop", ">\n> /stop", "> [!NOTE]\n> /stop", "- /stop", "- item\n/stop", "1. /stop", "* a\n\n  /stop", "- [ ] /stop",
		"# /stop", "/stop\n---", "/stop\n===", "[/stop](https://example.com)", "[text\n/stop](https://example.com)", "![alt\n/stop](x)", "*/stop*", "*a\n/stop b*", "~~a\n/stop b~~",
		"<!-- \n/stop\n-->", "<!--\n\n/stop\n\n-->", "a <!-- b\n/stop --> c", "<div>\n/stop\n</div>", "<details>\n\n/stop\n\n</details>", "<blockquote>\n\n/stop\n\n</blockquote>",
		"text <blockquote>\n\n/stop\n\n</blockquote>", "<pre>\n\n/stop\n\n</pre>", "<script>\n\n/stop\n\n</script>", "<a title=\"\n/stop\">x</a>",
		"| a |\n|---|\n/stop", "| a |\n|---|\n| /stop |", "[^1]: note\n\n    /stop\n\ntext [^1]", "[ref]: /url \"\n/stop\n\"", "<details><summary>x</summary>\n\n/stop",
	} {
		if cmds, refusals := Parse(markdown); len(cmds)+len(refusals) > 0 {
			t.Errorf("Parse(%q): got %+v and %+v, want nothing", markdown, cmds, refusals)
		}
	}
}

func TestStillCommand(t *testing.T) {
	t.Parallel()
	for _, markdown := range []string{
		"> quote\n\n/stop", "- item\n\n/stop", "<details>\n\nx\n\n</details>\n\n/stop", "```\nx\n```\n/stop", "a  \n/stop", "a\\\n/stop", "# x\n/stop",
		"text `code`\n/stop", "a\n/stop\nb", "---\n/stop", "<br>\n\n/stop", "| a |\n|---|\n| b |\n\n/stop", "a\r/stop", "\ufeff/stop", "\x00/stop", "a\xff\n/stop",
	} {
		if got := parseOne(t, markdown); got.Verb != Stop {
			t.Errorf("Parse(%q): got %q, want stop", markdown, got.Verb)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ markdown, verb, problem string }{
		{"/dozens deploy", "", `no command "deploy"`},
		{"/dozens stap", "", "Did you mean /stop?"},
		{"/batch --bugdet 20 x", "batch", "Did you mean --budget?"},
		{"/batch --force x", "batch", `no option "--force"`},
		{"/batch git push --force", "batch", "into quotes"},
		{"/batch --max-parallel 0", "batch", "not a number from 1 to 100"},
		{"/batch --max-parallel 101", "batch", "not a number from 1 to 100"},
		{"/batch --max-parallel +5", "batch", "not a number from 1 to 100"},
		{"/batch --max-parallel 99999999999999999999", "batch", "not a number"},
		{"/batch --max-parallel", "batch", "needs a value"},
		{"/batch --max-parallel --yes", "batch", "needs a value"},
		{"/batch --label=", "batch", "needs a value"},
		{"/batch --yes=no", "batch", "takes no value"},
		{"/batch --yes --yes", "batch", "given twice"},
		{"/claude --yes x", "claude", "option of /batch, not of /claude"},
		{"/batch --label ../../etc", "batch", "--label"},
		{"/batch --label \"a b\"", "batch", "--label"},
		{"/batch --base --upload-pack=x", "batch", "needs a value"},
		{"/batch --base \"--upload-pack=x\"", "batch", "begins with a dash"},
		{"/batch --base a..b", "batch", "two dots"},
		{"/batch --budget 0", "batch", "more than 0"},
		{"/batch --budget -5", "batch", "not an amount"},
		{"/batch --budget NaN", "batch", "not an amount"},
		{"/batch --budget Inf", "batch", "not an amount"},
		{"/batch --budget 1e3", "batch", "not an amount"},
		{"/batch --budget 0x10", "batch", "not an amount"},
		{"/batch --budget 20,50", "batch", "not an amount"},
		{"/batch --budget 100001", "batch", "not be more than"},
		{"/batch " + strings.Repeat("x", 20_001), "batch", "20001 bytes"},
		{"/go 0", "go", "no number of a unit"}, {"/go 3-1", "go", "backwards"}, {"/go ahead", "go", "no number"}, {"/go 1-", "go", "no number"},
		{"/go 1-2-3", "go", "no number"}, {"/go -1", "go", "no number"}, {"/go 1001", "go", "no number"}, {"/go ,", "go", "empty"},
		{"/go 1-1000 1-1000 1-1000", "go", "again and again"},
		{"/budget", "budget", "needs the new limit"}, {"/budget lots", "budget", "not an amount"}, {"/budget 50 please", "budget", "not an amount"},
		{"/stop a b", "stop", "at most 1"}, {"/stop the presses!", "stop", "no label"}, {"/hold -f", "hold", "no label"}, {"/stop failed", "stop", "no label"},
		{"/unhold a b", "unhold", "at most 1"}, {"/retry failed a", "retry", "either"},
	} {
		cmds, refusals := Parse(c.markdown)
		if len(cmds) != 0 || len(refusals) != 1 {
			t.Errorf("Parse(%.80q): got %+v and %+v, want one refusal", c.markdown, cmds, refusals)
			continue
		}
		r := refusals[0]
		if r.Verb != c.verb || !strings.Contains(r.Problem, c.problem) || r.Usage != Usage(Verb(c.verb)) || r.Usage == "" {
			t.Errorf("Parse(%.80q): got %+v, want verb %q and a problem with %q", c.markdown, r, c.verb, c.problem)
		}
	}
}

func TestSeveralCommands(t *testing.T) {
	t.Parallel()
	cmds, refusals := Parse("/hold\n/budget lots\n/batch a\nb\n\n/claude c\n\nd\n/deploy\n/status\n/stop\n/go\n/go")
	got := []string{}
	for _, c := range cmds {
		got = append(got, string(c.Verb)+":"+c.Text)
	}
	if diff := cmp.Diff([]string{"hold:", "batch:a\nb", "claude:c\n\nd\n/deploy", "status:"}, got); diff != "" {
		t.Errorf("commands, want - got +:\n%s", diff)
	}
	if len(refusals) != 2 || refusals[0].Verb != "budget" || !strings.Contains(refusals[1].Problem, "can hold 5 commands") {
		t.Errorf("got refusals %+v, want one of budget and one of the number", refusals)
	}
}

func TestLineIsFitToBeShown(t *testing.T) {
	t.Parallel()
	c := parseOne(t, "/batch\u00a0a\u202e<!-- x -->b "+strings.Repeat("c", 500))
	if !strings.HasPrefix(c.Line, "/batch ab c") || len(c.Line) > lineShown+len("…") {
		t.Errorf("got line %q, want it clean and bounded", c.Line)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	help := Help("dozens", "claude", "batch`x")
	for _, v := range verbNames() {
		if !strings.Contains(help, "`/"+v) {
			t.Errorf("help does not list /%s:\n%s", v, help)
		}
	}
	for _, want := range []string{"`--max-parallel N`", "label `claude`", "label `batch'x`", `LABEL ... \| failed`} {
		if !strings.Contains(help, want) {
			t.Errorf("help does not hold %q:\n%s", want, help)
		}
	}
	if cmds, refusals := Parse(help); len(cmds)+len(refusals) > 0 {
		t.Errorf("help is read as %+v %+v, want nothing", cmds, refusals)
	}
	if got, want := Usage(Batch), "/batch [TEXT] [--max-parallel N] [--budget DOLLARS] [--label NAME] [--base BRANCH] [--yes]"; got != want {
		t.Errorf("usage: got %q, want %q", got, want)
	}
	if got, want := Usage("nonsense"), "/dozens help"; got != want {
		t.Errorf("usage of nonsense: got %q, want %q", got, want)
	}
}

// Long comments made to be slow to read end all the same, and with bounded answers.
func TestHostileLength(t *testing.T) {
	t.Parallel()
	const n = 16_384
	for _, s := range []string{"[", "> ", "*a **b ", "`", "<", "/stop\n", "- ", "|", "<!--", "![", "\"", "/batch --", "[^1]: ", "&", "<details>\n\n", "((/stop\n"} {
		text := "/status\n\n" + strings.Repeat(s, n/len(s))
		if cmds, refusals := Parse(text); len(cmds)+len(refusals) > commandsMax+1 || len(cmds) == 0 {
			t.Errorf("%q again and again: got %d commands and %d refusals", s, len(cmds), len(refusals))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"/batch x --label a --base b --budget 1", "/stop a\n/hold b", "/retry a,b", "/go 1-3", "`a\n/stop`", "<!-- /stop -->", "/dozens batch \"a", "/batch --label=\"x y\"",
		"- a\n/stop", "\u202e/stop", "/budget 1e9", "<details>\n\n/stop", "| a |\n|-|\n/stop", "[^1]: a\n\n[^1]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cmds, refusals := Parse(s)
		if len(cmds)+len(refusals) > commandsMax+1 {
			t.Errorf("got %d commands and %d refusals", len(cmds), len(refusals))
		}
		for _, c := range cmds {
			checkSafe(t, c)
		}
		// The same text in a fence or a quote says nothing.
		flat := strings.NewReplacer("\r", "\n", "`", "'").Replace(s)
		fence := "````\n" + flat + "\n````"
		quote := "> " + strings.ReplaceAll(flat, "\n", "\n> ")
		for _, inside := range []string{fence, quote} {
			if cmds, refusals := Parse(inside); len(cmds)+len(refusals) > 0 {
				t.Errorf("Parse(%q): got %+v %+v, want nothing", inside, cmds, refusals)
			}
		}
	})
}

func checkSafe(t *testing.T, c Command) {
	t.Helper()
	for _, l := range append(c.Labels, c.Options.Label) {
		if strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" || strings.HasPrefix(l, "-") || strings.Contains(l, "..") || len(l) > 39 {
			t.Errorf("got unsafe label %q", l)
		}
	}
	if b := c.Options.Base; strings.HasPrefix(b, "-") || strings.ContainsAny(b, " ~^:?*[\\\x00\n") || strings.Contains(b, "..") {
		t.Errorf("got unsafe base %q", b)
	}
	if strings.ContainsAny(c.Line, "\n\r\x00") || strings.ContainsRune(c.Text, 0) {
		t.Errorf("got control characters: %q %q", c.Line, c.Text)
	}
	checkRanges(t, c)
}

func checkRanges(t *testing.T, c Command) {
	t.Helper()
	for i, u := range c.Units {
		if u < 1 || u > unitMax || i > 0 && u <= c.Units[i-1] {
			t.Errorf("got units %v", c.Units)
		}
	}
	amounts := c.Options.BudgetUSD >= 0 && c.Options.BudgetUSD <= budgetMax && c.BudgetUSD >= 0 && c.BudgetUSD <= budgetMax
	if !amounts || c.Options.MaxParallel < 0 || c.Options.MaxParallel > parallelMax || len(c.Text) > textMax {
		t.Errorf("got a value out of range: %+v", c)
	}
}

func ExampleParse() {
	cmds, refusals := Parse("Please:\n/batch replace fetchUser by userService --budget 20\n/dozens stap")
	fmt.Println(cmds[0].Verb, cmds[0].Text, cmds[0].Options.BudgetUSD)
	fmt.Println(refusals[0].Problem)
	// Output:
	// batch replace fetchUser by userService 20
	// There is no command "stap". Did you mean /stop?
}
