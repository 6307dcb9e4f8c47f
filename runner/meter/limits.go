package meter

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// statusOverloaded is the API's own status for overload.
const statusOverloaded = 529

// limitOf says whether an answer is a refusal because of a limit or overload that concerns everybody, how long the
// model's side wants to be left alone (0: it does not say), and what it was, for people. body is the begin of an error's body.
func limitOf(status int, h http.Header, body []byte, now time.Time) (why string, wait time.Duration, limited bool) {
	rejected := h.Get("anthropic-ratelimit-unified-status") == "rejected"
	switch {
	case status == http.StatusTooManyRequests && rejected:
		why = "the account's usage limit is reached"
	case status == http.StatusTooManyRequests && h.Get("x-should-retry") == "false":
		return "", 0, false // it will never be let through: the request's own fault
	case status == http.StatusTooManyRequests:
		why = "rate limit"
	case status == statusOverloaded, status == http.StatusServiceUnavailable && bytes.Contains(body, []byte("overloaded")):
		why = "the model is overloaded"
	default:
		return "", 0, false
	}
	return why, waitOf(h, rejected, now), true
}

// waitOf reads how long to wait: Retry-After, and where it is missing or a usage limit is reached, the moments at which
// the used-up limits are filled again. The header's forms are those of docs.claude.com, "Rate limits"; those with "unified"
// are of accounts with a subscription, in seconds since 1970.
func waitOf(h http.Header, rejected bool, now time.Time) time.Duration {
	wait := retryAfter(h, now)
	if rejected {
		if at, err := strconv.ParseInt(h.Get("anthropic-ratelimit-unified-reset"), 10, 64); err == nil {
			wait = max(wait, time.Unix(at, 0).Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, of := range []string{"requests", "tokens", "input-tokens", "output-tokens"} {
		if h.Get("anthropic-ratelimit-"+of+"-remaining") != "0" {
			continue
		}
		if at, err := time.Parse(time.RFC3339, h.Get("anthropic-ratelimit-"+of+"-reset")); err == nil {
			wait = max(wait, at.Sub(now))
		}
	}
	return wait
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < longestPause.Seconds() {
		return time.Duration(seconds * float64(time.Second))
	} else if err == nil && seconds > 0 {
		return longestPause
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
