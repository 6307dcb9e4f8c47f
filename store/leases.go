package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"dozens/batch/work"
)

// Lease is a host's claim on a piece of work.
type Lease struct {
	Offer work.Offer
	Host  string
	Taken time.Time
}

// Lease records that host takes the offer. The same host may take it again. Taken is false when another
// host holds it or when it has ended.
func (tx *Tx) Lease(ctx context.Context, o work.Offer, host string) (taken bool, err error) {
	res, err := tx.tx.ExecContext(ctx, `INSERT INTO leases (offer, task, generation, kind, host, token, taken_at)
		VALUES ($1, $2, $3, $4, $5, '', $6)
		ON CONFLICT (offer) DO UPDATE SET taken_at = excluded.taken_at WHERE leases.host = excluded.host AND leases.ended_at = ''`,
		o.ID(), o.Task, o.Generation, string(o.Kind), host, stamp(tx.Now))
	if err != nil {
		return false, fmt.Errorf("lease %s: %w", o.ID(), err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// Token notes which git token was minted for a lease, as a digest.
func (s *Store) Token(ctx context.Context, o work.Offer, token work.Secret) error {
	sum := sha256.Sum256([]byte(token))
	return s.exec(ctx, "note token", `UPDATE leases SET token = $2 WHERE offer = $1`, o.ID(), hex.EncodeToString(sum[:]))
}

// EndLease closes a lease that host holds. Ended is false when it does not hold it (any more): its result
// is to be refused.
func (tx *Tx) EndLease(ctx context.Context, o work.Offer, host, outcome string) (ended bool, err error) {
	res, err := tx.tx.ExecContext(ctx, `UPDATE leases SET ended_at = $3, outcome = $4
		WHERE offer = $1 AND host = $2 AND ended_at = ''`, o.ID(), host, stamp(tx.Now), outcome)
	if err != nil {
		return false, fmt.Errorf("end lease %s: %w", o.ID(), err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// DropLease removes a lease that has ended, so that the same offer can be leased again.
func (tx *Tx) DropLease(ctx context.Context, o work.Offer) error {
	if _, err := tx.tx.ExecContext(ctx, `DELETE FROM leases WHERE offer = $1 AND ended_at <> ''`, o.ID()); err != nil {
		return fmt.Errorf("drop lease %s: %w", o.ID(), err)
	}
	return nil
}

// Leased says whether work of the task, of any kind but one, is still on a host.
func (tx *Tx) Leased(ctx context.Context, taskID string, but work.Kind) (bool, error) {
	var n int
	err := tx.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM leases WHERE task = $1 AND kind <> $2 AND ended_at = ''`, taskID, string(but)).Scan(&n)
	return n > 0, err
}

// OpenLeases lists the leases of a host, or of all hosts for the empty name.
func (s *Store) OpenLeases(ctx context.Context, host string) ([]Lease, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT task, generation, kind, host, taken_at FROM leases
		WHERE ended_at = '' AND (host = $1 OR $1 = '') ORDER BY taken_at`, host)
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err below says what went wrong
	var all []Lease
	for rows.Next() {
		var l Lease
		var taken string
		if err := rows.Scan(&l.Offer.Task, &l.Offer.Generation, &l.Offer.Kind, &l.Host, &taken); err != nil {
			return nil, err
		}
		l.Taken = moment(taken)
		all = append(all, l)
	}
	return all, rows.Err()
}

// Beat notes a host's sign of life.
func (s *Store) Beat(ctx context.Context, b work.Beat) error {
	return s.exec(ctx, "note host "+b.Host, `INSERT INTO hosts (name, slots, seen_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, seen_at = excluded.seen_at`, b.Host, b.Slots, stamp(s.now()))
}

// Host is a machine that carries out runs.
type Host struct {
	Name  string
	Slots int
	Seen  time.Time
}

// Hosts lists all hosts that ever beat.
func (s *Store) Hosts(ctx context.Context) ([]Host, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name, slots, seen_at FROM hosts ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read hosts: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err below says what went wrong
	var all []Host
	for rows.Next() {
		var h Host
		var seen string
		if err := rows.Scan(&h.Name, &h.Slots, &seen); err != nil {
			return nil, err
		}
		h.Seen = moment(seen)
		all = append(all, h)
	}
	return all, rows.Err()
}
