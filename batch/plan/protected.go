package plan

import (
	"slices"
	"strings"
)

// CheckGlob says in words for people what is wrong with a glob; nil: it can be read.
func CheckGlob(source string) error {
	_, err := compile(source)
	return err
}

// Protected lists those of the paths that the globs protect, sorted, each once. Case does not matter: where file
// systems do not tell "claude.md" from "CLAUDE.md", agents do not either. The safe side is to protect: a glob that
// cannot be read protects everything, and a path that is not clean and relative is protected by any glob. No globs
// protect nothing.
func Protected(globs, paths []string) []string {
	var folded []variant
	all := false
	for _, source := range globs {
		g, err := compile(source)
		all = all || err != nil
		folded = append(folded, g.folded...)
	}
	found := []string{}
	for _, path := range paths {
		names := strings.Split(foldName(path), "/")
		fits := func(v variant) bool { return v.match(names) }
		if all || len(globs) > 0 && !clean(names) || slices.ContainsFunc(folded, fits) {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// clean says that the names are those of a path below the top folder.
func clean(names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return n == "" || n == "." || n == ".." })
}
