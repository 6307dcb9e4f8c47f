package say

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	heardMax = 20_000 // characters of one text in a prompt
	titleMax = 300    // characters of a title or a name in a prompt
	readMax  = 70_000 // characters that are looked at; GitHub allows 65,536 in an issue or a comment
)

// Heard is what a person wrote on GitHub as it may stand between marks in a prompt: only what others see on the page
// too. Comments, titles of links, texts of pictures, attributes, unused definitions and invisible characters are left
// out. It cannot close or open a mark of ours, is bounded, and says so when it was cut.
func Heard(text string) string {
	s, whole := first(visible(text), readMax)
	if !whole {
		if open := strings.LastIndex(s, "<!--"); open >= 0 && !strings.Contains(s[open:], "-->") {
			s = s[:open]
		}
	}
	return sealed(shorten(trimmed(unhidden(s)), heardMax))
}

// trimmed drops empty lines around a text; the first line keeps its indentation, which may mean code.
func trimmed(s string) string {
	s = strings.TrimRight(s, " \t\n")
	for {
		line, rest, more := strings.Cut(s, "\n")
		if !more || strings.TrimSpace(line) != "" {
			return s
		}
		s = rest
	}
}

// printed is what a program printed, such as a check: nobody's Markdown, so that only what is invisible and what is
// commented out is left out of it.
func printed(text string) string {
	return sealed(shorten(trimmed(comment.ReplaceAllString(visible(text), "")), heardMax))
}

// attribute is a foreign name or title as it may stand in a mark, in quotes.
func attribute(s string) string { return strconv.Quote(named(s)) }

// named is a foreign name or title as it may stand on a line of ours in a prompt.
func named(s string) string { return sealed(cut(oneLine(visible(s)), titleMax)) }

var (
	comment = regexp.MustCompile(`(?s)<!--.*?(?:-->|$)`)
	// marks are the words by which prompts mark data, however they are written.
	marks = regexp.MustCompile(`(?i)<([\s\\]*/?[\s\\]*(?:request|issue|unit|answer|instructions?|checks?|review|system(?:-reminder)?|rules|note)\b)`)
)

// sealed keeps foreign text from closing the mark it stands in, and from opening another.
func sealed(s string) string { return marks.ReplaceAllString(s, `<\$1`) }

// shorten cuts a text in a prompt and says so.
func shorten(s string, most int) string {
	head, whole := first(s, most)
	if whole {
		return s
	}
	return fmt.Sprintf("%s\n[cut here: %d more characters were left out]", head, runes(s)-most)
}
