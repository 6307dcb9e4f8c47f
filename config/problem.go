package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// FileName is where a repository keeps its settings.
const FileName = ".github/dozens.yml"

// Problem is one thing that is wrong with the settings.
type Problem struct {
	Path    string // name of the environment variable, or the place in the file, such as limits.parallel
	Line    int    // in the file, from 1; 0: not from a file
	Value   string // what was given; never of a secret
	Problem string // what is wrong with it
	Hint    string // what to write instead; may be empty
}

// String is the problem as one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Path)
	if p.Line > 0 {
		fmt.Fprintf(&b, " (line %d)", p.Line)
	}
	b.WriteString(": ")
	if p.Value != "" {
		fmt.Fprintf(&b, "%q ", p.Value)
	}
	b.WriteString(p.Problem)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// Error holds all problems of one reading, sorted by line and path.
type Error struct{ Problems []Problem }

// Error lists the problems, one on each line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// problems gathers what is wrong.
type problems []Problem

func (p *problems) add(path string, line int, value, problem, hint string) {
	*p = append(*p, Problem{Path: path, Line: line, Value: shown(value), Problem: problem, Hint: hint})
}

// err is nil when there is nothing to complain about.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.Path, b.Path)) })
	return &Error{Problems: p}
}

// shown bounds a foreign value and takes out what does not print.
func shown(s string) string {
	const most = 100
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
