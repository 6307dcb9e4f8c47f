package plan

import (
	"slices"
	"strings"
)

// overlap says whether some path fits both patterns, and names one.
func (v variant) overlap(w variant) (path string, ok bool) {
	endV, endW := v[len(v)-1].ending, w[len(w)-1].ending
	if !strings.HasSuffix(endV, endW) && !strings.HasSuffix(endW, endV) {
		return "", false
	}
	i := 0
	for i < len(v) && i < len(w) && v[i].text != "" && w[i].text != "" { // with the endings, the usual ways out
		if v[i].text != w[i].text {
			return "", false
		}
		i++
	}
	m := meeting{v: v, w: w, dead: make([]bool, (len(v)+1)*(len(w)+1))}
	names, ok := m.from(i, i)
	if !ok {
		return "", false
	}
	for j := i - 1; j >= 0; j-- {
		names = append(names, v[j].text)
	}
	if len(names) == 0 { // both may stand for any path
		names = []string{"x"}
	}
	slices.Reverse(names)
	return strings.Join(names, "/"), true
}

// meeting walks two patterns side by side; dead marks the pairs of places from which no path leads to both ends.
type meeting struct {
	v, w variant
	dead []bool
}

// from gives the names, last first, of a path that fits the rest of both patterns.
func (m *meeting) from(i, j int) (names []string, ok bool) {
	if i == len(m.v) && j == len(m.w) {
		return nil, true
	}
	at := i*(len(m.w)+1) + j
	if m.dead[at] {
		return nil, false
	}
	if names, ok = m.step(i, j); !ok {
		m.dead[at] = true
	}
	return names, ok
}

func (m *meeting) step(i, j int) ([]string, bool) {
	manyV := i < len(m.v) && m.v[i].many
	manyW := j < len(m.w) && m.w[j].many
	if manyV {
		if names, ok := m.from(i+1, j); ok {
			return names, true
		}
	}
	if manyW {
		if names, ok := m.from(i, j+1); ok {
			return names, true
		}
	}
	if i == len(m.v) || j == len(m.w) || manyV && manyW {
		return nil, false
	}
	a, b, nextI, nextJ := m.v[i], m.w[j], i+1, j+1
	if manyV { // takes whatever the other side has
		a, nextI = b, i
	}
	if manyW {
		b, nextJ = a, j
	}
	name, ok := a.overlap(b)
	if !ok {
		return nil, false
	}
	names, ok := m.from(nextI, nextJ)
	return append(names, name), ok
}

// overlap says whether some name fits both segments, and gives one.
func (s segment) overlap(other segment) (string, bool) {
	if s.text != "" && other.text != "" {
		return s.text, s.text == other.text
	}
	m := spelling{a: s.tokens, b: other.tokens, dead: make([]bool, (len(s.tokens)+1)*(len(other.tokens)+1))}
	runes, ok := m.from(0, 0)
	if !ok {
		return "", false
	}
	if len(runes) == 0 { // both are nothing but stars
		return "x", true
	}
	slices.Reverse(runes)
	return string(runes), true
}

// spelling walks two names with wildcards side by side, as meeting does with whole patterns.
type spelling struct {
	a, b []token
	dead []bool
}

// from gives the characters, last first, of a name that fits the rest of both.
func (m *spelling) from(i, j int) (runes []rune, ok bool) {
	if i == len(m.a) && j == len(m.b) {
		return nil, true
	}
	at := i*(len(m.b)+1) + j
	if m.dead[at] {
		return nil, false
	}
	if runes, ok = m.step(i, j); !ok {
		m.dead[at] = true
	}
	return runes, ok
}

func (m *spelling) step(i, j int) ([]rune, bool) {
	starA := i < len(m.a) && m.a[i].star
	starB := j < len(m.b) && m.b[j].star
	if starA {
		if runes, ok := m.from(i+1, j); ok {
			return runes, true
		}
	}
	if starB {
		if runes, ok := m.from(i, j+1); ok {
			return runes, true
		}
	}
	if i == len(m.a) || j == len(m.b) || starA && starB {
		return nil, false
	}
	setA, setB, nextI, nextJ := m.a[i].set, m.b[j].set, i+1, j+1
	if starA { // takes whatever the other side has
		setA, nextI = setB, i
	}
	if starB {
		setB, nextJ = setA, j
	}
	r, ok := setA.common(setB)
	if !ok {
		return nil, false
	}
	runes, ok := m.from(nextI, nextJ)
	return append(runes, r), ok
}
