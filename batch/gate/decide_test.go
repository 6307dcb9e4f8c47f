package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	repoID = 7
	botID  = 99
)

var now = time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)

func yes() *bool { b := true; return &b }

func no() *bool { b := false; return &b }

func person(id int64, login string) Actor { return Actor{Login: login, ID: id, Type: "User"} }

func bot() Actor { return Actor{Login: "dozens[bot]", ID: botID, Type: "Bot"} }

func ended(name, conclusion string) Check {
	return Check{Name: name, Source: "check", Status: "completed", Conclusion: conclusion, EndedAt: now.Add(-time.Minute)}
}

func review(by Actor, permission, state, commit string) Review {
	return Review{ID: 1, By: by, Permission: permission, State: state, Commit: commit, At: now}
}

// ready is a pull request that may be merged.
func ready() (Facts, Policy) {
	f := Facts{
		Number: 12, Title: "Replace fetchUser", State: "open", Head: "head", HeadRef: "dozens/api", HeadRepo: repoID, BaseRef: "main", BaseRepo: repoID,
		Author: bot(), Mergeable: yes(), MergeState: "clean", Checks: []Check{ended("test", "success")},
		Reviews: []Review{review(person(2, "bob"), "write", "APPROVED", "head")}, Authors: []Actor{bot()}, Commits: 2, Files: []string{"src/a.go"}, ReadAt: now,
	}
	p := Policy{
		Ours: true, HeadRef: "dozens/api", BaseRef: "main", Pushed: "head", RepoID: repoID, BotID: botID, Requester: person(1, "alice"),
		Approvals: 1, HoldLabels: []string{"hold"}, Protected: []string{".github/**", "CODEOWNERS"}, Mode: "auto",
	}
	return f, p
}

