package meter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of one session's connection.
const (
	maxAtOnce      = 16       // model requests at the same time
	maxHeld        = 48 << 20 // bytes of request bodies held at the same time: the largest one and some
	maxHeldByAll   = 1 << 30  // the same for all sessions together
	maxConns       = 64
	maxHeaderBytes = 64 << 10
	readTimeout    = 60 * time.Second // for the head and for the body of a request
	writeTimeout   = 60 * time.Second // for each piece of an answer, when the client does not read
	idleTimeout    = 10 * time.Minute
	maxSaid        = 100 // lines about refusals in one run's log
)

// Budget bounds a session.
type Budget struct {
	MicroUSD int64 // millionths of a US dollar; 0: no limit
	// Say puts a sentence into the run's log. It may be called by several goroutines at once, and must not call the
	// session; nil: nobody listens.
	Say func(format string, args ...any)
}

// Session is one run's access to the model.
type Session struct {
	m      *Meter
	token  string
	budget int64 // nanodollars; 0: none
	say    func(format string, args ...any)
	server *http.Server
	ctx    context.Context // ends all calls
	cancel context.CancelFunc
	places chan struct{}
	served sync.WaitGroup
	once   sync.Once
	lane   lane // guarded by the gate

	mu      sync.Mutex
	usage   Usage
	closed  bool
	spent   int64 // nanodollars
	guessed int64 // the part of spent that was estimated
	unnamed bool  // the run's log was told of the model without a price
	longest int64 // output tokens of the longest answer so far
	live    map[*call]bool
	changed chan struct{} // closed and replaced when a call ends
	held    int64
	said    int
}

// Open serves one session on l until Close; l belongs to the session from now on, also when Open fails.
func (m *Meter) Open(l net.Listener, b Budget) (*Session, error) {
	if b.MicroUSD < 0 || b.MicroUSD > maxBudget {
		l.Close()
		return nil, fmt.Errorf("open model session: a budget of %d millionths of a dollar", b.MicroUSD)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		m: m, token: "dozens-session-" + rand.Text(), budget: b.MicroUSD * 1000, say: b.Say, ctx: ctx, cancel: cancel,
		places: make(chan struct{}, maxAtOnce), live: map[*call]bool{}, changed: make(chan struct{}),
	}
	if s.say == nil {
		s.say = func(string, ...any) {}
	}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		DisableGeneralOptionsHandler: true, ErrorLog: quiet(),
	}
	m.join(s)
	s.served.Go(func() { s.serve(newDoor(l, maxConns)) })
	return s, nil
}

// maxBudget is the highest budget, in millionths of a US dollar: a million dollars.
const maxBudget = 1_000_000_000_000

func (s *Session) serve(l net.Listener) {
	if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.m.log.Warn().Err(err).Msg("model session stopped listening")
		s.say("the host's access to the model stopped: %v", err)
	}
}

// Token is what the agent must send as its key. It is random and worth nothing at any other door.
func (s *Session) Token() string { return s.token }

// Usage is what the session has used so far. It may be called while the session runs.
func (s *Session) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.usage
	u.CostMicroUSD, u.EstimatedMicroUSD = micro(s.spent), micro(s.guessed)
	return u
}

// Close ends the session and all calls under way, waits for them, and returns what the session used. It may be called
// more than once.
func (s *Session) Close() Usage {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.cancel()
		if err := s.server.Close(); err != nil {
			s.m.log.Debug().Err(err).Msg("close model session")
		}
		s.served.Wait()
		s.m.leave(s)
	})
	return s.Usage()
}

// begin lets a request in, unless the session is closed. Who was let in calls s.served.Done.
func (s *Session) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.served.Add(1)
	}
	return !s.closed
}

// errOver says that the session's budget is used up.
var errOver = errors.New("budget used up")

// admit waits until the budget has room for one more call. When it is used up, the answer is errOver. With several calls
// at once the budget can be passed by about one answer: as long as what is spent and what the calls under way are expected
// to cost reaches the budget, another one waits until some of them end.
func (s *Session) admit(ctx context.Context, c *call) error {
	for {
		s.mu.Lock()
		if s.budget > 0 && s.spent >= s.budget {
			s.usage.Over = true
			s.mu.Unlock()
			return errOver
		}
		if s.budget == 0 || len(s.live) == 0 || s.spent+s.reserved() < s.budget {
			s.live[c] = true
			s.mu.Unlock()
			return nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Session) reserved() int64 {
	var sum int64
	for c := range s.live {
		sum += c.reserve()
	}
	return sum
}

// end closes the account of a call, and says what people should know about it.
func (s *Session) end(c *call) {
	s.mu.Lock()
	guessed := c.settle()
	s.guessed += guessed
	s.longest = max(s.longest, c.usage.Output)
	unknown := s.usage.UnknownModel
	tell := unknown != "" && !s.unnamed
	s.unnamed = s.unnamed || tell
	delete(s.live, c)
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	if guessed > 0 {
		s.say("a reply of %s ended before its usage was known; %s are counted for it by estimate", clip(c.req.model), dollars(guessed))
	}
	if tell {
		s.m.log.Warn().Str("model", clip(unknown)).Msg("model without a price, counted at the dearest of the table")
		s.say("no price is known for the model %q; it is counted at the dearest price of the table", clip(unknown))
	}
}

// hold takes room for n bytes of a request's body; less than none gives it back.
func (s *Session) hold(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 && s.held+n > maxHeld {
		return false
	}
	if all := s.m.held.Add(n); n > 0 && all > maxHeldByAll {
		s.m.held.Add(-n)
		return false
	}
	s.held += n
	return true
}

// sayRefused puts a refusal into the run's log, as long as there are not too many.
func (s *Session) sayRefused(text string) {
	s.mu.Lock()
	s.said++
	said := s.said
	s.mu.Unlock()
	if said < maxSaid {
		s.say("model request not sent: %s", text)
	} else if said == maxSaid {
		s.say("model request not sent: %s (further ones are not listed)", text)
	}
}

// dollars writes nanodollars for people.
func dollars(nano int64) string {
	if nano >= 1e9 {
		return fmt.Sprintf("$%.2f", float64(nano)/1e9)
	}
	return fmt.Sprintf("$%.4f", float64(nano)/1e9)
}
