package lookalike

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// deliveryTimeout is how long the App may take to answer.
const deliveryTimeout = 10 * time.Second

// Delivery is one attempt to deliver a webhook.
type Delivery struct {
	ID             int64
	GUID           string // X-GitHub-Delivery; the same for every attempt
	Event          string
	Action         string
	Repository     int64
	Installation   int64
	Redelivery     bool
	At             time.Time
	Duration       time.Duration
	Status         string // "OK", "Invalid HTTP Response: 503", "failed to connect to host", "timed out"
	StatusCode     int
	Payload        []byte
	Header         http.Header
	ResponseHeader http.Header
	Response       string
}

// OK says that the App took it.
func (d Delivery) OK() bool { return d.StatusCode >= 200 && d.StatusCode < 300 }

// sender is the queue of webhooks and the one goroutine that sends them.
type sender struct {
	g      *GitHub
	client *http.Client

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever something below changes
	url     string
	hookID  int64
	lastID  int64
	queue   []Delivery
	held    []Delivery
	busy    bool
	log     []Delivery
	paused  bool
	shuffle *rand.Rand
	lose    func(Delivery) bool
	double  func(Delivery) bool
	hold    func(Delivery) bool
}

func newSender(g *GitHub) *sender {
	return &sender{g: g, changed: make(chan struct{}), hookID: 1, lastID: 10000, client: &http.Client{Timeout: deliveryTimeout,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// touch wakes whoever waits. s.mu is held.
func (s *sender) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// emit queues a webhook. r nil is an event of the App itself. g.mu is held.
func (g *GitHub) emit(event, action string, r *repository, by *account, fields obj) {
	payload := maps.Clone(fields)
	d := Delivery{Event: event, Action: action}
	if action != "" {
		payload["action"] = action
	}
	if by != nil {
		payload["sender"] = g.user(by)
	}
	if r != nil {
		i := g.installs[strings.ToLower(r.owner.login)]
		if !r.installed || i == nil || !i.suspended.IsZero() {
			return
		}
		d.Repository, d.Installation = r.id, i.id
		payload["installation"] = obj{"id": i.id, "node_id": nodeID("MDIzOkludGVncmF0aW9u", i.id)}
		if _, special := payload["repository"]; !special {
			payload["repository"] = g.repoJSON(r)
		}
		if r.owner.kind == "Organization" {
			payload["organization"] = g.orgJSON(r.owner)
		}
	}
	if !slices.Contains(g.opt.Events, event) && !strings.HasPrefix(event, "installation") && event != "ping" {
		return
	}
	if i, isInstall := fields["installation"].(obj); isInstall {
		d.Installation, _ = i["id"].(int64)
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		g.log.Error().Err(err).Str("event", event).Msg("look-alike: payload")
		return
	}
	if g.spec != nil {
		g.violations = append(g.violations, g.spec.checkEvent(event, action, raw)...)
	}
	d.Payload, d.GUID = raw, uuid.NewString()
	g.hooks.enqueue(d)
}

func (s *sender) enqueue(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.url == "" {
		return // the App's webhook is not active
	}
	s.queue = append(s.queue, d)
	s.touch()
}

// run sends until ctx ends.
func (s *sender) run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	for {
		d, lost, wait := s.next()
		if wait != nil {
			select {
			case <-ctx.Done():
				return
			case <-wait:
				continue
			}
		}
		done := s.attempt(ctx, d, lost)
		s.mu.Lock()
		s.busy = false
		s.log = append(s.log, done)
		s.touch()
		s.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
	}
}

// next takes the next delivery out of the queue, or says what to wait for. The caller's predicates run here,
// without the state lock.
func (s *sender) next() (d Delivery, lost bool, wait <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && !s.paused {
		at := 0
		if s.shuffle != nil {
			at = s.shuffle.IntN(len(s.queue))
		}
		d = s.queue[at]
		s.queue = slices.Delete(s.queue, at, at+1)
		if s.hold != nil && s.hold(d) {
			s.held = append(s.held, d)
			s.touch()
			continue
		}
		if s.double != nil && s.double(d) && !d.doubled() {
			twin := d
			twin.Status = twinMark
			s.queue = slices.Insert(s.queue, min(at, len(s.queue)), twin)
		}
		lost = s.lose != nil && !d.Redelivery && s.lose(d)
		d.Status = ""
		s.lastID++
		d.ID = s.lastID
		s.busy = true
		return d, lost, nil
	}
	return d, false, s.changed
}

// twinMark in Status marks the second copy of a doubled delivery while it waits.
const twinMark = "twin"

func (d Delivery) doubled() bool { return d.Status == twinMark }

func (s *sender) attempt(ctx context.Context, d Delivery, lost bool) Delivery {
	d.At = s.g.now()
	d.Header = s.headers(d)
	if lost {
		d.Status, d.StatusCode = "failed to connect to host", http.StatusBadGateway
		return d
	}
	s.mu.Lock()
	url := s.url
	s.mu.Unlock()
	start := time.Now()
	defer func() { d.Duration = time.Since(start) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(d.Payload))
	if err != nil {
		d.Status, d.StatusCode = "failed to connect to host", http.StatusBadGateway
		return d
	}
	req.Header = d.Header.Clone()
	res, err := s.client.Do(req)
	if err != nil {
		d.Status, d.StatusCode = "failed to connect to host", http.StatusBadGateway
		var late interface{ Timeout() bool }
		if errors.As(err, &late) && late.Timeout() {
			d.Status, d.StatusCode = "timed out", http.StatusGatewayTimeout
		}
		return d
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what arrived is shown
	_ = res.Body.Close()
	d.StatusCode, d.ResponseHeader, d.Response = res.StatusCode, res.Header, string(body)
	d.Status = "OK"
	if !d.OK() {
		d.Status = fmt.Sprintf("Invalid HTTP Response: %d", res.StatusCode)
	}
	return d
}

func (s *sender) headers(d Delivery) http.Header {
	h := http.Header{}
	for k, v := range map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/1f2e3d4",
		"X-GitHub-Event": d.Event, "X-GitHub-Delivery": d.GUID, "X-GitHub-Hook-ID": strconv.FormatInt(s.hookID, 10),
		"X-GitHub-Hook-Installation-Target-ID": strconv.FormatInt(s.g.app.id, 10), "X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-GitHub-Enterprise-Host": strings.TrimPrefix(s.g.base, "http://"), "X-GitHub-Enterprise-Version": "3.19.0",
		"X-Hub-Signature": "sha1=" + mac(sha1.New, s.g.secret, d.Payload), "X-Hub-Signature-256": "sha256=" + mac(sha256.New, s.g.secret, d.Payload),
	} {
		h.Set(k, v)
	}
	return h
}

func mac(kind func() hash.Hash, secret string, payload []byte) string {
	m := hmac.New(kind, []byte(secret))
	m.Write(payload)
	return hex.EncodeToString(m.Sum(nil))
}
