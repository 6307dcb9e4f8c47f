package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"dozens/batch"
	"dozens/batch/say"
	"dozens/github"
	"dozens/store"
)

// status brings the sticky comment of a batch up to date: at most one edit per pace, none when nothing
// changed. The end of a batch does not wait.
func (f *Flow) status(ctx context.Context, job *river.Job[statusArgs]) error {
	key := "status:" + job.Args.Batch
	return f.covering(ctx, key, job.Args.N, job.ID, func(ctx context.Context) error { return f.statusOnce(ctx, job.Args.Batch, key) })
}

func (f *Flow) statusOnce(ctx context.Context, batchID, key string) error {
	b, err := f.store.Batch(ctx, batchID)
	if err != nil {
		return err
	}
	comment, digest, at, err := f.store.Said(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if rest := f.opts.Pace - time.Since(at); comment != 0 && rest > 0 && !b.Stage.Final() {
		return river.JobSnooze(rest)
	}
	return f.putStatus(ctx, b, key, comment, digest)
}

func (f *Flow) putStatus(ctx context.Context, b batch.Batch, key string, comment int64, digest string) error {
	v, err := f.view(ctx, b)
	if err != nil {
		return err
	}
	body := say.Status(v)
	sum := sha256.Sum256([]byte(body))
	now := hex.EncodeToString(sum[:])
	if now == digest {
		return nil
	}
	repo := f.github.Repo(b.Repo)
	if comment != 0 {
		err = repo.EditComment(ctx, comment, key, body)
	}
	if comment == 0 || errors.Is(err, github.ErrNotFound) { // none yet, or somebody deleted it
		comment, err = repo.Comment(ctx, b.Issue, key, body)
	}
	if errors.Is(err, github.ErrNotFound) {
		return nil // the issue is gone; the work's own stages notice what else is
	} else if err != nil {
		return err
	}
	return f.store.Say(ctx, key, comment, now)
}

// sayStatus answers /status with a comment of its own.
func (f *Flow) sayStatus(ctx context.Context, p payload, b batch.Batch, key string) error {
	v, err := f.view(ctx, b)
	if err != nil {
		return err
	}
	return f.reply(ctx, p, "status-reply:"+key, say.Status(v))
}
