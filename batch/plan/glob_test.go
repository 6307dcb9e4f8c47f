package plan

import (
	"math/rand/v2"
	"strings"
	"testing"

	"dozens/batch/work"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/google/go-cmp/cmp"
)

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		owned, path string
		want        bool
	}{
		{"src/a", "src/a", true}, {"src/a", "src/a/b/c.go", true}, {"src/a/", "src/a/b.go", true}, {"src/a", "src/ab", false},
		{"src/a", "src", false}, {"src/a.go", "src/a.go", true}, {"./src/a.go", "src/a.go", true}, {"SRC/a.go", "src/a.go", false},
		{"src/*.go", "src/a.go", true}, {"src/*.go", "src/b/a.go", false}, {"src/**/*.go", "src/a.go", true}, {"src/**/*.go", "src/b/c/a.go", true},
		{"src/*", "src/a/b.go", false}, {"src/*/", "src/a/b.go", true}, {"src/**", "src/a/b.go", true}, {"**/x.go", "x.go", true},
		{"src/{a,b/c}/*.go", "src/b/c/x.go", true}, {"src/{a,b/c}", "src/a/deep/x.go", true}, {"src/{a,b}", "src/c", false},
		{"app/[id]/page.tsx", "app/[id]/page.tsx", true}, {"app/[id]/**", "app/[id]/x/y.ts", true}, {"app/[id]", "app/[id]/y.ts", true},
		{"{{cookiecutter.name}}/x.py", "{{cookiecutter.name}}/x.py", true}, {`a/\[b\].go`, "a/[b].go", true}, {"a/[a-c].go", "a/b.go", true},
		{"a/[^a-c].go", "a/b.go", false}, {"a/?.go", "a/ä.go", true}, {".", "anything/at/all", true}, {"**", "x", true},
		{"src", "src/../etc/passwd", false}, {"src", "/src/a", false}, {"src", "src//a", false}, {"src", "", false},
		{"../x", "../x", false}, {"/etc", "/etc/passwd", false}, {"src/[", "src/[", false}, {"", "x", false},
		{".*", ".env", true}, {"*", ".env", true},
	} {
		if got := Covers([]string{c.owned}, c.path); got != c.want {
			t.Errorf("Covers(%q, %q): got %v, want %v", c.owned, c.path, got, c.want)
		}
	}
	if !Covers(nil, "a/b") || Covers(nil, "../b") {
		t.Errorf("Covers(nothing): got %v for a/b and %v for ../b, want true and false", Covers(nil, "a/b"), Covers(nil, "../b"))
	}
}

