package plan

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is the characters from low to high, both included.
type span struct{ low, high rune }

// runeSet is a set of characters as sorted spans that do not touch.
type runeSet []span

// foldMax bounds how many characters of a span are looked at one by one when case is ignored; a longer span is
// taken for any character, which is the careful side.
const foldMax = 2048

// anyRune is what ? stands for: every character but the slash.
func anyRune() runeSet { return runeSet{{0, unicode.MaxRune}}.without('/') }

func (s runeSet) has(r rune) bool {
	for _, x := range s {
		if r >= x.low && r <= x.high {
			return true
		}
	}
	return false
}

// common is a character that both sets hold, a letter if there is one.
func (s runeSet) common(other runeSet) (rune, bool) {
	for _, r := range "xa1_-" {
		if s.has(r) && other.has(r) {
			return r, true
		}
	}
	for _, a := range s {
		for _, b := range other {
			if low := max(a.low, b.low); low <= min(a.high, b.high) {
				return low, true
			}
		}
	}
	return 0, false
}

// tidy sorts the spans and joins those that touch.
func (s runeSet) tidy() runeSet {
	slices.SortFunc(s, func(a, b span) int { return int(a.low) - int(b.low) })
	out := runeSet{}
	for _, x := range s {
		if n := len(out); n > 0 && x.low <= out[n-1].high+1 {
			out[n-1].high = max(out[n-1].high, x.high)
			continue
		}
		out = append(out, x)
	}
	return out
}

func (s runeSet) complement() runeSet {
	out := runeSet{}
	next := rune(0)
	for _, x := range s {
		if x.low > next {
			out = append(out, span{next, x.low - 1})
		}
		next = x.high + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, span{next, unicode.MaxRune})
	}
	return out
}

func (s runeSet) without(r rune) runeSet {
	out := runeSet{}
	for _, x := range s {
		if !(runeSet{x}).has(r) {
			out = append(out, x)
			continue
		}
		if x.low < r {
			out = append(out, span{x.low, r - 1})
		}
		if x.high > r {
			out = append(out, span{r + 1, x.high})
		}
	}
	return out
}

// fold adds to the set all that differs from its members in case only.
func (s runeSet) fold() runeSet {
	out := slices.Clone(s)
	for _, x := range s {
		if x.high-x.low > foldMax {
			return anyRune()
		}
		for r := x.low; r <= x.high; r++ {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				out = append(out, span{f, f})
			}
		}
	}
	return out.tidy()
}

// foldName is the same for all names that differ in case only.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

func decode(s string) (rune, int) { return utf8.DecodeRuneInString(s) }
