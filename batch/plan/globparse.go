package plan

import (
	"errors"
	"fmt"
	"strings"
)

// expand writes a glob without its braces, in every way they allow, and once more with each kind of bracket
// taken literally.
func expand(s string) ([]string, error) {
	ways := []string{}
	if err := expandBraces(s, &ways); err != nil {
		return nil, err
	}
	if strings.ContainsRune(s, '{') {
		ways = append(ways, escapeAll(s, "{}"))
	}
	for _, w := range ways {
		if literal := escapeAll(w, "[]"); literal != w {
			ways = append(ways, literal)
		}
	}
	return ways, nil
}

func expandBraces(s string, out *[]string) error {
	open := indexOutside(s, '{')
	if open < 0 {
		if len(*out) == variantsMax {
			return fmt.Errorf("its braces stand for more than %d paths; write it as several globs", variantsMax)
		}
		*out = append(*out, s)
		return nil
	}
	inner, rest, ok := cutBraces(s[open+1:])
	if !ok {
		return errors.New("a brace is not closed")
	}
	for _, alternative := range inner {
		if err := expandBraces(s[:open]+alternative+rest, out); err != nil {
			return err
		}
	}
	return nil
}

// cutBraces reads what follows an opening brace: the alternatives up to the brace that closes it, and the rest.
func cutBraces(s string) (alternatives []string, rest string, ok bool) {
	start := 0
	for i := 0; i < len(s); {
		switch s[i] {
		case '{':
			_, after, ok := cutBraces(s[i+1:])
			if !ok {
				return nil, "", false
			}
			i = len(s) - len(after)
			continue
		case '}':
			return append(alternatives, s[start:i]), s[i+1:], true
		case ',':
			alternatives = append(alternatives, s[start:i])
			start = i + 1
		}
		i += unit(s[i:])
	}
	return nil, "", false
}

// indexOutside is the place of the first such sign that is neither escaped nor within a class, or -1.
func indexOutside(s string, sign byte) int {
	for i := 0; i < len(s); i += unit(s[i:]) {
		if s[i] == sign {
			return i
		}
	}
	return -1
}

// unit is how many bytes belong together at the start of s: an escaped sign, a class, or one byte.
func unit(s string) int {
	switch s[0] {
	case '\\':
		return min(2, len(s))
	case '[':
		for i := 1; i < len(s); i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == ']' {
				return i + 1
			}
		}
	}
	return 1
}

// escapeAll puts a backslash before each of the signs that has none.
func escapeAll(s, signs string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			b.WriteByte(s[i])
			i++
		} else if strings.IndexByte(signs, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseVariant reads a pattern without braces.
func parseVariant(s string) (variant, error) {
	for strings.HasPrefix(s, "./") {
		s = strings.TrimLeft(s[2:], "/")
	}
	if s == "." || s == "" {
		return variant{{many: true}}, nil
	}
	folder := strings.HasSuffix(s, "/")
	literal := true
	v := variant{}
	for part := range strings.SplitSeq(strings.TrimSuffix(s, "/"), "/") {
		seg, err := parseSegment(part)
		if err != nil {
			return nil, err
		}
		literal = literal && seg.text != ""
		v = append(v, seg)
	}
	if (folder || literal) && !v[len(v)-1].many {
		v = append(v, segment{many: true})
	}
	return v, nil
}

func parseSegment(s string) (segment, error) {
	if s == "**" {
		return segment{many: true}, nil
	}
	tokens, err := parseTokens(s)
	if err != nil {
		return segment{}, err
	}
	seg := segment{tokens: tokens, text: literalOf(tokens), ending: endingOf(tokens)}
	switch {
	case s == "":
		return segment{}, errors.New("it has two slashes in a row, or an alternative that begins with one")
	case seg.text == "." || seg.text == "..":
		return segment{}, errors.New("it must not hold . or .. as a folder")
	case strings.EqualFold(seg.text, ".git"):
		return segment{}, errors.New("it reaches into .git")
	}
	return seg, nil
}

func parseTokens(s string) ([]token, error) {
	tokens := []token{}
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		switch runes[i] {
		case '*':
			if len(tokens) == 0 || !tokens[len(tokens)-1].star {
				tokens = append(tokens, token{star: true})
			}
			continue
		case '?':
			tokens = append(tokens, token{set: anyRune()})
			continue
		case '[':
			set, next, err := parseClass(runes, i)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{set: set})
			i = next
			continue
		case '\\':
			if i++; i == len(runes) {
				return nil, errors.New("it ends in a backslash")
			}
		}
		tokens = append(tokens, token{set: runeSet{{runes[i], runes[i]}}})
	}
	return tokens, nil
}

// parseClass reads a class such as [a-z] from its bracket on; next is the place of the closing one.
func parseClass(s []rune, open int) (set runeSet, next int, err error) {
	i := open + 1
	negated := i < len(s) && (s[i] == '^' || s[i] == '!')
	if negated {
		i++
	}
	one := func() rune {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		r := s[i]
		i++
		return r
	}
	for i < len(s) && s[i] != ']' {
		low := one()
		high := low
		if i+1 < len(s) && s[i] == '-' && s[i+1] != ']' {
			i++
			high = one()
		}
		if low <= high {
			set = append(set, span{low, high})
		}
	}
	if i >= len(s) {
		return nil, 0, errors.New("a bracket is not closed within its folder's name")
	}
	set = set.tidy()
	if negated {
		set = set.complement()
	}
	return set.without('/'), i, nil
}

// literalOf is the one name that the tokens stand for, or "" when there are several.
func literalOf(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		if t.star || len(t.set) != 1 || t.set[0].low != t.set[0].high {
			return ""
		}
		b.WriteRune(t.set[0].low)
	}
	return b.String()
}

// endingOf is the text behind the last wildcard.
func endingOf(tokens []token) string {
	i := len(tokens)
	for i > 0 && literalOf(tokens[i-1:i]) != "" {
		i--
	}
	return literalOf(tokens[i:])
}
