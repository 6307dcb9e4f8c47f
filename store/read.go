package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dozens/batch"
	"dozens/batch/task"
)

// Task reads one task.
func (s *Store) Task(ctx context.Context, id string) (task.Task, error) {
	return one[task.Task](ctx, s.read, "task "+id, `SELECT data FROM tasks WHERE id = $1`, id)
}

// Batch reads one batch.
func (s *Store) Batch(ctx context.Context, id string) (batch.Batch, error) {
	return one[batch.Batch](ctx, s.read, "batch "+id, `SELECT data FROM batches WHERE id = $1`, id)
}

// TasksOf reads all tasks of a batch, oldest first.
func (s *Store) TasksOf(ctx context.Context, batchID string) ([]task.Task, error) {
	return many[task.Task](ctx, s.read, `SELECT data FROM tasks WHERE batch = $1 ORDER BY data ->> 'created_at', label`, batchID)
}

// Live reads all tasks that have not ended, oldest first.
func (s *Store) Live(ctx context.Context) ([]task.Task, error) {
	return many[task.Task](ctx, s.read, `SELECT data FROM tasks WHERE stage NOT IN ('done', 'failed', 'cancelled')
		ORDER BY data ->> 'created_at', label`)
}

// TasksAt reads the live tasks whose branch was pushed at a commit.
func (s *Store) TasksAt(ctx context.Context, repo int64, sha string) ([]task.Task, error) {
	return many[task.Task](ctx, s.read, `SELECT data FROM tasks WHERE repo = $1 AND pushed = $2
		AND stage NOT IN ('done', 'failed', 'cancelled')`, repo, sha)
}

// TaskByPR reads the task whose pull request it is. ErrNotFound: the pull request is not ours.
func (s *Store) TaskByPR(ctx context.Context, repo int64, pr int) (task.Task, error) {
	return one[task.Task](ctx, s.read, "task", `SELECT data FROM tasks WHERE repo = $1 AND pr = $2`, repo, pr)
}

// LatestBatch reads the newest batch of an issue, an open one first. ErrNotFound: there was none.
func (s *Store) LatestBatch(ctx context.Context, repo int64, issue int) (batch.Batch, error) {
	return one[batch.Batch](ctx, s.read, "batch", `SELECT data FROM batches WHERE repo = $1 AND issue = $2
		ORDER BY stage IN ('plan', 'approval', 'work') DESC, data ->> 'created_at' DESC LIMIT 1`, repo, issue)
}

// Batches reads the newest batches, at most limit.
func (s *Store) Batches(ctx context.Context, limit int) ([]batch.Batch, error) {
	return many[batch.Batch](ctx, s.read, `SELECT data FROM batches ORDER BY data ->> 'created_at' DESC LIMIT $1`, limit)
}

// OpenBatches reads all batches that have not ended.
func (s *Store) OpenBatches(ctx context.Context) ([]batch.Batch, error) {
	return many[batch.Batch](ctx, s.read, `SELECT data FROM batches WHERE stage IN ('plan', 'approval', 'work')`)
}

// Events reads the audit trail of a task, or of a whole batch for the empty task, oldest first.
func (s *Store) Events(ctx context.Context, batchID, taskID string) ([]Event, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT at, batch, task, signal, stage_from, stage_to, data FROM events
		WHERE batch = $1 AND (task = $2 OR $2 = '') ORDER BY seq`, batchID, taskID)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err below says what went wrong
	var all []Event
	for rows.Next() {
		var e Event
		var at, data string
		if err := rows.Scan(&at, &e.Batch, &e.Task, &e.Signal, &e.From, &e.To, &data); err != nil {
			return nil, err
		}
		e.At, e.Data = moment(at), []byte(data)
		all = append(all, e)
	}
	return all, rows.Err()
}

// Said tells which comment was written about a key, the digest of its text and when. ErrNotFound: none.
func (s *Store) Said(ctx context.Context, key string) (comment int64, digest string, at time.Time, err error) {
	var when string
	err = s.read.QueryRowContext(ctx, `SELECT comment, digest, at FROM said WHERE key = $1`, key).Scan(&comment, &digest, &when)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return comment, digest, moment(when), err
}

// Say notes the comment that was written about a key.
func (s *Store) Say(ctx context.Context, key string, comment int64, digest string) error {
	return s.Tx(ctx, func(tx *Tx) error { return tx.Say(ctx, key, comment, digest) })
}

// Say notes the comment, or the act, about a key, with everything else in the transaction.
func (tx *Tx) Say(ctx context.Context, key string, comment int64, digest string) error {
	if _, err := tx.tx.ExecContext(ctx, `INSERT INTO said (key, comment, digest, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key) DO UPDATE SET comment = excluded.comment, digest = excluded.digest, at = excluded.at`,
		key, comment, digest, stamp(tx.Now)); err != nil {
		return fmt.Errorf("note %s: %w", key, err)
	}
	return nil
}

// Lock takes a named lock for at most ttl; a lock whose time is over is free. Unlock gives it back.
func (s *Store) Lock(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	now := s.now()
	res, err := s.db.ExecContext(ctx, `INSERT INTO locks (name, holder, until) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE locks.until < $4`,
		name, holder, stamp(now.Add(ttl)), stamp(now))
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// Unlock gives a lock back, if holder still has it.
func (s *Store) Unlock(ctx context.Context, name, holder string) error {
	return s.exec(ctx, "unlock "+name, `DELETE FROM locks WHERE name = $1 AND holder = $2`, name, holder)
}

// WantLook counts a wish to look at a task's pull request and returns its number.
func (tx *Tx) WantLook(ctx context.Context, taskID string) (n int64, err error) {
	err = tx.tx.QueryRowContext(ctx, `INSERT INTO looks (task, wanted, done) VALUES ($1, 1, 0)
		ON CONFLICT (task) DO UPDATE SET wanted = looks.wanted + 1 RETURNING wanted`, taskID).Scan(&n)
	return n, err
}

// Looks reads how many looks were wanted and which were covered.
func (s *Store) Looks(ctx context.Context, taskID string) (wanted, done int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT wanted, done FROM looks WHERE task = $1`, taskID).Scan(&wanted, &done)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return wanted, done, err
}

// Looked notes that all looks up to n are covered.
func (s *Store) Looked(ctx context.Context, taskID string, n int64) error {
	return s.exec(ctx, "note look", `UPDATE looks SET done = MAX(done, $2) WHERE task = $1`, taskID, n)
}
