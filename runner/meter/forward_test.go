package meter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRealCredentialIsPutInAndNothingElseGoesThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{"input_tokens":10,"output_tokens":5}`), func(o *Options) { o.Headers = "X-Gateway: team-a-secret\nAnthropic-Beta: three" })
	r := w.request(t, t.Context(), "/v1/messages?beta=true&target=https://evil.example", message(opus))
	for name, value := range map[string]string{
		"Authorization": "Bearer " + w.session.Token(), "Cookie": "a=b", "Proxy-Authorization": "x", "Forwarded": "for=1",
		"X-Forwarded-For": "1.2.3.4", "X-Portkey-Custom-Host": "https://evil.example", "Anthropic-Beta": "one,two",
		"X-Stainless-Lang": "js", "X-Claude-Code-Session-Id": "abc", "X-Gateway": "mine", "X-Http-Method-Override": "DELETE",
	} {
		r.Header.Set(name, value)
	}
	r.Host = "evil.example"
	resp, body := do(t, w.client, r)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"text":"hi"`) {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	seen, bodies := w.up.requests()
	if len(seen) != 1 || bodies[0] != message(opus) {
		t.Fatalf("the model's side saw %d requests: %q", len(seen), bodies)
	}
	h := seen[0].Header
	want := map[string]string{
		"X-Api-Key": realKey, "Anthropic-Version": "2023-06-01", "Accept-Encoding": "identity",
		"X-Stainless-Lang": "js", "X-Claude-Code-Session-Id": "abc", "X-Gateway": "team-a-secret", "Content-Type": "application/json",
		"Authorization": "", "Cookie": "", "Proxy-Authorization": "", "Forwarded": "", "X-Forwarded-For": "",
		"X-Portkey-Custom-Host": "", "X-Http-Method-Override": "",
	}
	for name, value := range want {
		if h.Get(name) != value {
			t.Errorf("%s: got %q, want %q", name, h.Get(name), value)
		}
	}
	if betas := strings.Join(h.Values("Anthropic-Beta"), ","); betas != "three,one,two" {
		t.Errorf("betas %s", betas)
	}
	if seen[0].URL.RequestURI() != "/v1/messages?beta=true" || seen[0].Host == "evil.example" {
		t.Errorf("asked %s at %s", seen[0].URL, seen[0].Host)
	}
}

func TestGatewayWithPathAndBearer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), func(o *Options) { o.BaseURL += "/team/anthropic/"; o.APIKey = ""; o.Token = "gateway-token" })
	w.post(t, "/v1/messages/count_tokens?beta=true", message(opus))
	seen, _ := w.up.requests()
	if len(seen) != 1 || seen[0].URL.RequestURI() != "/team/anthropic/v1/messages/count_tokens?beta=true" ||
		seen[0].Header.Get("Authorization") != "Bearer gateway-token" || seen[0].Header.Get("X-Api-Key") != "" {
		t.Fatalf("saw %+v", seen)
	}
	if u := w.session.Usage(); u.Requests != 0 || u.CostMicroUSD != 0 {
		t.Errorf("counting tokens is free, got %+v", u)
	}
}

func TestStreamIsPassedPieceByPieceAndCounted(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	w := newWorld(t, 0, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_ = http.NewResponseController(w).Flush()
		for text := range next {
			event(w, "x", text)
		}
	}, nil)
	resp, err := w.client.Do(w.request(t, t.Context(), "/v1/messages", message(opus)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	var after []Usage
	for _, text := range []string{started, piece, ended, finished} {
		next <- text // the next piece is sent only after the one before has arrived
		for lines.Scan() && lines.Text() != "data: "+text {
		}
		after = append(after, w.session.Usage())
	}
	close(next)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("rest %q, %v", rest, err)
	}
	// 1000 tokens in at $4, one out at $20; later 100 out.
	if got := after[0]; got.CostMicroUSD != 4020 || got.InputTokens != 1000 || got.OutputTokens != 1 {
		t.Errorf("after the begin %+v", got)
	}
	if got := w.session.Close(); got.CostMicroUSD != 6000 || got.OutputTokens != 100 || got.Requests != 1 || got.EstimatedMicroUSD != 0 {
		t.Errorf("at the end %+v", got)
	}
}

func TestPricesOfEveryKindOfToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, usage string
		micro       int64
		in, out     int64
	}{
		{"plain", `{"input_tokens":1000,"output_tokens":100}`, 4000 + 2000, 1000, 100},
		{"cache for five minutes", `{"cache_creation_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":1000}}`, 5000, 1000, 0},
		{"cache for an hour", `{"cache_creation_input_tokens":1000,"cache_creation":{"ephemeral_1h_input_tokens":1000}}`, 8000, 1000, 0},
		{"cache of an unknown time", `{"cache_creation_input_tokens":1000}`, 5000, 1000, 0},
		{"cache read", `{"cache_read_input_tokens":1000}`, 400, 1000, 0},
		{"searches", `{"server_tool_use":{"web_search_requests":3}}`, 30_000, 0, 0},
		{"one region", `{"input_tokens":1000,"inference_geo":"us"}`, 4400, 1000, 0},
		{"no region", `{"input_tokens":1000,"inference_geo":"global"}`, 4000, 1000, 0},
		{"with a compaction", `{"input_tokens":100,"output_tokens":10,"iterations":[{"type":"compaction","input_tokens":1000,"output_tokens":50},{"type":"message","input_tokens":100,"output_tokens":10}]}`, 400 + 200 + 4000 + 1000, 1100, 60},
		{"with an adviser of another model", `{"input_tokens":100,"iterations":[{"type":"message","input_tokens":100},{"type":"advisor_message","model":"claude-fable-5-2","input_tokens":100}]}`, 400 + 800, 200, 0},
		{"nonsense", `{"input_tokens":-5,"output_tokens":-1}`, 0, 0, 0},
		{"far too much", `{"input_tokens":9223372036854775807}`, 4 * maxTokens, maxTokens, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0, whole(tt.usage), nil)
			w.post(t, "/v1/messages", message(opus))
			if got := w.session.Close(); got.CostMicroUSD != tt.micro || got.InputTokens != tt.in || got.OutputTokens != tt.out || got.EstimatedMicroUSD != 0 {
				t.Errorf("got %+v, want cost %d, in %d, out %d", got, tt.micro, tt.in, tt.out)
			}
		})
	}
}

func TestUnknownModelIsCountedAtTheDearestPriceAndSaidOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{"input_tokens":1000}`), nil)
	w.post(t, "/v1/messages", message("gpt-9"))
	w.post(t, "/v1/messages", message("gpt-9"))
	if got := w.session.Close(); got.CostMicroUSD != 16_000 || got.UnknownModel != "gpt-9" {
		t.Errorf("got %+v", got)
	}
	if n := w.said.count("no price is known"); n != 1 {
		t.Errorf("said %d times: %s", n, w.said)
	}
}

// A gateway may take a cheap name for a dear model: what it says it answered with counts, if it is dearer.
func TestDearerOfAskedAndAnsweredModelCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{"input_tokens":1000}`), nil) // answers as opus
	w.post(t, "/v1/messages", message("claude-haiku-5-5"))
	w.post(t, "/v1/messages", message("claude-fable-5-2"))
	if got := w.session.Close(); got.CostMicroUSD != 4000+8000 {
		t.Errorf("got %+v, want 12000", got)
	}
}

