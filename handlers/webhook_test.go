package handlers

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch"
)

const secret = "it is a secret"

// memory is an inbox that forgets at the end of the test.
type memory struct {
	mu   sync.Mutex
	got  []batch.Delivery
	fail error
}

func (m *memory) Put(_ context.Context, d batch.Delivery) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return false, m.fail
	}
	for _, old := range m.got {
		if old.ID == d.ID {
			return false, nil
		}
	}
	m.got = append(m.got, d)
	return true, nil
}

func (m *memory) all() []batch.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]batch.Delivery(nil), m.got...)
}

var testNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// hook starts a server with the webhook of these secrets.
func hook(t *testing.T, box Inbox, log zerolog.Logger, secrets ...string) *httptest.Server {
	t.Helper()
	h, err := Webhook(WebhookOptions{Secrets: secrets, Inbox: box, Now: func() time.Time { return testNow }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func sign(newHash func() hash.Hash, key, body string) string {
	mac := hmac.New(newHash, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func sign256(key, body string) string { return "sha256=" + sign(sha256.New, key, body) }

// request is a good one, to be spoilt by the test.
func request(t *testing.T, url, event, id, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set(signatureHeader, sign256(secret, body))
	return r
}

func do(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	resp, body := send(t, r)
	return resp.StatusCode, body
}

// send returns an answer whose body has been read.
func send(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

const issue = `{"action":"labeled","installation":{"id":7},"repository":{"id":42},"issue":{"number":3}}`

func TestWebhookNeedsASecretAndAnInbox(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]WebhookOptions{
		"no secret":          {Inbox: &memory{}},
		"empty secret":       {Inbox: &memory{}, Secrets: []string{""}},
		"blank secret":       {Inbox: &memory{}, Secrets: []string{" \n"}},
		"second one empty":   {Inbox: &memory{}, Secrets: []string{secret, ""}},
		"no inbox to put in": {Secrets: []string{secret}},
	} {
		if _, err := Webhook(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWebhookSignatures(t *testing.T) {
	t.Parallel()
	const other = "the one before"
	tests := []struct {
		name  string
		spoil func(*http.Request)
		want  int
	}{
		{"good", func(*http.Request) {}, 202},
		{"by the second secret", func(r *http.Request) { r.Header.Set(signatureHeader, sign256(other, issue)) }, 202},
		{"by a foreign secret", func(r *http.Request) { r.Header.Set(signatureHeader, sign256("guess", issue)) }, 401},
		{"by the empty secret", func(r *http.Request) { r.Header.Set(signatureHeader, sign256("", issue)) }, 401},
		{"of another body", func(r *http.Request) { r.Header.Set(signatureHeader, sign256(secret, issue+" ")) }, 401},
		{"missing", func(r *http.Request) { r.Header.Del(signatureHeader) }, 401},
		{"empty", func(r *http.Request) { r.Header.Set(signatureHeader, "") }, 401},
		{"without prefix", func(r *http.Request) { r.Header.Set(signatureHeader, sign(sha256.New, secret, issue)) }, 401},
		{"cut short", func(r *http.Request) { r.Header.Set(signatureHeader, sign256(secret, issue)[:40]) }, 401},
		{"not hexadecimal", func(r *http.Request) { r.Header.Set(signatureHeader, "sha256="+strings.Repeat("z", 64)) }, 401},
		{"twice", func(r *http.Request) { r.Header.Add(signatureHeader, sign256(secret, issue)) }, 401},
		{"SHA-1 only", func(r *http.Request) {
			r.Header.Del(signatureHeader)
			r.Header.Set("X-Hub-Signature", "sha1="+sign(sha1.New, secret, issue))
		}, 401},
		{"SHA-1 in the new header", func(r *http.Request) {
			r.Header.Set(signatureHeader, "sha1="+sign(sha1.New, secret, issue))
		}, 401},
		{"SHA-1 good, SHA-256 wrong", func(r *http.Request) {
			r.Header.Set("X-Hub-Signature", "sha1="+sign(sha1.New, secret, issue))
			r.Header.Set(signatureHeader, sign256("guess", issue))
		}, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box := &memory{}
			srv := hook(t, box, zerolog.Nop(), secret, other)
			r := request(t, srv.URL, "issues", "d-1", issue)
			tt.spoil(r)
			got, body := do(t, r)
			if got != tt.want {
				t.Errorf("status %d (%s), want %d", got, body, tt.want)
			}
			if stored := len(box.all()); (stored == 1) != (tt.want == 202) {
				t.Errorf("%d stored after status %d", stored, got)
			}
			if strings.Contains(body, secret) {
				t.Errorf("the answer tells the secret: %s", body)
			}
		})
	}
}

func TestWebhookStoresWhatArrived(t *testing.T) {
	t.Parallel()
	box := &memory{}
	srv := hook(t, box, zerolog.Nop(), secret)
	if got, body := do(t, request(t, srv.URL, "issues", "d-1", issue)); got != 202 {
		t.Fatalf("status %d: %s", got, body)
	}
	got := box.all()[0]
	want := batch.Delivery{ID: "d-1", Event: "issues", Action: "labeled", Lane: "42/3", Installation: 7, Payload: []byte(issue), At: testNow}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("stored %+v, want %+v", got, want)
	}
}

func TestWebhookHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header, value string
		want                int
	}{
		{"event missing", "X-GitHub-Event", "", 400},
		{"event with a slash", "X-GitHub-Event", "../issues", 400},
		{"event too long", "X-GitHub-Event", strings.Repeat("a", 101), 400},
		{"delivery missing", "X-GitHub-Delivery", "", 400},
		{"delivery with a space", "X-GitHub-Delivery", "a b", 400},
		{"delivery not ASCII", "X-GitHub-Delivery", "d\u00e9", 400},
		{"delivery too long", "X-GitHub-Delivery", strings.Repeat("a", 101), 400},
		{"longest delivery", "X-GitHub-Delivery", strings.Repeat("a", 100), 202},
		{"content type missing", "Content-Type", "", 415},
		{"content type text", "Content-Type", "text/plain", 415},
		{"content type with charset", "Content-Type", "application/json; charset=utf-8", 202},
	}
	srv := hook(t, &memory{}, zerolog.Nop(), secret)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := request(t, srv.URL, "issues", "d-1", issue)
			r.Header.Set(tt.header, tt.value)
			if got, body := do(t, r); got != tt.want {
				t.Errorf("status %d (%s), want %d", got, body, tt.want)
			}
		})
	}
}

func TestWebhookRefusesHeadersThatComeTwice(t *testing.T) {
	t.Parallel()
	srv := hook(t, &memory{}, zerolog.Nop(), secret)
	for _, name := range []string{"X-GitHub-Event", "X-GitHub-Delivery"} {
		r := request(t, srv.URL, "issues", "d-1", issue)
		r.Header.Add(name, "second")
		if got, _ := do(t, r); got != 400 {
			t.Errorf("%s twice: status %d, want 400", name, got)
		}
	}
}

// A sender that stops in the middle is given up, and gives its room back.
func TestWebhookBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	box := &memory{}
	h, err := Webhook(WebhookOptions{Secrets: []string{secret}, Inbox: box})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, HookPath,
		io.MultiReader(strings.NewReader(issue[:10]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header = request(t, "http://hook.test/", "issues", "d-1", issue).Header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 400 || len(box.all()) != 0 {
		t.Errorf("status %d, %d stored; want 400 and none", w.Code, len(box.all()))
	}
	if !h.(*webhook).room.slots.TryAcquire(smallSlots) {
		t.Error("its room is still taken")
	}
}

// Clients refuse to send control characters in a header, and a server may let some through: so past both.
func TestWebhookRefusesControlCharactersInTheDeliveryID(t *testing.T) {
	t.Parallel()
	box := &memory{}
	h, err := Webhook(WebhookOptions{Secrets: []string{secret}, Inbox: box})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a\nb", "a\x00b", "a\x1b[31m", "\u202eid"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, HookPath, strings.NewReader(issue))
		r.Header = request(t, "http://hook.test/", "issues", id, issue).Header
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 400 || len(box.all()) != 0 {
			t.Errorf("%q: status %d, %d stored; want 400 and none", id, w.Code, len(box.all()))
		}
	}
}

func TestWebhookIsPosted(t *testing.T) {
	t.Parallel()
	srv := hook(t, &memory{}, zerolog.Nop(), secret)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
		r := request(t, srv.URL, "issues", "d-1", issue)
		r.Method = method
		if got, _ := do(t, r); got != 405 {
			t.Errorf("%s: status %d, want 405", method, got)
		}
	}
}

func TestWebhookForm(t *testing.T) {
	t.Parallel()
	box := &memory{}
	srv := hook(t, box, zerolog.Nop(), secret)
	for i, tt := range []struct{ body, payload, note string }{
		{"payload=" + url.QueryEscape(issue), issue, ""},
		{"other=1", "other=1", noteBadForm},
		{"payload=%zz", "payload=%zz", noteBadForm},
		{"payload=", "", noteNotJSON},
	} {
		r := request(t, srv.URL, "issues", fmt.Sprint("d-", i), tt.body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got, body := do(t, r); got != 202 {
			t.Fatalf("%s: status %d: %s", tt.body, got, body)
		}
		if d := box.all()[i]; string(d.Payload) != tt.payload || d.Note != tt.note {
			t.Errorf("%s: stored %q with note %q, want %q with %q", tt.body, d.Payload, d.Note, tt.payload, tt.note)
		}
	}
}

func TestWebhookKeepsWhatItCannotUse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, event, body, note string }{
		{"event without use", "star", issue, noteUnused},
		{"ping", "ping", `{"zen":"Design for failure.","hook_id":1}`, noteUnused},
		{"event of the future", "sub_issues", issue, noteUnused},
		{"not JSON", "issues", "<html>", noteNotJSON},
		{"empty", "issues", "", noteNotJSON},
		{"a list", "issues", "[1]", noteShape},
		{"a word where a number belongs", "issues", `{"repository":{"id":"x"}}`, noteShape},
		{"no repository", "issues", `{}`, noteNowhere},
		{"no installation", "installation", `{}`, noteNoInst},
		{"null", "issues", `null`, noteNowhere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box := &memory{}
			srv := hook(t, box, zerolog.Nop(), secret)
			if got, body := do(t, request(t, srv.URL, tt.event, "d-1", tt.body)); got != 202 {
				t.Fatalf("status %d: %s", got, body)
			}
			if d := box.all()[0]; d.Note != tt.note || string(d.Payload) != tt.body {
				t.Errorf("note %q, payload %q, want %q, %q", d.Note, d.Payload, tt.note, tt.body)
			}
		})
	}
}

