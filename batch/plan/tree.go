package plan

// tree holds patterns by the names before their first wildcard. Two patterns can meet, and a pattern can match a
// file, only if one of these beginnings contains the other, so a walk from the top finds all that need a look.
type tree struct {
	here []int // what ends its fixed beginning here
	next map[string]*tree
}

// put adds item i under its pattern.
func (t *tree) put(v variant, i int) {
	for _, s := range v {
		if s.text == "" {
			break
		}
		if t.next == nil {
			t.next = map[string]*tree{}
		}
		if t.next[s.text] == nil {
			t.next[s.text] = &tree{}
		}
		t = t.next[s.text]
	}
	t.here = append(t.here, i)
}

// along visits all items whose fixed beginning is a beginning of this pattern's own, and of those with the very same
// beginning only the ones below self, the pattern's own item. Called for every pattern of the tree, it so shows each
// pair that can meet.
func (t *tree) along(v variant, self int, visit func(i int)) {
	for _, s := range v {
		if s.text == "" {
			break
		}
		for _, i := range t.here {
			visit(i)
		}
		t = t.next[s.text]
	}
	for _, i := range t.here {
		if i < self {
			visit(i)
		}
	}
}

// down visits all items that could match the names of a path.
func (t *tree) down(names []string, visit func(i int)) {
	for _, i := range t.here {
		visit(i)
	}
	for _, n := range names {
		if t = t.next[n]; t == nil {
			return
		}
		for _, i := range t.here {
			visit(i)
		}
	}
}
