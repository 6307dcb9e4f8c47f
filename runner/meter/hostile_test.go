package meter

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestOnlyTheSessionsTokenIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{"input_tokens":1}`), nil)
	other, _ := w.open(t, 0)
	for name, tt := range map[string]struct {
		header, value string
		ok            bool
	}{
		"key":                   {"X-Api-Key", w.session.Token(), true},
		"bearer":                {"Authorization", "Bearer " + w.session.Token(), true},
		"nothing":               {"X-Nothing", "", false},
		"empty":                 {"X-Api-Key", "", false},
		"empty bearer":          {"Authorization", "Bearer ", false},
		"the real key":          {"X-Api-Key", realKey, false},
		"another session's":     {"X-Api-Key", other.Token(), false},
		"shorter":               {"X-Api-Key", w.session.Token()[:20], false},
		"as a basic password":   {"Authorization", "Basic " + w.session.Token(), false},
		"in the proxy's header": {"Proxy-Authorization", "Bearer " + w.session.Token(), false},
	} {
		r := w.request(t, t.Context(), "/v1/messages", message(opus))
		r.Header.Del("X-Api-Key")
		r.Header.Set(tt.header, tt.value)
		resp, body := do(t, w.client, r)
		if tt.ok != (resp.StatusCode == http.StatusOK) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		if wrong := fails(resp, body, http.StatusForbidden, "not the token"); !tt.ok && wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	if len(w.session.Token()) < 30 || w.session.Token() == other.Token() {
		t.Errorf("tokens %q and %q", w.session.Token(), other.Token())
	}
}

// exchange writes bytes to the session's socket and returns the status lines of what comes back. half closes the writing
// side behind them.
func (w *world) exchange(t *testing.T, text string, half bool) []string {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, text) // the server may hang up before the end
	if u, ok := conn.(*net.UnixConn); ok && half {
		_ = u.CloseWrite()
	}
	var status []string
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "HTTP/1.") {
			status = append(status, strings.SplitN(lines.Text(), " ", 3)[1])
		}
	}
	return status
}

func TestNothingButTheTwoPathsIsPassed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	body := message(opus)
	for line, want := range map[string]string{
		"GET / HTTP/1.1":                                        "200",
		"HEAD / HTTP/1.1":                                       "200",
		"GET /v1/messages HTTP/1.1":                             "403",
		"PUT /v1/messages HTTP/1.1":                             "403",
		"POST / HTTP/1.1":                                       "403",
		"POST /v1/models HTTP/1.1":                              "403",
		"POST /v1/messages/ HTTP/1.1":                           "403",
		"POST //v1/messages HTTP/1.1":                           "403",
		"POST //v1/../v1/messages HTTP/1.1":                     "403",
		"POST /v1/messages/../../v1/files HTTP/1.1":             "403",
		"POST /v1/messages/batches HTTP/1.1":                    "403",
		"POST /v1/%6dessages HTTP/1.1":                          "403",
		"POST /v1/messages%2f..%2ffiles HTTP/1.1":               "403",
		"POST /v1/messages%3fx HTTP/1.1":                        "403",
		"POST /v1/messages;x HTTP/1.1":                          "403",
		"POST /v1/messages#x HTTP/1.1":                          "403",
		"POST /V1/Messages HTTP/1.1":                            "403",
		"POST http://evil.example/v1/messages HTTP/1.1":         "403",
		"POST http://169.254.169.254/latest/meta-data HTTP/1.1": "403",
		"CONNECT evil.example:443 HTTP/1.1":                     "403",
		"OPTIONS * HTTP/1.1":                                    "403",
		"TRACE /v1/messages HTTP/1.1":                           "403",
		"post /v1/messages HTTP/1.1":                            "403",
		"POST v1/messages HTTP/1.1":                             "400",
		"POST /v1/messages HTTP/9.9":                            "505",
		"PRI * HTTP/2.0":                                        "403",
		"POST /v1/messages?x=../../y HTTP/1.1":                  "200",
	} {
		text := fmt.Sprintf("%s\r\nHost: x\r\nX-Api-Key: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", line, w.session.Token(), len(body), body)
		if got := w.exchange(t, text, false); len(got) == 0 || got[0] != want {
			t.Errorf("%s: got %v, want %s", line, got, want)
		}
	}
	seen, _ := w.up.requests()
	if len(seen) != 1 || seen[0].URL.Path != "/v1/messages" {
		t.Errorf("%d requests reached the model's side", len(seen))
	}
}

// Two readers of one connection must not see different requests. The body is read whole and sent anew, so that at most
// one request goes on for each that was checked.
func TestSmuggledRequestsDoNotArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	inner := "POST /v1/files HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + w.session.Token() + "\r\n\r\n"
	key := "X-Api-Key: " + w.session.Token() + "\r\n"
	for name, text := range map[string]string{
		"both lengths":           "POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + key + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":            "POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + key + "Content-Length: 4\r\nContent-Length: 400\r\n\r\nabcd" + inner,
		"odd encoding":           "POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + key + "Transfer-Encoding: xchunked\r\n\r\n" + inner,
		"broken chunk":           "POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + key + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + inner,
		"endless chunk size":     "POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + key + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + inner,
		"two hosts":              "POST /v1/messages HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + key + "\r\n" + inner,
		"space before the colon": "POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key : " + w.session.Token() + "\r\n\r\n" + inner,
		"line break in a header": "POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + key + "Anthropic-Beta: a\r X-Api-Key: b\r\nContent-Length: 0\r\n\r\n" + inner,
		"short body":             "POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + key + "Content-Length: 5000\r\n\r\n" + message(opus),
		"no HTTP at all":         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		for _, status := range w.exchange(t, text, true) {
			if status[0] != '4' && status[0] != '5' {
				t.Errorf("%s: answered %s", name, status)
			}
		}
	}
	if seen, bodies := w.up.requests(); len(seen) > 0 {
		t.Errorf("reached the model's side: %v %q", seen[0].URL, bodies)
	}
}

func TestLimitsOfARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	head := "POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + w.session.Token() + "\r\nConnection: close\r\n"
	for name, tt := range map[string]struct{ text, status string }{
		"large headers": {head + "X-Large: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", "431"},
		"said large":    {head + fmt.Sprintf("Content-Length: %d\r\n\r\n", maxBody+1), "413"},
		"packed":        {head + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", "400"},
	} {
		if got := w.exchange(t, tt.text, false); len(got) == 0 || got[0] != tt.status {
			t.Errorf("%s: got %v, want %s", name, got, tt.status)
		}
	}
	r := w.request(t, t.Context(), "/v1/messages", "")
	r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, maxBody+10)), -1 // in chunks
	if resp, err := w.client.Do(r); err == nil {
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("large in chunks: %d", resp.StatusCode)
		}
		resp.Body.Close()
	}
	if w.said.count("larger than 32 MiB") == 0 {
		t.Errorf("said: %s", w.said)
	}
	w.session.mu.Lock()
	held := w.session.held
	w.session.mu.Unlock()
	if held != 0 {
		t.Errorf("%d bytes are still counted as held", held)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestLargestBodyPasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{"input_tokens":1}`), nil)
	body := strings.Replace(message(opus), "hello", strings.Repeat("x", maxBody-len(message(opus))+5), 1)
	if resp, text := w.post(t, "/v1/messages", body); resp.StatusCode != http.StatusOK || len(body) != maxBody {
		t.Errorf("%d bytes: %d %s", len(body), resp.StatusCode, text)
	}
}

