package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// settle is how long a failed check waits for those that still run, so that the agent mends all in one go.
const settle = 10 * time.Minute

// Decide says what to do about a pull request, given what is known about its head commit. It merges only when every
// rule agrees; the same facts, policy and time always give the same verdict.
func Decide(f Facts, p Policy, now time.Time) Verdict {
	j := judge{f: f, p: p, now: now, v: Verdict{Head: f.Head}}
	j.facts()
	j.ours()
	j.head()
	j.state()
	j.checks()
	j.reviews()
	j.protected()
	j.mergeable()
	j.draft()
	j.hold()
	j.mode()
	j.v.Action = j.action()
	return j.v
}

// judge gathers the reasons for one verdict.
type judge struct {
	f   Facts
	p   Policy
	now time.Time
	v   Verdict
	// foreign: it is not known to be our own work as we left it, so nobody mends anything.
	foreign bool
	ask     bool // a person is needed
	settled bool // the failed checks can be mended now
}

func (j *judge) good(code, format string, args ...any) { j.say(true, code, format, args...) }

func (j *judge) bad(code, format string, args ...any) { j.say(false, code, format, args...) }

func (j *judge) say(ok bool, code, format string, args ...any) {
	j.v.Reasons = append(j.v.Reasons, Reason{OK: ok, Code: code, Text: fmt.Sprintf(format, args...)})
}

// at puts the commit to the reason said last.
func (j *judge) at(commit string) { j.v.Reasons[len(j.v.Reasons)-1].Commit = commit }

// action draws the conclusion. What can be mended is mended before anybody is asked or waited for; holds, drafts
// and modes keep from merging, not from mending.
func (j *judge) action() Action {
	mend := j.v.Conflict || j.v.Changes || len(j.v.Fix) > 0 && j.settled
	switch {
	case j.f.Merged:
		return Merged
	case strings.EqualFold(j.f.State, "closed"):
		return Closed
	case len(j.v.Blocks()) == 0:
		return Merge
	case mend && !j.foreign && len(j.f.Unread) == 0:
		return Fix
	case j.ask:
		return Ask
	}
	return Wait
}

// facts wants all that was asked for to have been read.
func (j *judge) facts() {
	for _, u := range j.f.Unread {
		j.bad(CodeFacts, "Could not be read: %s.", clean(u))
	}
	if len(j.f.Unread) == 0 {
		j.good(CodeFacts, "Everything about it could be read.")
	}
}

// ours wants the pull request to be the one the server opened, in the same repository.
func (j *judge) ours() {
	f, p := j.f, j.p
	before := len(j.v.Blocks())
	if !p.Ours {
		j.bad(CodeOurs, "Dozens has no record of opening this pull request.")
	}
	if p.RepoID == 0 || f.BaseRepo != p.RepoID {
		j.bad(CodeOurs, "It belongs to another repository than the one on record.")
	}
	if f.HeadRepo == 0 || f.HeadRepo != p.RepoID {
		j.bad(CodeOurs, "Its branch is gone or lies in another repository.")
	}
	if f.HeadRef == "" || f.HeadRef != p.HeadRef {
		j.bad(CodeOurs, "Its branch is %s; on record is %s.", clean(f.HeadRef), clean(p.HeadRef))
	}
	if !j.byUs() {
		j.bad(CodeOurs, "It was opened by %s, not by Dozens.", clean(f.Author.Login))
	}
	j.foreign = len(j.v.Blocks()) > before
	if !j.foreign {
		j.good(CodeOurs, "Dozens opened it from its own branch.")
	}
	if f.BaseRef == "" || f.BaseRef != p.BaseRef {
		j.bad(CodeOurs, "It goes to %s; on record is %s. Set the base back, or start again for the other branch.", clean(f.BaseRef), clean(p.BaseRef))
		j.foreign, j.ask = true, true
	}
}

// byUs says that our account opened the pull request.
func (j *judge) byUs() bool {
	if j.p.BotID == 0 {
		return j.f.Author.Type == "Bot"
	}
	return j.f.Author.ID == j.p.BotID
}

