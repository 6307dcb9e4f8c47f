package egress

import (
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// What can be said of an attempt.
const (
	allowed = "allowed"
	refused = "refused" // by the rules or by us
	failed  = "failed"  // allowed, but the host could not be reached
	closed  = "closed"  // the end of one that was allowed
)

// Bounds of a name and of a reason in the record.
const (
	maxName   = 120
	maxReason = 300
)

// record says each attempt in the run's log, up to a number of lines, and counts the rest.
type record struct {
	log zerolog.Logger

	mu   sync.Mutex
	say  func(format string, args ...any)
	left int
	more map[string]int // attempts that were not said
}

// add says one attempt. Name and reason may come from inside the box.
func (r *record) add(what, name, reason string) {
	name, reason = clean(name, maxName), clean(reason, maxReason)
	r.log.Debug().Str("attempt", what).Str("target", name).Str("reason", reason).Msg("egress")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		r.more[what]++
		return
	}
	r.left--
	if reason != "" {
		reason = " (" + reason + ")"
	}
	r.say("egress: %s %s%s", what, name, reason)
}

// finish says how much was left out.
func (r *record) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var parts []string
	for _, what := range []string{allowed, refused, failed, closed} {
		if n := r.more[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	if len(parts) > 0 {
		r.say("egress: not shown: %s", strings.Join(parts, ", "))
	}
	clear(r.more)
}

// clean makes a text from elsewhere fit for a line of a log: printable ASCII, at most so many bytes.
func clean(s string, most int) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, shorten(s, most))
}

// shorten cuts a text to so many bytes, and shows that it did.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