func TestWebhookDuplicateIsAccepted(t *testing.T) {
	t.Parallel()
	box := &memory{}
	srv := hook(t, box, zerolog.Nop(), secret)
	for range 3 {
		if got, _ := do(t, request(t, srv.URL, "issues", "d-1", issue)); got != 202 {
			t.Errorf("status %d, want 202", got)
		}
	}
	if n := len(box.all()); n != 1 {
		t.Errorf("%d stored, want 1", n)
	}
}

func TestWebhookNotStoredIsNotAccepted(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"issues", "star"} {
		var lines bytes.Buffer
		srv := hook(t, &memory{fail: errors.New("disk full")}, zerolog.New(zerolog.SyncWriter(&lines)), secret)
		got, body := do(t, request(t, srv.URL, event, "d-1", issue))
		srv.Close()
		if got != 503 || strings.Contains(body, "disk full") {
			t.Errorf("%s: status %d (%s), want 503 without the reason", event, got, body)
		}
		if log := lines.String(); !strings.Contains(log, "disk full") || !strings.Contains(log, `"delivery":"d-1"`) {
			t.Errorf("%s: log %q names neither reason nor delivery", event, log)
		}
	}
}

func TestWebhookTakesALongComment(t *testing.T) {
	t.Parallel()
	box := &memory{}
	srv := hook(t, box, zerolog.Nop(), secret)
	body := fmt.Sprintf(`{"action":"created","repository":{"id":42},"issue":{"number":3},"comment":{"body":%q}}`, strings.Repeat("x", 60_000))
	if got, text := do(t, request(t, srv.URL, "issue_comment", "d-1", body)); got != 202 {
		t.Fatalf("status %d: %s", got, text)
	}
	if d := box.all()[0]; string(d.Payload) != body || d.Lane != "42/3" {
		t.Errorf("%d bytes in lane %s, want %d in 42/3", len(d.Payload), d.Lane, len(body))
	}
}

