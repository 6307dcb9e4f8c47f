package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/batch/task"
	"dozens/batch/work"
)

type laneJob struct {
	Lane string `json:"lane"`
}

func (laneJob) Kind() string { return "lane" }

// openTest opens a database of its own whose jobs are inserted and never run.
func openTest(tb testing.TB) *Store {
	tb.Helper()
	return reopen(tb, filepath.Join(tb.TempDir(), "data", "dozens.db"))
}

func reopen(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(context.Background(), Options{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[laneJob]) error { return nil }))
	if _, err := s.Jobs(&river.Config{Workers: workers}, func(lane string) river.JobArgs { return laneJob{Lane: lane} }); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func (s *Store) jobCount(tb testing.TB) (n int) {
	tb.Helper()
	if err := s.read.QueryRow(`SELECT COUNT(*) FROM river_job`).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func TestPutStoresADeliveryOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	var wg sync.WaitGroup
	fresh := make([]bool, 20)
	for i := range fresh {
		wg.Go(func() {
			var err error
			if fresh[i], err = s.Put(t.Context(), batch.Delivery{ID: "one", Event: "issues", Lane: "7/1", Payload: []byte("{}")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, f := range fresh {
		if f {
			n++
		}
	}
	if n != 1 || s.jobCount(t) != 1 {
		t.Errorf("got %d fresh deliveries and %d jobs, want 1 and 1", n, s.jobCount(t))
	}
}

func TestNotedDeliveryMakesNoJob(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	if _, err := s.Put(t.Context(), batch.Delivery{ID: "x", Event: "star", Note: "event not used", Payload: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	state, note, err := s.DeliveryState(t.Context(), "x")
	if err != nil || state != "noted" || note != "event not used" || s.jobCount(t) != 0 {
		t.Errorf("got state %q, note %q, %d jobs, %v", state, note, s.jobCount(t), err)
	}
}

func TestLaneKeepsOrderAndSurvivesReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dozens.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Jobs(&river.Config{}, func(lane string) river.JobArgs { return laneJob{Lane: lane} }); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := s.Put(t.Context(), batch.Delivery{ID: fmt.Sprint(i), Lane: "7/1", Event: "issues", Payload: []byte{byte(i), 0xff}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, path)
	for i := range 3 {
		d, tries, err := s.NextDelivery(t.Context(), "7/1")
		if err != nil || d.ID != fmt.Sprint(i) || tries != 0 || d.Payload[0] != byte(i) {
			t.Fatalf("delivery %d: got %q, %d tries, %v", i, d.ID, tries, err)
		}
		if err := s.Delivered(t.Context(), d.ID, "done", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.NextDelivery(t.Context(), "7/1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound from an empty lane", err)
	}
}

func TestOneOpenBatchPerIssue(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	put := func(id string, stage batch.Stage) error {
		return s.Tx(t.Context(), func(tx *Tx) error {
			return tx.PutBatch(t.Context(), batch.Batch{ID: id, Stage: stage, Repo: batch.Repo{ID: 7}, Issue: 1, CreatedAt: tx.Now})
		})
	}
	if err := put("a", batch.Work); err != nil {
		t.Fatal(err)
	}
	if err := put("b", batch.Plan); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if err := put("a", batch.Done); err != nil {
		t.Fatal(err)
	}
	if err := put("b", batch.Plan); err != nil {
		t.Errorf("after the first ended: %v", err)
	}
	last, err := s.LatestBatch(t.Context(), 7, 1)
	if err != nil || last.ID != "b" {
		t.Errorf("got %q, %v, want the open batch b", last.ID, err)
	}
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	fail := errors.New("no")
	err := s.Tx(t.Context(), func(tx *Tx) error {
		if err := tx.PutTask(t.Context(), task.Task{ID: "t1", Stage: task.Queue}); err != nil {
			return err
		}
		if err := tx.Enqueue(t.Context(), laneJob{Lane: "x"}, time.Time{}); err != nil {
			return err
		}
		return fail
	})
	if !errors.Is(err, fail) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Task(t.Context(), "t1"); !errors.Is(err, ErrNotFound) || s.jobCount(t) != 0 {
		t.Errorf("got %v and %d jobs, want nothing saved", err, s.jobCount(t))
	}
}

func TestTaskColumnsFollowTheDocument(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	want := task.Task{ID: "t1", Batch: "b1", Repo: batch.Repo{ID: 7}, Label: "users", Stage: task.Review, Pushed: "abc", PR: 12, Generation: 3, CreatedAt: time.Now().UTC()}
	if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.PutTask(t.Context(), want) }); err != nil {
		t.Fatal(err)
	}
	byPR, err := s.TaskByPR(t.Context(), 7, 12)
	if err != nil || byPR.ID != "t1" {
		t.Errorf("by pull request: got %q, %v", byPR.ID, err)
	}
	at, err := s.TasksAt(t.Context(), 7, "abc")
	if err != nil || len(at) != 1 {
		t.Errorf("by commit: got %d tasks, %v", len(at), err)
	}
	want.Stage = task.Done
	if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.PutTask(t.Context(), want) }); err != nil {
		t.Fatal(err)
	}
	live, err := s.Live(t.Context())
	if err != nil || len(live) != 0 {
		t.Errorf("got %d live tasks, %v, want none", len(live), err)
	}
}

func TestLeases(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	o := work.Offer{Task: "t1", Generation: 1, Kind: work.Run}
	lease := func(host string) (taken bool) {
		t.Helper()
		if err := s.Tx(t.Context(), func(tx *Tx) (err error) { taken, err = tx.Lease(t.Context(), o, host); return err }); err != nil {
			t.Fatal(err)
		}
		return taken
	}
	end := func(host string) (ended bool) {
		t.Helper()
		if err := s.Tx(t.Context(), func(tx *Tx) (err error) { ended, err = tx.EndLease(t.Context(), o, host, "done"); return err }); err != nil {
			t.Fatal(err)
		}
		return ended
	}
	for range 2 {
		if !lease("h1") {
			t.Error("the same host may ask twice")
		}
	}
	if lease("h2") {
		t.Error("another host must not get a held lease")
	}
	if end("h2") {
		t.Error("another host must not end it")
	}
	if !end("h1") || end("h1") {
		t.Error("a lease ends once")
	}
	if lease("h1") {
		t.Error("an ended lease is not taken again")
	}
}

func TestLocksEnd(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "x.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	lock := func(holder string) bool {
		t.Helper()
		ok, err := s.Lock(t.Context(), "lane:1", holder, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !lock("a") || lock("b") {
		t.Error("a lock has one holder")
	}
	if err := s.Unlock(t.Context(), "lane:1", "b"); err != nil {
		t.Fatal(err)
	}
	if lock("b") {
		t.Error("only its holder gives a lock back")
	}
	now = now.Add(2 * time.Minute)
	if !lock("b") {
		t.Error("a lock whose time is over is free")
	}
}

// BenchmarkPut stores deliveries as fast as they come from many senders, each flushed to disk before it is
// answered.
func BenchmarkPut(b *testing.B) {
	s := openTest(b)
	payload := make([]byte, 8<<10)
	var n int64
	var mu sync.Mutex
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			id := fmt.Sprint(n)
			mu.Unlock()
			if _, err := s.Put(b.Context(), batch.Delivery{ID: id, Event: "issue_comment", Lane: "7/" + id, Payload: payload}); err != nil {
				b.Error(err)
			}
		}
	})
}
