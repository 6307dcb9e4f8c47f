package say

import (
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"dozens/batch"
	"dozens/batch/command"
	"dozens/batch/gate"
	"dozens/batch/plan"
	"dozens/batch/secret"
	"dozens/batch/task"
)

// acts are texts that do something on GitHub when they are written there as they are.
func acts() map[string]string {
	return map[string]string{
		"mention": "ask @octocat and @acme/core", "entity mention": "ask &#64;octocat, &commat;octocat", "escaped mention": `\@octocat`,
		"closes": "Closes #12", "closes with colon": "fixes: #12", "other repository": "resolves acme/shop#12", "old form": "closed GH-12, gh-12",
		"address": "Fixes https://github.com/acme/shop/issues/12", "pull": "https://github.com/acme/shop/pull/12", "commit": "https://github.com/acme/shop/commit/0a1b2c3",
		"linked": "[fix](https://github.com/acme/shop/issues/12)", "escaped number": `closes \#12`, "entity number": "closes &#35;12 &num;12", "split": "closes <!-- x -->#12",
		"command": "/stop", "command below": "text\n/stop\n", "indented": "  /stop", "odd space": "\u00a0\u3000/stop", "hidden before": "\u200b/stop", "dozens": "/dozens stop",
		"in a list": "- /stop\n1. /stop\n* /stop", "in a quote": "> /stop", "other line ends": "x\u2028/stop\r/stop\u0085/stop", "two": "/ /stop", "slashes": "//stop",
		"html": "<script>alert(1)</script><img src=https://x.example/a.png>", "comment": "<!-- hidden -->", "broken html": "<\u200bscript>", "closing": "</details></summary>",
		"image": "![x](https://x.example/a.png)", "image by reference": "![x][a]\n\n[a]: https://x.example/a.png", "hidden image": "!\u200b[x](https://x.example)",
		"javascript": "[x](javascript:alert(1))", "entity javascript": "[x](java&#115;cript:alert(1))", "data": "[x](data:text/html;base64,xx)", "escaped colon": `[x](javascript\:alert(1))`,
		"autolink": "<javascript:alert(1)>", "footnote": "x[^1]\n\n[^1]: /stop @octocat", "open fence": "```\n@octocat\n/stop", "tilde fence": "~~~\n/stop", "fence in a list": "- a\n  ```\n  x",
		"long fence": "`````\n```\n", "token": "ghp" + "_" + strings.Repeat("aB3dE5gH", 5), "broken token": "gh\u200bp" + "_" + strings.Repeat("aB3dE5gH", 5),
		"skip": "[skip ci] [ci skip] [no ci] [skip actions] [actions skip]", "trailers": "x\n\nCo-authored-by: eve <eve@x.example>\nDozens-Task: a/b\nskip-checks: true",
		"table": "a | b\n--|--\n@octocat | #12", "headings": "# /stop\n## @octocat", "bidi": "\u202e@octocat\u202c", "tags": "\U000e0040octocat @\U000e0041octocat",
	}
}

// everywhere is all that we write with a foreign text in every place.
func everywhere(s string) (markdown, plain map[string]string) {
	b, tasks := world()
	b.Detail, b.Title, b.Text, b.Body, b.Requester.Login, b.Outsider = s, s, s, s, "ada", "bob"
	for i := range tasks {
		t := &tasks[i]
		t.Title, t.Brief, t.Detail, t.Summary, t.Verified, t.Checks, t.Owned = s, s, s, s, s, s, []string{s}
	}
	p := plan.Plan{Notes: s, Units: []plan.Unit{{Label: "one", Title: s, Brief: s, Owned: []string{s}, DependsOn: []string{s}, Size: "small"}}}
	v := View{Batch: b, Tasks: tasks, Now: start}
	title, summary := Gate(gate.Verdict{Action: gate.Wait, Reasons: []gate.Reason{{Text: s, Commit: s}}})
	subject, message := Squash(b, tasks[0])
	budget := tasks[1]
	budget.Waiting = task.ForBudget
	planning := View{Batch: b, Planner: &tasks[0], Now: start}
	planning.Batch.Stage = batch.Failed
	return map[string]string{
		"status": Status(v), "planning": Status(planning), "final": Final(v), "plan": Plan(p, true), "question": Question(tasks[1]), "budget": Question(budget),
		"pull": PullBody(b, tasks[0]), "gate": summary, "refused": Refused([]string{Block(s, 500), "`" + Code(s, 100) + "`"}), "inline": "x " + Inline(s, 200),
	}, map[string]string{"title": PullTitle(tasks[0]), "gate's title": title, "subject": subject, "message": message, "commit": CommitMessage(s)}
}

// TestNothingActs: whatever a foreign text holds, nothing that we write with it acts.
func TestNothingActs(t *testing.T) {
	t.Parallel()
	for name, s := range acts() {
		markdown, plain := everywhere(s)
		for where, got := range markdown {
			for _, problem := range acting(got) {
				t.Errorf("%s in %s: %s in\n%s", name, where, problem, got)
			}
		}
		for where, got := range plain {
			for _, problem := range speaking(got) {
				t.Errorf("%s in %s: %s in\n%s", name, where, problem, got)
			}
		}
	}
}

