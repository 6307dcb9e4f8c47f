package say

import (
	"fmt"
	"strings"

	"dozens/batch/gate"
	"dozens/batch/task"
)

// Guarded is the note above the text of a pull request that changes protected paths; named are the logins of those
// who may approve that.
func Guarded(changed, named []string) string {
	return fmt.Sprintf("**Protected paths:** this changes %s. Before it is merged, its last commit needs the approval of %s, "+
		"beyond what every pull request here needs. The label only says so: taking it off changes nothing.\n\n", paths(changed, 20), Inline(gate.Named(named), 300))
}

// Barred is the comment about work that is kept unpushed, because it changes workflow files and the app has no
// permission to push such.
func Barred(t task.Task) string {
	var b strings.Builder
	fmt.Fprintf(&b, "`%s` is done, but not pushed. It changes workflow files (%s), and GitHub takes those from an app only with the permission `workflows: write`, which this app does not have here. Its work is kept.\n\n",
		t.Label, paths(t.Workflows, 20))
	b.WriteString("- To let it through: in the app's settings, set Permissions → Repository permissions → Workflows to *Read and write*; then an owner of this repository's account accepts the new permission under Settings → GitHub Apps (GitHub sends them an e-mail). It goes on by itself within minutes, `/retry` at once. A change of workflows still needs the approval of a named person before it is merged.\n")
	b.WriteString("- To do without these files: reply here and say so; the same session goes on with your words.\n")
	fmt.Fprintf(&b, "- `/stop %s` ends it.\n", t.Label)
	return b.String()
}

// StillBarred refuses a retry that could only end where it began.
func StillBarred(labels []string) string {
	return fmt.Sprintf("The app still has no permission to push workflow files; %s must wait. Give it `workflows: write` and accept that for this repository's account, or reply here what to do without those files.", codes(labels))
}