// The truth table: one change to a pull request that may be merged, and what becomes of it.
func TestDecide(t *testing.T) {
	t.Parallel()
	type change func(f *Facts, p *Policy)
	checks := func(c ...Check) change { return func(f *Facts, _ *Policy) { f.Checks = c } }
	reviews := func(r ...Review) change { return func(f *Facts, _ *Policy) { f.Reviews = r } }
	bob, carol, alice := person(2, "bob"), person(3, "carol"), person(1, "alice")
	approve := review(bob, "write", "APPROVED", "head")
	waiting := Check{Name: "e2e", Status: "in_progress"}
	// guarded changes a protected path, which the named people (none: admins) must approve.
	guarded := func(named []string, r ...Review) change {
		return func(f *Facts, p *Policy) { f.Files, f.Reviews, p.Named = []string{"src/a.go", "CODEOWNERS"}, r, named }
	}
	admin := func(who Actor) Review { return review(who, "admin", "APPROVED", "head") }
	named := []string{"Carol"} // as the settings spell her
	for _, c := range []struct {
		name     string
		change   change
		action   Action
		colour   Colour
		approved bool
		blocks   string // codes of the reasons that stand in the way
	}{
		{"ready", func(*Facts, *Policy) {}, Merge, Green, true, ""},

		{"not ours", func(_ *Facts, p *Policy) { p.Ours = false }, Wait, Green, true, "ours"},
		{"fork", func(f *Facts, _ *Policy) { f.HeadRepo = 8 }, Wait, Green, true, "ours"},
		{"head repository gone", func(f *Facts, _ *Policy) { f.HeadRepo = 0 }, Wait, Green, true, "ours"},
		{"other repository", func(f *Facts, _ *Policy) { f.BaseRepo, f.HeadRepo = 8, 8 }, Wait, Green, true, "ours ours"},
		{"no repository known", func(f *Facts, p *Policy) { f.BaseRepo, f.HeadRepo, p.RepoID = 0, 0, 0 }, Wait, Green, true, "ours ours"},
		{"other branch", func(f *Facts, _ *Policy) { f.HeadRef = "x" }, Wait, Green, true, "ours"},
		{"base changed", func(f *Facts, _ *Policy) { f.BaseRef = "release" }, Ask, Green, true, "ours"},
		{"opened by a person", func(f *Facts, _ *Policy) { f.Author = bob }, Wait, Green, false, "ours approval"},
		{"bot id not known, bot", func(_ *Facts, p *Policy) { p.BotID = 0 }, Merge, Green, true, ""},
		{"bot id not known, person", func(f *Facts, p *Policy) { p.BotID, f.Author = 0, carol }, Wait, Green, true, "ours"},
		{"red, not ours", func(f *Facts, p *Policy) { p.Ours, f.Checks = false, []Check{ended("a", "failure")} }, Wait, Red, true, "ours checks"},

		{"head moved by us", func(_ *Facts, p *Policy) { p.Pushed = "other" }, Wait, Green, true, "head"},
		{"head moved by a person", func(f *Facts, p *Policy) { p.Pushed, f.Authors = "other", []Actor{bot(), carol} }, Ask, Green, true, "head"},
		{"never pushed", func(_ *Facts, p *Policy) { p.Pushed = "" }, Wait, Green, true, "head"},
		{"no head", func(f *Facts, p *Policy) { f.Head, p.Pushed = "", "" }, Wait, Green, false, "head approval"},

		{"closed", func(f *Facts, _ *Policy) { f.State = "closed" }, Closed, Green, true, "state"},
		{"merged", func(f *Facts, _ *Policy) { f.State, f.Merged, f.MergeCommit = "closed", true, "squash" }, Merged, Green, true, "state"},
		{"odd state", func(f *Facts, _ *Policy) { f.State = "" }, Wait, Green, true, "state"},
		{"unread", func(f *Facts, _ *Policy) { f.Unread = []string{"reviews"} }, Wait, Green, true, "facts"},
		{"unread and red", func(f *Facts, _ *Policy) { f.Unread, f.Checks = []string{"reviews"}, []Check{ended("a", "failure")} }, Wait, Red, true, "facts checks"},

		{"no checks", checks(), Wait, None, true, "checks"},
		{"no checks, allowed", func(f *Facts, p *Policy) { f.Checks, p.AllowNoChecks = nil, true }, Merge, Green, true, ""},
		{"red, none allowed", func(f *Facts, p *Policy) { f.Checks, p.AllowNoChecks = []Check{ended("a", "failure")}, true }, Fix, Red, true, "checks"},
		{"only our own check", checks(ended(CheckName, "success")), Wait, None, true, "checks"},
		{"our own check failing", checks(ended(CheckName, "failure"), ended("a", "success")), Merge, Green, true, ""},
		{"only skipped", checks(ended("a", "skipped"), ended("b", "neutral")), Wait, None, true, "checks"},
		{"success and skipped", checks(ended("a", "success"), ended("b", "skipped"), ended("c", "neutral")), Merge, Green, true, ""},
		{"running", checks(ended("a", "success"), waiting), Wait, Pending, true, "checks"},
		{"queued", checks(Check{Name: "a", Status: "queued"}), Wait, Pending, true, "checks"},
		{"running with an old conclusion", checks(Check{Name: "a", Status: "in_progress", Conclusion: "success"}), Wait, Pending, true, "checks"},
		{"done without a result", checks(Check{Name: "a", Status: "completed"}), Wait, Pending, true, "checks"},
		{"failure", checks(ended("a", "success"), ended("b", "failure")), Fix, Red, true, "checks"},
		{"error", checks(ended("b", "error")), Fix, Red, true, "checks"},
		{"timed out", checks(ended("b", "timed_out")), Fix, Red, true, "checks"},
		{"cancelled", checks(ended("b", "cancelled")), Fix, Red, true, "checks"},
		{"stale", checks(ended("b", "stale")), Fix, Red, true, "checks"},
		{"startup failure", checks(ended("b", "startup_failure")), Fix, Red, true, "checks"},
		{"action required", checks(ended("a", "success"), ended("b", "action_required")), Ask, Pending, true, "checks"},
		{"only held back for a person", checks(ended("a", "action_required")), Ask, Pending, true, "checks"},
		{"unknown result", checks(ended("a", "success"), ended("b", "mystery")), Ask, Pending, true, "checks"},
		{"red while others run", checks(ended("a", "failure"), waiting), Wait, Red, true, "checks checks checks"},
		{"red for long while others run", func(f *Facts, _ *Policy) {
			f.Checks = []Check{ended("a", "failure"), waiting}
			f.Checks[0].EndedAt = now.Add(-settle)
		}, Fix, Red, true, "checks checks"},
		{"same name twice", checks(ended("a", "success"), ended("a", "failure")), Fix, Red, true, "checks"},
		{"red ignored", func(f *Facts, p *Policy) {
			f.Checks, p.Ignore = append(f.Checks, ended("flaky", "failure")), []string{"flaky"}
		}, Merge, Green, true, ""},
		{"all ignored", func(_ *Facts, p *Policy) { p.Ignore = []string{"test"} }, Wait, None, true, "checks"},

		{"no review", reviews(), Wait, Green, false, "approval"},
		{"approval of an older commit", reviews(review(bob, "write", "APPROVED", "old")), Wait, Green, false, "approval"},
		{"approval without a commit", reviews(review(bob, "write", "APPROVED", "")), Wait, Green, false, "approval"},
		{"approval with read", reviews(review(bob, "read", "APPROVED", "head")), Wait, Green, false, "approval"},
		{"approval with triage", reviews(review(bob, "triage", "APPROVED", "head")), Wait, Green, false, "approval"},
		{"approval with maintain", reviews(review(bob, "maintain", "APPROVED", "head")), Merge, Green, true, ""},
		{"approval with admin", reviews(review(bob, "admin", "APPROVED", "head")), Merge, Green, true, ""},
		{"approval, permission not known", reviews(review(bob, "", "APPROVED", "head")), Wait, Green, false, "approval"},
		{"approval of a bot", reviews(review(Actor{Login: "b[bot]", ID: 5, Type: "Bot"}, "admin", "APPROVED", "head")), Wait, Green, false, "approval"},
		{"approval of no type", reviews(review(Actor{Login: "b", ID: 5}, "admin", "APPROVED", "head")), Wait, Green, false, "approval"},
		{"approval of nobody", reviews(review(Actor{Type: "User"}, "admin", "APPROVED", "head")), Wait, Green, false, "approval"},
		{"approval of an author", func(f *Facts, _ *Policy) { f.Authors = []Actor{bot(), bob} }, Wait, Green, false, "approval"},
		{"approval of an author known by login", func(f *Facts, _ *Policy) { f.Authors = []Actor{{Login: "BOB"}} }, Wait, Green, false, "approval"},
		{"approval of the requester", reviews(review(alice, "admin", "APPROVED", "head")), Wait, Green, false, "approval"},
		{"approval of the requester, allowed", func(f *Facts, p *Policy) {
			f.Reviews, p.RequesterCounts = []Review{review(alice, "admin", "APPROVED", "head")}, true
		}, Merge, Green, true, ""},
		{"approval of who instructed the session", func(_ *Facts, p *Policy) { p.Askers = []Actor{{Login: "Bob"}} }, Wait, Green, false, "approval"},
		{"approval of who instructed the session, allowed", func(_ *Facts, p *Policy) { p.Askers, p.RequesterCounts = []Actor{{Login: "bob"}}, true }, Merge, Green, true, ""},
		{"two wanted, one there", func(_ *Facts, p *Policy) { p.Approvals = 2 }, Wait, Green, false, "approval"},
		{"two wanted, the same twice", func(f *Facts, p *Policy) { f.Reviews, p.Approvals = []Review{approve, approve}, 2 }, Wait, Green, false, "approval"},
		{"two wanted, two there", func(f *Facts, p *Policy) {
			f.Reviews, p.Approvals = []Review{approve, review(carol, "write", "APPROVED", "head")}, 2
		}, Merge, Green, true, ""},
		{"none wanted is one", func(f *Facts, p *Policy) { f.Reviews, p.Approvals = nil, 0 }, Wait, Green, false, "approval"},
		{"comment after approval", reviews(approve, review(bob, "write", "COMMENTED", "head")), Merge, Green, true, ""},
		{"dismissed approval", reviews(approve, review(bob, "write", "DISMISSED", "head")), Wait, Green, false, "approval"},
		{"changes, then approval", reviews(review(bob, "write", "CHANGES_REQUESTED", "old"), approve), Merge, Green, true, ""},
		{"approval, then changes", reviews(approve, review(bob, "write", "CHANGES_REQUESTED", "head")), Fix, Green, false, "changes approval"},
		{"changes of another on an old commit", reviews(approve, review(carol, "write", "CHANGES_REQUESTED", "old")), Fix, Green, true, "changes"},
		{"changes, then comment", reviews(approve, review(carol, "write", "CHANGES_REQUESTED", "old"), review(carol, "write", "COMMENTED", "head")), Fix, Green, true, "changes"},
		{"changes, dismissed", reviews(approve, review(carol, "write", "CHANGES_REQUESTED", "old"), review(carol, "write", "DISMISSED", "old")), Merge, Green, true, ""},
		{"changes, permission not known", reviews(approve, review(carol, "", "CHANGES_REQUESTED", "head")), Fix, Green, true, "changes"},
		{"changes with read", reviews(approve, review(carol, "read", "CHANGES_REQUESTED", "head")), Merge, Green, true, ""},
		{"changes of a bot", reviews(approve, review(Actor{Login: "b[bot]", ID: 5, Type: "Bot"}, "", "CHANGES_REQUESTED", "head")), Merge, Green, true, ""},
		{"lower case states", reviews(review(bob, "write", "approved", "head"), review(carol, "write", "changes_requested", "head")), Fix, Green, true, "changes"},

		{"protected, approved by a writer", guarded(nil, approve), Wait, Green, true, "protected"},
		{"protected, approved by an admin", guarded(nil, admin(carol)), Merge, Green, true, ""},
		{"protected, approved by a maintainer", guarded(nil, review(carol, "maintain", "APPROVED", "head")), Wait, Green, true, "protected"},
		{"protected, an admin's approval of an older commit", guarded(nil, approve, review(carol, "admin", "APPROVED", "old")), Wait, Green, true, "protected"},
		{"protected, an admin's approval dismissed", guarded(nil, approve, admin(carol), review(carol, "admin", "DISMISSED", "head")), Wait, Green, true, "protected"},
		{"protected, an admin wants changes", guarded(nil, approve, review(carol, "admin", "CHANGES_REQUESTED", "head")), Fix, Green, true, "changes protected"},
		{"protected, an admin only comments", guarded(nil, approve, review(carol, "admin", "COMMENTED", "head")), Wait, Green, true, "protected"},
		{"protected, an admin who asked for it", guarded(nil, approve, admin(alice)), Wait, Green, true, "protected"},
		{"protected, an admin who asked for it, allowed", func(f *Facts, p *Policy) {
			guarded(nil, admin(alice))(f, p)
			p.RequesterCounts = true
		}, Merge, Green, true, ""},
		{"protected, an admin who instructed the session", func(f *Facts, p *Policy) {
			guarded(nil, approve, admin(carol))(f, p)
			p.Askers = []Actor{{Login: "carol"}}
		}, Wait, Green, true, "protected"},
		{"protected, an admin who worked on it", func(f *Facts, p *Policy) {
			guarded(nil, approve, admin(carol))(f, p)
			f.Authors = []Actor{bot(), carol}
		}, Wait, Green, true, "protected"},
		{"protected, an admin who is a bot", guarded(nil, approve, admin(Actor{Login: "b[bot]", ID: 5, Type: "Bot"})), Wait, Green, true, "protected"},
		{"protected, named and approving", guarded(named, review(carol, "write", "APPROVED", "head")), Merge, Green, true, ""},
		{"protected, named, of an older commit", guarded(named, approve, review(carol, "write", "APPROVED", "old")), Wait, Green, true, "protected"},
		{"protected, named, without write access", guarded(named, approve, review(carol, "read", "APPROVED", "head")), Wait, Green, true, "protected"},
		{"protected, an admin who is not named", guarded(named, approve, admin(person(4, "dave"))), Wait, Green, true, "protected"},
		{"protected, many who are not named", guarded(named, approve, admin(person(4, "dave")), admin(person(5, "erin")), admin(person(6, "frank"))), Wait, Green, true, "protected"},
		{"protected, named, two wanted", func(f *Facts, p *Policy) {
			guarded(named, review(carol, "write", "APPROVED", "head"))(f, p)
			p.Approvals = 2
		}, Wait, Green, false, "approval"},
		{"protected, without its label", func(f *Facts, p *Policy) { guarded(nil, approve)(f, p); f.Labels = nil }, Wait, Green, true, "protected"},
		{"protected, the old side of a rename", func(f *Facts, _ *Policy) { f.Files = []string{"owners.txt", "CODEOWNERS"} }, Wait, Green, true, "protected"},
		{"protected and red", func(f *Facts, p *Policy) { guarded(nil, approve)(f, p); f.Checks = []Check{ended("a", "failure")} }, Fix, Red, true, "checks protected"},
		{"nothing is protected", func(f *Facts, p *Policy) { guarded(nil, approve)(f, p); p.Protected = nil }, Merge, Green, true, ""},
		{"no changed file", func(f *Facts, _ *Policy) { f.Files = nil }, Wait, Green, true, "protected"},
		{"no changed file, nothing protected", func(f *Facts, p *Policy) { f.Files, p.Protected = nil, nil }, Merge, Green, true, ""},
		{"the changed files not read", func(f *Facts, _ *Policy) { f.Files, f.Unread = nil, []string{"changed files"} }, Wait, Green, true, "facts protected"},
		{"a glob that cannot be read", func(_ *Facts, p *Policy) { p.Protected = []string{"a["} }, Wait, Green, true, "protected"},

		{"conflict", func(f *Facts, _ *Policy) { f.Mergeable, f.MergeState = no(), "dirty" }, Fix, Green, true, "conflict"},
		{"dirty alone", func(f *Facts, _ *Policy) { f.Mergeable, f.MergeState = nil, "dirty" }, Fix, Green, true, "conflict"},
		{"not computed", func(f *Facts, _ *Policy) { f.Mergeable, f.MergeState = nil, "unknown" }, Wait, Green, true, "conflict"},
		{"blocked says nothing", func(f *Facts, _ *Policy) { f.MergeState = "blocked" }, Merge, Green, true, ""},
		{"behind is a hint", func(f *Facts, _ *Policy) { f.MergeState = "behind" }, Merge, Green, true, ""},
		{"clean gives nothing", func(f *Facts, _ *Policy) { f.Reviews, f.Checks = nil, nil }, Wait, None, false, "checks approval"},

		{"draft", func(f *Facts, _ *Policy) { f.Draft = true }, Wait, Green, true, "draft"},
		{"draft and red", func(f *Facts, _ *Policy) { f.Draft, f.Checks = true, []Check{ended("a", "failure")} }, Fix, Red, true, "checks draft"},
		{"held", func(_ *Facts, p *Policy) { p.Hold = "alice said /hold" }, Wait, Green, true, "hold"},
		{"held and red", func(f *Facts, p *Policy) { p.Hold, f.Checks = "x", []Check{ended("a", "failure")} }, Fix, Red, true, "checks hold"},
		{"hold label", func(f *Facts, _ *Policy) { f.Labels = []string{"bug", "Hold"} }, Wait, Green, true, "hold"},
		{"do-not-merge label", func(f *Facts, _ *Policy) { f.Labels = []string{"do-not-merge/release"} }, Wait, Green, true, "hold"},
		{"other label", func(f *Facts, _ *Policy) { f.Labels = []string{"household", "do-not-merge"} }, Merge, Green, true, ""},
		{"title", func(f *Facts, _ *Policy) { f.Title = "[WIP] x" }, Wait, Green, true, "hold"},
		{"mode shadow", func(_ *Facts, p *Policy) { p.Mode = "shadow" }, Wait, Green, true, "mode"},
		{"mode off", func(_ *Facts, p *Policy) { p.Mode = "off" }, Wait, Green, true, "mode"},
		{"mode not known", func(_ *Facts, p *Policy) { p.Mode = "" }, Wait, Green, true, "mode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, p := ready()
			c.change(&f, &p)
			v := Decide(f, p, now)
			codes := []string{}
			for _, r := range v.Blocks() {
				codes = append(codes, r.Code)
			}
			got := []any{v.Action, v.Checks, v.Approved, strings.Join(codes, " ")}
			if diff := cmp.Diff([]any{c.action, c.colour, c.approved, c.blocks}, got); diff != "" {
				t.Errorf("verdict, want - got +:\n%s\n%+v", diff, v.Reasons)
			}
		})
	}
}

