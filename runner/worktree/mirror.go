package worktree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// mirror is the bare repository that all worktrees of one repository share.
type mirror struct {
	t     *Trees
	id    int64
	dir   string
	admin chan struct{} // one at a time inside of this process, before the file lock

	mu     sync.Mutex
	url    string // for the agent's eyes: our own calls always name the URL
	flight *flight
	sizes  map[string]size
}

func (t *Trees) mirror(id int64) *mirror {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.mirrors[id]
	if m == nil {
		m = &mirror{t: t, id: id, dir: filepath.Join(t.dir, "mirrors", strconv.FormatInt(id, 10)+".git"),
			admin: make(chan struct{}, 1), sizes: map[string]size{}}
		t.mirrors[id] = m
	}
	return m
}

// git runs git on the mirror's own folder.
func (m *mirror) git(ctx context.Context, c call) (said, error) {
	c.gitDir = m.dir
	return m.t.git(ctx, c)
}

// lock serialises what changes the mirror's list of worktrees or removes refs.
func (m *mirror) lock(ctx context.Context) (*flock, func(), error) {
	select {
	case m.admin <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	l, err := lockFile(ctx, m.lockPath("mirror"))
	if err != nil {
		<-m.admin
		return nil, nil, err
	}
	return l, func() { l.release(); <-m.admin }, nil
}

func (m *mirror) lockPath(kind string) string {
	return filepath.Join(m.t.dir, "locks", kind+"-"+strconv.FormatInt(m.id, 10)+".lock")
}

// ensure makes the mirror if it is missing, and puts right what an agent may have changed in it.
func (m *mirror) ensure(ctx context.Context, cloneURL string) error {
	if _, err := os.Lstat(m.dir); errors.Is(err, os.ErrNotExist) {
		if err := m.create(ctx); err != nil {
			return fmt.Errorf("create mirror %d: %w", m.id, err)
		}
	}
	if err := m.guard(cloneURL); err != nil {
		return fmt.Errorf("check mirror %d: %w", m.id, err)
	}
	return nil
}

// create initialises aside and renames, so that a half-made mirror never bears the name.
func (m *mirror) create(ctx context.Context) error {
	l, unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(m.dir); err == nil {
		return nil
	}
	aside := filepath.Join(filepath.Dir(m.dir), ".new-"+filepath.Base(m.dir))
	if err := os.RemoveAll(aside); err != nil { // of a killed process: we hold the lock
		return err
	}
	args := []string{"init", "--quiet", "--bare", "--template=", "--initial-branch=none", "--", aside}
	if _, err := m.t.git(ctx, call{args: args, gitDir: aside, hold: []*flock{l}}); err != nil {
		return err
	}
	return os.Rename(aside, m.dir)
}

const (
	remoteRefs = "+refs/heads/*:refs/remotes/origin/*"
	noHead     = "ref: refs/heads/none\n"
)

// config is the mirror's whole configuration. Nothing else may stand in it: a filter or an alternate that an
// agent named there would start its program in our own git.
func config(cloneURL string) string {
	s := `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	logAllRefUpdates = false
	hooksPath = /dev/null
	bigFileThreshold = 64m
[gc]
	auto = 0
[maintenance]
	auto = false
[transfer]
	fsckObjects = true
[remote "origin"]
	fetch = ` + remoteRefs + "\n"
	if cloneURL != "" {
		s += "\turl = \"" + cloneURL + "\"\n"
	}
	return s
}

// guard is cheap and runs before each use of the mirror.
func (m *mirror) guard(cloneURL string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Join(m.dir, "config")
	have, err := readPlain(path, 64<<10)
	if err != nil {
		have = nil // whatever it is, it is replaced
	}
	if cloneURL == "" {
		cloneURL = m.url
	}
	if cloneURL == "" {
		cloneURL = urlIn(string(have))
	}
	m.url = cloneURL
	if want := config(cloneURL); string(have) != want {
		if len(have) > 0 {
			m.t.log.Info().Int64("repo", m.id).Msg("mirror configuration put right")
		}
		if err := replaceFile(path, []byte(want)); err != nil {
			return err
		}
	}
	if head, err := readPlain(filepath.Join(m.dir, "HEAD"), 1<<10); err != nil || string(head) != noHead {
		if err := replaceFile(filepath.Join(m.dir, "HEAD"), []byte(noHead)); err != nil {
			return err
		}
	}
	for _, name := range []string{"config.worktree", "shallow", "logs", "hooks", "info/grafts", "info/attributes", "objects/info/alternates", "refs/replace"} {
		if err := m.drop(filepath.Join(m.dir, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"", "objects", "refs", "refs/heads"} {
		if err := m.folder(filepath.Join(m.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (m *mirror) drop(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return nil // as it should be
	}
	m.t.log.Warn().Int64("repo", m.id).Str("path", path).Msg("removed from the mirror")
	return m.t.trash.take(path)
}

func (m *mirror) folder(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) && strings.HasSuffix(path, "/refs/heads") {
		return os.Mkdir(path, 0o755) // git removes it when it becomes empty
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	return nil
}

// urlIn finds the URL that an earlier process wrote.
func urlIn(config string) string {
	for line := range strings.Lines(config) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), `url = "`); ok {
			if raw, ok := strings.CutSuffix(rest, `"`); ok {
				if _, err := checkURL(raw); err == nil {
					return raw
				}
			}
		}
	}
	return ""
}

// has says whether the commit is there.
func (m *mirror) has(ctx context.Context, sha string) (bool, error) {
	return gitFunc(m.git).has(ctx, sha)
}

// resolve returns the commit a ref stands at, "" when there is none.
func (m *mirror) resolve(ctx context.Context, ref string) (string, error) {
	s, err := m.git(ctx, call{args: []string{"rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{commit}"}})
	if exited(err, 1) || exited(err, 128) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return sha(s.out)
}

// descends says whether commit has base among its ancestors, or is base.
func (m *mirror) descends(ctx context.Context, commit, base string) (bool, error) {
	return gitFunc(m.git).descends(ctx, commit, base)
}

// known says whether the remote had the commit when we last looked or pushed.
func (m *mirror) known(ctx context.Context, commit string) (bool, error) {
	s, err := m.git(ctx, call{args: []string{"rev-list", "--max-count=1", commit, "--not", "--remotes=origin"}})
	return err == nil && len(s.out) == 0, err
}

// setRef makes or moves a ref.
func (m *mirror) setRef(ctx context.Context, ref, commit string) error {
	_, err := m.git(ctx, call{args: []string{"update-ref", "--no-deref", ref, commit}})
	return err
}

func sha(out []byte) (string, error) {
	s := strings.TrimSpace(string(out))
	if !shaShape.MatchString(s) {
		return "", fmt.Errorf("git answered %q instead of a commit", clean(s))
	}
	return s, nil
}
