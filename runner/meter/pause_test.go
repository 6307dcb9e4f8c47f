package meter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// pipes is a listener in memory, so that real HTTP can be spoken inside of a bubble in which time is ours.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubble is a meter with sessions inside of a synctest bubble.
type bubble struct {
	t       *testing.T
	meter   *Meter
	said    *lines
	logged  *lines
	began   time.Time
	closing []func()
}

func newBubble(t *testing.T, answer http.HandlerFunc) *bubble {
	t.Helper()
	b := &bubble{t: t, said: &lines{}, logged: &lines{}, began: time.Now()}
	up := newPipes()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // only then a server notices that its client went away
		if err == nil {
			r.Body = io.NopCloser(bytes.NewReader(body))
			answer(w, r)
		}
	})}
	go server.Serve(up)
	m, err := New(Options{BaseURL: "http://upstream", APIKey: realKey, Log: zerolog.New(b.logged)})
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DialContext: up.dial, MaxIdleConnsPerHost: 100}
	m.transport = tr
	b.meter = m
	b.closing = append(b.closing, func() { server.Close() }, tr.CloseIdleConnections)
	return b
}

// close ends everything, newest first; a bubble waits for all its goroutines.
func (b *bubble) close() {
	for i := len(b.closing) - 1; i >= 0; i-- {
		b.closing[i]()
	}
}

// agent is the client of one session.
type agent struct {
	b       *bubble
	session *Session
	client  *http.Client
	dial    func(context.Context, string, string) (net.Conn, error)
}

func (b *bubble) agent() *agent {
	b.t.Helper()
	p := newPipes()
	s, err := b.meter.Open(p, Budget{Say: b.said.add})
	if err != nil {
		b.t.Fatal(err)
	}
	tr := &http.Transport{DialContext: p.dial, MaxIdleConnsPerHost: 100}
	b.closing = append(b.closing, func() { s.Close() }, tr.CloseIdleConnections)
	return &agent{b, s, &http.Client{Transport: tr}, p.dial}
}

// ask posts a request and returns status, Retry-After and body; status 0 is a broken call.
func (a *agent) ask(ctx context.Context, body string) (int, string, string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://model/v1/messages", strings.NewReader(body))
	if err != nil {
		return 0, "", err.Error()
	}
	r.Header.Set("X-Api-Key", a.session.Token())
	resp, err := a.client.Do(r)
	if err != nil {
		return 0, "", err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", err.Error()
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), string(text)
}

// refuseWith answers as the API does at a limit.
func refuseWith(w http.ResponseWriter, status int, retryAfter string) {
	if retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	w.Write(errorBody("rate_limit_error", "slow down"))
}

func TestPauseIsWaitedForAndTheRequestSentAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refuse func(w http.ResponseWriter)
		least  time.Duration
	}{
		"rate limit": {func(w http.ResponseWriter) { refuseWith(w, 429, "30") }, 30 * time.Second},
		"rate limit, a date": {func(w http.ResponseWriter) {
			refuseWith(w, 429, time.Now().Add(20*time.Second).UTC().Format(http.TimeFormat))
		}, 19 * time.Second},
		"overloaded":        {func(w http.ResponseWriter) { refuseWith(w, 529, "") }, time.Second},
		"overloaded as 503": {func(w http.ResponseWriter) { w.WriteHeader(503); w.Write(errorBody("overloaded_error", "x")) }, time.Second},
		"by the limit's own header": {func(w http.ResponseWriter) {
			w.Header().Set("Anthropic-Ratelimit-Requests-Remaining", "5")
			w.Header().Set("Anthropic-Ratelimit-Requests-Reset", time.Now().Add(time.Hour).Format(time.RFC3339))
			w.Header().Set("Anthropic-Ratelimit-Input-Tokens-Remaining", "0")
			w.Header().Set("Anthropic-Ratelimit-Input-Tokens-Reset", time.Now().Add(40*time.Second).Format(time.RFC3339))
			refuseWith(w, 429, "")
		}, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				b := newBubble(t, func(w http.ResponseWriter, r *http.Request) {
					if asked.Add(1) == 1 {
						tt.refuse(w)
						return
					}
					whole(`{"input_tokens":1000}`)(w, r)
				})
				defer b.close()
				a := b.agent()
				status, _, body := a.ask(t.Context(), message(opus))
				if took := time.Since(b.began); status != http.StatusOK || took < tt.least || took > tt.least+tt.least/5+time.Second {
					t.Errorf("got %d after %s: %s", status, took, body)
				}
				if got := a.session.Usage(); got.CostMicroUSD != 4000 || got.Requests != 1 || got.Limited {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

// Thirty sessions meet a limit at the same time: nobody sends during the pause, one goes first, then a few at a time.
func TestPauseHoldsAllSessionsAndEndsWithoutAHerd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration // of every request after the limit
		var under, most, refused int
		began := time.Now()
		b := newBubble(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if time.Since(began) < time.Minute {
				refused++
				mu.Unlock()
				refuseWith(w, 429, strconv.Itoa(int((time.Minute-time.Since(began)).Seconds())+1))
				return
			}
			at = append(at, time.Since(began))
			under++
			most = max(most, under)
			mu.Unlock()
			time.Sleep(time.Second) // the answer's first byte takes a second, in the bubble's time
			mu.Lock()
			under--
			mu.Unlock()
			whole(`{"input_tokens":1}`)(w, r)
		})
		defer b.close()
		const sessions = 30
		var wg sync.WaitGroup
		var agents []*agent
		for range sessions {
			agents = append(agents, b.agent())
		}
		for _, a := range agents {
			wg.Go(func() {
				if status, _, body := a.ask(t.Context(), message(opus)); status != http.StatusOK {
					t.Errorf("got %d %s", status, body)
				}
			})
		}
		synctest.Wait()
		late := b.agent() // one more comes during the pause
		time.Sleep(30 * time.Second)
		wg.Go(func() {
			if status, _, _ := late.ask(t.Context(), message(opus)); status != http.StatusOK {
				t.Errorf("the late one got %d", status)
			}
		})
		wg.Wait()
		if refused > sessions {
			t.Errorf("%d requests were refused: somebody sent during the pause", refused)
		}
		if len(at) != sessions+1 || at[1]-at[0] < time.Second || at[3]-at[1] < time.Second {
			t.Errorf("sent at %v: the first goes alone, then two", at)
		}
		if n := b.said.count("for a pause"); n != sessions+1 {
			t.Errorf("said %d times: %s", n, b.said)
		}
		if begin, end := b.logged.count("all model requests pause"), b.logged.count("the pause is over"); begin != 1 || end != 1 {
			t.Errorf("logged %d begins and %d ends: %s", begin, end, b.logged)
		}
		t.Logf("at most %d at a time after the pause", most)
	})
}

