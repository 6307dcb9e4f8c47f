package plan

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/work"
)

var files = []string{"README.md", "go.mod", "src/api/a.go", "src/api/b.go", "src/web/index.ts", "src/web/app/[id]/page.tsx", "docs/guide.md"}

func unitOf(label string, owned ...string) Unit {
	return Unit{Label: label, Title: "Change " + label, Brief: "Do it.", Owned: owned}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	var out work.PlanOutput
	if err := json.Unmarshal([]byte(`{"notes": "Two steps.", "units": [
		{"label": "api", "title": "Move the API", "brief": "Do it.", "owned_paths": ["src/api", "docs/api.md"],
			"new_paths": ["docs/api.md"], "depends_on": ["web"], "size": "small"},
		{"label": "web", "title": "Move the pages", "brief": "Do that.", "owned_paths": ["src/web/**"]}]}`), &out); err != nil {
		t.Fatal(err)
	}
	want := Plan{Notes: "Two steps.", Units: []Unit{
		{Label: "api", Title: "Move the API", Brief: "Do it.", Owned: []string{"src/api", "docs/api.md"},
			New: []string{"docs/api.md"}, DependsOn: []string{"web"}, Size: "small"},
		{Label: "web", Title: "Move the pages", Brief: "Do that.", Owned: []string{"src/web/**"}},
	}}
	if diff := cmp.Diff(want, From(out)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if got := From(work.PlanOutput{}); got.Units != nil || got.Notes != "" {
		t.Errorf("empty output: got %+v, want an empty plan", got)
	}
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	api, web, docs := unitOf("api", "src/api"), unitOf("web", "src/web/**", "src/new/page.ts"), unitOf("docs", "docs/*.md", "README.md")
	web.New, web.Size = []string{"src/new/page.ts"}, "small"
	docs.DependsOn, docs.Size = []string{"api", "web"}, "large"
	docs.Owned = append(docs.Owned, "guides/**")
	docs.New = []string{"guides/first.md"}
	for name, p := range map[string]Plan{
		"three":          {Units: []Unit{docs, api, web}},
		"one of all":     {Units: []Unit{unitOf("all", "**")}},
		"dot":            {Units: []Unit{unitOf("all", ".")}},
		"bracket folder": {Units: []Unit{unitOf("page", "src/web/app/[id]/page.tsx"), unitOf("api", "src/api/")}},
		"long words":     {Units: []Unit{{Label: "a", Title: strings.Repeat("ä", 120), Brief: strings.Repeat("b", 20_000), Owned: []string{"docs"}}}},
	} {
		if got := Check(p, files, 30); len(got) > 0 {
			t.Errorf("%s: got problems %v, want none", name, got)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	edit := func(change func(u *Unit)) Plan {
		u := unitOf("api", "src/api")
		change(&u)
		return Plan{Units: []Unit{u, unitOf("web", "src/web")}}
	}
	for _, c := range []struct {
		name string
		plan Plan
		want []string // a part of each problem, in order
	}{
		{"no units", Plan{}, []string{"no units"}},
		{"too many", Plan{Units: []Unit{unitOf("a", "docs"), unitOf("b", "src"), unitOf("c", "go.mod"), unitOf("d", "README.md")}}, []string{"4 units; at most 3"}},
		{"label", edit(func(u *Unit) { u.Label = "../x" }), []string{"unit 1: Label"}},
		{"label empty", edit(func(u *Unit) { u.Label = "" }), []string{"unit 1: The label is empty"}},
		{"label twice", edit(func(u *Unit) { u.Label = "web" }), []string{"web: Unit 2 has the same label as unit 1"}},
		{"label twins", edit(func(u *Unit) { u.Label = "Web" }), []string{"unit 1: Label", "same label"}},
		{"words", edit(func(u *Unit) { u.Title, u.Brief, u.Size = " ", "\n", "huge" }), []string{"title is empty", "brief is empty", `size is "huge"`}},
		{"title long", edit(func(u *Unit) { u.Title = strings.Repeat("ä", 121) }), []string{"title has 121 characters"}},
		{"brief long", edit(func(u *Unit) { u.Brief = strings.Repeat("b", 20_001) }), []string{"brief has 20001 bytes"}},
		{"control", edit(func(u *Unit) { u.Title, u.Brief = "a\nb", "a\x1bb" }), []string{"title holds", "brief holds"}},
		{"direction", edit(func(u *Unit) { u.Title = "a\u202eb" }), []string{"title holds"}},
		{"owned empty", edit(func(u *Unit) { u.Owned = nil }), []string{"owns no paths"}},
		{"absolute", edit(func(u *Unit) { u.Owned = []string{"/src/api"} }), []string{"relative to"}},
		{"dots", edit(func(u *Unit) { u.Owned = []string{"src/api/../web"} }), []string{". or .."}},
		{"git folder", edit(func(u *Unit) { u.Owned = []string{".Git/hooks"} }), []string{".git"}},
		{"everything", edit(func(u *Unit) { u.Owned = []string{"**"} }), []string{"owns everything"}},
		{"everything, dot", edit(func(u *Unit) { u.Owned = []string{"."} }), []string{"owns everything"}},
		{"everything, deep", edit(func(u *Unit) { u.Owned = []string{"**/*"} }), []string{"owns everything"}},
		{"star", edit(func(u *Unit) { u.Owned = []string{"*"} }), []string{"owns everything"}},
		{"no file", edit(func(u *Unit) { u.Owned = []string{"src/api", "src/none.go"} }), []string{`"src/none.go" matches no file`}},
		{"new not owned", edit(func(u *Unit) { u.New = []string{"lib/x.go"} }), []string{`new path "lib/x.go" is not among`}},
		{"new twin", edit(func(u *Unit) { u.Owned, u.New = []string{"src/api", "readme.md"}, []string{"readme.md"} }), []string{"upper and lower case only"}},
		{"same file", edit(func(u *Unit) { u.Owned = append(u.Owned, "src/web/index.ts") }), []string{`both own the file "src/web/index.ts"`}},
		{"may meet", Plan{Units: []Unit{unitOf("a", "src/api/*.go"), {Label: "b", Title: "b", Brief: "b", Owned: []string{"src/api/*_test.go"}, New: []string{"src/api/*_test.go"}}}}, []string{`for example "src/api/_test.go"`}},
		{"twins", Plan{Units: []Unit{unitOf("a", "README.md"), {Label: "b", Title: "b", Brief: "b", Owned: []string{"Readme.md", "docs"}, New: []string{"Readme.md"}}}}, []string{"upper and lower case only", "differ in upper and lower case only"}},
		{"depends", edit(func(u *Unit) { u.DependsOn = []string{"api", "nobody", "web", "web"} }), []string{"depends on itself", `"nobody"`, "twice"}},
		{"cycle", Plan{Units: []Unit{{Label: "a", Title: "a", Brief: "a", Owned: []string{"docs"}, DependsOn: []string{"b"}}, {Label: "b", Title: "a", Brief: "a", Owned: []string{"go.mod"}, DependsOn: []string{"c"}}, {Label: "c", Title: "a", Brief: "a", Owned: []string{"src"}, DependsOn: []string{"b"}}}}, []string{"b → c → b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Check(c.plan, files, 3)
			if len(got) != len(c.want) {
				t.Fatalf("got %d problems %v, want %d", len(got), got, len(c.want))
			}
			for i, w := range c.want {
				if !strings.Contains(got[i].String(), w) {
					t.Errorf("problem %d: got %q, want it to hold %q", i, got[i], w)
				}
			}
		})
	}
}

// Whatever is accepted is acyclic, and no file belongs to two units.
func TestAcceptedPlansKeepTheirPromise(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	paths := allPaths(3)
	accepted, refused := 0, 0
	for range 1_500 {
		p := randomPlan(rng)
		var some []string
		for range 60 {
			some = append(some, paths[rng.IntN(len(paths))])
		}
		if len(Check(p, some, 5)) > 0 {
			refused++
			continue
		}
		accepted++
		areas := []area{}
		for _, u := range p.Units {
			areas = append(areas, compileAll(u.Owned))
		}
		for _, f := range paths {
			owners := 0
			for _, a := range areas {
				if a.covers(f) {
					owners++
				}
			}
			if owners > 1 {
				t.Fatalf("%q belongs to %d units of %+v", f, owners, p)
			}
		}
		done := map[string]bool{}
		for _, u := range Order(p.Units) {
			for _, d := range u.DependsOn {
				if !done[d] {
					t.Fatalf("%s comes before %s, which it depends on: %+v", u.Label, d, p)
				}
			}
			done[u.Label] = true
		}
	}
	if accepted < 50 || refused < 300 {
		t.Errorf("got %d accepted and %d refused plans, want hundreds of each", accepted, refused)
	}
}

func randomPlan(rng *rand.Rand) Plan {
	p := Plan{}
	labels := []string{"u1", "u2", "u3"}
	for i := range 1 + rng.IntN(3) {
		u := unitOf(labels[i])
		for range 1 + rng.IntN(2) {
			u.Owned = append(u.Owned, randomGlob(rng))
		}
		if rng.IntN(2) == 0 {
			u.DependsOn = []string{labels[rng.IntN(3)]}
		}
		p.Units = append(p.Units, u)
	}
	return p
}

func TestOrder(t *testing.T) {
	t.Parallel()
	u := func(label string, after ...string) Unit { return Unit{Label: label, DependsOn: after} }
	for _, c := range []struct {
		units []Unit
		want  []string
	}{
		{[]Unit{u("c", "b"), u("b", "a"), u("a")}, []string{"a", "b", "c"}},
		{[]Unit{u("x"), u("b", "a"), u("a"), u("y")}, []string{"x", "a", "y", "b"}},
		{[]Unit{u("a", "b"), u("b", "a"), u("c")}, []string{"c", "a", "b"}},
		{[]Unit{u("a", "nobody")}, []string{"a"}},
		{nil, nil},
	} {
		var got []string
		for _, x := range Order(c.units) {
			got = append(got, x.Label)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("order of %v, want - got +:\n%s", c.units, diff)
		}
	}
}

func TestOverlapsAreBounded(t *testing.T) {
	t.Parallel()
	p := Plan{}
	for i := range 100 {
		p.Units = append(p.Units, unitOf(fmt.Sprintf("u%d", i), fmt.Sprintf("src/**/%d*", i%10), "src/**"))
	}
	got := Check(p, []string{"src/0"}, 100)
	overlaps := 0
	for _, g := range got {
		if strings.Contains(g.Text, "overlaps with") {
			overlaps++
		}
	}
	if last := got[len(got)-1].Text; overlaps != showMax || !strings.Contains(last, "4930 more overlaps") {
		t.Errorf("got %d overlaps and at the end %q, want %d and the number of the others", overlaps, last, showMax)
	}
}

func bigPlan(units, count int) (Plan, []string) {
	p := Plan{}
	list := make([]string, 0, count)
	for i := range units {
		u := unitOf(fmt.Sprintf("unit-%d", i), fmt.Sprintf("packages/p%d/src", i), fmt.Sprintf("packages/p%d/**/*_test.go", i), fmt.Sprintf("docs/p%d.{md,txt}", i))
		u.Owned[1] = fmt.Sprintf("packages/p%d/test/**/*_test.go", i)
		if i > 0 {
			u.DependsOn = []string{fmt.Sprintf("unit-%d", i-1)}
		}
		p.Units = append(p.Units, u)
		list = append(list, fmt.Sprintf("docs/p%d.md", i), fmt.Sprintf("packages/p%d/test/deep/a_test.go", i))
	}
	for i := 0; len(list) < count; i++ {
		list = append(list, fmt.Sprintf("packages/p%d/src/folder%d/file%d.go", i%units, i%7, i))
	}
	slices.Sort(list)
	return p, list
}

func BenchmarkCheck(b *testing.B) {
	p, list := bigPlan(1000, 50_000)
	for b.Loop() {
		if got := Check(p, list, 1000); len(got) > 0 {
			b.Fatalf("got problems %v, want none", got[:1])
		}
	}
}

// The worst plans: wildcards at the front leave nothing to look up by.
func BenchmarkCheckWildcards(b *testing.B) {
	_, list := bigPlan(1000, 50_000)
	p := Plan{}
	for i := range 1000 {
		p.Units = append(p.Units, unitOf(fmt.Sprintf("unit-%d", i), fmt.Sprintf("**/file%d.go", i)))
	}
	for b.Loop() {
		Check(p, list, 1000)
	}
}
