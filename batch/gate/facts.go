package gate

import "time"

// Facts is everything the gate knows about one pull request at one head commit. Whoever fills it reads all
// pages; what could not be read goes into Unread, and blocks.
type Facts struct {
	Number      int
	Title       string
	State       string // open · closed
	Merged      bool
	MergeCommit string // when Merged
	Draft       bool
	Head        string // commit everything below speaks of
	HeadRef     string // branch name
	HeadRepo    int64  // repository id of the head branch; 0 when it is gone
	BaseRef     string
	BaseRepo    int64
	Author      Actor
	Labels      []string
	Mergeable   *bool  // nil: GitHub has not computed it yet
	MergeState  string // clean, unstable, has_hooks, blocked, behind, dirty, unknown…: a hint, never enough
	Checks      []Check
	Reviews     []Review // in order of submission
	Authors     []Actor  // who wrote or committed the branch's commits
	Commits     int
	Files       []string // changed paths, as GitHub lists them for Head; of a rename both sides
	Unread      []string // what could not be read, in words
	ReadAt      time.Time
}

// Actor is an account, by its API identity; never by what a commit claims alone.
type Actor struct {
	Login string
	ID    int64
	Type  string // User, Bot…
}

// Check is the latest result of one check run or commit status for the head commit.
type Check struct {
	Name       string
	App        string // slug of the app that reports it; "" for a status
	Source     string // "check" or "status"
	Status     string // queued, in_progress, completed… ; statuses: completed or pending
	Conclusion string // success, failure, neutral, skipped…; "" while running
	Summary    string // output title and summary, untrusted, bounded
	URL        string
	ID         int64
	StartedAt  time.Time
	EndedAt    time.Time
}

// Review is one submitted review.
type Review struct {
	ID         int64
	By         Actor
	Permission string // none, read, triage, write, maintain, admin; "" unknown
	State      string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	Commit     string // the commit it was given for
	Body       string // untrusted
	At         time.Time
}

// Policy is what the repository's settings and the task say about merging.
type Policy struct {
	Ours            bool   // the server itself recorded opening this pull request
	HeadRef         string // the branch it recorded
	BaseRef         string // the base it recorded
	Pushed          string // the commit it pushed last
	RepoID          int64
	BotID           int64 // our account's id
	Requester       Actor
	Askers          []Actor  // others whose words went into the work; their approval is like the requester's
	RequesterCounts bool     // the requester's own approval counts
	Approvals       int      // needed, at least 1
	AllowNoChecks   bool     // a commit without any check may count as green
	Ignore          []string // names of checks that do not count
	HoldLabels      []string
	Protected       []string // globs of the paths that need the approval of a named person
	Named           []string // logins of those persons; empty: people with admin permission
	Hold            string   // why merging is held; "" not held
	Mode            string   // auto · shadow · off
}
