package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"dozens/batch"
	"dozens/batch/task"
)

// Tx is one transaction. It has one moment of time, and holds the database's only writing connection:
// nothing slow may happen in it.
type Tx struct {
	tx  *sql.Tx
	s   *Store
	Now time.Time
}

// Tx runs fn in a transaction: all it saves and enqueues is there when Tx returns nil, none of it otherwise.
func (s *Store) Tx(ctx context.Context, fn func(*Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := fn(&Tx{tx: tx, s: s, Now: s.now().UTC()}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.woke()
	return nil
}

// Enqueue inserts a job that will run after the commit, not before at (zero: at once).
func (tx *Tx) Enqueue(ctx context.Context, args river.JobArgs, at time.Time) error {
	var opts *river.InsertOpts
	if !at.IsZero() {
		opts = &river.InsertOpts{ScheduledAt: at}
	}
	if _, err := tx.s.jobs.InsertTx(ctx, tx.tx, args, opts); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	return nil
}

// EnqueueOnce inserts a job unless the same one is waiting or at work.
func (tx *Tx) EnqueueOnce(ctx context.Context, args river.JobArgs) error {
	opts := &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled}}}
	if _, err := tx.s.jobs.InsertTx(ctx, tx.tx, args, opts); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	return nil
}

// Event is one line of the audit trail.
type Event struct {
	At     time.Time
	Batch  string
	Task   string
	Signal string
	From   string
	To     string
	Data   json.RawMessage
}

// Note appends to the audit trail.
func (tx *Tx) Note(ctx context.Context, e Event) error {
	if len(e.Data) == 0 {
		e.Data = json.RawMessage(`{}`)
	}
	_, err := tx.tx.ExecContext(ctx, `INSERT INTO events (seq, at, batch, task, signal, stage_from, stage_to, data)
		VALUES ((SELECT COALESCE(MAX(seq), 0) + 1 FROM events), $1, $2, $3, $4, $5, $6, $7)`,
		stamp(tx.Now), e.Batch, e.Task, e.Signal, e.From, e.To, string(e.Data))
	if err != nil {
		return fmt.Errorf("note %s: %w", e.Signal, err)
	}
	return nil
}

// Task reads a task for change.
func (tx *Tx) Task(ctx context.Context, id string) (task.Task, error) {
	return one[task.Task](ctx, tx.tx, "task "+id, `SELECT data FROM tasks WHERE id = $1`, id)
}

// PutTask saves a task, new or changed.
func (tx *Tx) PutTask(ctx context.Context, t task.Task) error {
	return put(ctx, tx.tx, "tasks", t.ID, t)
}

// TasksOf reads all tasks of a batch, oldest first.
func (tx *Tx) TasksOf(ctx context.Context, batchID string) ([]task.Task, error) {
	return many[task.Task](ctx, tx.tx, `SELECT data FROM tasks WHERE batch = $1 ORDER BY data ->> 'created_at', label`, batchID)
}

// OpenTasks reads all tasks of a repository that have not ended, oldest first.
func (tx *Tx) OpenTasks(ctx context.Context, repo int64) ([]task.Task, error) {
	return many[task.Task](ctx, tx.tx, `SELECT data FROM tasks WHERE repo = $1 AND stage NOT IN ('done', 'failed', 'cancelled')
		ORDER BY data ->> 'created_at', label`, repo)
}

// Batch reads a batch for change.
func (tx *Tx) Batch(ctx context.Context, id string) (batch.Batch, error) {
	return one[batch.Batch](ctx, tx.tx, "batch "+id, `SELECT data FROM batches WHERE id = $1`, id)
}

// PutBatch saves a batch, new or changed. ErrBusy: the issue has another open batch.
func (tx *Tx) PutBatch(ctx context.Context, b batch.Batch) error {
	err := put(ctx, tx.tx, "batches", b.ID, b)
	if err != nil && strings.Contains(err.Error(), "UNIQUE") {
		return ErrBusy
	}
	return err
}

// PutPlan saves the shown plan of a batch.
func (tx *Tx) PutPlan(ctx context.Context, batchID string, plan any) error {
	data, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	_, err = tx.tx.ExecContext(ctx, `INSERT INTO plans (batch, data) VALUES ($1, $2)
		ON CONFLICT (batch) DO UPDATE SET data = excluded.data`, batchID, string(data))
	return err
}

// Plan reads the shown plan of a batch into plan.
func (tx *Tx) Plan(ctx context.Context, batchID string, plan any) error {
	var data string
	err := tx.tx.QueryRowContext(ctx, `SELECT data FROM plans WHERE batch = $1`, batchID).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	} else if err != nil {
		return err
	}
	return json.Unmarshal([]byte(data), plan)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func put(ctx context.Context, tx *sql.Tx, table, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", table, id, err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO `+table+` (id, data) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET data = excluded.data`, id, string(data)); err != nil {
		return fmt.Errorf("save %s %s: %w", table, id, err)
	}
	return nil
}

func one[T any](ctx context.Context, q querier, what, query string, args ...any) (T, error) {
	var v T
	var data string
	err := q.QueryRowContext(ctx, query, args...).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("%s: %w", what, ErrNotFound)
	} else if err != nil {
		return v, fmt.Errorf("read %s: %w", what, err)
	}
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		return v, fmt.Errorf("read %s: %w", what, err)
	}
	return v, nil
}

func many[T any](ctx context.Context, q querier, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err below says what went wrong
	var all []T
	for rows.Next() {
		var data string
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
