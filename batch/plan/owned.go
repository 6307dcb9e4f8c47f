package plan

import (
	"slices"
	"strings"

	"dozens/batch/work"
)

// Covers says whether a path belongs to the owned globs. A glob that names a folder ("src/a" or "src/a/") covers
// all below it; no globs at all cover everything. A path that is not clean, relative and slash-separated belongs
// to nobody, and a glob that cannot be read covers nothing.
func Covers(owned []string, path string) bool {
	return compileAll(owned).covers(path)
}

// Stray lists the changed paths outside the owned globs, sorted; of a rename both sides count.
func Stray(owned []string, changes []work.Change) []string {
	area := compileAll(owned)
	stray := []string{}
	for _, c := range changes {
		for _, path := range []string{c.Path, c.Old} {
			if path != "" && !area.covers(path) {
				stray = append(stray, path)
			}
		}
	}
	slices.Sort(stray)
	return slices.Compact(stray)
}

// area is what a task may change.
type area struct {
	all   bool
	globs []glob
}

func compileAll(owned []string) area {
	a := area{all: len(owned) == 0}
	for _, o := range owned {
		if g, err := compile(o); err == nil {
			a.globs = append(a.globs, g)
		}
	}
	return a
}

func (a area) covers(path string) bool {
	names := strings.Split(path, "/")
	if !clean(names) {
		return false
	}
	return a.all || slices.ContainsFunc(a.globs, func(g glob) bool { return g.match(names) })
}

func (g glob) match(names []string) bool {
	return slices.ContainsFunc(g.variants, func(v variant) bool { return v.match(names) })
}

// overlap says whether some path fits both globs, and names one; twins says that the two owners would spell it
// differently, in case only.
func (g glob) overlap(h glob) (path string, twins, ok bool) {
	if path, ok = overlapAny(g.variants, h.variants); ok {
		return path, false, true
	}
	path, ok = overlapAny(g.folded, h.folded)
	return path, ok, ok
}

func overlapAny(a, b []variant) (string, bool) {
	for _, v := range a {
		for _, w := range b {
			if path, ok := v.overlap(w); ok {
				return path, true
			}
		}
	}
	return "", false
}

// includes says that every path of h is surely one of the globs'. It may miss an inclusion, never invent one.
func includes(globs []glob, h glob) bool {
	for _, v := range h.variants {
		inside := func(w variant) bool {
			m := inclusion{v: w, w: v, dead: make([]bool, (len(w)+1)*(len(v)+1))}
			return m.from(0, 0)
		}
		if !slices.ContainsFunc(globs, func(g glob) bool { return slices.ContainsFunc(g.variants, inside) }) {
			return false
		}
	}
	return true
}

// inclusion walks two patterns side by side; dead marks the pairs of places that are known not to lead to both ends.
type inclusion struct {
	v, w variant
	dead []bool
}

func (m *inclusion) from(i, j int) bool {
	if i == len(m.v) && j == len(m.w) {
		return true
	}
	at := i*(len(m.w)+1) + j
	if i == len(m.v) || m.dead[at] {
		return false
	}
	ok := false
	switch {
	case m.v[i].many:
		ok = m.from(i+1, j) || j < len(m.w) && m.from(i, j+1)
	case j < len(m.w) && !m.w[j].many:
		ok = m.v[i].includes(m.w[j]) && m.from(i+1, j+1)
	}
	m.dead[at] = !ok
	return ok
}

func (s segment) includes(other segment) bool {
	if other.text != "" {
		return s.match(other.text)
	}
	if len(s.tokens) == 1 && s.tokens[0].star {
		return true
	}
	return slices.EqualFunc(s.tokens, other.tokens, func(a, b token) bool {
		return a.star == b.star && slices.Equal(a.set, b.set)
	})
}
