package github

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

func isRead(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodHead
}

// isTokenCall recognises the fetching of an installation's token, which changes nothing that people see.
func isTokenCall(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/access_tokens")
}

func isWrite(req *http.Request) bool { return !isRead(req) && !isTokenCall(req) }

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was sent
	}
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type sentKey struct{}

// watchSent returns a context that learns whether a request other than a token call left under it.
func watchSent(ctx context.Context) (context.Context, *bool) {
	sent := new(bool)
	return context.WithValue(ctx, sentKey{}, sent), sent
}

func markSent(req *http.Request) {
	if sent, ok := req.Context().Value(sentKey{}).(*bool); ok && isWrite(req) {
		*sent = true
	}
}

// answerBody gives an answer from memory. Its last bytes come together with the end: go-github's decoder does
// not read on after the last brace, and the ETag cache stores only what was read to its end.
type answerBody struct{ left []byte }

// Read gives what is left.
func (b *answerBody) Read(p []byte) (int, error) {
	n := copy(p, b.left)
	b.left = b.left[n:]
	if len(b.left) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Close has nothing to release.
func (b *answerBody) Close() error { return nil }
