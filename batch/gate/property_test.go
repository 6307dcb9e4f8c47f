package gate

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// mayMerge says the rules of merging once more, slowly and in other words than Decide.
func mayMerge(f Facts, p Policy) bool {
	rules := []bool{
		p.Ours, p.RepoID != 0, f.HeadRepo == p.RepoID, f.BaseRepo == p.RepoID, f.HeadRef == p.HeadRef && p.HeadRef != "", f.BaseRef == p.BaseRef && p.BaseRef != "",
		f.State == "open", !f.Merged, !f.Draft, f.Head == p.Pushed && f.Head != "", len(f.Unread) == 0, p.Mode == "auto", p.Hold == "",
		f.Mergeable != nil && *f.Mergeable && f.MergeState != "dirty", !strings.HasPrefix(f.Title, "WIP"),
		p.BotID == 0 && f.Author.Type == "Bot" || p.BotID != 0 && p.BotID == f.Author.ID,
		checksAllow(f, p), approvalsOf(f, p) >= 1 && approvalsOf(f, p) >= p.Approvals, !objection(f), guardedWell(f, p),
	}
	for _, l := range f.Labels {
		rules = append(rules, !slices.Contains(p.HoldLabels, l), !strings.HasPrefix(l, "do-not-merge/"))
	}
	return !slices.Contains(rules, false)
}

func checksAllow(f Facts, p Policy) bool {
	successes := 0
	for _, c := range f.Checks {
		if c.Name == "dozens/gate" || slices.Contains(p.Ignore, c.Name) {
			continue
		}
		if c.Status != "completed" || !slices.Contains([]string{"success", "neutral", "skipped"}, c.Conclusion) {
			return false
		}
		if c.Conclusion == "success" {
			successes++
		}
	}
	return successes > 0 || p.AllowNoChecks
}

// lastOpinion is what a person said last, looking from the end.
func lastOpinion(f Facts, id int64) Review {
	for i := len(f.Reviews) - 1; i >= 0; i-- {
		if r := f.Reviews[i]; r.By.ID == id && r.State != "COMMENTED" {
			return r
		}
	}
	return Review{}
}

func approvalsOf(f Facts, p Policy) int {
	return countApprovals(f, p, func(Review) bool { return true })
}

// guardedWell says that no protected path is changed, or that somebody named approved it.
func guardedWell(f Facts, p Policy) bool {
	if len(p.Protected) == 0 {
		return true
	}
	touched := slices.ContainsFunc(f.Files, func(path string) bool { return path == "CODEOWNERS" || strings.HasPrefix(path, ".github/") })
	return len(f.Files) > 0 && (!touched || namedApprovals(f, p) > 0)
}

func namedApprovals(f Facts, p Policy) int {
	return countApprovals(f, p, func(r Review) bool {
		return len(p.Named) == 0 && r.Permission == "admin" || slices.Contains(p.Named, r.By.Login)
	})
}

func countApprovals(f Facts, p Policy, which func(Review) bool) int {
	count := 0
	for id := int64(1); id < 200; id++ {
		r := lastOpinion(f, id)
		if !which(r) {
			continue
		}
		counts := r.State == "APPROVED" && r.Commit == f.Head && r.By.Type == "User" && id != p.BotID && id != f.Author.ID &&
			slices.Contains([]string{"write", "maintain", "admin"}, r.Permission) && (p.RequesterCounts || id != p.Requester.ID)
		for _, a := range f.Authors {
			counts = counts && a.ID != id
		}
		if counts {
			count++
		}
	}
	return count
}

func objection(f Facts) bool {
	for id := int64(1); id < 200; id++ {
		r := lastOpinion(f, id)
		if r.State == "CHANGES_REQUESTED" && r.By.Type != "Bot" && !slices.Contains([]string{"none", "read", "triage"}, r.Permission) {
			return true
		}
	}
	return false
}

func pick[T any](rng *rand.Rand, usual T, others ...T) T {
	if rng.IntN(12) > 0 || len(others) == 0 {
		return usual
	}
	return others[rng.IntN(len(others))]
}

func randomActor(rng *rand.Rand) Actor {
	return []Actor{person(1, "alice"), person(2, "bob"), person(3, "carol"), person(4, "dave"), bot(), {Login: "ci[bot]", ID: 50, Type: "Bot"}}[rng.IntN(6)]
}

func randomReview(rng *rand.Rand) Review {
	by := randomActor(rng)
	states := []string{"APPROVED", "APPROVED", "APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"}
	return review(by, pick(rng, "write", "", "none", "read", "triage", "maintain", "admin"), states[rng.IntN(len(states))], pick(rng, "head", "old", ""))
}

