package worktree

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pushable makes a worktree with one commit.
func (w *world) pushable(label string) (Tree, string) {
	w.t.Helper()
	tree := w.prepare(label)
	w.agent(tree, "echo "+label+" > mine.txt")
	return tree, w.look(tree).Head
}

func TestPush(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree, head := w.pushable("one")
		if err := w.trees.Push(t.Context(), tree, head, "", cred()); err != nil {
			t.Fatal(err)
		}
		for _, expected := range []string{"", head, w.base} {
			if err := w.trees.Push(t.Context(), tree, head, expected, cred()); err != nil {
				t.Errorf("pushing what is there, expecting %q: %v", expected, err)
			}
		}
		if got, err := w.trees.RemoteHead(t.Context(), tree.Spec, cred()); err != nil || got != head {
			t.Errorf("RemoteHead = %q, %v; want %s", got, err, head)
		}
		w.agent(tree, "git commit -q --amend -m other")
		next := w.look(tree).Head
		var moved *MovedError
		if err := w.trees.Push(t.Context(), tree, next, w.base, cred()); !errors.As(err, &moved) || !errors.Is(err, ErrMoved) || moved.Remote != head {
			t.Errorf("wrong expectation: %v, want ErrMoved to %s", err, head)
		}
		if err := w.trees.Push(t.Context(), tree, next, "", cred()); !errors.Is(err, ErrMoved) {
			t.Errorf("expecting no branch: %v, want ErrMoved", err)
		}
		if err := w.trees.Push(t.Context(), tree, next, head, cred()); err != nil {
			t.Errorf("right expectation, rewritten commit: %v", err)
		}
		if got := w.remote("for-each-ref", "--format=%(refname) %(objectname)"); got != "refs/heads/dozens/one "+next+"\nrefs/heads/main "+w.base {
			t.Errorf("remote refs:\n%s", got)
		}
	})
}

func TestPushMoved(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		tree, head := w.pushable("one")
		if err := w.trees.Push(t.Context(), tree, head, "", cred()); err != nil {
			t.Fatal(err)
		}
		theirs := w.commit("dozens/one", map[string]string{"theirs.txt": "theirs"})
		w.agent(tree, "echo more > more.txt")
		next := w.look(tree).Head
		var moved *MovedError
		if err := w.trees.Push(t.Context(), tree, next, head, cred()); !errors.As(err, &moved) || moved.Remote != theirs {
			t.Errorf("Push = %v, want ErrMoved to %s", err, theirs)
		}
		w.remote("branch", "-D", "dozens/one")
		if err := w.trees.Push(t.Context(), tree, next, head, cred()); !errors.As(err, &moved) || moved.Remote != "" {
			t.Errorf("Push = %v, want ErrMoved to nothing", err)
		}
	})
}

// TestPushRace lets the branch move between git's look at it and its push.
func TestPushRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree, head := w.pushable("one")
	h := w.hold("/git-receive-pack")
	done := make(chan error, 1)
	go func() { done <- w.trees.Push(t.Context(), tree, head, "", cred()) }()
	<-h.reached
	w.remote("branch", "dozens/one", "main")
	close(h.let)
	var moved *MovedError
	if err := <-done; !errors.As(err, &moved) || moved.Remote != w.base {
		t.Errorf("Push = %v, want ErrMoved to %s", err, w.base)
	}
}

func TestPushErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree, head := w.pushable("one")
	hook := filepath.Join(w.root, "owner", "repo.git", "hooks", "pre-receive")
	write(t, filepath.Dir(hook), map[string]string{"pre-receive": "#!/bin/sh\nprintf 'rule \\033[31mviolation: " + token + " is a secret\\n' >&2\nexit 1\n"})
	if err := os.Chmod(hook, 0o755); err != nil {
		t.Fatal(err)
	}
	gone := tree
	gone.CloneURL += "x"
	tests := []struct {
		name string
		tree Tree
		head string
		cred Credential
		want error
		says string
	}{
		{"refused", tree, head, cred(), ErrRefused, "pre-receive hook declined"},
		{"refused with words", tree, head, cred(), ErrRefused, "rule [31mviolation: *** is a secret"},
		{"wrong token", tree, head, Credential{Username: user, Password: "ghs_wrong"}, ErrAuth, ""},
		{"no such repository", gone, head, cred(), ErrGone, ""},
		{"no such commit", tree, strings.Repeat("12", 20), cred(), ErrGone, "not on this host"},
		{"an option for a commit", tree, "--mirror", cred(), ErrSpec, ""},
		{"a refspec for a commit", tree, "+main", cred(), ErrSpec, ""},
	}
	for _, tt := range tests {
		err := w.trees.Push(t.Context(), tt.tree, tt.head, "", tt.cred)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %v %q", tt.name, err, tt.want, tt.says)
		}
		if err != nil && (strings.Contains(err.Error(), "ghs_") || strings.Contains(err.Error(), "\x1b")) {
			t.Errorf("%s: the error shows the token or moves the terminal: %q", tt.name, err)
		}
	}
}

