package secret

import (
	"cmp"
	"slices"
	"strings"
)

// Match is a credential in a text: its kind in words, and the bytes from Start to before End.
type Match struct {
	Kind       string
	Start, End int
}

// Certain says that the match can hardly be anything else than a credential. Passwords in URLs, JSON web tokens and
// headers also stand in examples and tests, where they open nothing.
func (m Match) Certain() bool {
	switch m.Kind {
	case "password in a URL", "token in a URL", "JSON web token", "authorization header", "key in a header":
		return false
	}
	return true
}

// Find lists the credentials in a text in order. Matches do not overlap. A credential is found as well where invisible
// characters break it, or where it is written with JSON, percent or HTML escapes.
func Find(text string) []Match {
	var all []Match
	for _, v := range viewsOf(text) {
		folded := strings.ToLower(v.text)
		for _, r := range rules {
			if r.mayMatch(folded) {
				all = append(all, r.in(v)...)
			}
		}
		all = append(all, keysIn(v)...)
	}
	return merged(all)
}

// Redact replaces each credential by words that name its kind. What it returns holds none any more.
func Redact(text string) string {
	// Taking one out can make a shape of what stood around it. That ends: each round leaves less.
	for range rounds {
		found := Find(text)
		if len(found) == 0 {
			return text
		}
		text = without(text, found)
	}
	return "[redacted: text full of credentials]"
}

const rounds = 10

// without replaces the matches, which must be in order and apart.
func without(text string, found []Match) string {
	var b strings.Builder
	from := 0
	for _, m := range found {
		b.WriteString(text[from:m.Start])
		b.WriteString("[redacted: " + m.Kind + "]")
		from = m.End
	}
	b.WriteString(text[from:])
	return b.String()
}

// merged puts the matches in order and joins those that overlap under the name of the one that begins first.
func merged(all []Match) []Match {
	slices.SortFunc(all, func(a, b Match) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Kind, b.Kind))
	})
	var out []Match
	for _, m := range all {
		if n := len(out); n > 0 && m.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, m.End)
			continue
		}
		out = append(out, m)
	}
	return out
}

func (r rule) mayMatch(folded string) bool {
	return r.hints == nil || slices.ContainsFunc(r.hints, func(h string) bool { return strings.Contains(folded, h) })
}

func (r rule) in(v view) []Match {
	var out []Match
	for _, at := range r.pattern.FindAllStringSubmatchIndex(v.text, -1) {
		start, end := at[0], at[1]
		for g := 2; g+1 < len(at); g += 2 {
			if at[g] >= 0 {
				start, end = at[g], at[g+1]
				break
			}
		}
		if !r.inside && start > 0 && wordByte(v.text[start-1]) {
			continue
		}
		if r.check == nil || r.check(v.text[start:end]) {
			out = append(out, v.match(r.kind, start, end))
		}
	}
	return out
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
