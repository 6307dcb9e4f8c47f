package meter

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Shape of a pause.
const (
	firstBackoff = time.Second // when the model's side does not say how long
	lastBackoff  = time.Minute
	longestPause = 8 * 24 * time.Hour // whatever a header says
	// A refusal because of a limit comes at once. A request that has waited longer for its answer was let through.
	letThrough = 15 * time.Second
	// After a pause one request goes first, then two, four… at a time; from here on as many as want.
	openAt = 16
)

// notice says that a pause begins, or that it is over.
type notice struct {
	why   string
	until time.Time
	over  bool
}

// gate is the one pause of all sessions: rate limits and overload concern the account and the model's side, not the
// session that happens to feel them first. It has three states: open, closed until a moment, and half open, when few
// requests at a time try whether the model's side answers again.
type gate struct {
	maxWait time.Duration
	tell    func(notice)

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	paused  bool          // not open
	until   time.Time     // closed until then
	room    int           // half open: how many requests may be under way
	under   int           // half open: how many are
	tries   int           // pauses in a row that nobody gave a length
	number  int           // of the pause; a ticket of an earlier one says nothing about this one
	told    bool          // that this pause is a long one
	last    *lane         // whose refusal began this pause
	waiting map[*lane]int // requests that wait, by lane
	passes  int           // requests of all lanes that were let through by the model's side
}

func newGate(maxWait time.Duration, tell func(notice)) *gate {
	return &gate{maxWait: maxWait, tell: tell, changed: make(chan struct{}), waiting: map[*lane]int{}}
}

// ticket lets one request through the gate. It is given back once: passed, limited or gone.
type ticket struct {
	g      *gate
	lane   *lane
	number int
	tries  bool // one of the few of a half open gate
	used   bool
	timer  *time.Timer
}

// limitError says that the gate stays closed for longer than a request may wait.
type limitError struct{ until time.Time }

func (e *limitError) Error() string {
	return "the model's account is limited until " + clock(e.until)
}

// state says whether nothing is sent now, and until when.
func (g *gate) state(now time.Time) (until time.Time, paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until, g.paused && now.Before(g.until)
}

// enter waits until a request that came at a moment may be sent. When that takes longer than the gate's limit, it answers
// with a limitError at once.
func (g *gate) enter(ctx context.Context, l *lane, came time.Time) (*ticket, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		t, wait, err := g.try(l, time.Now(), came)
		if t != nil || err != nil {
			return t, err
		}
		if err := g.wait(ctx, l, wait); err != nil {
			return nil, err
		}
	}
}

// wait gives the lock up until something has changed, or the time is over.
func (g *gate) wait(ctx context.Context, l *lane, most time.Duration) error {
	changed := g.changed
	g.waiting[l]++
	g.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	if g.waiting[l]--; g.waiting[l] == 0 {
		delete(g.waiting, l)
	}
	if ctx.Err() != nil {
		g.broadcast() // somebody may have let this one go first
	}
	return ctx.Err()
}

// try gives a ticket, or says how long to wait before it is worth trying again. The lock is held.
func (g *gate) try(l *lane, now, came time.Time) (*ticket, time.Duration, error) {
	patience := came.Add(g.maxWait)
	until := l.until
	if g.paused {
		until = later(until, g.until)
	}
	switch {
	case now.Before(until) && until.After(patience):
		return nil, 0, &limitError{until}
	case now.Before(until):
		return nil, until.Sub(now), nil
	case !g.paused:
		return &ticket{g: g, lane: l, number: g.number}, 0, nil
	case g.under < g.room && !g.yields(l, now):
		g.under++
		t := &ticket{g: g, lane: l, number: g.number, tries: true}
		t.timer = time.AfterFunc(letThrough, t.passed)
		return t, 0, nil
	case !now.Before(patience):
		return nil, 0, &limitError{now.Add(letThrough)}
	default:
		return nil, patience.Sub(now), nil
	}
}

// passed says that the model's side has begun to answer.
func (t *ticket) passed() {
	g := t.g
	g.mu.Lock()
	var over bool
	if !t.used {
		g.passes++
		t.lane.passes++
		t.lane.tries = 0
	}
	if t.giveBack() && g.paused {
		g.room *= 2
		if g.room > openAt {
			g.paused, g.tries, g.told, over = false, 0, false, true
		}
		g.broadcast()
	}
	g.mu.Unlock()
	if over {
		g.tell(notice{over: true})
	}
}

// gone says that nothing is known: the client went away, or the model's side could not be reached.
func (t *ticket) gone() {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	if t.giveBack() {
		t.g.broadcast()
	}
}

// limited says that the model's side refused because of a limit. wait is how long it wants to be left alone; 0: it did
// not say.
func (t *ticket) limited(wait time.Duration, why string) {
	g := t.g
	now := time.Now()
	wait = min(wait, longestPause)
	g.mu.Lock()
	current := t.number == g.number
	t.giveBack()
	alone := g.strike(t.lane, now)
	began := false
	switch {
	case alone:
		t.lane.until = now.Add(pauseFor(wait, &t.lane.tries))
	case current:
		began = !g.paused
		g.last = t.lane
		g.number++
		g.paused, g.room, g.under = true, 1, 0
		g.until = later(g.until, now.Add(pauseFor(wait, &g.tries)))
	default: // one of those that were under way when the pause began
		g.until = later(g.until, now.Add(wait))
	}
	long := !alone && g.until.Sub(now) > g.maxWait && !g.told
	g.told = g.told || long
	n := notice{why: why, until: g.until}
	g.broadcast()
	g.mu.Unlock()
	if began || long {
		g.tell(n)
	}
}

// pauseFor is how long to wait: as long as was said, or longer with each try. Hosts that share an account should not come
// back in the same moment.
func pauseFor(wait time.Duration, tries *int) time.Duration {
	if wait <= 0 {
		wait = min(firstBackoff<<min(*tries, 6), lastBackoff)
		*tries++
	}
	return wait + rand.N(min(wait/10, 5*time.Second)+1)
}

// giveBack says whether the ticket counted among the few of this pause until now. The lock is held.
func (t *ticket) giveBack() bool {
	if t.used {
		return false
	}
	t.used = true
	if t.timer != nil {
		t.timer.Stop()
	}
	if !t.tries || t.number != t.g.number {
		return false
	}
	t.g.under--
	return true
}

func (g *gate) broadcast() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
