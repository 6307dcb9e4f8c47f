package handlers

import (
	"context"
	"errors"
	"time"

	"dozens/batch/work"
)

// ErrNotFound is what a View returns, wrapped or not, for a batch or task that does not exist.
var ErrNotFound = errors.New("not found")

// View is what the web page shows. It reads; nothing on the page changes anything.
type View interface {
	// Batches lists the batches, newest first, as many as a page can bear.
	Batches(ctx context.Context) ([]BatchRow, error)
	// Batch is one batch with its tasks in the order of the plan.
	Batch(ctx context.Context, id string) (BatchPage, error)
	// Tail calls fn with each line of the task's log from the very first one on, in order, and then with new ones as
	// they come. It returns nil when the task has ended and its log is complete, fn's error when fn returns one, and
	// ctx's when that ends. Calls of fn do not overlap.
	Tail(ctx context.Context, task string, fn func(work.Line) error) error
}

// BatchRow is one line in the list of batches.
type BatchRow struct {
	ID           string
	Kind         string // claude or batch
	Title        string // of the issue; untrusted
	Repo         string // owner/name
	Issue        int
	IssueURL     string
	Requester    string // login
	Stage        string
	Detail       string // why it failed or waits
	Done         int    // units that ended well
	Failed       int    // units that failed or were cancelled
	Total        int    // units
	CostMicroUSD int64
	Started      time.Time
	Ended        time.Time // zero while it goes on
}

// clean takes from foreign words what misleads, and credentials.
func (b *BatchRow) clean() { b.Title, b.Detail = clean(b.Title, maxWords), clean(b.Detail, maxWords) }

const maxWords = 4 << 10 // bytes of a title or a reason on a page

// BatchPage is one batch with its tasks.
type BatchPage struct {
	BatchRow
	BudgetMicroUSD int64 // 0: none
	Tasks          []TaskRow
}

func (b *BatchPage) clean() {
	b.BatchRow.clean()
	for i := range b.Tasks {
		t := &b.Tasks[i]
		t.Title, t.Detail, t.Checks = clean(t.Title, maxWords), clean(t.Detail, maxWords), clean(t.Checks, maxWords)
	}
}

// TaskRow is one line in a batch's table.
type TaskRow struct {
	ID           string
	Label        string
	Title        string // untrusted
	Stage        string
	Waiting      string // "" when it does not wait
	Detail       string // why it waits or failed
	PR           int    // 0: none yet
	PRURL        string
	Checks       string // in words
	CostMicroUSD int64
	Turns        int
	Host         string
	Started      time.Time // first run; zero before it
	Ended        time.Time // zero while it goes on
}
