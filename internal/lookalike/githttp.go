package lookalike

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

func gitPath() *regexp.Regexp {
	return regexp.MustCompile(`^/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)$`)
}

// recorder keeps an answer until it may go out.
type recorder struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// serveGit is git's smart HTTP. Reading needs contents:read or a role of read, pushing write.
func (g *GitHub) serveGit(w http.ResponseWriter, r *http.Request) {
	parts := gitPath().FindStringSubmatch(r.URL.Path)
	pattern := "/{owner}/{repo}.git/" + parts[3]
	call := Call{Kind: "git", Phase: Before, Method: r.Method, Path: r.URL.EscapedPath(), Pattern: pattern, Query: r.URL.RawQuery,
		Header: r.Header.Clone(), Time: g.now()}
	call.Header.Del("Authorization")
	call.Actor, call.Installation = g.peek(r)
	if act := g.intercept(call); act.given() {
		g.record(call, act.Status)
		act.write(w)
		return
	}
	out := &recorder{status: http.StatusOK, header: http.Header{}}
	if err := g.git(out, r, parts); err != nil {
		gitRefusal(out, err)
	}
	call.Phase, call.Status = After, out.status
	g.record(call, out.status)
	if act := g.intercept(call); act.given() {
		act.write(w)
		return
	}
	for k, v := range out.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(out.body.Len()))
	w.WriteHeader(out.status)
	_, _ = out.body.WriteTo(w) // the client may have gone
}

// gitRefusal answers in plain text, which git shows to its user.
func gitRefusal(out *recorder, err error) {
	out.status, out.header = http.StatusInternalServerError, http.Header{}
	out.body.Reset()
	var e *apiError
	if errors.As(err, &e) {
		out.status = e.status
	}
	if out.status == http.StatusUnauthorized {
		out.header.Set("WWW-Authenticate", `Basic realm="GitHub"`)
	}
	out.header.Set("Content-Type", "text/plain; charset=utf-8")
	if e != nil {
		if to := e.header["Location"]; to != "" {
			out.header.Set("Location", to)
		}
		out.body.WriteString(e.message + "\n")
		return
	}
	out.body.WriteString("Server Error\n")
}

func (g *GitHub) git(out *recorder, r *http.Request, parts []string) error {
	push := parts[3] == "git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	by, err := g.identify(r)
	if err != nil {
		return no(http.StatusUnauthorized, "Invalid username or token. Password authentication is not supported for Git operations.")
	}
	repo, env, err := g.gitRepo(by, parts, push)
	var away *apiError
	if errors.As(err, &away) && away.header["Location"] != "" && r.URL.RawQuery != "" {
		away.header["Location"] += "?" + r.URL.RawQuery
	}
	if err != nil {
		return err
	}
	body, size, err := spool(r.Body, g.dir)
	if err != nil {
		return err
	}
	defer body.Close()
	inner := r.Clone(r.Context())
	inner.URL.Path = fmt.Sprintf("/%d.git/%s", repo.id, parts[3])
	inner.Body, inner.ContentLength, inner.TransferEncoding = body, size, nil
	inner.Header.Del("Authorization")
	if parts[3] != "git-receive-pack" {
		return g.backend(out, inner, by, env)
	}
	return g.receive(out, inner, by, repo, env)
}

// gitRepo finds the repository and holds the asker to what is wanted. env is for the hook, see preReceive.
func (g *GitHub) gitRepo(by actor, parts []string, push bool) (*repository, []string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	full := strings.ToLower(parts[1] + "/" + parts[2])
	repo := g.repos[full]
	if repo == nil {
		repo = g.repoByID(g.moved[full])
		if repo != nil && g.sees(by, repo) {
			return nil, nil, &apiError{status: http.StatusMovedPermanently, message: "Moved Permanently",
				header: map[string]string{"Location": g.web("/%s.git/%s", repo.full(), parts[3])}}
		}
	}
	if repo == nil || !g.sees(by, repo) || by.jwt {
		if by.user == nil {
			return nil, nil, no(http.StatusUnauthorized, "Repository not found.")
		}
		return nil, nil, no(http.StatusNotFound, "Repository not found.")
	}
	if by.install != nil && !by.install.suspended.IsZero() {
		return nil, nil, no(http.StatusForbidden, "This installation has been suspended")
	}
	need := "contents:read"
	if push {
		need = "contents:write"
	}
	if err := g.allowed(by, repo, need); err != nil {
		if by.user == nil {
			return nil, nil, no(http.StatusUnauthorized, "Authentication required")
		}
		return nil, nil, no(http.StatusForbidden, "Write access to repository not granted.")
	}
	return repo, hookEnv(by, repo), nil
}

// hookEnv tells preReceive what the asker may not change. g.mu is held.
func hookEnv(by actor, repo *repository) []string {
	var env []string
	if by.install != nil && by.tok.perms["workflows"] != "write" {
		env = append(env, "LOOKALIKE_NO_WORKFLOWS=1")
	}
	var closed []string
	for _, branch := range sortedKeys(repo.protections) {
		if validBranch(branch) {
			closed = append(closed, "refs/heads/"+branch)
		}
	}
	return append(env, "LOOKALIKE_PROTECTED="+strings.Join(closed, " "))
}

// spool takes the body whole before anything is locked, so that a client that stalls holds up nobody, and so
// that a chunked body gets the length that CGI needs.
func spool(body io.Reader, dir string) (*os.File, int64, error) {
	file, err := os.CreateTemp(dir, "push-*")
	if err != nil {
		return nil, 0, err
	}
	_ = os.Remove(file.Name()) // it lives as long as it is open
	size, err := io.Copy(file, body)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, size, nil
}

// receive carries out a push and lets everything follow the refs that moved.
func (g *GitHub) receive(out *recorder, r *http.Request, by actor, repo *repository, env []string) error {
	repo.git.Lock()
	defer repo.git.Unlock()
	before, err := repo.dir.refs(g.ctx, "refs/heads", "refs/tags")
	if err != nil {
		return err
	}
	if err := g.backend(out, r, by, env); err != nil {
		return err
	}
	after, err := repo.dir.refs(g.ctx, "refs/heads", "refs/tags")
	if err != nil {
		return err
	}
	var changes []refChange
	for _, ref := range sortedKeys(after) {
		if old := before[ref]; old != after[ref] {
			if old == "" {
				old = zeroSHA
			}
			changes = append(changes, refChange{ref, old, after[ref]})
		}
	}
	for _, ref := range sortedKeys(before) {
		if after[ref] == "" {
			changes = append(changes, refChange{ref, before[ref], zeroSHA})
		}
	}
	return g.refsMoved(g.ctx, by, repo, changes)
}

func (g *GitHub) backend(out *recorder, r *http.Request, by actor, env []string) error {
	path, err := exec.LookPath("git")
	if err != nil {
		return err
	}
	who := "anonymous"
	if by.user != nil {
		who = by.user.login
	}
	handler := &cgi.Handler{Path: path, Args: []string{"http-backend"}, Dir: g.dir, Stderr: io.Discard,
		Env: append(gitEnv("GIT_PROJECT_ROOT="+g.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+who), env...)}
	handler.ServeHTTP(out, r)
	return nil
}