func TestAtMostSixteenRequestsAtOnce(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	w := newWorld(t, 0, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		whole(`{"input_tokens":1}`)(w, r)
	}, nil)
	status := make(chan int, maxAtOnce)
	for range maxAtOnce {
		go func() {
			resp, err := w.client.Do(w.request(t, t.Context(), "/v1/messages", message(opus)))
			if err != nil {
				status <- 0
				return
			}
			resp.Body.Close()
			status <- resp.StatusCode
		}()
	}
	for range maxAtOnce {
		<-arrived
	}
	resp, body := w.post(t, "/v1/messages", message(opus))
	if wrong := fails(resp, body, http.StatusTooManyRequests, "16 model requests"); wrong != "" {
		t.Error(wrong)
	}
	close(release)
	for range maxAtOnce {
		if s := <-status; s != http.StatusOK {
			t.Errorf("got %d", s)
		}
	}
	if resp, _ := w.post(t, "/v1/messages", message(opus)); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}

func TestRefusalsAreSaidOnceEachAndNotForever(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	for range maxSaid + 20 {
		w.post(t, "/v1/messages", with(`"speed":"fast"`))
	}
	if n := w.said.count("speed"); n != maxSaid {
		t.Errorf("said %d times", n)
	}
	if seen, _ := w.up.requests(); len(seen) > 0 {
		t.Errorf("%d requests were sent", len(seen))
	}
}

