package github

import (
	"net/http"
	"sync"
)

// renewer replaces a token that GitHub does not take any more, long before its time: suspending an installation
// ends its tokens, and lifting that does not bring them back. ghinstallation would keep using it for an hour.
//
// A 401 says that nothing was done, so the call is sent again, once. A merge is not: it has no second body.
type renewer struct {
	make func() (http.RoundTripper, error) // the same chain, without a token yet

	mu      sync.Mutex
	current http.RoundTripper
	renewed int // how often; tells whether somebody else has done it since
}

// RoundTrip sends the request, with a new token if need be.
func (r *renewer) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	used, seen := r.current, r.renewed
	r.mu.Unlock()
	resp, err := used.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again := req.Clone(req.Context())
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return resp, nil
		}
		if again.Body, err = req.GetBody(); err != nil {
			return resp, nil
		}
	}
	fresh, err := r.replace(seen)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // from memory
	return fresh.RoundTrip(again)
}

// replace makes a new chain, unless somebody else has done so since.
func (r *renewer) replace(seen int) (http.RoundTripper, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.renewed != seen {
		return r.current, nil
	}
	fresh, err := r.make()
	if err != nil {
		return nil, err
	}
	r.current, r.renewed = fresh, r.renewed+1
	return fresh, nil
}