func TestStray(t *testing.T) {
	t.Parallel()
	got := Stray([]string{"src/a", "go.mod"}, []work.Change{
		{Path: "src/a/x.go", Status: "M"},
		{Path: "z.go", Status: "A"},
		{Path: "src/a/new.go", Old: "src/b/old.go", Status: "R"},
		{Path: "go.mod", Status: "D"},
		{Path: "src/c/new.go", Old: "src/a/old.go", Status: "R"},
		{Path: "z.go", Status: "M"},
	})
	if diff := cmp.Diff([]string{"src/b/old.go", "src/c/new.go", "z.go"}, got); diff != "" {
		t.Errorf("stray paths, want - got +:\n%s", diff)
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "  ", "/etc", "C:/x", `src\a`, `a\`, "..", "../a", "a/../b", "a/./b", ".git", ".GIT/hooks", "a/.Git/config", "{.git,a}/x", "[.]git/x",
		"a//b", "a/{,/b}", "{a", "a[", "a[]", "a}", "a\nb", "a\x00", strings.Repeat("a", 1025), "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "a[x/y]b",
	} {
		if _, err := compile(s); err == nil {
			t.Errorf("compile(%q): got no error, want one", s)
		}
	}
}

// Where no folder names and literal brackets are in play, a glob means what doublestar says.
func TestMatchAgainstDoublestar(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	paths := allPaths(3)
	matched := 0
	for range 5_000 {
		pattern := randomGlob(rng) + "/*" // a name without wildcards at the end would be a folder
		g, err := compile(pattern)
		if err != nil {
			continue
		}
		for range 20 {
			path := paths[rng.IntN(len(paths))]
			want := doublestar.MatchUnvalidated(pattern, path)
			if got := g.match(strings.Split(path, "/")); got != want {
				t.Fatalf("%q matches %q: got %v, doublestar says %v", pattern, path, got, want)
			}
			if want {
				matched++
			}
		}
	}
	if matched < 500 {
		t.Errorf("only %d matches were seen; the patterns test nothing", matched)
	}
}

// Two globs overlap exactly if one of all paths (over a small alphabet, up to a length that is enough for these
// patterns) fits both; the path that is named fits both too.
func TestOverlapAgainstBruteForce(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	paths := allPaths(4)
	seen := map[bool]int{}
	for range 2_000 {
		a, errA := compile(randomGlob(rng))
		b, errB := compile(randomGlob(rng))
		if errA != nil || errB != nil {
			continue
		}
		want := false
		for _, p := range paths {
			names := strings.Split(p, "/")
			if a.match(names) && b.match(names) {
				want = true
				break
			}
		}
		path, _, got := a.overlap(b)
		seen[want]++
		if want && !got {
			t.Fatalf("%q and %q overlap: got false, want true", a.source, b.source)
		}
		exact, ok := overlapAny(a.variants, b.variants)
		if names := strings.Split(exact, "/"); ok && (!a.match(names) || !b.match(names)) {
			t.Fatalf("%q and %q: %q does not fit both", a.source, b.source, exact)
		}
		if got && !want {
			// It may need a longer path or another letter; the named path is the proof.
			if names := strings.Split(foldName(path), "/"); !foldedMatch(a, names) || !foldedMatch(b, names) {
				t.Fatalf("%q and %q overlap: got true at %q, want false", a.source, b.source, path)
			}
		}
	}
	if seen[true] < 200 || seen[false] < 200 {
		t.Errorf("got %v pairs by overlap, want hundreds of each; the patterns test nothing", seen)
	}
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b  string
		ok    bool
		twins bool
	}{
		{"src/a", "src/b", false, false}, {"src/a", "src/a/b.go", true, false}, {"src/a/", "src/ab", false, false},
		{"src/*.go", "src/*_test.go", true, false}, {"src/a*.go", "src/b*.go", false, false}, {"src/*a.go", "src/b*.go", true, false},
		{"**/*.go", "docs/**", true, false}, {"**/*.go", "docs/*.md", false, false}, {"a/**/z", "a/b/*/y", false, false},
		{"a/**/z", "a/b/**/c/z", true, false}, {"src/[a-m]*", "src/[n-z]*", false, false}, {"src/[a-m]*", "src/[!a-l]*", true, false},
		{"README.md", "readme.md", true, true}, {"Src/x", "src/x/y", true, true}, {"src/{a,b}", "src/{b,c}", true, false}, {"src/{a,b}", "src/{c,d}", false, false},
		{"[A-Z]x", "[a-z]x", true, true}, {"straße", "STRASSE", false, false}, {"Ä", "ä", true, true},
		{"app/[id]/a.ts", "app/[slug]/a.ts", false, false}, {"app/[id]/a.ts", "app/[kid]/a.ts", true, false}, {"app/[id]/a.ts", "app/[xy]/a.ts", false, false},
	} {
		a, errA := compile(c.a)
		b, errB := compile(c.b)
		if errA != nil || errB != nil {
			t.Fatalf("compile %q and %q: %v, %v", c.a, c.b, errA, errB)
		}
		path, twins, ok := a.overlap(b)
		if ok != c.ok || twins != c.twins {
			t.Errorf("%q and %q: got overlap %v twins %v at %q, want %v %v", c.a, c.b, ok, twins, path, c.ok, c.twins)
		}
		if _, _, back := b.overlap(a); back != ok {
			t.Errorf("%q and %q: overlap depends on the order", c.a, c.b)
		}
	}
}

// What includes promises holds for every path.
func TestIncludes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	paths := allPaths(3)
	yes := 0
	for range 2_000 {
		a, errA := compile(randomGlob(rng))
		b, errB := compile(randomGlob(rng))
		if errA != nil || errB != nil || !includes([]glob{a}, b) {
			continue
		}
		yes++
		for _, p := range paths {
			if names := strings.Split(p, "/"); b.match(names) && !a.match(names) {
				t.Fatalf("%q includes %q: got true, but not %q", a.source, b.source, p)
			}
		}
	}
	if yes < 30 {
		t.Errorf("got %d inclusions, want more; the patterns test nothing", yes)
	}
	for _, s := range []string{"src/a", "src/*.go", "src/{a,b}/**", "app/[id]/x", "**/x.go"} {
		if g, err := compile(s); err != nil || !includes([]glob{g}, g) {
			t.Errorf("%q includes itself: got false (%v), want true", s, err)
		}
	}
}

func foldedMatch(g glob, names []string) bool {
	for _, v := range g.folded {
		if v.match(names) {
			return true
		}
	}
	return false
}

// allPaths gives all paths of up to so many names, each of one or two letters of a small alphabet.
func allPaths(depth int) []string {
	names := []string{"a", "b", "aa", "ab", "ba", "bb"}
	all, last := []string{}, []string{""}
	for range depth {
		next := []string{}
		for _, p := range last {
			for _, n := range names {
				next = append(next, strings.TrimPrefix(p+"/"+n, "/"))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

func randomGlob(rng *rand.Rand) string {
	parts := []string{}
	for range 1 + rng.IntN(3) {
		if rng.IntN(4) == 0 {
			parts = append(parts, "**")
			continue
		}
		part := ""
		for range 1 + rng.IntN(2) {
			part += []string{"a", "b", "*", "?", "[ab]", "[^a]", "{a,b}", "{a,b*}"}[rng.IntN(8)]
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "/")
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"a/**", "{a,b}/[x-z]*", `\{`, "[!a-]", "a/{b,{c,d}}/e", "[[]", "{[}],a}"} {
		f.Add(s, "a/b")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		g, err := compile(pattern)
		if err != nil {
			return
		}
		names := strings.Split(path, "/")
		if covered := (area{globs: []glob{g}}).covers(path); covered && (strings.HasPrefix(path, "/") || strings.Contains("/"+path+"/", "/../")) {
			t.Errorf("%q covers %q", pattern, path)
		}
		if witness, _, ok := g.overlap(g); !ok && g.match(names) {
			t.Errorf("%q matches %q but does not overlap with itself (%q)", pattern, path, witness)
		}
	})
}
