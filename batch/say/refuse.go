package say

import (
	"fmt"
	"strings"
)

// Unreadable is what somebody is told who asks for an issue to be done whose author may not command. The kind is the
// word of the command that they may use instead.
func Unreadable(author, kind string) string {
	by := "This issue was written by somebody"
	if author = login(author); author != "" {
		by = "This issue was written by " + author + ","
	}
	return fmt.Sprintf("%s who may not command here, so that agents do not read it. Comment `/%s` with what is to be done in your own words, or set `commands.read: everyone` in `.github/dozens.yml`.", by, kind)
}

// BadSettings says that a repository's settings cannot be used.
func BadSettings(file, branch, problems string) string {
	mark := "```"
	for strings.Contains(problems, mark) {
		mark += "`"
	}
	return fmt.Sprintf("`%s` on `%s` cannot be used:\n\n%s\n%s\n%s", file, Code(branch, 200), mark, cut(fit(problems, 6000), 6000), mark)
}

// Refused is the one reply to a comment that holds commands which cannot be carried out.
func Refused(problems []string) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s\n\n", p)
	}
	b.WriteString("`/help` lists what can be said here.\n")
	return b.String()
}