// Whoever hangs up before the usage is known pays by estimate: otherwise an agent could use the model for nothing.
func TestHangingUpIsCountedByEstimateAndSaid(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	w := newWorld(t, 0, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		event(w, "message_start", started)
		for range 10 {
			event(w, "content_block_delta", piece)
		}
		<-r.Context().Done() // the meter hangs up too
		close(gone)
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := w.client.Do(w.request(t, ctx, "/v1/messages", message(opus)))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	for seen := 0; seen < 10 && lines.Scan(); {
		if strings.Contains(lines.Text(), "text_delta") && strings.HasPrefix(lines.Text(), "data:") {
			seen++
		}
	}
	cancel()
	resp.Body.Close()
	<-gone
	got := w.session.Close()
	if got.CostMicroUSD <= 4020 || got.OutputTokens < 80 || got.EstimatedMicroUSD != got.CostMicroUSD-4020 {
		t.Errorf("got %+v", got)
	}
	if w.said.count("estimate") != 1 {
		t.Errorf("said: %s", w.said)
	}
}

func TestHangingUpBeforeTheAnswerIsCountedByEstimate(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	w := newWorld(t, 0, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	body := strings.Replace(message(opus), "hello", strings.Repeat("x", 30_000), 1)
	if _, err := w.client.Do(w.request(t, ctx, "/v1/messages", body)); err == nil {
		t.Fatal("answered")
	}
	got := w.session.Close()
	if got.InputTokens < 10_000 || got.InputTokens > 10_100 || got.EstimatedMicroUSD != got.CostMicroUSD {
		t.Errorf("got %+v", got)
	}
}

func TestBrokenStreamBreaksAtTheClientToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		event(w, "message_start", started)
		event(w, "message_delta", ended)
		panic(http.ErrAbortHandler)
	}, nil)
	resp, err := w.client.Do(w.request(t, t.Context(), "/v1/messages", message(opus)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the client did not see that the stream broke")
	}
	if got := w.session.Close(); got.CostMicroUSD != 6000 || got.EstimatedMicroUSD != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestErrorsOfTheModelsSidePassAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 404, 413, 500, 502, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			const words = `{"type":"error","error":{"type":"some_error","message":"its own words, with %s in it"}}`
			w := newWorld(t, 0, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Request-Id", "req_1")
				w.Header().Set("Set-Cookie", "secret=1")
				w.Header().Set("X-Echo", realKey)
				w.WriteHeader(status)
				fmt.Fprintf(w, words, realKey+" header-secret-1 Bearer token-secret-1")
			}, func(o *Options) { o.Headers = "X-Extra: Basic header-secret-1"; o.Token = "token-secret-1" })
			resp, body := w.post(t, "/v1/messages", message(opus))
			if resp.StatusCode != status || body != fmt.Sprintf(words, "*** *** Bearer ***") || resp.Header.Get("Request-Id") != "req_1" {
				t.Errorf("got %d %s %v", resp.StatusCode, body, resp.Header)
			}
			if resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("X-Echo") != "***" {
				t.Errorf("headers %v", resp.Header)
			}
			if got := w.session.Close(); got.CostMicroUSD != 0 || got.Requests != 0 {
				t.Errorf("an error costs nothing, got %+v", got)
			}
			noSecrets(t, w)
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := startUpstream(t, whole(`{}`))
	w := newWorld(t, 0, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/v1/messages", http.StatusTemporaryRedirect)
	}, nil)
	resp, body := w.post(t, "/v1/messages", message(opus))
	if wrong := fails(resp, body, http.StatusBadGateway, "307"); wrong != "" {
		t.Error(wrong)
	}
	if seen, _ := other.requests(); len(seen) > 0 || resp.Header.Get("Location") != "" {
		t.Errorf("%d requests went elsewhere, Location %q", len(seen), resp.Header.Get("Location"))
	}
}

func TestUnreachableModelIsABadGatewayWithoutDetails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), func(o *Options) { o.BaseURL = "http://127.0.0.1:1/internal-path" })
	resp, body := w.post(t, "/v1/messages", message(opus))
	if wrong := fails(resp, body, http.StatusBadGateway, "could not reach the model"); wrong != "" {
		t.Error(wrong)
	}
	if strings.Contains(body, "127.0.0.1") || strings.Contains(w.said.String(), "127.0.0.1") || !strings.Contains(w.logged.String(), "refused") {
		t.Errorf("answer %s, said %s, logged %s", body, w.said, w.logged)
	}
	if got := w.session.Close(); got.CostMicroUSD != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestPackedAnswerIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write([]byte("\x1f\x8b"))
	}, nil)
	resp, body := w.post(t, "/v1/messages", message(opus))
	if wrong := fails(resp, body, http.StatusBadGateway, "cannot be counted"); wrong != "" {
		t.Error(wrong)
	}
	if got := w.session.Close(); got.EstimatedMicroUSD == 0 {
		t.Errorf("it was paid for, got %+v", got)
	}
}

