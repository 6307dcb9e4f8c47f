package task

import (
	"time"

	"dozens/batch"
)

// Kind tells what a task's run is for.
type Kind string

// The kinds of task.
const (
	Code Kind = "code" // changes files, becomes a pull request
	Plan Kind = "plan" // reads only, returns a plan; becomes nothing else
)

// Stage is where a task stands; the same word in Go, SQL, logs, metrics, comments and on the web page.
type Stage string

// The stages in the order a task passes them. The last three are final.
const (
	Queue     Stage = "queue"
	Run       Stage = "run"
	Publish   Stage = "publish"
	CI        Stage = "ci"
	Review    Stage = "review"
	Merge     Stage = "merge"
	Cleanup   Stage = "cleanup"
	Done      Stage = "done"
	Failed    Stage = "failed"
	Cancelled Stage = "cancelled"
)

// Stages lists all stages in order, for tables and metrics.
var Stages = [...]Stage{Queue, Run, Publish, CI, Review, Merge, Cleanup, Done, Failed, Cancelled}

// Final says that the task has ended and left nothing behind.
func (s Stage) Final() bool { return s == Done || s == Failed || s == Cancelled }

// Waiting says why a task that could go on does not. It is a flag beside the stage, not a stage.
type Waiting string

// The reasons to wait.
const (
	NotWaiting    Waiting = ""
	ForAnswer     Waiting = "question"
	ForBudget     Waiting = "budget"
	ForUsage      Waiting = "usage limit"
	ForHold       Waiting = "hold"
	ForReviewers  Waiting = "reviewers full"
	ForDependency Waiting = "dependency"
	ForPermission Waiting = "permission" // the app's, to push workflow files
)

// Task is one unit of a batch: one worktree, one branch, one pull request. It is what the row in SQL holds.
type Task struct {
	ID        string       `json:"id"`
	Batch     string       `json:"batch"`
	Repo      batch.Repo   `json:"repo"`
	Issue     int          `json:"issue"`
	Kind      Kind         `json:"kind"`
	Label     string       `json:"label"` // checked by plan.Label: a ref part, a folder name
	Title     string       `json:"title"`
	Brief     string       `json:"brief"`                // what the planner or the issue asks, as data
	Owned     []string     `json:"owned"`                // globs of the paths it may change; empty: all
	New       []string     `json:"new,omitempty"`        // owned globs that need not match a file yet
	DependsOn []string     `json:"depends_on,omitempty"` // labels of this batch
	Size      string       `json:"size,omitempty"`
	Closes    bool         `json:"closes,omitempty"` // its pull request completes the issue
	Requester batch.Person `json:"requester"`

	Stage      Stage   `json:"stage"`
	Outcome    Stage   `json:"outcome,omitempty"` // the final stage that cleanup leads to
	Hold       bool    `json:"hold,omitempty"`    // a person holds its merge
	Waiting    Waiting `json:"waiting,omitempty"`
	Detail     string  `json:"detail,omitempty"` // why it waits or failed, in words for people
	Generation int     `json:"generation"`       // of the lease; +1 each time it enters queue
	Host       string  `json:"host,omitempty"`   // that holds the lease, or last held it and has the worktree
	Session    string  `json:"session"`          // UUID of the Claude conversation, chosen by us
	Runs       int     `json:"runs"`             // runs started
	Prompt     string  `json:"prompt,omitempty"` // what the next run is told beyond the brief
	// Instructions came while a run was under way; the run after it gets them.
	Instructions string `json:"instructions,omitempty"`
	Pushes       int    `json:"pushes,omitempty"`  // pushes of the present head that did not succeed
	Offered      int    `json:"offered,omitempty"` // the generation that was offered to the hosts last
	Rounds       int    `json:"rounds,omitempty"`  // runs caused by red checks, reviews and conflicts
	Returns      int    `json:"returns,omitempty"` // times its result was sent back (stray files, unusable result, bad plan)

	Branch  string `json:"branch"`
	Base    string `json:"base"`             // branch the pull request goes to
	BaseSHA string `json:"base_sha"`         // commit the branch starts from, frozen
	Head    string `json:"head,omitempty"`   // commit of the last accepted result
	Pushed  string `json:"pushed,omitempty"` // commit the remote branch stands at, as far as we know
	PR      int    `json:"pr,omitempty"`
	// Protected are the protected paths that Head changes; Marked says that the pull request has the label for that.
	Protected []string `json:"protected,omitempty"`
	Marked    bool     `json:"marked,omitempty"`
	// Workflows are the workflow files that Head changes, which not every App may push.
	Workflows []string `json:"workflows,omitempty"`
	Merged    string   `json:"merged,omitempty"` // squash commit on the base branch

	Summary      string        `json:"summary,omitempty"`        // the agent's words: what and why
	Verified     string        `json:"verified,omitempty"`       // the agent's words: how it was tested
	Checks       string        `json:"checks,omitempty"`         // last seen, in words: "3 of 4 green"
	CostMicroUSD int64         `json:"cost_micro_usd,omitempty"` // millionths of a US dollar, all runs
	Turns        int           `json:"turns,omitempty"`
	AgentTime    time.Duration `json:"agent_time,omitempty"` // nanoseconds, all runs

	CreatedAt  time.Time `json:"created_at"`
	StageSince time.Time `json:"stage_since"`
	StartedAt  time.Time `json:"started_at,omitzero"` // first run
	EndedAt    time.Time `json:"ended_at,omitzero"`
	// ApprovedAt is when the gate first said merge: the age that orders the merge train.
	ApprovedAt time.Time `json:"approved_at,omitzero"`
	// Asked lists the logins of those whose words went into the work beside the requester's: their approval does not
	// count where the requester's does not.
	Asked    []string `json:"asked,omitempty"`
	Unmerged int      `json:"unmerged,omitempty"` // merge requests in a row that GitHub did not carry out
	// ReadBack is the feedback already given to the session (review ids, check commits), so that none is given twice.
	ReadBack []string `json:"read_back,omitempty"`
}
