package worktree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/rs/zerolog"

	"dozens/batch"
	"dozens/batch/work"
	"dozens/runner/sandbox"
)

// What callers tell apart. Errors carry details in their text; test with errors.Is.
var (
	ErrEmptyRepo = errors.New("the repository has no commits")
	ErrGone      = errors.New("the repository or the commit is not there")
	ErrAuth      = errors.New("the git server refused the credential")
	ErrDisk      = errors.New("not enough disk space")
	ErrLost      = errors.New("the worktree folder is gone")
	ErrForeign   = errors.New("the commits do not build on the base commit")
	ErrNested    = errors.New("a repository inside of the worktree")
	ErrUnsafe    = errors.New("a path that is not allowed")
	ErrTooBig    = errors.New("the change is too big")
	ErrSecret    = errors.New("the change holds a secret")
	ErrMoved     = errors.New("the remote branch moved")
	ErrRefused   = errors.New("the git server refused the push")
	ErrSpec      = errors.New("the order names something that is not allowed")
)

// MovedError says where the remote branch stands instead of where it was expected. It is an ErrMoved.
type MovedError struct {
	Remote string // the remote branch's commit; empty: the branch does not exist
}

// Error names the remote's commit.
func (e *MovedError) Error() string {
	if e.Remote == "" {
		return ErrMoved.Error() + ": it does not exist"
	}
	return ErrMoved.Error() + " to " + e.Remote
}

// Is makes errors.Is(err, ErrMoved) true.
func (e *MovedError) Is(target error) bool { return target == ErrMoved }

// Credential opens one clone URL: its scheme, host and path. The zero value means none is needed.
type Credential struct {
	Username string
	Password work.Secret
}

func (c Credential) none() bool { return c.Password == "" }

// Spec names a task's worktree and where it comes from.
type Spec struct {
	Repo     batch.Repo `json:"repo"`
	CloneURL string     `json:"clone_url"` // http, https or file; never holds a credential
	Task     string     `json:"task"`
	Label    string     `json:"label"`
	Branch   string     `json:"branch"`           // the task's branch, without refs/heads/
	Base     string     `json:"base"`             // the base branch, without refs/heads/
	BaseSHA  string     `json:"base_sha"`         // commit that everything must build on; empty: the base branch as it stands now
	Pushed   string     `json:"pushed,omitempty"` // commit a new worktree starts from; empty: BaseSHA
}

// Tree is a task's worktree on this host.
type Tree struct {
	Path string `json:"path"` // absolute
	Spec
	// Binds are what the agent's box has to show of the host so that the worktree and git in it work; empty
	// without a sandbox. They hold from Prepare to the next Look or Remove.
	Binds []sandbox.Bind `json:"-"`
}

// Option changes how Open sets up.
type Option func(*Trees)

// Helper names the program, with its first arguments, that git starts to get a credential. It must end in
// CredentialMain with the arguments that git appends. The default is this program with "git-credential".
func Helper(command ...string) Option {
	return func(t *Trees) { t.helper = command }
}

// Boxed keeps agents away from the mirror: each is shown a git folder of its own in its place, and all git that
// reads what an agent wrote runs in a box of s. With a nil s there are no boxes, and agents work in the mirror.
func Boxed(s *sandbox.Sandbox) Option {
	return func(t *Trees) { t.box = s }
}

// Trees is all mirrors and worktrees in one data folder. It is safe for use by many goroutines; several
// processes may even share the folder.
type Trees struct {
	dir    string
	log    zerolog.Logger
	helper []string
	box    *sandbox.Sandbox // nil: there is none
	cores  chan struct{}    // as many checkouts and looks at once as the machine has cores
	trash  *trash
	life   context.Context // ends with Close; shared fetches live in it
	end    context.CancelFunc

	mu      sync.Mutex
	mirrors map[int64]*mirror
}

// Open takes over the data folder, which is made if it is missing, and begins to delete what lies in its trash.
// Close must be called in the end.
func Open(dir string, log zerolog.Logger, options ...Option) (*Trees, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open worktrees: %w", err)
	}
	for _, sub := range []string{"mirrors", "trees", "state", "locks", "trash", "kept", "home", "shadow"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open worktrees: %w", err)
		}
	}
	// Git writes resolved paths; ours must read the same.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("open worktrees: %w", err)
	}
	t := &Trees{dir: dir, log: log, cores: make(chan struct{}, runtime.NumCPU()), mirrors: map[int64]*mirror{}}
	for _, o := range options {
		o(t)
	}
	if len(t.helper) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("open worktrees: find our own program: %w", err)
		}
		t.helper = []string{self, "git-credential"}
	}
	t.life, t.end = context.WithCancel(context.Background())
	t.trash = openTrash(filepath.Join(dir, "trash"), log)
	return t, nil
}

// Close ends shared fetches and waits until the trash is empty. Nothing may be called afterwards.
func (t *Trees) Close() {
	t.end()
	t.trash.close()
}

// core waits for one of the machine's cores; the caller gives it back by calling release.
func (t *Trees) core(ctx context.Context) (release func(), err error) {
	select {
	case t.cores <- struct{}{}:
		return func() { <-t.cores }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
