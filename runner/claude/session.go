package claude

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// home is a session's own folder while a run uses it.
type home struct {
	dir     string
	session string
	lock    *os.File
}

// openHome makes the folder when it is missing and holds it until close: the program itself would let two runs
// write to one conversation.
func openHome(dir, session string) (*home, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make session home: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "dozens.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock session home: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock session home %s: %w", dir, ErrBusy)
		}
		return nil, fmt.Errorf("lock session home: %w", err)
	}
	return &home{dir: dir, session: session, lock: lock}, nil
}

func (h *home) close() { h.lock.Close() }

// transcript is the path of the session's conversation, empty when there is none yet.
func (h *home) transcript() string {
	// The session's id is a UUID and the folder is a fixed pattern, so the only error, a bad pattern, cannot be.
	found, _ := filepath.Glob(filepath.Join(escapeGlob(h.dir), ".claude", "projects", "*", h.session+".jsonl"))
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// putAside moves a conversation out of the way that cannot be continued; its id can then be used again.
func (h *home) putAside() error {
	for path := h.transcript(); path != ""; path = h.transcript() {
		if err := os.Rename(path, path+".lost"); err != nil {
			return fmt.Errorf("put the lost conversation aside: %w", err)
		}
	}
	return nil
}

// escapeGlob makes a path match itself.
func escapeGlob(path string) string {
	var out []rune
	for _, r := range path {
		switch r {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}

// books is what is kept of a session's cost between its runs.
type books struct {
	BookedMicroUSD int64 `json:"booked_micro_usd"` // reported as the cost of earlier runs
}

// book returns what a run cost, in millionths of a US dollar, and remembers it. What an earlier run cost that was
// stopped before it could say is counted here, as soon as the program tells its total.
func (h *home) book(e *ending, resumed bool) int64 {
	path := filepath.Join(h.dir, "dozens-cost.json")
	var b books
	if resumed {
		if text, err := os.ReadFile(path); err == nil {
			_ = json.Unmarshal(text, &b) // unreadable books are as good as none
		}
	}
	cost := e.cost(b.BookedMicroUSD)
	b.BookedMicroUSD += cost
	if text, err := json.Marshal(b); err == nil {
		_ = os.WriteFile(path, text, 0o600) // costs a double booking at worst
	}
	return cost
}
