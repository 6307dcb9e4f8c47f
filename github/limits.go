package github

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	secondaryWait = time.Minute      // GitHub: without headers wait at least a minute
	maxLimitWait  = 15 * time.Minute // for repeated secondary limits without headers
)

// The pools of allowance that GitHub counts apart.
const (
	restPool  = "rest"
	graphPool = "graphql"
)

func poolOf(req *http.Request) string {
	if strings.HasSuffix(req.URL.Path, "/graphql") {
		return graphPool
	}
	return restPool
}

// limits remembers until when GitHub wants no calls of one installation.
type limits struct {
	mu      sync.Mutex
	until   map[string]LimitError
	strikes int // secondary limits without headers in a row
}

func newLimits() *limits { return &limits{until: map[string]LimitError{}} }

// active returns the limit that forbids a call of this pool now, or nil.
func (l *limits) active(pool string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit, ok := l.until[pool]; ok && now.Before(limit.Until) {
		return &limit
	}
	return nil
}

// read looks at an answer for a limit and remembers it. The result is nil or a *LimitError.
func (l *limits) read(pool string, resp *http.Response, now time.Time) error {
	limited, secondary := isLimit(pool, resp)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !limited {
		if resp.StatusCode < 400 {
			l.strikes = 0
		}
		return nil
	}
	limit := LimitError{Until: now.Add(l.wait(resp, secondary, now)), Secondary: secondary}
	l.until[pool] = limit
	if secondary {
		l.until[restPool], l.until[graphPool] = limit, limit
	}
	return &limit
}

// isLimit tells a limit from other refusals, and which of the two kinds it is. go-github takes only a 403 for
// a limit; GitHub also answers 429, and GraphQL answers 200.
func isLimit(pool string, resp *http.Response) (limited, secondary bool) {
	exhausted := resp.Header.Get("X-RateLimit-Remaining") == "0"
	switch resp.StatusCode {
	case http.StatusOK:
		if pool != graphPool {
			return false, false
		}
		body := peek(resp)
		return bytes.Contains(body, []byte(`"RATE_LIMITED"`)), false
	case http.StatusTooManyRequests:
		return true, !exhausted
	case http.StatusForbidden:
		body := strings.ToLower(string(peek(resp)))
		if strings.Contains(body, "secondary rate limit") || strings.Contains(body, "abuse detection") {
			return true, true
		}
		if exhausted || strings.Contains(body, "api rate limit exceeded") {
			return true, false
		}
		return resp.Header.Get("Retry-After") != "", true
	}
	return false, false
}

func peek(resp *http.Response) []byte {
	body, err := io.ReadAll(resp.Body)
	resp.Body = &answerBody{left: body}
	if err != nil {
		return nil // cannot happen: the answer is in memory
	}
	return body
}

// wait reads how long the limit lasts. GitHub's times are compared with GitHub's clock, not ours.
func (l *limits) wait(resp *http.Response, secondary bool, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		return max(time.Duration(seconds)*time.Second, time.Second)
	}
	if reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && !secondary {
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			now = date
		}
		return max(time.Unix(reset, 0).Sub(now)+time.Second, time.Second)
	}
	wait := min(secondaryWait<<min(l.strikes, 10), maxLimitWait)
	l.strikes++
	return wait
}

// writer lets one write of an installation go at a time, with a pause between two: GitHub answers writes in
// parallel with secondary limits.
type writer struct {
	turn    chan struct{}
	spacing time.Duration
	last    time.Time // guarded by turn
}

func newWriter(spacing time.Duration) *writer {
	return &writer{turn: make(chan struct{}, 1), spacing: spacing}
}

// begin waits for the turn to write; the caller calls done after the answer.
func (w *writer) begin(ctx context.Context) (done func(), err error) {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if pause := w.spacing - time.Since(w.last); pause > 0 {
		if err := sleep(ctx, pause); err != nil {
			<-w.turn
			return nil, err
		}
	}
	return func() { w.last = time.Now(); <-w.turn }, nil
}
