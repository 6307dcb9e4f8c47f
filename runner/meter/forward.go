package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

// maxError bounds how much of an error's body is passed on, in bytes.
const maxError = 1 << 20

// ask sends a checked request to the model's side, as soon as the budget and the pause allow, and passes the answer on.
func (s *Session) ask(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, path string) {
	metered := path == messagesPath
	if metered {
		if err := s.admit(ctx, c); errors.Is(err, errOver) {
			s.refuse(w, &refusal{http.StatusBadRequest, "invalid_request_error",
				fmt.Sprintf("the run's budget of %s is used up", dollars(s.budget)), true})
			return
		} else if err != nil {
			giveUp()
		}
		defer s.end(c)
	}
	target := *s.m.base
	target.Path += path
	if r.URL.Query().Get("beta") == "true" { // all that Claude Code asks for; a gateway may take orders by others
		target.RawQuery = "beta=true"
	}
	answer, err := s.send(ctx, r.Header, c, &target, metered)
	if err != nil {
		s.failed(ctx, w, err)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		s.passError(w, answer)
		return
	}
	s.passAnswer(w, answer, c, metered)
}

// send sends a request until it is answered by something else than a limit. Every turn of the loop is one attempt.
func (s *Session) send(ctx context.Context, from http.Header, c *call, target *url.URL, metered bool) (*http.Response, error) {
	came := time.Now()
	renewed := false
	for {
		pass, err := s.m.gate.enter(ctx, &s.lane, came)
		if err != nil {
			return nil, err
		}
		answer, used, err := s.attempt(ctx, from, c, target, metered)
		if err != nil {
			pass.gone()
			return nil, err
		}
		if answer.StatusCode == http.StatusOK {
			pass.passed()
			return answer, nil
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxError))
		answer.Body.Close()
		if err != nil && ctx.Err() != nil {
			pass.gone()
			return nil, ctx.Err()
		}
		if why, wait, limited := limitOf(answer.StatusCode, answer.Header, body, time.Now()); limited {
			pass.limited(wait, why)
			continue
		}
		pass.passed()
		if answer.StatusCode == http.StatusUnauthorized && !renewed && s.m.key.renew(used) {
			renewed = true
			continue
		}
		answer.Body = io.NopCloser(bytes.NewReader(body))
		return answer, nil
	}
}

// attempt sends a request once. used is the key helper's key that was sent, if any.
func (s *Session) attempt(ctx context.Context, from http.Header, c *call, target *url.URL, metered bool) (*http.Response, string, error) {
	var written bool
	trace := &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) {
		s.mu.Lock()
		defer s.mu.Unlock()
		written = i.Err == nil
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, target.String(),
		bytes.NewReader(c.req.body))
	if err != nil {
		return nil, "", fmt.Errorf("build request: %w", err)
	}
	req.Header = s.m.upstreamHeader(from)
	used, err := s.m.key.put(ctx, req.Header)
	if err != nil {
		return nil, "", err
	}
	answer, err := s.m.transport.RoundTrip(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		// Who hangs up before the answer pays for the question. A side that breaks off by itself costs nothing.
		c.billed = written && ctx.Err() != nil
		return nil, "", fmt.Errorf("reach the model: %w", err)
	}
	c.billed = answer.StatusCode == http.StatusOK
	if c.billed && metered {
		s.usage.Requests++
	}
	return answer, used, nil
}

// failed answers for a request that was not sent, or not answered.
func (s *Session) failed(ctx context.Context, w http.ResponseWriter, err error) {
	var limit *limitError
	var helper *errHelper
	switch {
	case ctx.Err() != nil:
		giveUp()
	case errors.As(err, &limit):
		s.refuseLimited(w, limit)
	case errors.Is(err, errNoCredential), errors.As(err, &helper):
		s.m.log.Error().Str("err", err.Error()).Msg("no credential for the model")
		s.refuse(w, &refusal{http.StatusUnauthorized, "authentication_error", err.Error(), true})
	default:
		// What exactly failed may name hosts inside of the operator's network: it is for the host's log.
		s.m.log.Warn().Str("err", s.m.hide(err.Error())).Msg("model not reached")
		s.refuse(w, &refusal{http.StatusBadGateway, "api_error", "the host could not reach the model; its log says why", false})
	}
}

// passError passes an error of the model's side on as it is, without what a session must not see.
func (s *Session) passError(w http.ResponseWriter, answer *http.Response) {
	if answer.StatusCode < 400 {
		s.refuse(w, &refusal{http.StatusBadGateway, "api_error",
			fmt.Sprintf("the model's side answered with status %d, which is not passed on", answer.StatusCode), true})
		return
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		body = errorBody("api_error", "the model's answer broke off")
	}
	if answer.StatusCode == http.StatusUnauthorized {
		s.m.log.Error().Msg("the model's side refuses this host's credential")
		s.say("the model's side refuses this host's credential (401)")
	}
	s.m.answerHeader(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	_, _ = io.WriteString(w, s.m.hide(string(body))) // the client may be gone
}

// passAnswer passes a good answer on piece by piece, and counts it while it passes.
func (s *Session) passAnswer(w http.ResponseWriter, answer *http.Response, c *call, metered bool) {
	if e := answer.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		s.m.log.Error().Str("encoding", clip(e)).Msg("the model's side packs its answers though it was asked not to")
		s.refuse(w, &refusal{http.StatusBadGateway, "api_error", "the model's answer is packed and cannot be counted", true})
		return
	}
	var count io.WriteCloser = nothing{}
	if metered {
		count = c.counter(answer.Header.Get("Content-Type"))
	}
	s.m.answerHeader(w.Header(), answer.Header)
	w.WriteHeader(http.StatusOK)
	err := copyNow(w, answer.Body, count)
	_ = count.Close() // never fails
	if err != nil {
		giveUp()
	}
}

// giveUp ends a call whose client is gone, or must see a broken answer and not a short or an empty one. A panic with
// this value is how net/http wants to be told.
func giveUp() { panic(http.ErrAbortHandler) }

// copyNow passes every piece on as soon as it is there. A piece is counted before it is passed, so that nobody can read
// what is not counted.
func copyNow(w http.ResponseWriter, from io.Reader, count io.Writer) error {
	rc := http.NewResponseController(w)
	if err := write(w, rc, nil); err != nil { // the head goes first, and at once
		return err
	}
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			_, _ = count.Write(buffer[:n]) // never fails
			if err := write(w, rc, buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the model's answer: %w", err)
		}
	}
}

func write(w http.ResponseWriter, rc *http.ResponseController, p []byte) error {
	if err := rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if _, err := w.Write(p); err != nil {
		return fmt.Errorf("write to the session: %w", err)
	}
	return rc.Flush()
}