// TestPushHidesToken looks at every process and file while the server holds a push.
func TestPushHidesToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree, head := w.pushable("one")
	w.agent(tree, "echo unfinished > unfinished.txt")
	h := w.hold("/git-receive-pack")
	done := make(chan error, 1)
	go func() { done <- w.trees.Push(t.Context(), tree, head, "", cred()) }()
	<-h.reached
	if got := processesWith(w.server.URL); len(got) < 2 { // git push and git remote-http: the search finds what is there
		t.Errorf("processes of the push: %q, want at least two", got)
	}
	if got := processesWith(token); len(got) > 0 {
		t.Errorf("the token shows in %q", got)
	}
	close(h.let)
	if err := <-done; err != nil {
		t.Error(err)
	}
	err := filepath.WalkDir(w.trees.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if bytes.Contains([]byte(read(t, path)), []byte(token)) {
			t.Errorf("the token is in %s", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestProcessesWithFinds(t *testing.T) {
	t.Parallel()
	control := "control-" + t.TempDir()
	cmd := exec.Command("cat")
	cmd.Env = []string{"CONTROL=" + control}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := processesWith(control); len(got) != 1 {
		t.Errorf("found %q, want one process", got)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestRedirectGetsNothing sends git to another host, which asks for a password.
func TestRedirectGetsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tree, head := w.pushable("one")
	asked := make(chan string, 100)
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization")
		rw.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		rw.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	for _, after := range []bool{false, true} { // before and after the clone URL's own server has seen the token
		f := func(rw http.ResponseWriter, r *http.Request) bool {
			if _, _, ok := r.BasicAuth(); after && !ok {
				return false
			}
			http.Redirect(rw, r, other.URL+r.URL.String(), http.StatusTemporaryRedirect)
			return true
		}
		w.before.Store(&f)
		if err := w.trees.Push(t.Context(), tree, head, "", cred()); err == nil {
			t.Error("a push was redirected and succeeded")
		}
		if _, err := w.trees.RemoteHead(t.Context(), tree.Spec, cred()); err == nil {
			t.Error("a look at the remote was redirected and succeeded")
		}
	}
	close(asked)
	for header := range asked {
		t.Errorf("the other host was asked, with Authorization %q", header)
	}
}

func TestCredentialForOnePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, done, err := w.trees.reach(t.Context(), "https://github.com/o/r.git", cred())
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.Trim(r.helper[strings.LastIndex(r.helper, " ")+1:], "'")
	if info, err := os.Stat(filepath.Dir(socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder of the socket: %v, %v", info.Mode(), err)
	}
	tests := []struct{ name, verb, question, want string }{
		{"the place", "get", "protocol=https\nhost=github.com\npath=o/r.git\n\n", "username=" + user + "\npassword=" + token + "\n"},
		{"capabilities", "get", "capability[]=authtype\nprotocol=https\nhost=github.com\npath=o/r.git\n", "username=" + user + "\npassword=" + token + "\n"},
		{"another host", "get", "protocol=https\nhost=github.com.evil.example\npath=o/r.git\n\n", ""},
		{"another port", "get", "protocol=https\nhost=github.com:8443\npath=o/r.git\n\n", ""},
		{"another scheme", "get", "protocol=http\nhost=github.com\npath=o/r.git\n\n", ""},
		{"another repository", "get", "protocol=https\nhost=github.com\npath=o/other.git\n\n", ""},
		{"no repository", "get", "protocol=https\nhost=github.com\n\n", ""},
		{"store", "store", "protocol=https\nhost=github.com\npath=o/r.git\n\n", ""},
		{"erase", "erase", "protocol=https\nhost=github.com\npath=o/r.git\n\n", ""},
	}
	for _, tt := range tests {
		var out strings.Builder
		if code := CredentialMain([]string{socket, tt.verb}, strings.NewReader(tt.question), &out); code != 0 || out.String() != tt.want {
			t.Errorf("%s: %d %q, want %q", tt.name, code, out.String(), tt.want)
		}
	}
	done()
	if code := CredentialMain([]string{socket, "get"}, strings.NewReader("\n"), &strings.Builder{}); code == 0 {
		t.Error("the socket answers after the call")
	}
	if exists(filepath.Dir(socket)) {
		t.Error("the socket's folder stays")
	}
}
