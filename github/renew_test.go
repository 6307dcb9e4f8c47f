package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"dozens/batch"
)

// renewWorld mints numbered tokens for installation 32, of which only those from good on are taken.
func renewWorld(t *testing.T, good int) (*world, *Repo) {
	t.Helper()
	w := newWorld(t)
	var mu sync.Mutex
	minted := 0
	w.on("POST /app/installations/32/access_tokens", func(rw http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		minted++
		give(rw, 201, obj{"token": fmt.Sprint("ghs_", minted), "expires_at": time.Now().Add(time.Hour)})
	})
	answer := func(rw http.ResponseWriter, r *http.Request) {
		n := 0
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "token ghs_%d", &n)
		if n < good {
			give(rw, 401, obj{"message": "Bad credentials"})
			return
		}
		give(rw, 200, obj{"number": 5})
	}
	w.on("GET "+issuePath, answer)
	w.on("PATCH "+issuePath, answer)
	return w, w.app.Repo(batch.Repo{ID: testRepoID, Installation: 32, Owner: "acme", Name: "shop"})
}

func TestEndedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	w, repo := renewWorld(t, 2)
	if err := repo.CloseIssue(t.Context(), 5); err != nil {
		t.Fatalf("CloseIssue: %v", err)
	}
	sent := w.sent("PATCH", issuePath)
	if len(sent) != 2 || sent[0].Body != sent[1].Body || !strings.Contains(sent[1].Body, "closed") {
		t.Errorf("got %+v, want the same body twice", sent)
	}
	if _, err := repo.Issue(t.Context(), 5); err != nil || len(w.sent("GET", issuePath)) != 1 {
		t.Errorf("the next call: %v after %d tries, want the new token at once", err, len(w.sent("GET", issuePath)))
	}
}

func TestTokenThatIsNeverTakenIsAnError(t *testing.T) {
	t.Parallel()
	w, repo := renewWorld(t, 99)
	if _, err := repo.Issue(t.Context(), 5); !errors.Is(err, ErrForbidden) {
		t.Errorf("got %v, want %v", err, ErrForbidden)
	}
	if got := len(w.sent("GET", issuePath)); got != 2 {
		t.Errorf("calls: got %d, want 2", got)
	}
}

func TestEndedTokenOfManyCallsIsReplacedOnce(t *testing.T) {
	t.Parallel()
	w, repo := renewWorld(t, 2)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := repo.Issue(t.Context(), 5); err != nil {
				t.Errorf("Issue: %v", err)
			}
		})
	}
	group.Wait()
	if got := len(w.sent("POST", "/app/installations/32/access_tokens")); got != 2 {
		t.Errorf("tokens: got %d, want 2", got)
	}
}
