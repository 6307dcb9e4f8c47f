package github

import (
	"context"
	"hash/maphash"
)

// turns makes look-then-create steps of the same thing follow each other inside this process. Between
// processes the database's jobs do that.
type turns struct {
	seed    maphash.Seed
	stripes [64]chan struct{}
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.stripes {
		t.stripes[i] = make(chan struct{}, 1)
	}
	return t
}

// take waits for the turn of a key. The caller calls done, and takes no second turn before that.
func (t *turns) take(ctx context.Context, key string) (done func(), err error) {
	stripe := t.stripes[maphash.String(t.seed, key)%uint64(len(t.stripes))]
	select {
	case stripe <- struct{}{}:
		return func() { <-stripe }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
