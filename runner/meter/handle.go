package meter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The paths that a session may ask for, as they stand in the request line, byte for byte: then no escape, no second slash
// and no other host can be meant by them.
const (
	messagesPath = "/v1/messages"
	countPath    = "/v1/messages/count_tokens"
)

// ServeHTTP answers one request of a session.
func (s *Session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		giveUp()
	}
	defer s.served.Done()
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if path == "/" && (r.Method == http.MethodHead || r.Method == http.MethodGet) {
		return // Claude Code asks so whether somebody is there
	}
	if !s.knows(r.Header) {
		s.refuse(w, &refusal{http.StatusForbidden, "permission_error", "this is not the token of this session", true})
		return
	}
	if r.Method != http.MethodPost || path != messagesPath && path != countPath {
		s.refuse(w, forbidden(fmt.Sprintf("a run may only post to %s, not %s %s", messagesPath, clip(r.Method), clip(path))))
		return
	}
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		s.refuse(w, &refusal{http.StatusTooManyRequests, "rate_limit_error",
			fmt.Sprintf("a run may have %d model requests at the same time", maxAtOnce), false})
		return
	}
	body, err := s.readBody(w, r)
	defer s.hold(-int64(cap(body)))
	if err != nil {
		s.refuse(w, err)
		return
	}
	req, err := checkBody(body, s.m.opts.Models)
	if err != nil {
		s.refuse(w, err)
		return
	}
	// The call ends when its client goes away, and when the session is closed.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	s.ask(ctx, w, r, &call{s: s, req: req}, path)
}

// knows says whether a request carries the session's token, as a key or as a bearer.
func (s *Session) knows(h http.Header) bool {
	key := sha256.Sum256([]byte(h.Get("X-Api-Key")))
	bearer := sha256.Sum256([]byte(strings.TrimPrefix(h.Get("Authorization"), "Bearer ")))
	want := sha256.Sum256([]byte(s.token))
	return subtle.ConstantTimeCompare(key[:], want[:])|subtle.ConstantTimeCompare(bearer[:], want[:]) == 1
}

// readBody reads a request's body within its limits. The session holds as many bytes as the result has room for, also
// with an error.
func (s *Session) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, invalid("a packed body cannot be read")
	}
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
		return nil, invalid("the body cannot be read")
	}
	var body []byte
	for {
		if len(body) == cap(body) {
			grown := min(max(32<<10, int(min(r.ContentLength+1, 1<<20)), 2*cap(body)), maxBody+1)
			if !s.hold(int64(grown - cap(body))) {
				return body, &refusal{http.StatusTooManyRequests, "rate_limit_error", "too many large requests at the same time", false}
			}
			body = append(make([]byte, 0, grown), body...)
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxBody:
			return body, tooLarge()
		case errors.Is(err, io.EOF):
			return body, rc.SetReadDeadline(time.Time{})
		case err != nil:
			return body, invalid("the body could not be read to its end")
		}
	}
}

func tooLarge() error {
	return &refusal{http.StatusRequestEntityTooLarge, "request_too_large",
		fmt.Sprintf("request refused by the host: the body is larger than %d MiB", maxBody>>20), true}
}

// refuse answers without asking the model, and says so in the run's log.
func (s *Session) refuse(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{http.StatusBadRequest, "invalid_request_error", "the request could not be read", true}
	}
	s.sayRefused(r.text)
	writeRefusal(w, r)
}

// writeRefusal answers in the API's own shape.
func writeRefusal(w http.ResponseWriter, r *refusal) {
	if r.final {
		w.Header().Set("X-Should-Retry", "false")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = w.Write(errorBody(r.kind, r.text)) // the client may be gone
}

// errorBody is an error as the API writes it.
func errorBody(kind, text string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": text}}); err != nil {
		return []byte(`{"type":"error","error":{"type":"api_error","message":"unknown"}}`)
	}
	return out.Bytes()
}

// refuseLimited answers that the account is limited, and for how long.
func (s *Session) refuseLimited(w http.ResponseWriter, limit *limitError) {
	s.mu.Lock()
	s.usage.Limited = true
	s.usage.LimitedUntil = later(s.usage.LimitedUntil, limit.until)
	s.mu.Unlock()
	seconds := int64(max(time.Until(limit.until), 0)/time.Second) + 1
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	s.refuse(w, &refusal{http.StatusTooManyRequests, "rate_limit_error", limit.Error(), true})
}
