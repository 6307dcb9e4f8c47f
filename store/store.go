// Package store holds all SQL of Dozens: schema, queries, transactions, and River's place in them.
//
// SQL is the truth. A transaction carries one moment of time, saves states with their audit events, and
// enqueues the jobs that will act, all or nothing. The package imports batch and its sub-packages only.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/rs/zerolog"
	_ "modernc.org/sqlite" // the SQL driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNotFound says that no such row exists.
var ErrNotFound = errors.New("not found")

// ErrBusy says that the issue has an open batch already.
var ErrBusy = errors.New("the issue has an open batch")

// Store is the database. Writes go through one connection, so that none waits for SQLite's busy timer;
// reads outside of transactions have connections of their own.
type Store struct {
	db    *sql.DB
	read  *sql.DB
	jobs  *river.Client[*sql.Tx]
	inbox *inbox
	wake  chan struct{} // see wake.go
	log   zerolog.Logger
	now   func() time.Time
}

// Options say where the database is.
type Options struct {
	Path string // of the SQLite file; its folder is created
	Log  zerolog.Logger
	Now  func() time.Time // the clock; nil: time.Now
}

// Open opens the database and brings its schema up to date. Close it in the end.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("create the data folder: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	db, err := open(o.Path, 1)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, log: o.Log, now: o.Now, wake: make(chan struct{}, 1)}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if s.read, err = open(o.Path, 4, "query_only(1)"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.inbox = newInbox(s)
	return s, nil
}

func open(path string, connections int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)"}, pragmas...)}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	return db, nil
}

// Close waits for writes under way and closes the database.
func (s *Store) Close() error {
	s.inbox.close()
	return errors.Join(s.read.Close(), s.db.Close())
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.read.PingContext(ctx) }

func (s *Store) migrate(ctx context.Context) error {
	migrator, err := rivermigrate.New(riversqlite.New(s.db), nil)
	if err != nil {
		return fmt.Errorf("prepare job tables: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("create job tables: %w", err)
	}
	const table = `CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, at TEXT NOT NULL)`
	if _, err := s.db.ExecContext(ctx, table); err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.apply(ctx, name); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}

func (s *Store) apply(ctx context.Context, name string) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	res, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (name, at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, stamp(s.now()))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, string(text)); err != nil {
		return err
	}
	return tx.Commit()
}

// stamp writes a moment so that text order is time order.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

func moment(s string) time.Time {
	t, _ := time.Parse("2006-01-02T15:04:05.000000000Z", s) // zero time for the empty string
	return t
}