// head wants the branch to stand where we pushed it.
func (j *judge) head() {
	switch {
	case j.f.Head == "" || j.p.Pushed == "":
		j.bad(CodeHead, "It is not known which commit was pushed last.")
	case j.f.Head != j.p.Pushed:
		j.bad(CodeHead, "The branch stands at %s, and Dozens pushed %s last. Commits of others are not merged until they have been looked at.", short(j.f.Head), short(j.p.Pushed))
		j.ask = j.ask || slices.ContainsFunc(j.f.Authors, j.stranger)
	default:
		j.good(CodeHead, "The branch stands at the commit that Dozens pushed.")
		return
	}
	j.at(j.f.Head)
	j.foreign = true
}

// stranger says that an author of a commit is surely somebody else than us.
func (j *judge) stranger(a Actor) bool {
	return a.ID != 0 && j.p.BotID != 0 && a.ID != j.p.BotID
}

func (j *judge) state() {
	switch {
	case j.f.Merged:
		j.bad(CodeState, "It is merged.")
		j.at(j.f.MergeCommit)
	case !strings.EqualFold(j.f.State, "open"):
		j.bad(CodeState, "It is %s, not open.", clean(j.f.State))
	default:
		j.good(CodeState, "It is open.")
	}
}

// mergeable looks at what GitHub says about merging. Only a conflict is taken at its word.
func (j *judge) mergeable() {
	state := strings.ToLower(j.f.MergeState)
	switch {
	case state == "dirty", j.f.Mergeable != nil && !*j.f.Mergeable:
		j.v.Conflict = true
		j.bad(CodeConflict, "It conflicts with its base branch.")
	case j.f.Mergeable == nil:
		j.bad(CodeConflict, "GitHub has not yet computed whether it conflicts with its base branch.")
	default:
		j.good(CodeConflict, "It does not conflict with its base branch.")
	}
	switch state {
	case "behind":
		j.good(CodeBehind, "GitHub says that the branch must be brought up to date with its base branch.")
	case "blocked":
		j.good(CodeHint, "GitHub says that a rule of the repository blocks it; the merge may be refused.")
	}
}

func (j *judge) draft() {
	if j.f.Draft {
		j.bad(CodeDraft, "It is a draft.")
		return
	}
	j.good(CodeDraft, "It is ready for review.")
}

// hold looks for everything by which people keep a pull request from being merged.
func (j *judge) hold() {
	held := false
	if j.p.Hold != "" {
		held = true
		j.bad(CodeHold, "Merging waits: %s.", clean(j.p.Hold))
	}
	for _, l := range j.f.Labels {
		if isHoldLabel(l, j.p.HoldLabels) {
			held = true
			j.bad(CodeHold, "The label %s holds it.", clean(l))
		}
	}
	if isUnfinished(j.f.Title) {
		held = true
		j.bad(CodeHold, "Its title says that it is work in progress.")
	}
	if !held {
		j.good(CodeHold, "Nobody holds it.")
	}
}

func isHoldLabel(label string, list []string) bool {
	label = strings.ToLower(strings.TrimSpace(label))
	if strings.HasPrefix(label, "do-not-merge/") {
		return true
	}
	return slices.ContainsFunc(list, func(l string) bool { return strings.ToLower(strings.TrimSpace(l)) == label })
}

// isUnfinished knows titles such as "WIP: …", "[WIP] …" and "wip".
func isUnfinished(title string) bool {
	title = strings.ToLower(strings.TrimLeftFunc(title, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }))
	rest, ok := strings.CutPrefix(title, "wip")
	return ok && (rest == "" || !isWordRune([]rune(rest)[0]))
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func (j *judge) mode() {
	switch j.p.Mode {
	case "auto":
		j.good(CodeMode, "The repository lets Dozens merge.")
	case "shadow":
		j.bad(CodeMode, "The repository lets Dozens only say what it would do (merge mode shadow).")
	case "off":
		j.bad(CodeMode, "The repository does not let Dozens merge (merge mode off).")
	default:
		j.bad(CodeMode, "The merge mode %s is not known.", clean(j.p.Mode))
	}
}

// clean makes a foreign name fit for a sentence: one line, nothing invisible, not long. It stays foreign text.
func clean(s string) string {
	const most = 100
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	if s == "" {
		return "(nothing)"
	}
	return s
}

// short is a commit as people write it.
func short(sha string) string { return clean(sha[:min(len(sha), 10)]) }
