package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch"
)

// inbox stores deliveries. Those that arrive while the disk is busy share the next commit, so that one
// flush to disk answers many senders.
type inbox struct {
	s       *Store
	arrived func(lane string) river.JobArgs // set by Jobs
	in      chan *letter
	stop    chan struct{}
	done    sync.WaitGroup
}

type letter struct {
	d     batch.Delivery
	fresh bool
	err   chan error
}

const mostAtOnce = 64 // deliveries in one commit

func newInbox(s *Store) *inbox {
	i := &inbox{s: s, in: make(chan *letter), stop: make(chan struct{})}
	i.done.Add(1)
	go i.run()
	return i
}

func (i *inbox) close() {
	close(i.stop)
	i.done.Wait()
}

func (i *inbox) run() {
	defer i.done.Done()
	for {
		select {
		case <-i.stop:
			return
		case l := <-i.in:
			i.commit(i.gather(l))
		}
	}
}

// gather takes what else is waiting right now.
func (i *inbox) gather(first *letter) []*letter {
	letters := []*letter{first}
	for len(letters) < mostAtOnce {
		select {
		case l := <-i.in:
			letters = append(letters, l)
		default:
			return letters
		}
	}
	return letters
}

func (i *inbox) commit(letters []*letter) {
	ctx := context.Background() // senders that went away do not undo what the others wait for
	err := i.s.Tx(ctx, func(tx *Tx) error {
		var jobs []river.InsertManyParams
		for _, l := range letters {
			fresh, err := tx.putDelivery(ctx, l.d)
			if err != nil {
				return err
			}
			l.fresh = fresh
			if fresh && l.d.Note == "" {
				jobs = append(jobs, river.InsertManyParams{Args: i.arrived(l.d.Lane)})
			}
		}
		if len(jobs) == 0 {
			return nil
		}
		_, err := i.s.jobs.InsertManyTx(ctx, tx.tx, jobs)
		return err
	})
	for _, l := range letters {
		l.err <- err
	}
}

// Put stores a delivery and enqueues its work. When it returns nil the delivery is on disk; fresh is false
// for one that was stored before.
func (s *Store) Put(ctx context.Context, d batch.Delivery) (fresh bool, err error) {
	if d.Lane == "" {
		d.Lane = d.ID
	}
	l := &letter{d: d, err: make(chan error, 1)}
	select {
	case s.inbox.in <- l:
	case <-s.inbox.stop:
		return false, errors.New("the database is closing")
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case err := <-l.err:
		return l.fresh, err
	case <-ctx.Done(): // it may be stored all the same; the sender will try again and be told
		return false, ctx.Err()
	}
}

func (tx *Tx) putDelivery(ctx context.Context, d batch.Delivery) (bool, error) {
	state := "new"
	if d.Note != "" {
		state = "noted"
	}
	res, err := tx.tx.ExecContext(ctx, `INSERT INTO deliveries
		(id, seq, event, action, lane, installation, payload, state, note, arrived_at)
		VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM deliveries), $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO NOTHING`,
		d.ID, d.Event, d.Action, d.Lane, d.Installation, d.Payload, state, d.Note, stamp(tx.Now))
	if err != nil {
		return false, fmt.Errorf("store delivery %s: %w", d.ID, err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// NextDelivery reads the oldest delivery of a lane that is still to be worked on, and how often that was
// tried. ErrNotFound: the lane is empty.
func (s *Store) NextDelivery(ctx context.Context, lane string) (d batch.Delivery, attempts int, err error) {
	var at string
	err = s.read.QueryRowContext(ctx, `SELECT id, event, action, lane, installation, payload, arrived_at, attempts
		FROM deliveries WHERE lane = $1 AND state = 'new' ORDER BY seq LIMIT 1`, lane).
		Scan(&d.ID, &d.Event, &d.Action, &d.Lane, &d.Installation, &d.Payload, &at, &attempts)
	if errors.Is(err, sql.ErrNoRows) {
		return d, 0, ErrNotFound
	}
	d.At = moment(at)
	return d, attempts, err
}

// Delivered ends the work on a delivery: state is done, noted (nothing to do, note says why) or dead (given up).
func (s *Store) Delivered(ctx context.Context, id, state, note string) error {
	return s.exec(ctx, "end delivery "+id, `UPDATE deliveries SET state = $2, note = $3, done_at = $4, payload = '' WHERE id = $1`,
		id, state, note, stamp(s.now()))
}

// Tried counts an attempt that did not succeed.
func (s *Store) Tried(ctx context.Context, id, note string) error {
	return s.exec(ctx, "count attempt", `UPDATE deliveries SET attempts = attempts + 1, note = $2 WHERE id = $1`, id, note)
}

// DeliveryState tells what became of a delivery: new, done, noted or dead, and the note. ErrNotFound: never seen.
func (s *Store) DeliveryState(ctx context.Context, id string) (state, note string, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT state, note FROM deliveries WHERE id = $1`, id).Scan(&state, &note)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return state, note, err
}

// Prune removes deliveries that are done with and leases that have ended before a moment. GitHub sends nothing
// again that is older than three days.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	if err := s.exec(ctx, "remove old deliveries", `DELETE FROM deliveries WHERE state <> 'new' AND arrived_at < $1
		AND seq < (SELECT MAX(seq) FROM deliveries)`, stamp(before)); err != nil {
		return err
	}
	return s.exec(ctx, "remove old leases", `DELETE FROM leases WHERE ended_at <> '' AND ended_at < $1`, stamp(before))
}

func (s *Store) exec(ctx context.Context, what, query string, args ...any) error {
	if _, err := s.db.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