func TestLongLimitIsAnsweredAtOnceByAllUntilItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		ends := time.Now().Add(2 * time.Hour)
		b := newBubble(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if time.Now().Before(ends) {
				w.Header().Set("Anthropic-Ratelimit-Unified-Status", "rejected")
				w.Header().Set("Anthropic-Ratelimit-Unified-Reset", fmt.Sprint(ends.Unix()))
				refuseWith(w, 429, "")
				return
			}
			whole(`{"input_tokens":1}`)(w, r)
		})
		defer b.close()
		first, second := b.agent(), b.agent()
		for _, a := range []*agent{first, second, second} {
			status, after, body := a.ask(t.Context(), message(opus))
			seconds, err := strconv.Atoi(after)
			if status != http.StatusTooManyRequests || err != nil || seconds < 7200 || seconds > 7200+10 || !strings.Contains(body, "limited until") {
				t.Errorf("got %d, Retry-After %q: %s", status, after, body)
			}
		}
		if took := time.Since(b.began); took > time.Second || asked.Load() != 1 {
			t.Errorf("took %s and %d questions", took, asked.Load())
		}
		if got := second.session.Usage(); !got.Limited || got.LimitedUntil.Before(ends) || got.LimitedUntil.After(ends.Add(10*time.Second)) {
			t.Errorf("got %+v", got)
		}
		// A request that comes shortly before the end waits for it.
		time.Sleep(2*time.Hour - time.Minute)
		if status, _, body := first.ask(t.Context(), message(opus)); status != http.StatusOK {
			t.Errorf("at the end got %d %s", status, body)
		}
	})
}

func TestOverloadIsWaitedForLongerAndLongerAndThenGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		began := time.Now()
		b := newBubble(t, func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			at = append(at, time.Since(began).Round(time.Second))
			mu.Unlock()
			refuseWith(w, 529, "")
		})
		defer b.close()
		status, after, _ := b.agent().ask(t.Context(), message(opus))
		if took := time.Since(began); status != http.StatusTooManyRequests || after == "" || took > defaultMaxWait {
			t.Errorf("got %d, Retry-After %q after %s", status, after, took)
		}
		for i := 2; i < len(at); i++ {
			if at[i]-at[i-1] < at[i-1]-at[i-2] {
				t.Errorf("asked at %v: the waits must grow", at)
			}
		}
		if len(at) < 5 || len(at) > 9 {
			t.Errorf("asked at %v", at)
		}
	})
}

func TestWhoGoesAwayDuringAPauseFreesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		b := newBubble(t, func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				refuseWith(w, 429, "60")
				return
			}
			whole(`{"input_tokens":1}`)(w, r)
		})
		defer b.close()
		a := b.agent()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			a.ask(ctx, message(opus))
			close(done)
		}()
		synctest.Wait()
		cancel()
		<-done
		synctest.Wait()
		if len(a.session.places) != 0 {
			t.Error("the place is still taken")
		}
		if status, _, _ := a.ask(t.Context(), message(opus)); status != http.StatusOK || time.Since(b.began) < time.Minute {
			t.Errorf("the next one got %d after %s", status, time.Since(b.began))
		}
		if asked.Load() != 2 {
			t.Errorf("%d questions", asked.Load())
		}
		if got := a.session.Usage(); got.EstimatedMicroUSD != 0 || got.CostMicroUSD != 4 {
			t.Errorf("waiting costs nothing, got %+v", got)
		}
	})
}

