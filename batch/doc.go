// Package batch is the pure core of Dozens: what people asked for and what becomes of it.
//
// Here live the values every other room speaks of. Nothing in this package or below it does I/O, reads a
// clock or a random source, or imports any other package of Dozens than batch itself: a decision made here
// can be repeated from what was written down.
package batch

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// Repo names one repository. It is keyed by ID, because owners and names change.
type Repo struct {
	ID           int64  `json:"id"`           // GitHub's repository id
	Installation int64  `json:"installation"` // GitHub App installation that owns it
	Owner        string `json:"owner"`
	Name         string `json:"name"`
}

// FullName is "owner/name", as people write it.
func (r Repo) FullName() string { return r.Owner + "/" + r.Name }

// Person is somebody who acted on GitHub, as the signed payload or the API names them.
type Person struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
	Type  string `json:"type"` // "User", "Bot", "Organization", as GitHub says
}

// Kind tells the two kinds of batch apart.
type Kind string

// The kinds of batch, named like the commands that start them.
const (
	Claude Kind = "claude" // one issue, one task
	Fanout Kind = "batch"  // planned into units
)

// Stage is where a batch stands.
type Stage string

// The stages of a batch. The last three are final.
const (
	Plan      Stage = "plan"     // the planner works, or its plan is being checked
	Approval  Stage = "approval" // the plan is shown and waits for /go
	Work      Stage = "work"     // tasks are under way
	Done      Stage = "done"
	Failed    Stage = "failed"
	Cancelled Stage = "cancelled"
)

// Final says that nothing happens to the batch any more unless somebody asks for a retry.
func (s Stage) Final() bool { return s == Done || s == Failed || s == Cancelled }

// Options are the limits that a command carried. Zero values mean: as the repository's settings say.
type Options struct {
	MaxParallel int     `json:"max_parallel,omitempty"`
	BudgetUSD   float64 `json:"budget_usd,omitempty"`
	Label       string  `json:"label,omitempty"`
	Base        string  `json:"base,omitempty"`
	Yes         bool    `json:"yes,omitempty"` // start without /go
}

// Batch is one command's work. It is what the row in SQL holds.
type Batch struct {
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	Stage     Stage     `json:"stage"`
	Repo      Repo      `json:"repo"`
	Issue     int       `json:"issue"` // where it was asked
	Source    string    `json:"source"`
	Requester Person    `json:"requester"`
	Text      string    `json:"text"`               // the command's text, frozen from the signed payload
	Title     string    `json:"title"`              // the issue's title at that moment
	Body      string    `json:"body"`               // the issue's body at that moment
	Outsider  string    `json:"outsider,omitempty"` // login of the issue's author where they may not command; Title and Body are not the issue's then
	Options   Options   `json:"options"`
	Base      string    `json:"base"`     // base branch
	BaseSHA   string    `json:"base_sha"` // commit of the base branch when the batch was accepted
	Hold      bool      `json:"hold,omitempty"`
	Detail    string    `json:"detail,omitempty"`  // why it failed, in words for people
	Comment   int64     `json:"comment,omitempty"` // id of the sticky status comment
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// ID derives the short, stable id of something from the words that make it unique, so that doing a thing
// twice after a crash names it the same both times. Eight characters of [a-z2-7]: safe in refs and paths.
func ID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}
