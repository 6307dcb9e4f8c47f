package runner

import (
	"context"
	"time"

	"dozens/batch/work"
	"dozens/runner/claude"
	"dozens/runner/worktree"
)

// Delivery is an offer taken from the queue. It comes back by itself when nobody settles it or says that it
// is in progress for a while. An alias, so that the wire can return it without importing this package.
type Delivery = interface {
	Offer() work.Offer
	InProgress() error           // keep it from going to another host
	Ack() error                  // done with it
	Later(d time.Duration) error // give it back, to be delivered to anybody after d
}

// Server is the host's end of the wire.
type Server interface {
	// Next waits for an offer of one kind. It is called when there is room for the work.
	Next(ctx context.Context, kind work.Kind) (Delivery, error)
	// Claim asks whether the offer may be carried out. An error means that nobody answered.
	Claim(ctx context.Context, o work.Offer) (work.Answer, error)
	// Report returns nil once the report is where the server will find it. Repeating it is harmless.
	Report(ctx context.Context, r work.Report) error
	Beat(ctx context.Context, b work.Beat) (work.BeatAnswer, error)
	// Emit adds a line to the live log; it must not block for long.
	Emit(l work.Line)
	// Stops brings the IDs of offers to stop, early and without promise; the answer to Beat is the sure list.
	Stops() <-chan string
}

// Trees are the worktrees of this host; *worktree.Trees in production.
type Trees interface {
	Prepare(ctx context.Context, s worktree.Spec, c worktree.Credential) (worktree.Tree, error)
	Look(ctx context.Context, t worktree.Tree, o worktree.CommitOptions) (worktree.Look, error)
	Push(ctx context.Context, t worktree.Tree, head, expected string, c worktree.Credential) error
	Remove(ctx context.Context, s worktree.Spec, keep bool) error
	Sweep(ctx context.Context, live func(task string) bool) error
	// Files are files of a commit as data, by path; those that are missing or longer than limit bytes are left out.
	Files(ctx context.Context, s worktree.Spec, commit string, paths []string, limit int64) (map[string][]byte, error)
	ListFiles(ctx context.Context, s worktree.Spec, commit, prefix string) ([]string, error)
}

// Agent runs sessions; *claude.Driver in production. It holds the order's limits by itself.
type Agent interface {
	Run(ctx context.Context, s claude.Session, emit func(work.Line)) (claude.Result, error)
	Reap(ctx context.Context, runID string) error
}
