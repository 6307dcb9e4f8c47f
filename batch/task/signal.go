package task

import (
	"time"

	"dozens/batch/gate"
	"dozens/batch/work"
)

// Signal is something that happened to a task. The name is what the audit trail and the table call it.
type Signal interface{ Name() string }

// Leased says that a host took the task's run.
type Leased struct{ Host string }

// Lapsed says that the host that held the lease is gone, or gave it back.
type Lapsed struct {
	Generation int
	Why        string
}

// Reported says that a host says what came of a piece of work. Stray are the changed paths outside the owned ones,
// Protected those that need a named person's approval. Workflows are changed workflow files: those of a run's diff, or
// of a push those that GitHub refused.
type Reported struct {
	Report    work.Report
	Stray     []string
	Protected []string
	Workflows []string
}

// Limits are the repository's bounds that Next needs to know.
type Limits struct {
	Rounds int // runs caused by red checks, reviews and conflicts before a person is asked
}

// Opened says that the pull request exists. Marked: it has the label of protected changes.
type Opened struct {
	PR     int
	Head   string
	Marked bool
}

// Barred says that the app may not push the task's workflow files.
type Barred struct{}

// Allowed says that it may now, or that a person wants it tried again.
type Allowed struct{}

// Judged says that the gate looked at the pull request. Feedback is what the session should be told when the verdict
// asks for a fix; Key names that feedback, so that it is given once.
type Judged struct {
	Verdict gate.Verdict
	// MergeCommit and Draft are facts of the pull request beside the verdict.
	MergeCommit string
	Draft       bool
	// BaseSHA is the base commit that the session is told to merge, when the feedback is a conflict.
	BaseSHA  string
	Feedback string
	Key      string
	Overdue  string // which checks are waited for in vain, in words; "" none
	Checks   string // in words, for the status comment
	Limits   Limits
}

// Merged says that the squash commit is on the base branch.
type Merged struct{ SHA string }

// Unmerged says that GitHub did not merge. Moved: the facts changed, look again; else a rule refused it.
type Unmerged struct {
	Moved bool
	Why   string
}

// Unblocked says that what the task waited for is there; BaseSHA is the base commit to start from, if it changed.
type Unblocked struct{ BaseSHA string }

// Skipped says that a task it depends on failed or was cancelled.
type Skipped struct{ Why string }

// Answered says that an authorised person answered the session's question.
type Answered struct{ Text, By string }

// Instructed says that an authorised person gave the session further instructions.
type Instructed struct {
	Text, By string
	Key      string // of the comment, so that it is taken once
}

// Funded says that the limit was raised, or the time to wait is over.
type Funded struct{}

// Overspent says that the batch has no money left for another run.
type Overspent struct{ Why string }

// Held says that a person holds this task's merge, or lets it go again.
type Held struct{ On bool }

// Stopped says that a person or an event ended the task.
type Stopped struct{ Why string }

// Retried says that a person wants the task done again.
type Retried struct {
	Session string // UUID of the new conversation
	BaseSHA string
	Text    string // new words, optional
}

// FailedNow says that the server cannot go on with the task.
type FailedNow struct{ Why string }

// Cleaned says that nothing is left of the task on hosts and on GitHub.
type Cleaned struct{}

// Name is the word for the signal.
func (Leased) Name() string     { return "leased" }
func (Lapsed) Name() string     { return "lapsed" }
func (Reported) Name() string   { return "reported" }
func (Opened) Name() string     { return "opened" }
func (Barred) Name() string     { return "barred" }
func (Allowed) Name() string    { return "allowed" }
func (Judged) Name() string     { return "judged" }
func (Merged) Name() string     { return "merged" }
func (Unmerged) Name() string   { return "unmerged" }
func (Unblocked) Name() string  { return "unblocked" }
func (Skipped) Name() string    { return "skipped" }
func (Answered) Name() string   { return "answered" }
func (Instructed) Name() string { return "instructed" }
func (Funded) Name() string     { return "funded" }
func (Overspent) Name() string  { return "overspent" }
func (Held) Name() string       { return "held" }
func (Stopped) Name() string    { return "stopped" }
func (Retried) Name() string    { return "retried" }
func (FailedNow) Name() string  { return "failed" }
func (Cleaned) Name() string    { return "cleaned" }

// EffectKind is what the corridor is asked to do after the new state is saved.
type EffectKind string

// The effects. Each may be carried out twice.
const (
	Pump    EffectKind = "pump"    // offer whatever may run now to the hosts
	StopRun EffectKind = "stop"    // tell the host to end the run of an older generation
	Push    EffectKind = "push"    // offer the publish work
	Open    EffectKind = "open"    // open or update the pull request
	Look    EffectKind = "look"    // read the facts, judge, signal
	Ready   EffectKind = "ready"   // mark ready for review, ask reviewers
	DoMerge EffectKind = "merge"   // merge, head pinned
	Clean   EffectKind = "clean"   // remove branch, worktree, leftovers
	Ask     EffectKind = "ask"     // put the question or the need for a person where people look
	Wake    EffectKind = "wake"    // signal Funded later
	Refresh EffectKind = "refresh" // bring the status comment up to date
	Settle  EffectKind = "settle"  // see whether the batch has ended
)

// Effect is one thing to do. After delays it.
type Effect struct {
	Kind       EffectKind
	Generation int // of the run to stop
	After      time.Duration
}
