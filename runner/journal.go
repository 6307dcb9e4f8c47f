package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// journalAge is how long finished work is remembered.
const journalAge = 24 * time.Hour

// entry is one file of the journal: work that was begun and, with its report, finished. Never a token.
type entry struct {
	Offer  work.Offer   `json:"offer"`
	PID    int          `json:"pid"` // of the host process that began it
	Begun  time.Time    `json:"begun"`
	Report *work.Report `json:"report,omitempty"`
	Sent   time.Time    `json:"sent,omitzero"` // when the wire had the report
}

// journal is what the host knows after a crash. Each entry is a file that is replaced as a whole.
type journal struct {
	dir string

	mu      sync.Mutex
	entries map[string]entry // by offer ID
	lost    []string         // IDs of entries whose file cannot be read
}

const entrySuffix = ".json"

// openJournal reads what the last host process left. A file that cannot be read is put aside, and its work
// counts as lost.
func openJournal(dir string, log zerolog.Logger) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{dir: dir, entries: map[string]entry{}}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		id, ok := strings.CutSuffix(f.Name(), entrySuffix)
		if !ok {
			if strings.HasSuffix(f.Name(), ".tmp") {
				_ = os.Remove(path) // half-written; the file it should have replaced counts
			}
			continue
		}
		if e, err := readEntry(path, id); err == nil {
			j.entries[id] = e
			continue
		} else {
			log.Error().Err(err).Msg("journal entry put aside: its work counts as lost")
		}
		j.lost = append(j.lost, id)
		if err := os.Rename(path, path+".unreadable"); err != nil {
			return nil, fmt.Errorf("open journal: %w", err)
		}
	}
	return j, nil
}

func readEntry(path, id string) (entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return entry{}, fmt.Errorf("read journal entry: %w", err)
	}
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		return entry{}, fmt.Errorf("read journal entry %s: %w", id, err)
	}
	if e.Offer.ID() != id {
		return entry{}, fmt.Errorf("read journal entry %s: it is of %s", id, e.Offer.ID())
	}
	return e, nil
}

// begin notes that the work is under way. It also forgets what is finished and old.
func (j *journal) begin(o work.Offer, now time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, e := range j.entries {
		if !e.Sent.IsZero() && now.Sub(e.Sent) > journalAge {
			if err := j.remove(id); err != nil {
				return err
			}
		}
	}
	return j.put(entry{Offer: o, PID: os.Getpid(), Begun: now})
}

// finish keeps the report until it is sent and for a day after.
func (j *journal) finish(r work.Report) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.entries[r.ID()]
	e.Offer, e.Report = r.Offer, &r
	return j.put(e)
}

func (j *journal) sent(id string, now time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[id]
	if !ok {
		return nil
	}
	e.Sent = now
	return j.put(e)
}

func (j *journal) forget(id string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.remove(id)
}

func (j *journal) get(id string) (entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[id]
	return e, ok
}

// unfinished are the IDs of work that was begun and has no report, sorted.
func (j *journal) unfinished() []string {
	ids := j.ids(func(e entry) bool { return e.Report == nil })
	return slices.Sorted(slices.Values(append(ids, j.lost...)))
}

// unsent are the reports that nobody has yet, in the order of their ends.
func (j *journal) unsent() []work.Report {
	var reports []work.Report
	for _, id := range j.ids(func(e entry) bool { return e.Report != nil && e.Sent.IsZero() }) {
		if e, ok := j.get(id); ok {
			reports = append(reports, *e.Report)
		}
	}
	slices.SortFunc(reports, func(a, b work.Report) int { return a.Ended.Compare(b.Ended) })
	return reports
}

// finishedSince are the IDs of finished work whose report is unsent or was sent after t, sorted.
func (j *journal) finishedSince(t time.Time) []string {
	return j.ids(func(e entry) bool { return e.Report != nil && (e.Sent.IsZero() || e.Sent.After(t)) })
}

func (j *journal) ids(want func(entry) bool) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ids []string
	for id, e := range j.entries {
		if want(e) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (j *journal) path(id string) string { return filepath.Join(j.dir, id+entrySuffix) }

// put replaces the entry's file so that after a power cut there is the old one or the new one.
func (j *journal) put(e entry) error {
	id := e.Offer.ID()
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write journal entry %s: %w", id, err)
	}
	if err := replaceFile(j.path(id), data); err != nil {
		return fmt.Errorf("write journal entry %s: %w", id, err)
	}
	j.entries[id] = e
	return nil
}

func (j *journal) remove(id string) error {
	if err := os.Remove(j.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove journal entry %s: %w", id, err)
	}
	delete(j.entries, id)
	return nil
}

func replaceFile(path string, data []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
