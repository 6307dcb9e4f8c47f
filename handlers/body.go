package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// A body must be held in memory to be verified, and anybody may send one. So all bodies together are bounded: up to
// smallSlots requests hold smallBody bytes each, and what goes beyond comes out of largeBytes. Small webhooks, which
// nearly all are, never wait behind large ones.
const (
	maxBody    = 25 << 20 // bytes; GitHub never sends more
	smallBody  = 256 << 10
	smallSlots = 256
	largeBytes = 80 << 20

	readTimeout = 10 * time.Second // for waiting and reading together; GitHub gives up then
)

var errNoRoom = errors.New("too many webhooks at once")

// room is the memory that bodies may take.
type room struct {
	slots *semaphore.Weighted
	large *semaphore.Weighted
}

func newRoom() *room {
	return &room{slots: semaphore.NewWeighted(smallSlots), large: semaphore.NewWeighted(largeBytes)}
}

// read takes the whole body into memory, waiting for room when others have it all. The caller calls release when it no
// longer holds the body, whatever err is. Of a body over the limit no more is read than the limit.
func (m *room) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if err := m.slots.Acquire(ctx, 1); err != nil {
		return nil, func() {}, errNoRoom
	}
	held := int64(0)
	release = func() { m.large.Release(held); m.slots.Release(1) }

	// The server lifts the deadline before the connection's next request. Writers that know no deadline, as tests use,
	// do without.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	from := http.MaxBytesReader(w, r.Body, maxBody)
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, from, smallBody); err != nil {
		return buf.Bytes(), release, notEOF(err)
	}
	rest := int64(maxBody - smallBody)
	if r.ContentLength >= 0 {
		rest = max(r.ContentLength-smallBody, 0)
	}
	if err := m.large.Acquire(ctx, rest); err != nil {
		return nil, release, errNoRoom
	}
	held = rest
	buf.Grow(int(rest) + bytes.MinRead) // at once: growing by doubling would take up to three times as much
	_, err = io.Copy(&buf, from)
	return buf.Bytes(), release, notEOF(err)
}

func notEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("read body: %w", err)
}
