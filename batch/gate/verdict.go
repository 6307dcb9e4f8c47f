package gate

// CheckName is the name of the check run that shows our own verdict. It never counts as a check, or the gate would
// wait for itself.
const CheckName = "dozens/gate"

// Action is what should be done about a pull request.
type Action string

// The actions.
const (
	Merge  Action = "merge"
	Wait   Action = "wait"   // nothing to do for us; look again
	Fix    Action = "fix"    // the agent has something to mend: red checks, change requests, a conflict
	Ask    Action = "ask"    // only a person can help
	Closed Action = "closed" // closed without being merged
	Merged Action = "merged"
)

// Colour sums up the checks of the head commit.
type Colour string

// The colours.
const (
	Green   Colour = "green"   // all done and good, at least one a success; or none at all, where that is allowed
	Red     Colour = "red"     // at least one failed, whatever the others do
	Pending Colour = "pending" // some are not done, or wait for a person
	None    Colour = "none"    // nothing that could say success
)

// The codes of reasons: stable words for tests, metrics and links.
const (
	CodeOurs      = "ours"
	CodeState     = "state"
	CodeFacts     = "facts"
	CodeHead      = "head"
	CodeDraft     = "draft"
	CodeHold      = "hold"
	CodeMode      = "mode"
	CodeChecks    = "checks"
	CodeApproval  = "approval"
	CodeChanges   = "changes"
	CodeProtected = "protected"
	CodeConflict  = "conflict"
	CodeBehind    = "behind"
	CodeHint      = "hint"
)

// Reason is one thing the gate looked at.
type Reason struct {
	OK     bool   // it does not stand in the way
	Code   string // one of the codes above
	Text   string // a sentence; names in it are foreign, without control characters and bounded
	Commit string // the commit it speaks of, when that is not plainly the head
}

// Verdict is what the gate decided about one head commit.
type Verdict struct {
	Action   Action
	Checks   Colour
	Approved bool     // enough approvals that count
	Changes  bool     // a change request is outstanding
	Conflict bool     // the branch cannot be merged into its base
	Reasons  []Reason // all of them, good and bad
	Head     string   // the commit all this is about
	// Protected are the changed paths that need the approval of a named person, whether it is there or not.
	Protected []string
	// Fix holds the failed checks, also while the action is to wait for the others.
	Fix []Check
	// ChangeRequests are the outstanding ones, of any commit. What of them the session has already been told is for
	// the caller to know.
	ChangeRequests []Review
}

// Blocks lists the reasons that stand in the way.
func (v Verdict) Blocks() []Reason {
	out := []Reason{}
	for _, r := range v.Reasons {
		if !r.OK {
			out = append(out, r)
		}
	}
	return out
}

// RerunOnly says that checks failed, and all in a way that no change of code can mend: run them again instead.
func (v Verdict) RerunOnly() bool {
	for _, c := range v.Fix {
		if !c.Rerunnable() {
			return false
		}
	}
	return len(v.Fix) > 0
}