func TestNewRefusesBadOptionsAllAtOnceWithoutSecrets(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		BaseURL: "https://user:pass-secret@api.example/?x=1", APIKey: "key-secret\nX: y", Token: "token-secret\r",
		Headers: "Good: 1\nno colon secret\nHost: secret\n", Models: []string{"[", "claude-*"},
	})
	if err == nil {
		t.Fatal("passed")
	}
	for _, words := range []string{"base URL holds a user", "API key", "token holds", "line 2", "line 3 sets Host", `"["`} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q is missing in: %v", words, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("a secret is shown: %v", err)
	}
	for _, url := range []string{"ftp://x", "https://", "api.example", "https://x/?a", "https://x/#a", "://"} {
		if _, err := New(Options{BaseURL: url}); err == nil {
			t.Errorf("%q passed", url)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", Options{APIKey: realKey}, Options{Token: realKey}, Options{APIKey: realKey}); strings.Contains(s, realKey) {
		t.Errorf("options show a secret: %s", s)
	}
}

func TestFromEnviron(t *testing.T) {
	t.Parallel()
	o := FromEnviron([]string{"ANTHROPIC_API_KEY=k", "ANTHROPIC_AUTH_TOKEN=t=x", "ANTHROPIC_BASE_URL=https://g/a",
		"ANTHROPIC_CUSTOM_HEADERS=A: b\nC: d", "ANTHROPIC_MODEL=m", "PATH=/bin"})
	if string(o.APIKey) != "k" || string(o.Token) != "t=x" || o.BaseURL != "https://g/a" || o.Headers != "A: b\nC: d" || o.Helper != "" {
		t.Errorf("got %#v", o)
	}
}

// An agent that opens connections without end gets no more of the host than its share.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	var d net.Dialer
	var conns []net.Conn
	for range maxConns + 20 {
		conn, err := d.DialContext(t.Context(), "unix", w.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	answered := func(conn net.Conn) bool {
		_, _ = io.WriteString(conn, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		var one [1]byte
		n, _ := conn.Read(one[:])
		return n == 1
	}
	if !answered(conns[0]) || answered(conns[maxConns+10]) {
		t.Error("the first must be answered, the last must not")
	}
	for _, conn := range conns[:maxConns] {
		conn.Close()
	}
	_ = conns[maxConns+10].SetReadDeadline(time.Now().Add(10 * time.Second))
	var one [1]byte
	if n, err := conns[maxConns+10].Read(one[:]); n != 1 {
		t.Errorf("not answered when there is room again: %v", err)
	}
}

// Requests that are too large together are refused, and what was held for them is given back.
func TestBodiesHeldAtTheSameTimeAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, whole(`{}`), nil)
	other, _ := w.open(t, 0)
	if !w.session.hold(maxHeld) || w.session.hold(1) || !other.hold(maxHeld) {
		t.Error("each session has its own room")
	}
	resp, body := w.post(t, "/v1/messages", message(opus))
	if wrong := fails(resp, body, http.StatusTooManyRequests, "too many large requests"); wrong != "" {
		t.Error(wrong)
	}
	w.session.hold(-maxHeld)
	other.hold(-maxHeld)
	if resp, _ := w.post(t, "/v1/messages", message(opus)); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards %d", resp.StatusCode)
	}
	w.meter.held.Add(maxHeldByAll)
	if w.session.hold(1) || w.meter.held.Load() != maxHeldByAll || w.session.held != 0 {
		t.Error("all sessions together have no bound")
	}
}