func TestVerdictCarriesWhatToMend(t *testing.T) {
	t.Parallel()
	f, p := ready()
	carol := review(person(3, "carol"), "write", "CHANGES_REQUESTED", "old")
	f.Checks = []Check{ended("a", "cancelled"), ended("b", "success"), ended("c", "failure")}
	f.Reviews = append(f.Reviews, carol)
	v := Decide(f, p, now)
	if v.Head != "head" || !v.Changes || v.RerunOnly() {
		t.Errorf("got head %q changes %v rerun only %v, want head, true, false", v.Head, v.Changes, v.RerunOnly())
	}
	if diff := cmp.Diff([]Check{f.Checks[0], f.Checks[2]}, v.Fix); diff != "" {
		t.Errorf("checks to mend, want - got +:\n%s", diff)
	}
	if diff := cmp.Diff([]Review{carol}, v.ChangeRequests); diff != "" {
		t.Errorf("change requests, want - got +:\n%s", diff)
	}
	if i := slices.IndexFunc(v.Reasons, func(r Reason) bool { return r.Code == CodeChanges }); i < 0 || v.Reasons[i].Commit != "old" {
		t.Errorf("got reasons %+v, want the change request with its commit", v.Reasons)
	}
	f.Checks = f.Checks[:1]
	if v := Decide(f, p, now); !v.RerunOnly() || !v.Fix[0].Rerunnable() {
		t.Errorf("got rerun only %v for a cancelled check, want true", v.RerunOnly())
	}
	if v := Decide(Facts{}, Policy{}, now); v.RerunOnly() {
		t.Error("got rerun only without checks, want false")
	}
}