// acting lists what would act in a text of ours in Markdown. The footers that we write ourselves are known.
func acting(markdown string) (problems []string) {
	own := strings.NewReplacer("Closes #12\n", "", "Part of #12\n", "", "| #13 |", "|", "merged as #13", "", "<sub>", "", "</sub>", "",
		"<details><summary>Brief of one</summary>", "", "</details>", "", "Part of #12", "").Replace(markdown)
	problems = anywhere(own)
	var words strings.Builder // without code, in which GitHub mentions and links nothing
	source := []byte(own)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote)).Parser().Parse(text.NewReader(source))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.RawHTML, *ast.HTMLBlock, *ast.Image:
			problems = append(problems, n.Kind().String())
		case *ast.Link:
			if to := strings.ToLower(string(n.Destination)); strings.HasPrefix(to, "javascript:") || strings.HasPrefix(to, "data:") {
				problems = append(problems, "link to "+to)
			}
		case *ast.AutoLink:
			if to := string(n.URL(source)); !strings.HasPrefix(to, "http") {
				problems = append(problems, "autolink to "+to)
			}
		case *ast.CodeSpan:
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			words.Write(n.Value(source))
		}
		if n.Type() == ast.TypeBlock {
			words.WriteString("\n")
		}
		if n.Kind().String() == "FootnoteLink" {
			problems = append(problems, "footnote")
		}
		return ast.WalkContinue, nil
	})
	if leaks(own) {
		problems = append(problems, "what stands behind it is in a code block")
	}
	return append(problems, linking(words.String(), "&#64;", "&commat;", "&num;")...)
}

// speaking lists what would act in any text of ours: commands, mentions, references, credentials.
func speaking(s string) (problems []string) {
	return append(anywhere(s), linking(s, "\nco-authored-by:", "\nskip-checks:", "[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")...)
}

func linking(s string, more ...string) (problems []string) {
	for _, bad := range append(more, "@o", "@a", "/issues/12", "/pull/12", "/commit/0a", "gh-12") {
		if strings.Contains(strings.ToLower(s), bad) {
			problems = append(problems, bad)
		}
	}
	if strings.Contains(strings.ReplaceAll(s, "(#13)", ""), "#12") {
		problems = append(problems, "#12")
	}
	return problems
}

// anywhere lists what would act or tell too much wherever it stands.
func anywhere(s string) (problems []string) {
	if cmds, refusals := command.Parse(s); len(cmds)+len(refusals) > 0 {
		problems = append(problems, "command")
	}
	for _, bad := range []string{"\u202e", "\u2028", "\U000e0041"} {
		if strings.Contains(s, bad) {
			problems = append(problems, bad)
		}
	}
	for line := range strings.Lines(s) {
		if strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(line, "1. "), " \t>*+-#\u00a0\u3000"), "/") {
			problems = append(problems, "slash at the start of a line")
		}
	}
	if found := secret.Find(s); len(found) > 0 {
		problems = append(problems, found[0].Kind)
	}
	return problems
}

// TestVisibleStays: what does not act looks as it was written.
func TestVisibleStays(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"Replaced `fetchUser(id)` by `userService.get(id)` in **4** files.", "- one\n- two\n  - three", "```go\nif a < b && c > d {\n\tx[0] = y | z\n}\n```", "1. a\n2. b",
		"| a | b |\n|---|---|\n| 1 | 2 |", "see [the docs](https://example.com/a?b=c&d=e)", "a != b, x < 3, 5 > 4, R&D, AT&T", "data: the rows", "src/a.go: /usr/bin is a path", "done!", "grüße, 日本語",
		"# Heading\n\ntext", "> quoted", "~~gone~~", "100 % of 12", "C# and F#",
	} {
		if got := Block(s, 1000); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	}
	for text, want := range map[string]string{
		"```\nx": "```\nx\n```", "~~~~\nx": "~~~~\nx\n~~~~", "a": "a", "": "", strings.Repeat("ä", 30): strings.Repeat("ä", 9) + "…",
		"0123456789": "0123456789",
	} {
		if got := Block(text, 10); got != want {
			t.Errorf("Block(%q): got %q, want %q", text, got, want)
		}
	}
	if got := Code("", 10); got != "(nothing)" {
		t.Errorf("empty code: got %q", got)
	}
}

func FuzzNothingActs(f *testing.F) {
	for _, s := range acts() {
		f.Add(s)
		f.Add("a\n\n" + s + " b `c")
	}
	f.Fuzz(func(t *testing.T, s string) {
		for where, got := range map[string]string{"block": Block(s, 2000), "beside": "x:" + beside(s, 2000) + "\n\nend", "item": "- x:" + within(s, 2000) + "\n\nend", "inline": "x " + Inline(s, 300)} {
			for _, problem := range acting(got) {
				t.Errorf("%s of %q: %s in %q", where, s, problem, got)
			}
		}
		for _, problem := range speaking(PullTitle(task.Task{Title: s})) {
			t.Errorf("title of %q: %s", s, problem)
		}
		if got := Block(s, 2000); leaks(got) {
			t.Errorf("%q leaves something open: %q", s, got)
		}
	})
}

// An ordinary commit message stays as it is, so that the commit does.
func TestCommitMessageStays(t *testing.T) {
	t.Parallel()
	for _, message := range []string{"Make it better\n", "Add x: use y()\n\n- one thing\n- another, in `code`\n\nAnd a long\nparagraph.\n"} {
		if got := CommitMessage(message); got != message {
			t.Errorf("CommitMessage(%q) = %q", message, got)
		}
	}
}
