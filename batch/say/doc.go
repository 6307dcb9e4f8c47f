// Package say holds every sentence that a user or an agent reads: comments, pull request text, check text,
// briefs. Pure: values in, text out. What comes from agents and strangers is made harmless on its way out.
package say

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// Sandbox is said wherever a status is shown while agents run without a sandbox.
const Sandbox = "Agents run **without a sandbox** on this server (`DOZENS_SANDBOX=none`)."

var reference = regexp.MustCompile(`#(\d)`)

// Inline makes foreign text fit for one line of Markdown: no line breaks, control or invisible characters, no
// mentions, no HTML, no table bars.
func Inline(s string, most int) string {
	s = strings.Join(strings.Fields(visible(s)), " ")
	return harmless(cut(s, most))
}

// Block makes foreign text fit for a paragraph of Markdown: mentions, HTML and slash commands lose their effect.
func Block(s string, most int) string {
	s = strings.TrimSpace(visible(s))
	lines := strings.Split(cut(s, most), "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "/") {
			lines[i] = strings.Replace(line, "/", "\\/", 1)
		}
	}
	return harmless(strings.Join(lines, "\n"))
}

// harmless takes the effect from mentions, HTML and closing keywords, and keeps what a person sees.
func harmless(s string) string {
	s = strings.NewReplacer("@", "@\u200b", "<", "&lt;", "|", "\\|").Replace(s)
	return unlinked(s)
}

// unlinked keeps "#12" and "closes #12" from linking and closing.
func unlinked(s string) string {
	return reference.ReplaceAllString(s, "#\u200b$1")
}

// visible drops control, zero-width, bidi and tag characters; line breaks and tabs stay.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// cut shortens to at most n runes and says so with an ellipsis.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return strings.TrimSpace(string(r[:n-1])) + "…"
	}
	return s
}

// Money writes millionths of a US dollar.
func Money(micro int64) string { return fmt.Sprintf("$%.2f", float64(micro)/1e6) }

// Time writes a span as people say it.
func Time(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Code makes foreign text fit to stand between backquotes.
func Code(s string, most int) string {
	return strings.ReplaceAll(cut(strings.Join(strings.Fields(visible(s)), " "), most), "`", "'")
}