// A sender that hangs up after the body has arrived does not undo the delivery.
func TestWebhookIsStoredThoughTheSenderHungUp(t *testing.T) {
	t.Parallel()
	box := &slowInbox{entered: make(chan struct{}), leave: make(chan struct{}), result: make(chan error, 1)}
	h, err := Webhook(WebhookOptions{Secrets: []string{secret}, Inbox: box})
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan (<-chan struct{}), 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gone <- r.Context().Done()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	ctx, hangUp := context.WithCancel(t.Context())
	r := request(t, srv.URL, "issues", "d-1", issue).WithContext(ctx)
	go func() {
		<-box.entered
		hangUp()
	}()
	resp, err := http.DefaultClient.Do(r)
	if err == nil {
		resp.Body.Close()
		t.Fatal("the request was answered before the inbox was done")
	}
	<-<-gone // the server has noticed
	close(box.leave)
	if err := <-box.result; err != nil {
		t.Errorf("the inbox was interrupted: %v", err)
	}
}

type slowInbox struct {
	entered, leave chan struct{}
	result         chan error
}

func (s *slowInbox) Put(ctx context.Context, _ batch.Delivery) (bool, error) {
	close(s.entered)
	<-s.leave
	s.result <- ctx.Err()
	return true, ctx.Err()
}