func randomCheck(rng *rand.Rand) Check {
	c := ended([]string{"test", "lint", "flaky", CheckName}[rng.IntN(4)], pick(rng, "success", "neutral", "skipped", "failure", "error", "cancelled", "stale", "timed_out", "action_required", "", "odd"))
	c.Status = pick(rng, "completed", "queued", "in_progress", "pending", "")
	return c
}

// random gives facts in which most things are as they should be, so that merges do come up.
func random(rng *rand.Rand) (Facts, Policy) {
	f, p := ready()
	f.Title = pick(rng, f.Title, "WIP x")
	f.State = pick(rng, "open", "closed", "")
	f.Merged, f.Draft = pick(rng, false, true), pick(rng, false, true)
	f.Head, p.Pushed = pick(rng, "head", "other", ""), pick(rng, "head", "other", "")
	f.HeadRef, p.HeadRef = pick(rng, "dozens/api", "x", ""), pick(rng, "dozens/api", "x", "")
	f.BaseRef = pick(rng, "main", "x", "")
	f.HeadRepo, f.BaseRepo, p.RepoID = pick[int64](rng, repoID, 8, 0), pick[int64](rng, repoID, 8, 0), pick[int64](rng, repoID, 8, 0)
	f.Author = pick(rng, bot(), randomActor(rng))
	f.Mergeable = pick(rng, yes(), no(), nil)
	f.MergeState = pick(rng, "clean", "dirty", "blocked", "behind", "unknown", "unstable", "")
	f.Labels = pick(rng, nil, []string{"hold"}, []string{"bug"}, []string{"do-not-merge/x"})
	f.Unread = pick(rng, nil, []string{"checks"})
	f.Checks, f.Reviews = nil, nil
	for range rng.IntN(4) {
		f.Checks = append(f.Checks, randomCheck(rng))
	}
	for range rng.IntN(5) {
		f.Reviews = append(f.Reviews, randomReview(rng))
	}
	f.Authors = pick(rng, f.Authors, []Actor{bot(), randomActor(rng)})
	p.Ours, p.RequesterCounts, p.AllowNoChecks = pick(rng, true, false), pick(rng, false, true), pick(rng, false, true)
	p.BotID, p.Approvals = pick[int64](rng, botID, 0), pick(rng, 1, 0, 2)
	f.Files = pick(rng, f.Files, nil, []string{"CODEOWNERS"}, []string{"a", ".github/x"}, []string{".github/workflows/ci.yml"})
	p.Protected, p.Named = pick(rng, p.Protected, nil), pick(rng, nil, []string{"bob"}, []string{"carol", "dave"}, []string{"nobody"})
	p.Ignore, p.Hold, p.Mode = pick(rng, nil, []string{"flaky"}), pick(rng, "", "held"), pick(rng, "auto", "shadow", "off", "")
	return f, p
}

func TestMergeExactlyWhenTheRulesSay(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	merges, others := 0, 0
	for range 20_000 {
		f, p := random(rng)
		v := Decide(f, p, now)
		want := mayMerge(f, p)
		if got := v.Action == Merge; got != want {
			t.Fatalf("merge: got %v, the rules say %v\nfacts %+v\npolicy %+v\nreasons %+v", got, want, f, p, v.Reasons)
		}
		if want {
			merges++
		} else {
			others++
		}
	}
	if merges < 200 || others < 2_000 {
		t.Errorf("got %d merges and %d others, want many of each", merges, others)
	}
}

