package worktree

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"dozens/batch"
	"dozens/internal/testenv"
	"dozens/runner/sandbox"
)

const (
	user  = "x-access-token"
	token = "ghs_secretTokenOfTheTest0123456789"
)

// world is a git server with one repository, owner/repo, and a host's worktrees.
type world struct {
	t      testing.TB
	root   string // the server's repositories
	server *httptest.Server
	box    *sandbox.Sandbox // nil: agents work without one
	trees  *Trees
	base   string // commit of main
	// before runs before a request is answered and may answer it itself by returning true.
	before  atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	fetches atomic.Int64 // fetches and ls-remotes that were let in
	mu      sync.Mutex
	auths   []string // Authorization headers seen
}

// modes are a host without a sandbox and one with it.
var modes = []string{"bare", "boxed"}

// eachMode runs a test on both kinds of host.
func eachMode(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			test(t, newWorldIn(t, mode))
		})
	}
}

// newWorld is a world without a sandbox, for what has nothing to do with agents.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, "bare")
}

func newWorldIn(t testing.TB, mode string) *world {
	t.Helper()
	w := &world{t: t, root: t.TempDir()}
	if mode == "boxed" {
		w.box = openBox(t)
	}
	backend := filepath.Join(run(t, "", "git", "--exec-path"), "git-http-backend")
	h := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + w.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1", "REMOTE_USER=test"}, InheritEnv: []string{"PATH"}, Stderr: io.Discard}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.auths = append(w.auths, r.Header.Get("Authorization"))
		w.mu.Unlock()
		if f := w.before.Load(); f != nil && (*f)(rw, r) {
			return
		}
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != token {
			rw.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(rw, "no", http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/info/refs") && r.URL.Query().Get("service") == "git-upload-pack" {
			w.fetches.Add(1)
		}
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.server.Close)
	w.remote("init", "--quiet", "--bare", "--initial-branch=main", ".")
	w.remote("config", "http.receivepack", "true")
	w.remote("config", "uploadpack.allowAnySHA1InWant", "true")
	w.base = w.commit("main", map[string]string{"README.md": "hello\n", "src/a.go": "package a\n", "src/b.go": "package b\n", "run.sh": "#!/bin/sh\n"})
	w.trees = w.open(filepath.Join(t.TempDir(), "host"))
	return w
}

func (w *world) open(dir string) *Trees {
	w.t.Helper()
	trees, err := Open(dir, zerolog.New(zerolog.NewTestWriter(w.t)).Level(zerolog.WarnLevel), Boxed(w.box))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(trees.Close)
	return trees
}

// remote runs git in the server's repository.
func (w *world) remote(args ...string) string {
	w.t.Helper()
	dir := filepath.Join(w.root, "owner", "repo.git")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return run(w.t, dir, "git", args...)
}

// commit adds files to a branch of the server and returns its commit.
func (w *world) commit(branch string, files map[string]string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	run(w.t, dir, "git", "init", "--quiet", "--initial-branch=x")
	origin := filepath.Join(w.root, "owner", "repo.git")
	if out, err := command(dir, "git", "fetch", "--quiet", origin, branch).CombinedOutput(); err == nil {
		run(w.t, dir, "git", "reset", "--quiet", "--hard", "FETCH_HEAD")
	} else if !strings.Contains(string(out), "couldn't find remote ref") {
		w.t.Fatalf("fetch: %s", out)
	}
	write(w.t, dir, files)
	run(w.t, dir, "git", "add", "-A")
	run(w.t, dir, "git", "commit", "--quiet", "-m", "by a person")
	run(w.t, dir, "git", "push", "--quiet", origin, "HEAD:refs/heads/"+branch)
	return run(w.t, dir, "git", "rev-parse", "HEAD")
}

func (w *world) spec(label string) Spec {
	return Spec{Repo: batch.Repo{ID: 7, Owner: "owner", Name: "repo"}, CloneURL: w.server.URL + "/owner/repo.git", Task: "abcd2345" + label,
		Label: label, Branch: "dozens/" + label, Base: "main", BaseSHA: w.base}
}

func cred() Credential { return Credential{Username: user, Password: token} }

// prepare makes a worktree or fails the test.
func (w *world) prepare(label string) Tree {
	w.t.Helper()
	tree, err := w.trees.Prepare(w.t.Context(), w.spec(label), cred())
	if err != nil {
		w.t.Fatalf("Prepare: %v", err)
	}
	return tree
}

// look looks or fails the test.
func (w *world) look(tree Tree) Look {
	w.t.Helper()
	look, err := w.trees.Look(w.t.Context(), tree, CommitOptions{Message: "left over", Name: "Dozens", Email: "bot@example.com"})
	if err != nil {
		w.t.Fatalf("Look: %v", err)
	}
	return look
}

func (w *world) mirror() string { return filepath.Join(w.trees.dir, "mirrors", "7.git") }

func openBox(t testing.TB) *sandbox.Sandbox {
	t.Helper()
	box, err := sandbox.Open(sandbox.Options{Bwrap: testenv.Bwrap(t)})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// agent runs a shell script in the worktree, as an agent would.
func (w *world) agent(tree Tree, script string) string {
	w.t.Helper()
	out, err := w.try(tree, script)
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// try is agent for a script that may fail.
func (w *world) try(tree Tree, script string) (string, error) {
	w.t.Helper()
	if w.box == nil {
		out, err := command(tree.Path, "sh", "-ec", script).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if !exists(tree.shadow()) { // a host prepares before each run
		if _, err := w.trees.Prepare(w.t.Context(), tree.Spec, cred()); err != nil {
			w.t.Fatalf("Prepare: %v", err)
		}
	}
	b := sandbox.Box{Dir: tree.Path, Binds: tree.Binds, Env: append(agentEnv(), "PATH="+os.Getenv("PATH"), "HOME=/tmp")}
	cage, err := w.box.Command(w.t.Context(), b, "sh", "-ec", script)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cage.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// shadow is where the host keeps the agent's own git folder.
func (t Tree) shadow() string { return t.Binds[2].From }

func agentEnv() []string {
	return []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Agent", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=Agent", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_TERMINAL_PROMPT=0"}
}

func command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), agentEnv()...)
	return cmd
}

func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	out, err := command(dir, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func files(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("many/d%d/f%d.txt", i%50, i)] = strings.Repeat(fmt.Sprintf("line %d\n", i), 20)
	}
	return m
}
