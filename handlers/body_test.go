package handlers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
)

// counting is a body that says how much of it was taken.
type counting struct {
	left int64
	read atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n := min(int64(len(p)), c.left)
	if n == 0 {
		return 0, io.EOF
	}
	c.left -= n
	c.read.Add(n)
	clear(p[:n])
	return int(n), nil
}

func (c *counting) Close() error { return nil }

func TestWebhookTakesTheLargestPayload(t *testing.T) {
	t.Parallel()
	box := &memory{}
	srv := hook(t, box, zerolog.Nop(), secret)
	body := `{"repository":{"id":42},"x":"` + strings.Repeat("x", maxBody-31) + `"}`
	if len(body) != maxBody {
		t.Fatalf("the test sends %d bytes, want %d", len(body), maxBody)
	}
	if got, text := do(t, request(t, srv.URL, "push", "d-1", body)); got != 202 {
		t.Fatalf("status %d: %s", got, text)
	}
	if d := box.all()[0]; len(d.Payload) != maxBody {
		t.Errorf("%d bytes stored, want %d", len(d.Payload), maxBody)
	}
}

func TestWebhookStopsReadingAtTheLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		declared int64
		most     int64 // bytes of the body that may be taken
	}{
		{"declared", maxBody + 1, 0},
		{"chunked", -1, maxBody + 1},
		{"declared as small", 10, maxBody + 1}, // net/http cuts it; past it we still do
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box := &memory{}
			h, err := Webhook(WebhookOptions{Secrets: []string{secret}, Inbox: box})
			if err != nil {
				t.Fatal(err)
			}
			body := &counting{left: 100 << 20}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, HookPath, body)
			r.Header = request(t, "http://hook.test/", "push", "d-1", "").Header
			r.ContentLength = tt.declared
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 413 || body.read.Load() > tt.most || len(box.all()) != 0 {
				t.Errorf("status %d after %d bytes, %d stored; want 413 after at most %d", w.Code, body.read.Load(), len(box.all()), tt.most)
			}
		})
	}
}

// The same over a real connection: the sender of an endless body gets its answer and the connection ends.
func TestWebhookEndsAnEndlessBody(t *testing.T) {
	t.Parallel()
	srv := hook(t, &memory{}, zerolog.Nop(), secret)
	body := &counting{left: 200 << 20}
	r := request(t, srv.URL, "push", "d-1", "")
	r.Body, r.ContentLength = body, -1
	resp, err := (&http.Transport{}).RoundTrip(r)
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("status %d, want 413", resp.StatusCode)
		}
	} // else the connection was closed under the sender, which is as good
	if n := body.read.Load(); n > maxBody+16<<20 { // what the buffers of both sides take on top
		t.Errorf("%d bytes were taken, want little more than %d", n, maxBody)
	}
}

func TestWebhookUnsignedBodyIsNotRead(t *testing.T) {
	t.Parallel()
	h, err := Webhook(WebhookOptions{Secrets: []string{secret}, Inbox: &memory{}})
	if err != nil {
		t.Fatal(err)
	}
	body := &counting{left: 20 << 20}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, HookPath, body)
	r.Header = request(t, "http://hook.test/", "push", "d-1", "").Header
	r.Header.Del(signatureHeader)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 401 || body.read.Load() != 0 {
		t.Errorf("status %d after %d bytes, want 401 after 0", w.Code, body.read.Load())
	}
}

// Large bodies share a bounded room. While it is full, one more waits without being read on, and small ones pass.
func TestWebhookLargeBodiesWaitSmallOnesPass(t *testing.T) {
	t.Parallel()
	box := &memory{}
	srv := hook(t, box, zerolog.Nop(), secret)
	room := srv.Config.Handler.(*webhook).room
	if err := room.large.Acquire(t.Context(), largeBytes); err != nil {
		t.Fatal(err)
	}

	large := `{"repository":{"id":42},"x":"` + strings.Repeat("x", 2*smallBody) + `"}`
	answered := make(chan int, 1)
	conn := raw(t, srv, large)
	go func() {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	if got, text := do(t, request(t, srv.URL, "issues", "small", issue)); got != 202 {
		t.Errorf("small one: status %d (%s), want 202", got, text)
	}
	select {
	case status := <-answered:
		t.Errorf("the large one was answered with %d while there was no room", status)
	default:
	}
	room.large.Release(largeBytes)
	if status := <-answered; status != 202 {
		t.Errorf("large one: status %d, want 202", status)
	}
	if !room.large.TryAcquire(largeBytes) || !room.slots.TryAcquire(smallSlots) {
		t.Error("room is still taken after all requests are done")
	}
}

// raw sends a signed request by hand and returns the connection to read the answer from.
func raw(t *testing.T, srv *httptest.Server, body string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: hook.test\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"+
			"X-GitHub-Delivery: large\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", signatureHeader, sign256(secret, body), len(body), body)
	}()
	return conn
}
