package plan

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"dozens/batch/work"
)

// DefaultLimit is how many units a plan may have where the settings say nothing.
const DefaultLimit = 30

const (
	titleMax = 120    // characters
	briefMax = 20_000 // bytes
	globsMax = 200    // globs of one unit
	totalMax = 5_000  // globs of one plan, which bounds the time that comparing them takes
	showMax  = 20     // problems of one kind that are listed
)

// Unit is one piece of a plan: what one task will do, and the paths that are its own.
type Unit struct {
	Label     string   // see CheckLabel; unique within the plan
	Title     string   // one line, at most 120 characters
	Brief     string   // what is to be done, for an agent that knows nothing else; at most 20,000 bytes
	Owned     []string // globs of the paths it may change
	New       []string // paths or globs, each within Owned, that need not exist yet
	DependsOn []string // labels of units that must be merged before
	Size      string   // small, medium, large, or empty
}

// Plan is what a planner proposes.
type Plan struct {
	Units []Unit
	Notes string // the planner's words for people
}

// From takes over a planner's output as it is; Check says what is wrong with it. The lists are shared with out.
func From(out work.PlanOutput) Plan {
	p := Plan{Notes: out.Notes}
	for _, u := range out.Units {
		p.Units = append(p.Units, Unit{
			Label: u.Label, Title: u.Title, Brief: u.Brief, Owned: u.OwnedPaths,
			New: u.NewPaths, DependsOn: u.DependsOn, Size: u.Size,
		})
	}
	return p
}

// Problem is one reason why a plan is not accepted.
type Problem struct {
	Unit string // label of the unit, or its number when it has no label; empty: of the whole plan
	Text string // a sentence that tells planner and person what to change
}

// String is the problem as one line.
func (p Problem) String() string {
	if p.Unit == "" {
		return p.Text
	}
	return p.Unit + ": " + p.Text
}

// Check lists every problem of a plan at once; none means that it is accepted. The files are those of the base
// commit, slash-separated. The limit is the most units allowed, DefaultLimit when it is not positive.
//
// The units of an accepted plan have distinct labels that pass CheckLabel, depend on each other without a cycle,
// and no path whatsoever, present or future, belongs to two of them, even where case is ignored.
func Check(p Plan, files []string, limit int) []Problem {
	if limit <= 0 {
		limit = DefaultLimit
	}
	c := checker{plan: p, names: names(p.Units)}
	switch n := len(p.Units); {
	case n == 0:
		c.add("", "The plan has no units; it needs at least one.")
	case n > limit:
		c.add("", "The plan has %d units; at most %d are allowed. Make the units larger, or plan less at once.", n, limit)
	}
	for i, u := range p.Units {
		c.words(i, u)
	}
	c.labels()
	c.dependencies()
	if len(p.Units) <= limit { // else the paths change anyway, and comparing them would have no bound
		c.paths(files)
	}
	return c.problems
}

// checker gathers the problems of one plan.
type checker struct {
	plan     Plan
	names    []string // how to speak of each unit
	problems []Problem
}

func (c *checker) add(unit, format string, args ...any) {
	c.problems = append(c.problems, Problem{Unit: unit, Text: fmt.Sprintf(format, args...)})
}

// names gives each unit its label, or its number where the label is unfit to be shown.
func names(units []Unit) []string {
	out := make([]string, len(units))
	for i, u := range units {
		out[i] = u.Label
		if CheckLabel(u.Label) != nil {
			out[i] = fmt.Sprintf("unit %d", i+1)
		}
	}
	return out
}

// words checks what a unit says about itself.
func (c *checker) words(i int, u Unit) {
	name := c.names[i]
	if err := CheckLabel(u.Label); err != nil {
		c.add(name, "%s.", capital(err.Error()))
	}
	c.text(name, "title", u.Title, utf8.RuneCountInString(u.Title), titleMax, "characters", false)
	c.text(name, "brief", u.Brief, len(u.Brief), briefMax, "bytes", true)
	switch u.Size {
	case "", "small", "medium", "large":
	default:
		c.add(name, "The size is %s; it must be small, medium or large.", quote(u.Size))
	}
}

// text checks a title or a brief; lines says whether it may have several.
func (c *checker) text(name, what, s string, size, most int, measure string, lines bool) {
	switch {
	case strings.TrimSpace(s) == "":
		c.add(name, "The %s is empty.", what)
	case size > most:
		c.add(name, "The %s has %d %s; at most %d are allowed.", what, size, measure, most)
	}
	bad := func(r rune) bool {
		if lines && (r == '\n' || r == '\t' || r == '\r') {
			return false
		}
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.ContainsFunc(s, bad) || !utf8.ValidString(s) {
		c.add(name, "The %s holds a line break, a control character or an invalid one; write it as plain text.", what)
	}
}

// labels finds labels that are used twice; case does not make them different.
func (c *checker) labels() {
	first := map[string]int{}
	for i, u := range c.plan.Units {
		key := foldName(u.Label)
		if key == "" {
			continue
		}
		if j, ok := first[key]; ok {
			c.add(c.names[i], "Unit %d has the same label as unit %d; give each unit its own.", i+1, j+1)
			continue
		}
		first[key] = i
	}
}

// dependencies checks what the units wait for.
func (c *checker) dependencies() {
	known := map[string]bool{}
	for _, u := range c.plan.Units {
		known[u.Label] = true
	}
	for i, u := range c.plan.Units {
		for j, d := range u.DependsOn {
			switch {
			case d == u.Label:
				c.add(c.names[i], "The unit depends on itself.")
			case !known[d]:
				c.add(c.names[i], "The unit depends on %s, which is not a label of this plan.", quote(d))
			case slices.Contains(u.DependsOn[:j], d):
				c.add(c.names[i], "The unit names %s twice among its dependencies.", quote(d))
			}
		}
	}
	if cycle := findCycle(c.plan.Units); cycle != nil {
		c.add("", "The dependencies go round in a circle: %s. At least one of them must go.", strings.Join(cycle, " → "))
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
