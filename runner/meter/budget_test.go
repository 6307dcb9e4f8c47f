package meter

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

func TestBudgetIsRefusedOnceItIsUsedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10_000, whole(`{"input_tokens":1000,"output_tokens":100}`), nil) // 6000 each
	for range 2 {
		if resp, body := w.post(t, "/v1/messages", message(opus)); resp.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", resp.StatusCode, body)
		}
	}
	resp, body := w.post(t, "/v1/messages", message(opus))
	if wrong := fails(resp, body, http.StatusBadRequest, "the run's budget of $0.0100 is used up"); wrong != "" || resp.Header.Get("X-Should-Retry") != "false" {
		t.Error(wrong, resp.Header)
	}
	if resp, _ := w.post(t, "/v1/messages/count_tokens", message(opus)); resp.StatusCode != http.StatusOK {
		t.Errorf("counting tokens is free, got %d", resp.StatusCode)
	}
	if got := w.session.Close(); !got.Over || got.CostMicroUSD != 12_000 || got.Requests != 2 {
		t.Errorf("got %+v", got)
	}
}

// Subagents ask at the same time. The budget is 8 answers' worth; together they must not pass it by more than one.
func TestBudgetIsPassedByOneAnswerAtMost(t *testing.T) {
	t.Parallel()
	const each, budget = 6000, 48_000
	w := newWorld(t, budget, whole(`{"input_tokens":1000,"output_tokens":100}`), nil)
	status := make(chan int, 100)
	for range maxAtOnce {
		go func() {
			for {
				resp, err := w.client.Do(w.request(t, t.Context(), "/v1/messages", message(opus)))
				if err != nil {
					status <- 0
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					status <- resp.StatusCode
					return
				}
			}
		}()
	}
	for range maxAtOnce {
		if s := <-status; s != http.StatusBadRequest {
			t.Errorf("ended with %d", s)
		}
	}
	if got := w.session.Close(); got.CostMicroUSD < budget || got.CostMicroUSD >= budget+each || !got.Over {
		t.Errorf("got %+v", got)
	}
}

func TestRequestWaitsForThoseUnderWayWhenTheBudgetIsNearItsEnd(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	w := newWorld(t, 50_000, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		whole(`{"input_tokens":1000}`)(w, r)
	}, nil)
	// The answer may have 4096 tokens for $0.08, more than the budget: the second waits for the first.
	body := strings.Replace(message(opus), `"max_tokens":1000`, `"max_tokens":128000`, 1)
	status := make(chan int, 3)
	ask := func(ctx context.Context) {
		resp, err := w.client.Do(w.request(t, ctx, "/v1/messages", body))
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}
	go ask(t.Context())
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	go ask(ctx)
	go ask(t.Context())
	for len(w.session.places) < 3 {
		runtime.Gosched() // until both are inside
	}
	select {
	case <-arrived:
		t.Fatal("the second request did not wait")
	default:
	}
	cancel() // who goes away while waiting frees its place
	if s := <-status; s != 0 {
		t.Errorf("the one that went away got %d", s)
	}
	for len(w.session.places) > 2 {
		runtime.Gosched()
	}
	close(release)
	for range 2 {
		if s := <-status; s != http.StatusOK {
			t.Errorf("got %d", s)
		}
	}
	if got := w.session.Close(); got.CostMicroUSD != 8000 || got.Requests != 2 {
		t.Errorf("got %+v", got)
	}
}

// A long answer under way counts with what has been streamed of it, not with the least that was expected.
func TestLongAnswersReserveMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	c := &call{s: w.session, req: &request{model: opus, body: make([]byte, 300), most: 128_000}}
	if got := c.reserve(); got != 100*4000+leastOutput*20_000 {
		t.Errorf("at the begin %d", got)
	}
	c.sawOutput(20_000)
	if got := c.reserve(); got != 100*4000+20_000*20_000 {
		t.Errorf("under way %d", got)
	}
	c.sawUsage(opus, block{Input: 1000, Output: 1}, false)
	if got := c.reserve(); got != (20_000-1)*20_000 {
		t.Errorf("with its begin counted %d", got)
	}
	c.req.most = 10
	if got := c.reserve(); got != 9*20_000 {
		t.Errorf("with few tokens allowed %d", got)
	}
}

func TestBudgetOutOfRangeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	for _, micro := range []int64{-1, maxBudget + 1} {
		l := &closed{}
		if _, err := w.meter.Open(l, Budget{MicroUSD: micro}); err == nil || !l.closed {
			t.Errorf("%d: %v, closed %t", micro, err, l.closed)
		}
	}
}

// closed is a listener that only knows whether it was closed.
type closed struct {
	net.Listener
	closed bool
}

func (c *closed) Close() error {
	c.closed = true
	return nil
}
