package plan

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	globMax     = 1024 // bytes of one glob
	variantsMax = 64   // ways to write one glob without braces
)

// glob is a compiled pattern of owned paths. The syntax is doublestar's, read a little wider where people and
// planners mean names: a glob without wildcards also owns everything below it, and brackets and braces also stand
// for themselves ("app/[id]/page.tsx" is a file in many a repository). Wider is the safe side: two units whose
// globs might meet are refused.
type glob struct {
	source   string
	variants []variant // any of them may match
	folded   []variant // the same without regard to case
}

// variant is one pattern without braces, cut at its slashes.
type variant []segment

// segment stands for one name in a path, or with many for any number of names, none included.
type segment struct {
	many   bool
	text   string // the name, when it has no wildcard; else ""
	ending string // what every such name surely ends in
	tokens []token
}

// token stands for one character of a name, or with star for any number of them.
type token struct {
	star bool
	set  runeSet
}

// compile reads a glob, or says in words for people what is wrong with it.
func compile(source string) (glob, error) {
	if err := checkShape(source); err != nil {
		return glob{}, err
	}
	alternatives, err := expand(source)
	if err != nil {
		return glob{}, err
	}
	g := glob{source: source}
	for _, a := range alternatives {
		v, err := parseVariant(a)
		if err != nil {
			return glob{}, err
		}
		g.variants = append(g.variants, v)
		g.folded = append(g.folded, v.fold())
	}
	return g, nil
}

// checkShape refuses what no reading of the glob could make right.
func checkShape(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("it is empty")
	case len(s) > globMax:
		return fmt.Errorf("it is longer than %d bytes", globMax)
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("it holds a control character")
	case strings.HasPrefix(s, "/"), len(s) > 1 && s[1] == ':':
		return errors.New("write it relative to the repository's top folder, without a leading slash or drive")
	case foreignBackslash(s):
		return errors.New("separate folders with /; a backslash stands only before a wildcard that is meant literally")
	case !doublestar.ValidatePattern(s):
		return errors.New("its brackets, braces or backslashes do not fit together")
	}
	return nil
}

// foreignBackslash finds a backslash that escapes nothing, as in a Windows path.
func foreignBackslash(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if i == len(s) || !strings.ContainsRune(`*?[]{}\!^-,`, rune(s[i])) {
			return true
		}
	}
	return false
}

// fold is the variant without regard to case.
func (v variant) fold() variant {
	out := make(variant, len(v))
	for i, seg := range v {
		out[i] = segment{many: seg.many, text: foldName(seg.text), ending: foldName(seg.ending), tokens: make([]token, len(seg.tokens))}
		for j, t := range seg.tokens {
			out[i].tokens[j] = token{star: t.star, set: t.set.fold()}
		}
	}
	return out
}

// everything says that the variant has nothing but stars.
func (v variant) everything() bool {
	for _, seg := range v {
		if !seg.many && (len(seg.tokens) != 1 || !seg.tokens[0].star) {
			return false
		}
	}
	return true
}

// match says whether the names of a path fit. Stars take as little as they can and are widened on failure, so
// the time is bounded by the product of the two lengths.
func (v variant) match(names []string) bool {
	i, j, star, mark := 0, 0, -1, 0
	for j < len(names) {
		switch {
		case i < len(v) && v[i].many:
			star, mark = i, j
			i++
		case i < len(v) && v[i].match(names[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(v) && v[i].many {
		i++
	}
	return i == len(v)
}

func (s segment) match(name string) bool {
	if s.text != "" {
		return s.text == name
	}
	return matchTokens(s.tokens, name)
}

func matchTokens(tokens []token, name string) bool {
	i, j, star, mark := 0, 0, -1, 0
	for j < len(name) {
		r, size := decode(name[j:])
		switch {
		case i < len(tokens) && tokens[i].star:
			star, mark = i, j
			i++
		case i < len(tokens) && tokens[i].set.has(r):
			i++
			j += size
		case star >= 0:
			_, size := decode(name[mark:])
			mark += size
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(tokens) && tokens[i].star {
		i++
	}
	return i == len(tokens)
}