func TestCloseEndsCallsUnderWay(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan struct{})
	var first [1]byte
	w := newWorld(t, 0, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		event(w, "message_start", started)
		<-r.Context().Done()
		close(ended)
	}, nil)
	failed := make(chan error, 1)
	go func() {
		resp, err := w.client.Do(w.request(t, t.Context(), "/v1/messages", message(opus)))
		if err == nil {
			_, _ = resp.Body.Read(first[:])
			close(begun)
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		failed <- err
	}()
	<-begun
	usage := w.session.Close()
	<-ended
	if err := <-failed; err == nil {
		t.Error("the client's call went on")
	}
	if again := w.session.Close(); again != usage || usage.InputTokens != 1000 {
		t.Errorf("got %+v, then %+v", usage, again)
	}
	if _, err := w.client.Do(w.request(t, t.Context(), "/v1/messages", message(opus))); err == nil {
		t.Error("answered after Close")
	}
}

func TestHostWithoutCredentialSaysWhatToSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), func(o *Options) { o.APIKey = "" })
	resp, body := w.post(t, "/v1/messages", message(opus))
	if wrong := fails(resp, body, http.StatusUnauthorized, "set ANTHROPIC_API_KEY"); wrong != "" || resp.Header.Get("X-Should-Retry") != "false" {
		t.Error(wrong, resp.Header)
	}
	if seen, _ := w.up.requests(); len(seen) > 0 {
		t.Error("a request without a credential was sent")
	}
}

func TestHelperIsAskedOnceAndAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t, 0, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") == "helper-key-1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		whole(`{"input_tokens":1}`)(w, r)
	}, func(o *Options) {
		o.APIKey = ""
		o.Helper = fmt.Sprintf("echo x >> %s/n; echo helper-key-$(wc -l < %s/n)", dir, dir)
	})
	for range 3 {
		if resp, body := w.post(t, "/v1/messages", message(opus)); resp.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", resp.StatusCode, body)
		}
	}
	seen, _ := w.up.requests()
	var keys []string
	for _, r := range seen {
		keys = append(keys, r.Header.Get("X-Api-Key"))
		if r.Header.Get("Authorization") != "Bearer "+r.Header.Get("X-Api-Key") {
			t.Errorf("the key was not sent both ways: %v", r.Header)
		}
	}
	if got := strings.Join(keys, " "); got != "helper-key-1 helper-key-2 helper-key-2 helper-key-2" {
		t.Errorf("keys %s", got)
	}
	noSecrets(t, w)
}

func TestHelperThatFailsIsNamedButNeverQuoted(t *testing.T) {
	t.Parallel()
	for helper, words := range map[string]string{
		"echo secret-of-helper; echo secret-of-helper >&2; exit 3": "exit code 3",
		"true":                                  "printed nothing",
		"printf 'secret-of-helper\\nsecond'":    "is not a key",
		"yes secret-of-helper | head -c 100000": "is not a key",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0, whole(`{}`), func(o *Options) { o.APIKey = ""; o.Helper = helper })
			resp, body := w.post(t, "/v1/messages", message(opus))
			if wrong := fails(resp, body, http.StatusUnauthorized, words); wrong != "" {
				t.Error(wrong)
			}
			if all := body + w.said.String() + w.logged.String(); strings.Contains(all, "secret-of-helper") {
				t.Errorf("quoted: %s", all)
			}
		})
	}
}

// noSecrets fails when the real key stands in anything that is said or logged.
func noSecrets(t *testing.T, w *world) {
	t.Helper()
	if all := w.said.String() + w.logged.String(); strings.Contains(all, realKey) || strings.Contains(all, "helper-key") {
		t.Errorf("a secret was shown: %s", all)
	}
}

func TestStalledHelperIsEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if key, err := runHelper(ctx, "sleep 600 & sleep 600"); key != "" || err == nil {
		t.Errorf("got %q, %v", key, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}
