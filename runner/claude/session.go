package claude

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"dozens/runner/sandbox"
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
	if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
		return nil, fmt.Errorf("make session home: %w", err)
	}
	if err := os.Chmod(filepath.Join(dir, "home"), 0o700); err != nil { // an agent may have closed it
		return nil, fmt.Errorf("open session home: %w", err)
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
	h := &home{dir: dir, session: session, lock: lock}
	if err := h.freshTmp(); err != nil {
		lock.Close()
		return nil, err
	}
	return h, nil
}

func (h *home) close() {
	_ = sandbox.DeleteAll(h.tmp()) // the next run would
	h.lock.Close()
}

// tmp is for a boxed agent's temporary files: on disk, where a build has room.
func (h *home) tmp() string { return filepath.Join(h.dir, "tmp") }

func (h *home) freshTmp() error {
	err := sandbox.DeleteAll(h.tmp())
	if err == nil {
		err = os.Mkdir(h.tmp(), 0o700)
	}
	if err != nil {
		return fmt.Errorf("make the run's folder for temporary files: %w", err)
	}
	return nil
}

// agentHome is the folder that an agent knows as its home. The lock and the books lie beside it, out of its reach.
func (s Session) agentHome() string { return filepath.Join(s.Home, "home") }

// conversations is where the program keeps them, below the agent's home.
const conversations = ".claude/projects"

// conversationFolders is in how many folders they are looked for; the program makes one for each worktree.
const conversationFolders = 1000

// transcripts are the session's conversations, one or none, by their paths below the agent's home. An agent may have
// put anything there: no link is followed out of it, and nothing but folders is opened, because a named pipe would keep
// us for ever.
func (h *home) transcripts() ([]string, error) {
	root, err := os.OpenRoot(filepath.Join(h.dir, "home"))
	if err != nil {
		return nil, fmt.Errorf("look for the conversation: %w", err)
	}
	defer root.Close()
	folder, err := root.OpenFile(conversations, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil // none yet, or none that the program could read
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(conversationFolders) // what cannot be read holds no conversation
	var found []string
	for _, name := range names {
		path := filepath.Join(conversations, name, h.session+".jsonl")
		if info, err := root.Lstat(path); err == nil && info.Mode().IsRegular() {
			found = append(found, path)
		}
	}
	return found, nil
}

// forget removes what the program would take settings from that nobody but an agent has written: variables of its
// environment, for one. All that the next run needs of an earlier one is the conversation.
func (h *home) forget() error {
	root, err := os.OpenRoot(filepath.Join(h.dir, "home"))
	if err != nil {
		return fmt.Errorf("clear the session home: %w", err)
	}
	defer root.Close()
	for _, name := range []string{".claude.json", ".claude/.config.json"} {
		_ = root.Remove(name) // a folder of that name stays, and cannot be read as settings
	}
	return nil
}

// putAside moves a conversation out of the way that cannot be continued; its id can then be used again.
func (h *home) putAside() error {
	found, err := h.transcripts()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Join(h.dir, "home"))
	if err != nil {
		return fmt.Errorf("put the lost conversation aside: %w", err)
	}
	defer root.Close()
	for _, name := range found {
		if err := root.Rename(name, name+".lost"); err != nil {
			return fmt.Errorf("put the lost conversation aside: %w", err)
		}
	}
	return nil
}

// books is what is kept of a session's cost between its runs.
type books struct {
	BookedMicroUSD int64 `json:"booked_micro_usd"` // reported as the cost of earlier runs
	// OpenMicroUSD is metered and not reported: of a run that is under way, or that ended with its host.
	OpenMicroUSD int64 `json:"open_micro_usd,omitempty"`
}

// booksEach is how often the books follow a run.
const booksEach = 2 * time.Second

func (h *home) booksFile() string { return filepath.Join(h.dir, "dozens-cost.json") }

// readBooks takes unreadable books for none.
func (h *home) readBooks() books {
	var b books
	text, err := os.ReadFile(h.booksFile())
	if err != nil || json.Unmarshal(text, &b) != nil {
		return books{}
	}
	return b
}

// writeBooks replaces the file as a whole. Failing that, a cost is booked twice or never: nothing to end a run for.
func (h *home) writeBooks(b books) {
	text, err := json.Marshal(b)
	if err != nil {
		return
	}
	if os.WriteFile(h.booksFile()+".new", text, 0o600) == nil {
		_ = os.Rename(h.booksFile()+".new", h.booksFile())
	}
}

// follow keeps what is spent in the books until stop is called, which may not be called when the host is killed.
func (h *home) follow(spent func() int64) (stop func()) {
	ended := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		tick := time.NewTicker(booksEach)
		defer tick.Stop()
		for b := h.readBooks(); ; {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			if now := spent(); now != b.OpenMicroUSD {
				b.OpenMicroUSD = now
				h.writeBooks(b)
			}
		}
	})
	return func() {
		close(ended)
		following.Wait()
	}
}

// book returns what a run cost by the program's words, in millionths of a US dollar, and remembers it. What an earlier
// run cost that was stopped before it could say is counted here, as soon as the program tells its total.
func (h *home) book(e *ending, resumed bool) int64 {
	var b books
	if resumed {
		b = h.readBooks()
	}
	cost := e.cost(b.BookedMicroUSD)
	h.writeBooks(books{BookedMicroUSD: b.BookedMicroUSD + cost})
	return cost
}
