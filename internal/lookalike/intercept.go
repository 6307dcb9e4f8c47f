package lookalike

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Phase is the moment of a call at which an intercept is asked.
type Phase string

// The phases: before anything was done, and after it was carried out but before it is answered.
const (
	Before Phase = "before"
	After  Phase = "after"
)

// Call is one request: to REST ("rest"), GraphQL ("graphql") or git's smart HTTP ("git").
type Call struct {
	Kind         string
	Phase        Phase
	Method       string
	Path         string // below /api/v3 for REST; still escaped
	Pattern      string // as in GitHub's document, with {x...} where several segments may stand; "" is unknown
	Query        string
	Header       http.Header // without Authorization
	Body         []byte      // request body; not kept for git
	Status       int         // what is or was answered; 0 before
	Time         time.Time
	Actor        string // login, "app:<slug>" for the App itself, "" for nobody
	Installation int64
}

// Action is what an intercept wants. The zero Action lets the call go on.
type Action struct {
	Status int // answered instead; after the call was carried out in phase After
	Body   any // encoded as JSON; a string is sent as it is
	Header map[string]string
	Drop   bool // the connection ends without an answer; many clients, git too, then try once more by themselves
}

func (a Action) given() bool { return a.Drop || a.Status != 0 }

func (a Action) write(w http.ResponseWriter) {
	if a.Drop {
		panic(http.ErrAbortHandler) // how net/http drops a connection
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for k, v := range a.Header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(a.Status)
	if text, isText := a.Body.(string); isText {
		_, _ = w.Write([]byte(text))
		return
	}
	if a.Body != nil {
		_ = json.NewEncoder(w).Encode(a.Body) // the client may have gone
	}
}

// Fault is an answer with GitHub's shape of an error.
func Fault(status int, message string) Action {
	return Action{Status: status, Body: obj{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)}}
}

// RateLimited is the primary limit: remaining 0 and the time it ends. status is 403 or 429.
func RateLimited(status int, until time.Time) Action {
	a := Fault(status, "API rate limit exceeded for installation ID 1.")
	a.Header = map[string]string{"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Used": "5000",
		"X-RateLimit-Reset": strconv.FormatInt(until.Unix(), 10), "X-RateLimit-Resource": "core"}
	return a
}

// SecondaryLimit is the limit against bursts. status is 403 or 429; retryAfter 0 leaves the header out, as
// GitHub sometimes does.
func SecondaryLimit(status int, retryAfter time.Duration) Action {
	a := Fault(status, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
	if retryAfter > 0 {
		a.Header = map[string]string{"Retry-After": fmt.Sprint(int(retryAfter.Seconds()))}
	}
	return a
}

// BadGateway is the page that GitHub's front answers when what is behind it took too long.
func BadGateway() Action {
	return Action{Status: http.StatusBadGateway, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html><body>502 Bad Gateway</body></html>"}
}

type intercept struct{ f func(Call) Action }

// Intercept asks f about every call in both phases, in the order of registration; the first Action given
// wins. f runs on the call's own goroutine and without locks, so it may use the whole Go API, and may wait.
// Close waits for it. The returned function takes it out again.
func (g *GitHub) Intercept(f func(Call) Action) (remove func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := &intercept{f: f}
	g.intercepts = append(g.intercepts, one)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for i, other := range g.intercepts {
			if other == one {
				g.intercepts = append(g.intercepts[:i:i], g.intercepts[i+1:]...)
				return
			}
		}
	}
}

// On makes an intercept function that gives the action for the next `times` calls of that method and pattern
// in that phase. The pattern is GitHub's, e.g. "/repos/{owner}/{repo}/pulls/{pull_number}/merge".
func On(phase Phase, method, pattern string, times int, action Action) func(Call) Action {
	var left atomic.Int64
	left.Store(int64(times))
	return func(c Call) Action {
		if c.Phase != phase || c.Method != method || c.Pattern != pattern || left.Add(-1) < 0 {
			return Action{}
		}
		return action
	}
}

func (g *GitHub) intercept(c Call) Action {
	g.mu.Lock()
	list := g.intercepts
	g.mu.Unlock()
	for _, one := range list {
		if a := one.f(c); a.given() {
			return a
		}
	}
	return Action{}
}

func (g *GitHub) record(c Call, status int) {
	c.Phase, c.Status = "", status
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, c)
}

// Calls lists all API and git requests so far, in the order they were answered, without credentials.
func (g *GitHub) Calls() []Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Call(nil), g.calls...)
}