// A further bad fact may change why there is no merge, and never makes one.
func TestBadFactsNeverMakeAMerge(t *testing.T) {
	t.Parallel()
	another := func(f *Facts, path string) {
		if len(f.Files) > 0 { // the first is no bad news: without any, nothing is known
			f.Files = append(f.Files, path)
		}
	}
	bad := map[string]func(f *Facts, p *Policy, rng *rand.Rand){
		"failed check": func(f *Facts, _ *Policy, _ *rand.Rand) { f.Checks = append(f.Checks, ended("more", "failure")) },
		"running check": func(f *Facts, _ *Policy, _ *rand.Rand) {
			f.Checks = append(f.Checks, Check{Name: "more", Status: "queued"})
		},
		"no checks": func(f *Facts, p *Policy, _ *rand.Rand) { f.Checks, p.AllowNoChecks = nil, false },
		"change request": func(f *Facts, _ *Policy, _ *rand.Rand) {
			f.Reviews = append(f.Reviews, review(person(8, "eve"), "", "CHANGES_REQUESTED", "old"))
		},
		"bad approval": func(f *Facts, _ *Policy, _ *rand.Rand) {
			f.Reviews = append(f.Reviews, review(person(9, "mallory"), "read", "APPROVED", f.Head))
		},
		"comment": func(f *Facts, _ *Policy, rng *rand.Rand) {
			f.Reviews = append(f.Reviews, review(randomActor(rng), "write", "COMMENTED", f.Head))
		},
		"dismissal": func(f *Facts, _ *Policy, _ *rand.Rand) {
			f.Reviews = append(f.Reviews, review(person(8, "eve"), "write", "DISMISSED", "old"))
		},
		"another author":   func(f *Facts, _ *Policy, rng *rand.Rand) { f.Authors = append(f.Authors, randomActor(rng)) },
		"unread":           func(f *Facts, _ *Policy, _ *rand.Rand) { f.Unread = append(f.Unread, "labels") },
		"hold label":       func(f *Facts, _ *Policy, _ *rand.Rand) { f.Labels = append(f.Labels, "hold") },
		"draft":            func(f *Facts, _ *Policy, _ *rand.Rand) { f.Draft = true },
		"conflict":         func(f *Facts, _ *Policy, _ *rand.Rand) { f.Mergeable = no() },
		"more approvals":   func(_ *Facts, p *Policy, _ *rand.Rand) { p.Approvals++ },
		"requester barred": func(_ *Facts, p *Policy, _ *rand.Rand) { p.RequesterCounts = false },
		"protected path":   func(f *Facts, _ *Policy, _ *rand.Rand) { another(f, ".github/more") },
		"file":             func(f *Facts, _ *Policy, _ *rand.Rand) { another(f, "src/more") },
		"protected glob":   func(_ *Facts, p *Policy, _ *rand.Rand) { p.Protected = append(p.Protected, "src/**") },
		"all named gone":   func(_ *Facts, p *Policy, _ *rand.Rand) { p.Named = []string{"nobody"} },
		"label":            func(f *Facts, _ *Policy, _ *rand.Rand) { f.Labels = append(f.Labels, "dozens:protected") },
		"foreign push":     func(f *Facts, _ *Policy, _ *rand.Rand) { f.Head = "foreign" },
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 4_000 {
		f, p := random(rng)
		if Decide(f, p, now).Action == Merge {
			continue
		}
		for name, add := range bad {
			f, p := f, p
			f.Checks, f.Reviews, f.Authors = slices.Clone(f.Checks), slices.Clone(f.Reviews), slices.Clone(f.Authors)
			f.Labels, f.Unread = slices.Clone(f.Labels), slices.Clone(f.Unread)
			f.Files, p.Protected = slices.Clone(f.Files), slices.Clone(p.Protected)
			add(&f, &p, rng)
			if Decide(f, p, now).Action == Merge {
				t.Fatalf("%s made a merge of facts %+v policy %+v", name, f, p)
			}
		}
	}
}

// Whatever else is known, a change of protected paths is not merged without a named person's approval of its head,
// and it is all that some miss.
func TestProtectedNeedsANamedApproval(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	merges, missing := 0, 0
	for range 20_000 {
		f, p := random(rng)
		f.Files, p.Protected = []string{"src/a.go", ".github/workflows/ci.yml"}, []string{".github/**"}
		if rng.IntN(2) == 0 {
			f.Reviews = append(f.Reviews, review(randomActor(rng), "admin", "APPROVED", "head"))
		}
		v := Decide(f, p, now)
		named := namedApprovals(f, p) > 0
		switch blocks := v.Blocks(); {
		case v.Action == Merge && !named:
			t.Fatalf("merged without a named approval: facts %+v policy %+v", f, p)
		case v.Action == Merge:
			merges++
		case len(blocks) == 1 && blocks[0].Code == CodeProtected:
			missing++
		}
		if !slices.Equal(v.Protected, []string{".github/workflows/ci.yml"}) {
			t.Fatalf("got protected paths %q", v.Protected)
		}
	}
	if merges < 200 || missing < 200 {
		t.Errorf("got %d merges and %d that miss only the named approval, want many of each", merges, missing)
	}
}

// What a verdict says about itself agrees.
func TestVerdictsAgreeWithThemselves(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	for range 10_000 {
		f, p := random(rng)
		v := Decide(f, p, now)
		merge := v.Action == Merge
		switch {
		case merge != (len(v.Blocks()) == 0):
			t.Fatalf("got %s with blocks %+v", v.Action, v.Blocks())
		case merge && (v.Checks != Green || !v.Approved || v.Changes || v.Conflict):
			t.Fatalf("got merge of %+v", v)
		case (v.Checks == Red) != (len(v.Fix) > 0), v.Changes != (len(v.ChangeRequests) > 0):
			t.Fatalf("colour %s with %d checks to mend, changes %v with %d requests", v.Checks, len(v.Fix), v.Changes, len(v.ChangeRequests))
		case v.Action == Fix && !v.Conflict && !v.Changes && len(v.Fix) == 0:
			t.Fatalf("got fix with nothing to mend: %+v", v)
		case v.Action == Fix && (f.Head != p.Pushed || !p.Ours || f.HeadRepo != p.RepoID):
			t.Fatalf("got fix of foreign work: %+v %+v", f, p)
		}
	}
}
