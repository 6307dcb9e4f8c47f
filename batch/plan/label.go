package plan

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	labelMax  = 39  // bytes; with prefix and id a label still makes a short branch and folder name
	branchMax = 200 // bytes; leaves room for refs/heads/ and .lock within one file name
	// reserved is a word that commands use for something else: `/retry failed` means all failed tasks.
	reserved = "failed"
)

// CheckLabel says in words for people why s cannot be a unit's label, or nil. What it accepts is safe as part of
// a ref name, as a folder name and in a command: ^[a-z0-9][a-z0-9._-]{0,38}$, without "..", not ending in "." or
// ".lock", and not the word "failed".
func CheckLabel(s string) error {
	switch {
	case s == "":
		return errors.New("the label is empty")
	case len(s) > labelMax:
		return fmt.Errorf("label %s is longer than %d characters", quote(s), labelMax)
	case strings.ContainsFunc(s, notLabel):
		return fmt.Errorf("label %s may hold only the letters a to z in lower case, digits, and the signs . _ -", quote(s))
	case !isAlnum(rune(s[0])):
		return fmt.Errorf("label %s must begin with a letter or a digit", quote(s))
	case strings.Contains(s, ".."):
		return fmt.Errorf("label %s must not hold two dots in a row", quote(s))
	case strings.HasSuffix(s, "."), strings.HasSuffix(s, ".lock"):
		return fmt.Errorf("label %s must not end in a dot or in .lock", quote(s))
	case s == reserved:
		return fmt.Errorf("label %s is a word of the commands; choose another", quote(s))
	}
	return nil
}

// MakeLabel makes a label from any text, such as an issue's title. The result always passes CheckLabel: where
// the text holds nothing usable it is the first of the fallbacks that does, or else "task".
func MakeLabel(title string, fallback ...string) string {
	if s := labelFrom(title); s != "" {
		return s
	}
	for _, f := range fallback {
		if s := labelFrom(f); s != "" {
			return s
		}
	}
	return "task"
}

// labelFrom is the label in the text, or "" when there is none.
func labelFrom(text string) string {
	var b strings.Builder
	gap := "" // what stood between the last letter and this one
	for _, r := range text {
		plain := asciiOf(r)
		if plain == "" {
			gap += "-"
			if r == '.' || r == '_' {
				gap = gap[:len(gap)-1] + string(r)
			}
			continue
		}
		if b.Len() > 0 && gap != "" {
			b.WriteString(joint(gap))
		}
		gap = ""
		b.WriteString(plain)
		if b.Len() > 2*labelMax {
			break
		}
	}
	s := shorten(b.String())
	if strings.HasSuffix(s, ".lock") {
		s = strings.TrimSuffix(s, ".lock") + "-lock"
	}
	if s == reserved {
		s += "-task"
	}
	if CheckLabel(s) != nil {
		return ""
	}
	return s
}

// joint is what becomes of the signs between two letters: a single dot or underscore stays, all else is a dash.
func joint(gap string) string {
	if gap == "." || gap == "_" {
		return gap
	}
	return "-"
}

// shorten cuts a label to its limit, at the end of a word where that does not lose much.
func shorten(s string) string {
	if len(s) <= labelMax {
		return s
	}
	cut := s[:labelMax]
	if s[labelMax] != '-' {
		if i := strings.LastIndexByte(cut, '-'); i > labelMax/2 {
			cut = cut[:i]
		}
	}
	return strings.TrimRight(cut, "._-")
}

// asciiOf spells a letter or digit with a to z and 0 to 9; "" when it cannot.
func asciiOf(r rune) string {
	// Each word is a spelling, and the letters that are spelt so.
	const spellings = "ae:äæ oe:öøœ ue:ü ss:ß a:àáâãåą c:çčć e:èéêëęě i:ìíîï n:ñńň o:òóôõ u:ùúûů s:šś z:žźż l:ł r:ř y:ýÿ"
	r = unicode.ToLower(r)
	if isAlnum(r) {
		return string(r)
	}
	if r <= unicode.MaxASCII {
		return ""
	}
	for entry := range strings.SplitSeq(spellings, " ") {
		if spelling, letters, _ := strings.Cut(entry, ":"); strings.ContainsRune(letters, r) {
			return spelling
		}
	}
	return ""
}

// CheckBranch says in words for people why s cannot be the name of a branch (without refs/heads/), or nil. The
// rules are git's own, and a few more: no name that could be taken for an option, and nothing invisible.
func CheckBranch(s string) error {
	bad := func(why string) error { return fmt.Errorf("branch %s %s", quote(s), why) }
	switch {
	case s == "":
		return errors.New("the branch is empty")
	case len(s) > branchMax:
		return bad(fmt.Sprintf("is longer than %d bytes", branchMax))
	case !utf8.ValidString(s), strings.ContainsFunc(s, notInRef):
		return bad(`holds a character that git does not allow: spaces, control or invisible characters, and any of ~ ^ : ? * [ \`)
	case s[0] == '-':
		return bad("begins with a dash")
	case strings.HasPrefix(s, "refs/"):
		return bad("begins with refs/; give the branch's name alone")
	case s == "HEAD", s == "@", strings.Contains(s, "@{"):
		return bad("is git's own word for something else")
	case strings.Contains(s, ".."), strings.HasSuffix(s, "."):
		return bad("holds two dots in a row or ends in a dot")
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return bad("has a part that is empty, begins with a dot or ends in .lock")
		}
	}
	return nil
}

func notInRef(r rune) bool {
	return strings.ContainsRune(`~^:?*[\`, r) || !unicode.IsGraphic(r) || unicode.IsSpace(r)
}

func notLabel(r rune) bool { return !isAlnum(r) && r != '.' && r != '_' && r != '-' }

func isAlnum(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// quote shows foreign text in a sentence: escaped, and never long.
func quote(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
