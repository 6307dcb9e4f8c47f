package command

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// word is a part of a line between spaces, or between quotes.
type word struct {
	value      string // without quotes and invisible characters
	quoted     bool   // never an option
	start, end int    // in the line, quotes included
}

// words cuts a line. Quotes group words only where they open at the start of a word (or of an option's value) and
// close at the end of one; any other is an apostrophe.
func words(line string) []word {
	found := []word{}
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		if isSpace(r) || isInvisible(r) {
			i += size
			continue
		}
		w := word{start: i}
		if inner, end, ok := quotedAt(line, i); ok {
			w.value, w.end, w.quoted = visible(inner), end, true
		} else {
			w.value, w.end = bareAt(line, i)
		}
		i = w.end
		found = append(found, w)
	}
	return found
}

// bareAt reads a word without quotes, or an option with a quoted value.
func bareAt(line string, start int) (value string, end int) {
	for i, r := range line[start:] {
		if isSpace(r) {
			return visible(line[start : start+i]), start + i
		}
		if r == '=' && strings.HasPrefix(line[start:], "--") {
			if inner, end, ok := quotedAt(line, start+i+1); ok {
				return visible(line[start:start+i+1] + inner), end
			}
		}
	}
	return visible(line[start:]), len(line)
}

// quotedAt reads what stands between quotes that open at a place.
func quotedAt(line string, at int) (inner string, end int, ok bool) {
	open, size := utf8.DecodeRuneInString(line[at:])
	closing := closingQuote(open)
	if closing == 0 {
		return "", 0, false
	}
	start := at + size
	for i, r := range line[start:] {
		end := start + i + utf8.RuneLen(closing)
		if r != closing {
			continue
		}
		if next, _ := utf8.DecodeRuneInString(line[end:]); end == len(line) || isSpace(next) {
			return line[start : start+i], end, true
		}
	}
	return "", 0, false
}

func closingQuote(open rune) rune {
	switch open {
	case '"', '\'', '`':
		return open
	case '“', '„':
		return '”'
	case '‘':
		return '’'
	case '«':
		return '»'
	}
	return 0
}

// normalise makes a source that can be cut at byte offsets: valid, with plain line ends and without NUL.
func normalise(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", hiddenByte, "").Replace(s)
}

// visible removes what nobody sees, so that two words that look alike are alike.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if isInvisible(r) {
			return -1
		}
		return r
	}, s)
}

// readable removes from free text what is hidden in it or turns it round, and keeps what scripts and emoji need.
func readable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d' || r >= 0xFE00 && r <= 0xFE0F:
			return r
		case r == '\u00a0':
			return ' '
		case isInvisible(r):
			return -1
		}
		return r
	}, s)
}

func isSpace(r rune) bool { return unicode.IsSpace(r) }

// isInvisible is true for control and format characters (zero width, direction, tags), variation selectors and
// fillers.
func isInvisible(r rune) bool {
	switch r {
	case 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0:
		return true
	}
	return unicode.IsControl(r) && !unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r)
}

// shown is a line as it may be shown back: nothing invisible, bounded.
func shown(line string) string {
	line = strings.TrimSpace(strings.Map(func(r rune) rune {
		if isSpace(r) {
			return ' '
		}
		return r
	}, visible(line)))
	return clip(line, lineShown)
}

func clip(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// quote shows foreign text in a sentence: escaped, and never long.
func quote(s string) string { return fmt.Sprintf("%q", clip(s, 60)) }
