package say

import (
	"fmt"
	"strings"

	"dozens/batch"
	"dozens/batch/gate"
	"dozens/batch/task"
)

// PullTitle is the title of a task's pull request; it is the subject of the squash commit as well.
func PullTitle(t task.Task) string {
	return plainLine(t.Title, 100)
}

// PullBody is the text of a task's pull request.
func PullBody(b batch.Batch, t task.Task) string {
	var s strings.Builder
	if t.Summary != "" {
		fmt.Fprintf(&s, "%s\n\n", Block(t.Summary, 10000))
	}
	verified := t.Verified
	if verified == "" {
		verified = "The session did not say. The checks below decide."
	}
	fmt.Fprintf(&s, "**How it was tested:**%s\n\n", beside(verified, 4000))
	owned := "the whole repository"
	if len(t.Owned) > 0 {
		owned = paths(t.Owned, 40)
	}
	fmt.Fprintf(&s, "**Owned paths:** %s\n\n", owned)
	if t.Closes {
		fmt.Fprintf(&s, "Closes #%d\n\n", b.Issue)
	} else {
		fmt.Fprintf(&s, "Part of #%d\n\n", b.Issue)
	}
	fmt.Fprintf(&s, "<sub>unit `%s` of batch `%s`, asked by %s · %s, %s so far · instructions: `/claude TEXT` here</sub>\n",
		t.Label, b.ID, login(b.Requester.Login), Money(t.CostMicroUSD), count(t.Turns, "turn", "turns"))
	return s.String()
}

// Squash is the title and the message of the squash commit.
func Squash(b batch.Batch, t task.Task) (title, message string) {
	var s strings.Builder
	if t.Summary != "" {
		fmt.Fprintf(&s, "%s\n\n", plainBlock(t.Summary, 4000))
	}
	fmt.Fprintf(&s, "Requested-by: %s <%d+%s@users.noreply.github.com>\nDozens-Task: %s/%s", login(b.Requester.Login), b.Requester.ID, login(b.Requester.Login), b.ID, t.Label)
	return fmt.Sprintf("%s (#%d)", PullTitle(t), t.PR), s.String()
}

// Gate is the text of the check run dozens/gate: its title, and a table of all reasons.
func Gate(v gate.Verdict) (title, summary string) {
	switch v.Action {
	case gate.Merge:
		title = "Ready: it merges now"
	case gate.Fix:
		title = "The session is asked to fix it"
	case gate.Ask:
		title = "A person has to look"
	case gate.Merged:
		title = "Merged"
	case gate.Closed:
		title = "Closed"
	case gate.Wait:
		title = "Not yet"
	}
	var b strings.Builder
	b.WriteString("| | reason | commit |\n|---|---|---|\n")
	for _, r := range v.Reasons {
		mark := "✗"
		if r.OK {
			mark = "✓"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", mark, Inline(r.Text, 500), short(r.Commit))
		if !r.OK && (v.Action == gate.Wait || v.Action == gate.Ask) && title == "Not yet" {
			title = "Not yet: " + plainLine(r.Text, 100)
		}
	}
	return title, b.String()
}

func short(sha string) string {
	if len(sha) > 10 {
		sha = sha[:10]
	}
	if sha == "" {
		return ""
	}
	return "`" + Code(sha, 10) + "`"
}

// CommitMessage is an agent's commit message as it may be published: it mentions, closes and claims nothing, and holds
// no credential. One that is harmless stays as it is.
func CommitMessage(message string) string {
	subject, body, _ := strings.Cut(strings.TrimSpace(message), "\n")
	text := plainLine(subject, 200)
	if text == "" {
		text = "Work without a message"
	}
	if body = plainBlock(body, 10000); body != "" {
		text += "\n\n" + body
	}
	return text + "\n"
}
