package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

const (
	readTries  = 3        // attempts of a read in all
	maxAnswer  = 32 << 20 // bytes of one answer
	maxAtOnce  = 16       // calls of one installation at the same time; GitHub allows 100
	maxPerHost = 32       // idle connections kept
)

// newPool returns the connections that all installations share. It follows the proxy settings of the process.
func newPool() http.RoundTripper {
	pool := http.DefaultTransport
	if t, ok := pool.(*http.Transport); ok {
		t = t.Clone()
		t.MaxIdleConnsPerHost = maxPerHost
		return t
	}
	return pool
}

// transport is the innermost step of a call of one installation: everything that really goes to GitHub passes
// here, the fetching of tokens included, and carries its credential already.
//
// It reads each answer to its end, so that a connection that drops half way counts as a failed attempt.
type transport struct {
	pool         http.RoundTripper
	installation int64
	userAgent    string
	hosts        map[string]bool
	timeout      time.Duration
	retryWait    time.Duration
	limits       *limits
	slots        chan struct{}
	writer       *writer
	count        *counter
	log          zerolog.Logger
	now          func() time.Time
}

func newTransport(a *App, id int64) *transport {
	return &transport{
		pool: a.pool, installation: id, userAgent: a.set.UserAgent, hosts: a.hosts, timeout: a.set.Timeout, retryWait: a.set.RetryWait,
		limits: newLimits(), slots: make(chan struct{}, maxAtOnce), writer: newWriter(a.set.WriteSpacing),
		count: a.count, log: a.log, now: a.set.Now,
	}
}

// RoundTrip sends a request: reads up to three times, everything else once. Limits come back as *LimitError.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.admit(req); err != nil {
		closeBody(req)
		return nil, err
	}
	tries := 1
	if isRead(req) {
		tries = readTries
	}
	for try := 1; ; try++ {
		resp, err := t.attempt(req)
		if try == tries || !worthRetry(req.Context(), resp, err) {
			if err != nil {
				return nil, err
			}
			return t.judge(req, resp)
		}
		t.count.add("retried")
		if err := sleep(req.Context(), t.backoff(try)); err != nil {
			return nil, err
		}
	}
}

// admit refuses what must not leave: anything to a foreign host, and anything while a limit lasts.
func (t *transport) admit(req *http.Request) error {
	if !t.hosts[strings.ToLower(req.URL.Host)] {
		return fmt.Errorf("%w: %s", errForeignHost, req.URL.Host)
	}
	if limit := t.limits.active(poolOf(req), t.now()); limit != nil {
		t.count.add("limited")
		return limit
	}
	return nil
}

// attempt sends the request once, when it is its turn, and reads the whole answer.
func (t *transport) attempt(req *http.Request) (*http.Response, error) {
	if isWrite(req) {
		done, err := t.writer.begin(req.Context())
		if err != nil {
			closeBody(req)
			return nil, err
		}
		defer done()
	}
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-req.Context().Done():
		closeBody(req)
		return nil, context.Cause(req.Context())
	}
	start := time.Now()
	markSent(req)
	resp, err := t.send(req)
	t.record(req, resp, err, time.Since(start))
	return resp, err
}

func (t *transport) send(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	defer cancel()
	out := req.WithContext(ctx)
	if out.Header.Get("User-Agent") == "" { // GraphQL and token calls bring none
		out = req.Clone(ctx)
		out.Header.Set("User-Agent", t.userAgent)
	}
	resp, err := t.pool.RoundTrip(out)
	if err != nil {
		return nil, t.timedOut(req, ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", t.timedOut(req, ctx, err))
	}
	if len(body) > maxAnswer {
		return nil, errors.New("the answer is larger than 32 MB")
	}
	resp.Body = &answerBody{left: body}
	resp.ContentLength, resp.TransferEncoding = int64(len(body)), nil
	resp.Request = req
	return resp, nil
}

// timedOut names our own time limit, so that it is not taken for the end of the caller's work.
func (t *transport) timedOut(req *http.Request, attempt context.Context, err error) error {
	if attempt.Err() != nil && req.Context().Err() == nil {
		return fmt.Errorf("%w within %s", errNoAnswer, t.timeout)
	}
	return err
}

var errNoAnswer = errors.New("no answer from GitHub")

// judge turns answers that no caller should interpret into errors and prepares the others for the cache.
func (t *transport) judge(req *http.Request, resp *http.Response) (*http.Response, error) {
	if limit := t.limits.read(poolOf(req), resp, t.now()); limit != nil {
		t.count.add("limited")
		return nil, limit
	}
	// ghinstallation neither reads nor closes a refusal, and hides its words.
	if isTokenCall(req) && resp.StatusCode/100 != 2 {
		return nil, newAnswerError(resp)
	}
	if !isRead(req) {
		// net/http would repeat the call as a GET and report success.
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound:
			resp.StatusCode = http.StatusPermanentRedirect
		case http.StatusSeeOther:
			return nil, fmt.Errorf("GitHub redirects a %s elsewhere", req.Method)
		}
	}
	setCacheRule(resp)
	return resp, nil
}

// setCacheRule lets the cache keep only what can be validated, and makes it validate each time: an answer
// served from memory without asking would be an old fact.
func setCacheRule(resp *http.Response) {
	resp.Header.Del("Expires")
	keep := resp.Header.Get("ETag") != "" && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNotModified)
	if keep {
		resp.Header.Set("Cache-Control", "private, no-cache")
		return
	}
	resp.Header.Set("Cache-Control", "no-store")
}

func (t *transport) record(req *http.Request, resp *http.Response, err error, took time.Duration) {
	t.count.add(req.Method + " " + route(req.URL.Path))
	event := t.logger(req.Context()).Debug().Str("method", req.Method).Str("path", req.URL.EscapedPath()).
		Int64("installation", t.installation).Int64("ms", took.Milliseconds())
	if resp != nil {
		event = event.Int("status", resp.StatusCode)
		if resp.StatusCode == http.StatusNotModified {
			t.count.add("not modified")
		}
	}
	event.Err(err).Msg("github call")
}

func (t *transport) logger(ctx context.Context) *zerolog.Logger {
	if l := zerolog.Ctx(ctx); l.GetLevel() != zerolog.Disabled {
		return l
	}
	return &t.log
}

// backoff doubles with each try; the random part keeps several callers from returning at the same moment.
func (t *transport) backoff(try int) time.Duration {
	wait := t.retryWait << (try - 1)
	return wait + rand.N(wait/2+1)
}

func worthRetry(ctx context.Context, resp *http.Response, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	return err != nil || resp.StatusCode >= 500
}