func TestUnfinishedTitles(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]bool{
		"WIP": true, "wip: x": true, "[WIP] x": true, " (wip) x": true, "🚧 WIP x": true, "WIP-x": true,
		"": false, "Wipe the cache": false, "Swipe": false, "Remove WIP marker": false, "wip_x": false,
	} {
		if got := isUnfinished(title); got != want {
			t.Errorf("isUnfinished(%q): got %v, want %v", title, got, want)
		}
	}
}

// Foreign names cannot break out of their sentence.
func TestReasonsAreClean(t *testing.T) {
	t.Parallel()
	f, p := ready()
	f.Checks = []Check{ended("a\nb\x1b[31m\u202e"+strings.Repeat("x", 500), "failure")}
	f.Labels, f.Unread, f.State = []string{"do-not-merge/\r\nx"}, []string{"a\x00b"}, "o\npen"
	f.Files = []string{".github/a\nb", ".github/" + strings.Repeat("y", 500), ".github/\x1b[31m", ".github/3", ".github/4"}
	for _, r := range Decide(f, p, now).Reasons {
		if strings.ContainsAny(r.Text, "\n\r\x00\x1b\u202e") || len(r.Text) > 500 {
			t.Errorf("got reason %q, want one clean, bounded sentence", r.Text)
		}
	}
}
