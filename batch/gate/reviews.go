package gate

import (
	"fmt"
	"slices"
	"strings"
)

// reviews wants enough approvals that count, and no change request outstanding.
func (j *judge) reviews() {
	need := max(1, j.p.Approvals)
	have := 0
	for _, r := range latest(j.f.Reviews) {
		who := clean(r.By.Login)
		switch strings.ToUpper(r.State) {
		case "APPROVED":
			if why := j.discount(r); why != "" {
				j.good(CodeApproval, "The approval of %s does not count: %s.", who, why)
			} else {
				have++
				j.good(CodeApproval, "%s approved this commit.", who)
			}
			j.at(r.Commit)
		case "CHANGES_REQUESTED":
			if why := harmless(r); why != "" {
				j.good(CodeChanges, "The change request of %s does not count: %s.", who, why)
			} else {
				j.v.Changes = true
				j.v.ChangeRequests = append(j.v.ChangeRequests, r)
				j.bad(CodeChanges, "%s requested changes; an approval of theirs, or dismissing the review, ends that.", who)
			}
			j.at(r.Commit)
		}
	}
	j.v.Approved = have >= need
	text := fmt.Sprintf("%d of %d %s for this commit by people with write access who neither asked for it nor worked on it.", have, need, plural(need, "approval", "approvals"))
	if j.p.RequesterCounts {
		text = fmt.Sprintf("%d of %d %s for this commit by people with write access who did not work on it.", have, need, plural(need, "approval", "approvals"))
	}
	j.say(j.v.Approved, CodeApproval, "%s", text)
}

// latest is the last word of each person, in the order in which the persons first spoke. A comment is no word; a
// dismissed review takes its author's earlier words with it.
func latest(reviews []Review) []Review {
	last := []Review{}
	for _, r := range reviews {
		switch strings.ToUpper(r.State) {
		case "APPROVED", "CHANGES_REQUESTED", "DISMISSED":
		default:
			continue
		}
		i := slices.IndexFunc(last, func(l Review) bool { return samePerson(l.By, r.By) })
		if i < 0 {
			last = append(last, r)
			continue
		}
		last[i] = r
	}
	return last
}

// discount says why an approval does not count; "" when it does.
func (j *judge) discount(r Review) string {
	switch {
	case r.Commit == "" || r.Commit != j.f.Head:
		return "it is for another commit"
	case r.By.Type != "User":
		return "only people approve"
	case r.By.ID == 0 && r.By.Login == "":
		return "it is not known whose it is"
	case !writes(r.Permission):
		return "they have no write access"
	case j.p.BotID != 0 && r.By.ID == j.p.BotID:
		return "it is Dozens' own"
	case slices.ContainsFunc(j.f.Authors, func(a Actor) bool { return maybeSame(a, r.By) }):
		return "they worked on the branch themselves"
	case maybeSame(j.f.Author, r.By):
		return "they opened the pull request"
	case !j.p.RequesterCounts && maybeSame(j.p.Requester, r.By):
		return "they asked for the work"
	case !j.p.RequesterCounts && slices.ContainsFunc(j.p.Askers, func(a Actor) bool { return maybeSame(a, r.By) }):
		return "the session worked by their words"
	}
	return ""
}

// harmless says why a change request does not block; "" when it does.
func harmless(r Review) string {
	switch {
	case r.By.Type == "Bot":
		return "it is a bot's"
	case r.Permission == "" || writes(r.Permission):
		return ""
	}
	return "they have no write access"
}

func writes(permission string) bool {
	switch permission {
	case "write", "maintain", "admin":
		return true
	}
	return false
}

// samePerson compares by id, which never changes, and by login only where an id is missing.
func samePerson(a, b Actor) bool {
	if a.ID != 0 && b.ID != 0 {
		return a.ID == b.ID
	}
	return a.Login != "" && strings.EqualFold(a.Login, b.Login)
}

// maybeSame is careful where being the same person speaks against somebody: the id or the login is enough.
func maybeSame(a, b Actor) bool {
	return a.ID != 0 && a.ID == b.ID || a.Login != "" && strings.EqualFold(a.Login, b.Login)
}
