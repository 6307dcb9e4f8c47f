package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Limits of a key helper.
const (
	helperTimeout = 30 * time.Second
	maxHelperKey  = 8 << 10 // bytes
	// How long a helper that gave no key is left alone, so that an agent's requests cannot run it in a loop.
	helperRest = 10 * time.Second
)

// errNoCredential says that the host has nothing to pay with.
var errNoCredential = errors.New("this host has no credential for the model: set ANTHROPIC_API_KEY, or ANTHROPIC_AUTH_TOKEN " +
	"with ANTHROPIC_BASE_URL for a gateway, or a key helper, in the environment of the host's service and start it again")

// credential knows what the host pays with. A key helper's key is asked for when it is needed, and by one at a time.
type credential struct {
	apiKey, token string
	helper        string
	ttl           time.Duration

	asking chan struct{} // holds one value while nobody runs the helper

	mu    sync.Mutex
	key   string // the helper's
	err   error  // why there is none
	until time.Time
}

func newCredential(o Options) *credential {
	c := &credential{apiKey: string(o.APIKey), token: string(o.Token), helper: o.Helper, ttl: o.HelperTTL, asking: make(chan struct{}, 1)}
	c.asking <- struct{}{}
	return c
}

// put sets the credential's headers. used is the helper's key that was put in, for renew; empty: none.
func (c *credential) put(ctx context.Context, h http.Header) (used string, err error) {
	key := c.apiKey
	if c.helperOnly() {
		if used, err = c.fromHelper(ctx); err != nil {
			return "", err
		}
		// Claude Code sends a helper's key both ways, because it cannot know which one the other side wants.
		h.Set("X-Api-Key", used)
		h.Set("Authorization", "Bearer "+used)
		return used, nil
	}
	if key != "" {
		h.Set("X-Api-Key", key)
	}
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	if h.Get("X-Api-Key") == "" && h.Get("Authorization") == "" {
		return "", errNoCredential
	}
	return "", nil
}

func (c *credential) helperOnly() bool { return c.apiKey == "" && c.token == "" && c.helper != "" }

// renew forgets a key of the helper that was refused, and says whether asking again can help.
func (c *credential) renew(refused string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if refused == "" {
		return false
	}
	if c.key == refused {
		c.key = ""
	}
	return true
}

// current is the helper's key that is in use; empty: none.
func (c *credential) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key
}

// cached is what the helper said last, if that still holds; otherwise both are empty.
func (c *credential) cached(now time.Time) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.until) {
		return "", nil
	}
	return c.key, c.err
}

func (c *credential) fromHelper(ctx context.Context) (string, error) {
	if key, err := c.cached(time.Now()); key != "" || err != nil {
		return key, err
	}
	select {
	case <-c.asking:
		defer func() { c.asking <- struct{}{} }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if key, err := c.cached(time.Now()); key != "" || err != nil { // another request has asked meanwhile
		return key, err
	}
	key, err := runHelper(ctx, c.helper)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key, c.err, c.until = key, err, time.Now().Add(c.ttl)
	if err != nil {
		c.until = time.Now().Add(helperRest)
	}
	return key, err
}

// errHelper says that the key helper gave no key. Its text never holds what the helper printed.
type errHelper struct{ what string }

func (e *errHelper) Error() string { return "the key helper of this host " + e.what }

// runHelper runs the operator's command and returns what it printed.
func runHelper(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	key := strings.TrimSpace(out.String())
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", &errHelper{fmt.Sprintf("took longer than %s", helperTimeout)}
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &exit):
		return "", &errHelper{fmt.Sprintf("ended with exit code %d", exit.ExitCode())}
	case err != nil:
		return "", &errHelper{"could not be run"}
	case key == "":
		return "", &errHelper{"printed nothing"}
	case out.over || !fitsHeader(key):
		return "", &errHelper{"printed something that is not a key"}
	}
	return key, nil
}

// limited keeps the begin of what is written to it.
type limited struct {
	bytes.Buffer
	over bool
}

// Write keeps p as far as there is room, and never fails.
func (l *limited) Write(p []byte) (int, error) {
	room := min(len(p), maxHelperKey-l.Len())
	l.over = l.over || room < len(p)
	l.Buffer.Write(p[:room])
	return len(p), nil
}
