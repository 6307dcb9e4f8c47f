// Package work is what the server and a host say to each other.
//
// The wire carries only offers, which name work and hold no secret and no text. A host that has a slot
// claims an offer; the answer, given on a reply that is never stored, carries the order with everything the
// host needs for that one piece of work, the git token included. What came of it goes back as a report.
package work

import (
	"encoding/json"
	"fmt"
	"time"

	"dozens/batch"
)

// Kind is what a host can be asked to do.
type Kind string

// The kinds of work.
const (
	Run     Kind = "run"     // run the agent's session in the task's worktree
	Publish Kind = "publish" // push the accepted commit to the task's branch
	Cleanup Kind = "cleanup" // remove the task's worktree and session home
)

// Offer names a piece of work. It is the message on the wire's work stream.
type Offer struct {
	Task       string `json:"task"`
	Generation int    `json:"generation"` // of the task's lease; a result of an older one is refused
	Kind       Kind   `json:"kind"`
	Try        int    `json:"try,omitempty"` // of a publish or cleanup that did not succeed before
}

// ID is unique per piece of work; the wire removes doubles by it and the host's journal is keyed by it.
func (o Offer) ID() string {
	if o.Try > 0 {
		return fmt.Sprintf("%s.%d.%s.%d", o.Task, o.Generation, o.Kind, o.Try)
	}
	return fmt.Sprintf("%s.%d.%s", o.Task, o.Generation, o.Kind)
}

// Decision is the server's answer to a claim.
type Decision string

// The answers to a claim.
const (
	Go    Decision = "go"    // the lease is yours, here is the order
	Later Decision = "later" // put it back, ask again after a while
	Drop  Decision = "drop"  // nobody wants this any more
)

// Answer is what the server says to a claim.
type Answer struct {
	Decision Decision `json:"decision"`
	Why      string   `json:"why,omitempty"`
	Order    *Order   `json:"order,omitempty"` // with Go only
}

// Secret is a value that never shows in logs, errors or formatted output. It does travel as JSON.
type Secret string

// String hides the value.
func (Secret) String() string { return "***" }

// GoString hides the value.
func (Secret) GoString() string { return "***" }

// Limits bound one run.
type Limits struct {
	Time         time.Duration `json:"time"`           // wall clock
	Turns        int           `json:"turns"`          // model turns
	CostMicroUSD int64         `json:"cost_micro_usd"` // of this run, millionths of a US dollar
}

// Order is everything a host needs for one piece of work.
type Order struct {
	Offer
	Repo     batch.Repo `json:"repo"`
	CloneURL string     `json:"clone_url"` // as GitHub gave it; never holds a credential
	Token    Secret     `json:"token"`     // for CloneURL only, user x-access-token; revoked when the work is over
	Label    string     `json:"label"`
	Branch   string     `json:"branch"`
	Base     string     `json:"base"`
	BaseSHA  string     `json:"base_sha"`
	Owned    []string   `json:"owned"`            // globs; empty: everything may change
	Pushed   string     `json:"pushed,omitempty"` // commit the remote branch stands at; a lost worktree begins from it

	// Of a run.
	Session  string          `json:"session,omitempty"`   // UUID
	ReadOnly bool            `json:"read_only,omitempty"` // a planner: may look, not change
	Brief    string          `json:"brief,omitempty"`     // the whole task, for a session that knows nothing yet
	Prompt   string          `json:"prompt,omitempty"`    // what is new, for a session that goes on
	System   string          `json:"system,omitempty"`    // rules of the house, appended to the system prompt
	Schema   json.RawMessage `json:"schema,omitempty"`    // JSON schema of the result
	Model    string          `json:"model,omitempty"`     // empty: the host's default
	Limits   Limits          `json:"limits"`
	Egress   []string        `json:"egress,omitempty"` // hosts that the agent may reach; empty: none
	Units    int             `json:"units,omitempty"`  // of a plan: the most units it may have
	Title    string          `json:"title,omitempty"`  // message for edits the agent left uncommitted

	// Of a publish.
	Head     string `json:"head,omitempty"`     // commit to push
	Expected string `json:"expected,omitempty"` // commit the remote branch is expected at; empty: it does not exist

	// Of a cleanup.
	Keep bool `json:"keep,omitempty"` // keep commits that are neither merged nor pushed under refs/dozens/kept/
}

// Outcome is how a piece of work ended.
type Outcome string

// The outcomes. The first five are of runs, the next two of publishes, cleaned of cleanups; failed and gone of all.
const (
	Done      Outcome = "done"
	Question  Outcome = "question"
	Blocked   Outcome = "blocked"  // the agent says it cannot be done
	Limit     Outcome = "limit"    // time, turns or cost ran out
	Stopped   Outcome = "stopped"  // cancelled by the server or by a drain
	Pushed    Outcome = "pushed"   // the remote branch is at Head
	Rejected  Outcome = "rejected" // the remote branch moved, or GitHub refused the push
	Cleaned   Outcome = "cleaned"
	Unusable  Outcome = "unusable"    // the agent ended without a valid result
	Fault     Outcome = "failed"      // could not be carried out; Reason says why
	Gone      Outcome = "gone"        // the repository or its base commit is not there (any more)
	UsageOver Outcome = "usage limit" // the model account's limit; not the task's fault
)

// Change is one changed path of a task's branch against its base.
type Change struct {
	Path   string `json:"path"`          // slash-separated, of the new side; of the old side for a deletion
	Old    string `json:"old,omitempty"` // of a rename
	Status string `json:"status"`        // A, M, D, R or T, as git says
}

// Usage is what a run cost.
type Usage struct {
	CostMicroUSD int64 `json:"cost_micro_usd"` // this run only
	Turns        int   `json:"turns"`
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
}

// Report is what came of a piece of work.
type Report struct {
	Offer
	Host    string          `json:"host"`
	Outcome Outcome         `json:"outcome"`
	Reason  string          `json:"reason,omitempty"`  // words for people; no secrets, bounded
	Output  json.RawMessage `json:"output,omitempty"`  // the agent's structured result, valid against the order's schema
	Head    string          `json:"head,omitempty"`    // of a run: HEAD after our own look, everything committed; = BaseSHA when nothing changed
	Changes []Change        `json:"changes,omitempty"` // base commit to Head
	Commits int             `json:"commits,omitempty"`
	Added   int             `json:"added,omitempty"`   // lines
	Removed int             `json:"removed,omitempty"` // lines
	Usage   Usage           `json:"usage"`
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended"`
	// Problems of a plan, as plan.Check found them against the base commit's files; empty: accepted.
	Problems []string `json:"problems,omitempty"`
}

// Beat is a host's sign of life, every few seconds.
type Beat struct {
	Host  string   `json:"host"`
	Slots int      `json:"slots"`           // how many runs at once
	Held  []string `json:"held"`            // Offer IDs it works on now
	First bool     `json:"first,omitempty"` // the host has just started: what it does not hold is lost
}

// BeatAnswer tells the host what it holds and must stop.
type BeatAnswer struct {
	Stop []string `json:"stop,omitempty"` // Offer IDs
}

// Line is one entry of a run's live log.
type Line struct {
	Task       string          `json:"task"`
	Generation int             `json:"generation"`
	Seq        int             `json:"seq"` // from 1 in each run
	At         time.Time       `json:"at"`
	Kind       string          `json:"kind"` // "claude": Data is a line of the agent's stream · "host": Text is ours · "stderr"
	Text       string          `json:"text,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}
