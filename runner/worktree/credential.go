package worktree

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	credentialTime  = 10 * time.Second
	credentialLimit = 8 << 10
)

// reach prepares a call to the server at cloneURL. A credential waits behind a socket in a folder of our own,
// for the time of the call: it is never in an argument, an environment, a configuration or a file.
func (t *Trees) reach(ctx context.Context, cloneURL string, c Credential) (*remote, func(), error) {
	u, err := checkURL(cloneURL)
	if err != nil {
		return nil, nil, err
	}
	if c.none() || u.Scheme == "file" {
		return &remote{url: u}, func() {}, nil
	}
	if strings.ContainsAny(c.Username+string(c.Password), "\r\n\x00") {
		return nil, nil, fmt.Errorf("%w: credential of more than one line", ErrSpec)
	}
	// The system's folder for temporary files, because the length of a socket's path is limited to about 100.
	dir, err := os.MkdirTemp("", "dozens-")
	if err != nil {
		return nil, nil, fmt.Errorf("offer credential: %w", err)
	}
	path := filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		_ = os.RemoveAll(dir) // already failing
		return nil, nil, fmt.Errorf("offer credential: %w", err)
	}
	var wait sync.WaitGroup
	wait.Go(func() { t.offer(l, u, c, &wait) })
	done := func() {
		_ = l.Close() // ends offer
		wait.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.log.Warn().Err(err).Msg("socket of a credential stays")
		}
	}
	return &remote{url: u, helper: "!" + shellWords(append(t.helper[:len(t.helper):len(t.helper)], path))}, done, nil
}

func (t *Trees) offer(l net.Listener, u *url.URL, c Credential, wait *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		wait.Go(func() {
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(credentialTime)); err != nil {
				return
			}
			asked := readPairs(conn)
			if asked["protocol"] != u.Scheme || asked["host"] != u.Host || asked["path"] != strings.TrimPrefix(u.Path, "/") {
				t.log.Warn().Str("host", clean(asked["host"])).Msg("credential refused: asked for another place than the clone URL")
				return
			}
			_, _ = fmt.Fprintf(conn, "username=%s\npassword=%s\n", c.Username, string(c.Password)) // git notices a missing answer
		})
	}
}

// readPairs reads key=value lines up to an empty one.
func readPairs(r io.Reader) map[string]string {
	pairs := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(r, credentialLimit))
	for lines.Scan() && lines.Text() != "" {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok {
			pairs[k] = v
		}
	}
	return pairs
}

// shellWords quotes words for the shell that git starts a helper with.
func shellWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// CredentialMain is the credential helper that git starts: the program's hidden verb "git-credential" with the
// arguments SOCKET and an operation. It passes git's question on to the process that runs git, and the answer
// back. It returns the exit code.
func CredentialMain(args []string, stdin io.Reader, stdout io.Writer) int {
	if len(args) != 2 {
		return 2
	}
	if args[1] != "get" {
		return 0 // nothing is ever stored or erased
	}
	ctx, cancel := context.WithTimeout(context.Background(), credentialTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", args[0])
	if err != nil {
		return 1
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(credentialTime)); err != nil {
		return 1
	}
	lines := bufio.NewScanner(io.LimitReader(stdin, credentialLimit))
	for lines.Scan() && lines.Text() != "" {
		if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
			return 1
		}
	}
	if _, err := fmt.Fprintln(conn); err != nil {
		return 1
	}
	if _, err := io.Copy(stdout, io.LimitReader(conn, credentialLimit)); err != nil {
		return 1
	}
	return 0
}
