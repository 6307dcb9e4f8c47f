package handlers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/palantir/go-githubapp/githubapp"
	"github.com/rs/zerolog"
)

const (
	maxHeader = 100 // characters of an event name, a delivery id or an action

	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// WebhookOptions say how webhooks are received. Secrets and Inbox are needed; the rest has defaults.
type WebhookOptions struct {
	Secrets []string         // any of them may have signed; several while one is being replaced
	Inbox   Inbox            // keeps what arrived
	Now     func() time.Time // default time.Now
	Log     zerolog.Logger   // where refusals and failures go; the zero value logs nowhere
	Metrics *Metrics         // counts deliveries; nil: nothing is counted
}

// webhook verifies, stores and answers. One dispatcher per secret, because go-githubapp's knows exactly one.
type webhook struct {
	scheduler   *scheduler
	secrets     []string
	dispatchers []http.Handler // of the secret at the same index
	used        map[string]bool
	room        *room
	log         zerolog.Logger
	refusals    zerolog.Logger // anybody can cause these: sampled, so that they cannot fill the disk
}

// Webhook makes the handler of POST /api/github/hook. It refuses to be built without a secret, because an empty
// secret would accept everything.
func Webhook(opts WebhookOptions) (http.Handler, error) {
	if len(opts.Secrets) == 0 {
		return nil, errors.New("webhook: no secret is set")
	}
	if opts.Inbox == nil {
		return nil, errors.New("webhook: no inbox is set")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	h := &webhook{
		scheduler: &scheduler{inbox: opts.Inbox, now: opts.Now, metrics: opts.Metrics, log: opts.Log},
		secrets:   opts.Secrets,
		used:      map[string]bool{},
		room:      newRoom(),
		log:       opts.Log,
		refusals:  opts.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Second}),
	}
	for _, event := range Events() {
		h.used[event] = true
	}
	for i, secret := range opts.Secrets {
		if strings.TrimSpace(secret) == "" {
			return nil, fmt.Errorf("webhook: secret %d of %d is empty", i+1, len(opts.Secrets))
		}
		h.dispatchers = append(h.dispatchers, h.dispatcher(secret))
	}
	return h, nil
}

// dispatcher is go-githubapp's, storing instead of handling. It verifies the signature once more by itself.
func (h *webhook) dispatcher(secret string) http.Handler {
	return githubapp.NewEventDispatcher([]githubapp.EventHandler{subscription{}}, secret,
		githubapp.WithScheduler(h.scheduler),
		githubapp.WithErrorCallback(h.fail),
		githubapp.WithResponseCallback(func(w http.ResponseWriter, _ *http.Request, _ string, _ bool) {
			w.WriteHeader(http.StatusAccepted)
		}))
}

// ServeHTTP takes one webhook: cheap checks first, then the body, then the signature, then the inbox.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, refusal := inspect(r)
	if refusal != nil {
		h.refuse(w, r, refusal)
		return
	}
	body, release, err := h.room.read(w, r)
	defer release()
	if err != nil {
		h.refuse(w, r, readRefusal(err))
		return
	}
	signed := signedBy(h.secrets, r.Header.Get(signatureHeader), body)
	if signed < 0 {
		h.refuse(w, r, unsigned())
		return
	}
	h.accept(w, r, h.dispatchers[signed], kind, body)
}

// accept stores a verified webhook, through the dispatcher when it is one that will be worked on.
func (h *webhook) accept(w http.ResponseWriter, r *http.Request, dispatcher http.Handler, kind string, body []byte) {
	// The dispatcher writes a line per webhook at info; the scheduler's says more.
	r = r.WithContext(h.log.Level(max(h.log.GetLevel(), zerolog.WarnLevel)).WithContext(r.Context()))
	event := r.Header.Get("X-GitHub-Event")
	payload, note := payloadOf(kind, body)
	if note == "" && !h.used[event] {
		note = noteUnused
	}
	if note == "" {
		r.Body = io.NopCloser(bytes.NewReader(body))
		dispatcher.ServeHTTP(w, r)
		return
	}
	if err := h.scheduler.put(r.Context(), event, r.Header.Get("X-GitHub-Delivery"), payload, note); err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// payloadOf takes the JSON out of a form, or says why it cannot; then the body itself is what is kept.
func payloadOf(kind string, body []byte) (payload []byte, note string) {
	if kind != typeForm {
		return body, ""
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("payload") {
		return body, noteBadForm
	}
	return []byte(form.Get("payload")), ""
}

// inspect checks what can be checked before the body is read, and returns the media type.
func inspect(r *http.Request) (kind string, _ *refusal) {
	if r.Method != http.MethodPost {
		return "", &refusal{http.StatusMethodNotAllowed, "method", "webhooks are posted"}
	}
	for _, name := range []string{"X-GitHub-Event", "X-GitHub-Delivery"} {
		if v := r.Header.Values(name); len(v) != 1 || len(v[0]) > maxHeader || !isWord(v[0]) {
			return "", &refusal{http.StatusBadRequest, "headers", name + " is missing or malformed"}
		}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeJSON && kind != typeForm {
		return "", &refusal{http.StatusUnsupportedMediaType, "content type", "send JSON or a form"}
	}
	if !signatureShape(r.Header.Values(signatureHeader)) {
		return "", unsigned()
	}
	if r.ContentLength > maxBody {
		return "", tooLarge()
	}
	return kind, nil
}

// isWord says whether s is one or more of the characters that event names and delivery ids consist of.
func isWord(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) < 0
}
