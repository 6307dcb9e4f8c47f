package plan

// Order sorts units so that each comes after those it depends on, and otherwise as they were. Units of a cycle,
// which Check refuses, come last; none is lost.
func Order(units []Unit) []Unit {
	open := map[string]int{} // units still to come, by label
	for _, u := range units {
		open[u.Label]++
	}
	out := make([]Unit, 0, len(units))
	taken := make([]bool, len(units))
	for {
		before := len(out)
		for i, u := range units {
			if taken[i] || waits(u, open) {
				continue
			}
			taken[i] = true
			open[u.Label]--
			out = append(out, u)
		}
		if len(out) == before {
			break
		}
	}
	for i, u := range units {
		if !taken[i] {
			out = append(out, u)
		}
	}
	return out
}

// waits says that a dependency of the unit is still to come.
func waits(u Unit, open map[string]int) bool {
	for _, d := range u.DependsOn {
		if open[d] > 0 {
			return true
		}
	}
	return false
}

// findCycle gives the labels of one circle of dependencies, the first one again at the end; nil: there is none.
// A unit that names itself is left to the check of that unit.
func findCycle(units []Unit) []string {
	after := map[string][]string{}
	for _, u := range units {
		after[u.Label] = append(after[u.Label], u.DependsOn...)
	}
	w := walker{after: after, state: map[string]int{}}
	for _, u := range units {
		if cycle := w.visit(u.Label); cycle != nil {
			return cycle
		}
	}
	return nil
}

// walker goes along the dependencies; the state of a label is 0 not seen, 1 on the way, 2 known to end.
type walker struct {
	after map[string][]string
	state map[string]int
	way   []string
}

func (w *walker) visit(label string) []string {
	switch w.state[label] {
	case 1:
		for i, l := range w.way {
			if l == label {
				return append(append([]string{}, w.way[i:]...), label)
			}
		}
	case 2:
		return nil
	}
	w.state[label] = 1
	w.way = append(w.way, label)
	for _, next := range w.after[label] {
		if next == label {
			continue
		}
		if cycle := w.visit(next); cycle != nil {
			return cycle
		}
	}
	w.way = w.way[:len(w.way)-1]
	w.state[label] = 2
	return nil
}
