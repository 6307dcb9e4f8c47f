package say

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible drops what nobody sees: control, zero-width, bidi and tag characters, variation selectors and fillers. Line
// breaks and tabs stay; the other ways to break a line become line breaks.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\t':
			return r
		case '\u2028', '\u2029':
			return '\n'
		case 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0:
			return -1
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// oneLine makes one line of a text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// cut shortens to at most n characters and says so with an ellipsis.
func cut(s string, n int) string {
	head, whole := first(s, n)
	if whole {
		return s
	}
	head, _ = first(head, n-1)
	return strings.TrimSpace(head) + "…"
}

// first is the beginning of a text, at most n characters; whole says that it is all of it.
func first(s string, n int) (head string, whole bool) {
	if len(s) <= n {
		return s, true
	}
	for i := range s {
		if n == 0 {
			return s[:i], false
		}
		n--
	}
	return s, true
}

func runes(s string) int { return utf8.RuneCountInString(s) }
