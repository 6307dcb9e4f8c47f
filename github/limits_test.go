package github

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	reset := strconv.FormatInt(start.Add(10*time.Minute).Unix(), 10)
	for _, c := range []struct {
		name      string
		status    int
		header    map[string]string
		message   string
		want      time.Duration // 0: not a limit
		secondary bool
	}{
		{"429 bare", 429, nil, "", time.Minute, true},
		{"429 retry-after", 429, map[string]string{"Retry-After": "7"}, "", 7 * time.Second, true},
		{"429 exhausted", 429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, "API rate limit exceeded", 601 * time.Second, false},
		{"403 exhausted, our clock an hour late", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset,
			"Date": start.Add(5 * time.Minute).Format(http.TimeFormat)}, "API rate limit exceeded", 301 * time.Second, false},
		{"403 secondary bare", 403, nil, "You have exceeded a secondary rate limit.", time.Minute, true},
		{"403 abuse", 403, nil, "You have triggered an abuse detection mechanism", time.Minute, true},
		{"403 retry-after", 403, map[string]string{"Retry-After": "30"}, "wait", 30 * time.Second, true},
		{"403 plain", 403, nil, "Resource not accessible by integration", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.on("GET "+issuePath, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Date", start.Format(http.TimeFormat))
				for k, v := range c.header {
					rw.Header().Set(k, v)
				}
				give(rw, c.status, obj{"message": c.message})
			})
			_, err := w.repo.Issue(t.Context(), 5)
			var limit *LimitError
			if c.want == 0 {
				if errors.As(err, &limit) || !errors.Is(err, ErrForbidden) {
					t.Errorf("got %v, want %v", err, ErrForbidden)
				}
				return
			}
			if !errors.As(err, &limit) {
				t.Fatalf("got %v, want a limit", err)
			}
			if got := limit.Until.Sub(start); got != c.want || limit.Secondary != c.secondary {
				t.Errorf("limit: got %s secondary %v, want %s secondary %v", got, limit.Secondary, c.want, c.secondary)
			}
			w.stayQuietUntil(t, c.want)
		})
	}
}

// stayQuietUntil checks that nothing goes out before the limit ends, and something does afterwards.
func (w *world) stayQuietUntil(t *testing.T, wait time.Duration) {
	t.Helper()
	w.advance(wait - time.Second)
	var limit *LimitError
	if _, err := w.repo.Issue(t.Context(), 5); !errors.As(err, &limit) {
		t.Errorf("during the limit: got %v, want a limit", err)
	}
	if got := len(w.sent("GET", issuePath)); got != 1 {
		t.Errorf("calls during the limit: got %d, want 1", got)
	}
	w.advance(2 * time.Second)
	_, _ = w.repo.Issue(t.Context(), 5) // it is limited again; what counts is that it was asked
	if got := len(w.sent("GET", issuePath)); got != 2 {
		t.Errorf("calls after the limit: got %d, want 2", got)
	}
}

func TestRepeatedBareLimitsWaitLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.on("GET "+issuePath, gives(429, "{}"))
	for i, want := range []time.Duration{1, 2, 4, 8, 15, 15} {
		_, err := w.repo.Issue(t.Context(), 5)
		var limit *LimitError
		if !errors.As(err, &limit) {
			t.Fatalf("call %d: got %v, want a limit", i, err)
		}
		if got := limit.Until.Sub(w.clock()); got != want*time.Minute {
			t.Errorf("call %d: got %s, want %s", i, got, want*time.Minute)
		}
		w.advance(want*time.Minute + time.Second)
	}
}

func TestExhaustedAllowanceIsALimitBeforeTheNextCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	w.on("GET "+issuePath, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-RateLimit-Limit", "5000")
		rw.Header().Set("X-RateLimit-Remaining", "0")
		rw.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
		give(rw, 200, obj{"number": 5})
	})
	if _, err := w.repo.Issue(t.Context(), 5); err != nil {
		t.Fatalf("the last allowed call: %v", err)
	}
	_, err := w.repo.Issue(t.Context(), 5)
	var limit *LimitError
	if !errors.As(err, &limit) || !limit.Until.Equal(reset) {
		t.Errorf("got %v, want a limit until %s", err, reset)
	}
}
