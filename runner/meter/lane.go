package meter

import "time"

const (
	// A session that is refused so often while others are answered is limited by itself.
	ownFault = 3
	// What lies longer back than this is forgotten.
	forgetAfter = 10 * time.Minute
)

// lane is what the gate knows of one session. An agent can write requests that are refused for their own size, again
// and again, and would hold up everybody by that: so once a session was refused some times while others were
// answered in between, its refusals make nobody wait but itself.
type lane struct {
	passes  int       // requests of this lane that were let through
	others  int       // passes of other lanes at the last refusal
	hit     time.Time // the last refusal
	strikes int       // refusals while others were answered
	until   time.Time // closed for this lane alone
	tries   int
}

// yields says whether a lane lets others go first: the one that was refused last would only be refused again, if it is
// limited by itself. The lock is held.
func (g *gate) yields(l *lane, now time.Time) bool {
	for other := range g.waiting {
		if g.last == l && other != l && !now.Before(other.until) {
			return true
		}
	}
	return false
}

// strike notes a refusal of a lane, and says whether it concerns that lane alone. The lock is held.
func (g *gate) strike(l *lane, now time.Time) bool {
	if now.Sub(l.hit) > forgetAfter {
		l.strikes = 0
	} else if g.passes-l.passes > l.others {
		l.strikes++
	}
	l.hit, l.others = now, g.passes-l.passes
	return l.strikes >= ownFault
}
