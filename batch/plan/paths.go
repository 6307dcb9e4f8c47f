package plan

import (
	"fmt"
	"strings"
)

// claim is one glob of one unit.
type claim struct {
	glob
	unit    int
	fresh   bool // declared in New
	matched bool // by a file of the base commit
}

// paths checks which files each unit owns, and that nobody else does.
func (c *checker) paths(files []string) {
	claims := []*claim{}
	for i, u := range c.plan.Units {
		claims = append(claims, c.claimsOf(i, u)...)
	}
	if len(claims) > totalMax {
		c.add("", "The plan lists %d paths; at most %d are allowed. Name folders instead of files.", len(claims), totalMax)
		return
	}
	matchFiles(claims, files)
	for _, cl := range claims {
		if !cl.fresh && !cl.matched && !c.announced(cl, claims) {
			c.add(c.names[cl.unit], "The owned path %s matches no file; correct it, or list it as a new path too if the unit creates it.", quote(cl.source))
		}
	}
	c.newTwins(claims, files)
	c.overlaps(claims, files)
}

// claimsOf reads the globs of a unit and checks each by itself.
func (c *checker) claimsOf(i int, u Unit) []*claim {
	name := c.names[i]
	if len(u.Owned) == 0 {
		c.add(name, "The unit owns no paths; list the files or folders it may change.")
	}
	if len(u.Owned)+len(u.New) > globsMax {
		c.add(name, "The unit lists %d paths; at most %d are allowed. Name folders instead of files.", len(u.Owned)+len(u.New), globsMax)
		return nil
	}
	owned, broken := c.compileList(i, u.Owned, false)
	fresh, _ := c.compileList(i, u.New, true)
	globs := make([]glob, len(owned))
	for k, cl := range owned {
		globs[k] = cl.glob
	}
	for _, cl := range fresh {
		if !broken && len(owned) > 0 && !includes(globs, cl.glob) {
			c.add(name, "The new path %s is not among the unit's owned paths; list it there too.", quote(cl.source))
		}
	}
	return append(owned, fresh...)
}

// compileList reads a list of globs; broken says that at least one could not be read.
func (c *checker) compileList(i int, list []string, fresh bool) (claims []*claim, broken bool) {
	for _, source := range list {
		g, err := compile(source)
		if err != nil {
			c.add(c.names[i], "The path %s cannot be used: %s.", quote(source), err)
			broken = true
			continue
		}
		if len(c.plan.Units) > 1 && everythingIn(g) {
			c.add(c.names[i], "The path %s owns everything, which only the one unit of a plan may do; name the folders.", quote(source))
			broken = true
			continue
		}
		claims = append(claims, &claim{glob: g, unit: i, fresh: fresh})
	}
	return claims, broken
}

func everythingIn(g glob) bool {
	for _, v := range g.variants {
		if v.everything() {
			return true
		}
	}
	return false
}

// announced says that a new path of the same unit lies in the owned glob, so that it need not match a file yet.
func (c *checker) announced(owned *claim, claims []*claim) bool {
	for _, cl := range claims {
		if !cl.fresh || cl.unit != owned.unit {
			continue
		}
		if _, _, ok := owned.overlap(cl.glob); ok {
			return true
		}
	}
	return false
}

// newTwins finds new paths that differ from a file that exists in case only.
func (c *checker) newTwins(claims []*claim, files []string) {
	fresh := map[string]*claim{}
	for _, cl := range claims {
		if cl.fresh && !cl.matched {
			if path, ok := cl.literal(); ok {
				fresh[foldName(path)] = cl
			}
		}
	}
	if len(fresh) == 0 {
		return
	}
	for _, f := range files {
		if cl := fresh[foldName(f)]; cl != nil {
			c.add(c.names[cl.unit], "The new path %s differs from the file %s in upper and lower case only; use the file's spelling or another name.", quote(cl.source), quote(f))
		}
	}
}

// literal is the one path a glob without wildcards names.
func (g glob) literal() (string, bool) {
	v := g.variants[0]
	if len(g.variants) > 1 || len(v) < 2 || !v[len(v)-1].many {
		return "", false
	}
	names := []string{}
	for _, s := range v[:len(v)-1] {
		if s.text == "" {
			return "", false
		}
		names = append(names, s.text)
	}
	return strings.Join(names, "/"), true
}

// overlaps finds the pairs of units whose paths can meet.
func (c *checker) overlaps(claims []*claim, files []string) {
	t := &tree{}
	for i, cl := range claims {
		for _, v := range cl.folded {
			t.put(v, i)
		}
	}
	told := map[[2]int]bool{}
	for i, cl := range claims {
		for _, v := range cl.folded {
			t.along(v, i, func(j int) {
				c.meet(told, min(i, j), max(i, j), claims, files)
			})
		}
	}
	if more := len(told) - showMax; more > 0 {
		c.add("", "There are %d more overlaps between units.", more)
	}
}

// meet says so when two claims overlap, once for each pair of units.
func (c *checker) meet(told map[[2]int]bool, i, j int, claims []*claim, files []string) {
	a, b := claims[i], claims[j]
	pair := [2]int{a.unit, b.unit}
	if a.unit == b.unit || told[pair] {
		return
	}
	path, twins, ok := a.overlap(b.glob)
	if !ok {
		return
	}
	told[pair] = true
	if len(told) > showMax {
		return
	}
	what := fmt.Sprintf("for example %s would be in both", quote(path))
	if f, ok := sharedFile(a.glob, b.glob, files); ok {
		what = fmt.Sprintf("both own the file %s", quote(f))
	} else if twins {
		what = fmt.Sprintf("they differ in upper and lower case only, as in %s", quote(path))
	}
	c.add(c.names[b.unit], "The path %s overlaps with %s of %s: %s. Give every path to one unit only, or put the two units together.",
		quote(b.source), quote(a.source), quote(c.names[a.unit]), what)
}

func sharedFile(a, b glob, files []string) (string, bool) {
	for _, f := range files {
		names := strings.Split(f, "/")
		if a.match(names) && b.match(names) {
			return f, true
		}
	}
	return "", false
}

// matchFiles marks the claims that match a file.
func matchFiles(claims []*claim, files []string) {
	t := &tree{}
	all := []variant{}
	owner := []*claim{}
	for _, cl := range claims {
		for _, v := range cl.variants {
			t.put(v, len(all))
			all, owner = append(all, v), append(owner, cl)
		}
	}
	for _, f := range files {
		names := strings.Split(f, "/")
		t.down(names, func(i int) {
			v := all[i]
			if cl := owner[i]; !cl.matched && strings.HasSuffix(f, v[len(v)-1].ending) {
				cl.matched = v.match(names)
			}
		})
	}
}