// The first one after a pause hangs: it must not keep the others waiting for ever, and one that hangs up must not either.
func TestProbeThatHangsLetsTheOthersGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		b := newBubble(t, func(w http.ResponseWriter, r *http.Request) {
			switch asked.Add(1) {
			case 1:
				refuseWith(w, 429, "10")
			case 2:
				<-r.Context().Done() // the probe
			default:
				whole(`{"input_tokens":1}`)(w, r)
			}
		})
		defer b.close()
		hanging, other := b.agent(), b.agent()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { hanging.ask(ctx, message(opus)) })
		synctest.Wait()
		time.Sleep(12 * time.Second) // the probe is under way
		if status, _, _ := other.ask(t.Context(), message(opus)); status != http.StatusOK {
			t.Errorf("got %d", status)
		}
		if took := time.Since(b.began); took > 12*time.Second+letThrough {
			t.Errorf("waited until %s", took)
		}
		cancel()
		wg.Wait()
	})
}

// An agent that writes requests which are always refused must not hold up the other sessions again and again.
func TestSessionThatIsLimitedByItselfHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), "too large") {
				refuseWith(w, 429, "")
				return
			}
			whole(`{"input_tokens":1}`)(w, r)
		})
		defer b.close()
		bad, good := b.agent(), b.agent()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				bad.ask(ctx, strings.Replace(message(opus), "hello", "too large", 1))
			}
		})
		var slow int
		for range 200 {
			time.Sleep(time.Second)
			before := time.Now()
			if status, _, body := good.ask(t.Context(), message(opus)); status != http.StatusOK {
				t.Errorf("got %d %s", status, body)
			}
			if time.Since(before) > 0 {
				slow++
			}
		}
		cancel()
		wg.Wait()
		if slow > ownFault+1 {
			t.Errorf("%d of 200 requests were held up by another session", slow)
		}
	})
}

// Whose refusal began the pause does not go first again, as long as somebody else waits.
func TestWhoWasRefusedLetsOthersTryFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(defaultMaxWait, func(notice) {})
		bad, good := &lane{}, &lane{}
		for range 20 { // who goes first would else be chance
			refused, err := g.enter(t.Context(), bad, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			refused.limited(time.Second, "x")
			first := make(chan *lane, 2)
			var wg sync.WaitGroup
			for _, l := range []*lane{bad, good} {
				wg.Go(func() {
					pass, err := g.enter(t.Context(), l, time.Now())
					if err != nil {
						t.Error(err)
						return
					}
					first <- l
					time.Sleep(time.Second)
					pass.passed()
				})
			}
			if <-first == bad {
				t.Error("the refused one went first")
			}
			wg.Wait()
			bad.strikes = 0
			g.paused = false
		}
	})
}

// A client that sends its body or reads its answer too slowly does not hold a place for ever.
func TestSlowClientsAreLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			event(w, "message_start", started)
			for r.Context().Err() == nil {
				event(w, "content_block_delta", piece)
			}
		})
		defer b.close()
		a := b.agent()
		head := "POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + a.session.Token() + "\r\nContent-Length: "
		for name, text := range map[string]string{
			"head": "POST /v1", "body": head + "5000\r\n\r\n{", "answer": head + strconv.Itoa(len(message(opus))) + "\r\n\r\n" + message(opus),
		} {
			conn, err := a.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if taken := len(a.session.places); name != "head" && taken != 1 {
				t.Errorf("%s: %d places taken", name, taken)
			}
			time.Sleep(2 * time.Minute)
			if taken := len(a.session.places); taken != 0 {
				t.Errorf("%s: %d places taken after %s", name, taken, time.Since(began))
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("%s: the connection is still open: %v", name, err)
			}
			conn.Close()
		}
	})
}

// A refusal that says that trying again is useless is the request's own fault.
func TestHopelessLimitIsPassedToItsClientOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Should-Retry", "false")
			refuseWith(w, 429, "3600")
		})
		defer b.close()
		status, after, body := b.agent().ask(t.Context(), message(opus))
		if status != http.StatusTooManyRequests || after != "3600" || !strings.Contains(body, "slow down") || time.Since(b.began) > 0 {
			t.Errorf("got %d %q %s after %s", status, after, body, time.Since(b.began))
		}
		if b.meter.gate.paused {
			t.Error("everybody waits")
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "1.5": 1500 * time.Millisecond, "-3": 0, "x": 0, "NaN": 0, "1e300": longestPause,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestHelperIsLeftAloneAfterItFailed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newCredential(Options{Helper: "echo x >> " + dir + "/n; exit 1", HelperTTL: time.Minute})
	for range 5 {
		if _, err := c.put(t.Context(), http.Header{}); err == nil {
			t.Fatal("got a key")
		}
	}
	c.until = time.Now().Add(-time.Second)
	if _, err := c.put(t.Context(), http.Header{}); err == nil {
		t.Fatal("got a key")
	}
	key, err := runHelper(t.Context(), "wc -l < "+dir+"/n")
	if err != nil || key != "2" {
		t.Errorf("ran %s times, %v", key, err)
	}
}
