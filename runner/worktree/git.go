package worktree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// call is one run of git.
type call struct {
	args   []string
	gitDir string   // always given: git must never look for a folder itself
	common string   // of a worktree's admin folder: the mirror
	tree   string   // work tree; "": none
	index  string   // index file; "": the git folder's own
	env    []string // more environment
	stdin  io.Reader
	limit  int64         // most bytes of output; 0: 1 MiB
	remote *remote       // of a call that talks to a server
	hold   []*flock      // locks that the process inherits
	within time.Duration // 0: ten minutes
}

// remote is the server a call talks to.
type remote struct {
	url    *url.URL
	helper string // shell words of the credential helper; "": no credential
}

const (
	callTime    = 10 * time.Minute
	networkTime = time.Hour
	graceTime   = 5 * time.Second
	outputLimit = 1 << 20
	wordsLimit  = 8 << 10
)

var errOutput = errors.New("more output than expected")

// settings overrule whatever a configuration might say that starts programs or leaves our folders. There is no
// system or global configuration, and the mirror's own is ours, so this is the second wall.
func settings() []string {
	return []string{
		"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.sshCommand=false", "core.askPass=", "core.gitProxy=",
		"core.attributesFile=/dev/null", "core.excludesFile=/dev/null", "core.commitGraph=false", "core.multiPackIndex=false",
		"core.protectHFS=true", "core.protectNTFS=true", "core.logAllRefUpdates=false", "core.bigFileThreshold=64m",
		"core.sparseCheckout=false", "core.splitIndex=false", "core.untrackedCache=false", "core.quotePath=false",
		"credential.helper=", "credential.useHttpPath=true", "protocol.allow=never",
		"http.followRedirects=false", "http.lowSpeedLimit=1", "http.lowSpeedTime=300",
		"gc.auto=0", "maintenance.auto=false", "commit.gpgSign=false", "push.gpgSign=false",
		"submodule.recurse=false", "fetch.recurseSubmodules=false", "push.recurseSubmodules=no", "push.followTags=false",
		"transfer.fsckObjects=true", "advice.detachedHead=false", "advice.graftFileDeprecated=false", "user.useConfigOnly=true",
		// Faults of old tools that are found in the history of sound repositories, and that harm nobody.
		"fetch.fsck.zeroPaddedFilemode=ignore", "fetch.fsck.badTimezone=ignore", "fetch.fsck.missingSpaceBeforeDate=ignore",
		"fetch.fsck.missingSpaceBeforeEmail=ignore", "fetch.fsck.missingNameBeforeEmail=ignore", "fetch.fsck.badEmail=ignore",
		"fetch.fsck.missingEmail=ignore", "fetch.fsck.badDate=ignore", "fetch.fsck.badDateOverflow=ignore",
	}
}

// passed are the variables of our own environment that git may see: where programs are, and for calls to a
// server how this machine reaches it.
func passed(network bool) []string {
	names := []string{"PATH", "TMPDIR"}
	if network {
		names = append(names, "http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY",
			"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "CURL_CA_BUNDLE")
	}
	var env []string
	for _, n := range names {
		if v, ok := os.LookupEnv(n); ok {
			env = append(env, n+"="+v)
		}
	}
	return env
}

func (t *Trees) environment(c call) []string {
	env := append(passed(c.remote != nil),
		"HOME="+filepath.Join(t.dir, "home"), "LC_ALL=C", "LANGUAGE=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_EDITOR=false", "GIT_PAGER=cat",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_LITERAL_PATHSPECS=1",
		"GIT_GRAFT_FILE=/dev/null", "GIT_DIR="+c.gitDir)
	allowed := "none"
	if c.remote != nil {
		allowed = c.remote.url.Scheme
	}
	env = append(env, "GIT_ALLOW_PROTOCOL="+allowed)
	if c.common != "" {
		env = append(env, "GIT_COMMON_DIR="+c.common)
	}
	if c.tree != "" {
		env = append(env, "GIT_WORK_TREE="+c.tree)
	}
	if c.index != "" {
		env = append(env, "GIT_INDEX_FILE="+c.index)
	}
	return append(env, c.env...)
}

// said is what a run of git wrote.
type said struct {
	out []byte
	err []byte // bounded
}

// git runs one command to its end. A cancelled ctx ends git and all it started.
func (t *Trees) git(ctx context.Context, c call) (said, error) {
	within := c.within
	if within == 0 {
		within = callTime
	}
	verb := "git " + c.args[0]
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("%s took longer than %s", verb, within))
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", t.arguments(c)...)
	cmd.Env = t.environment(c)
	cmd.Dir = t.dir
	if c.tree != "" {
		cmd.Dir = c.tree
	}
	cmd.Stdin = c.stdin
	limit := c.limit
	if limit == 0 {
		limit = outputLimit
	}
	stdout, stderr := &bounded{limit: limit, fail: true}, &bounded{limit: wordsLimit}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) } // git removes its lock files
	cmd.WaitDelay = graceTime
	for _, l := range c.hold {
		cmd.ExtraFiles = append(cmd.ExtraFiles, l.file)
	}
	err := cmd.Run()
	result := said{out: stdout.Bytes(), err: stderr.Bytes()}
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what did not listen; ESRCH when all are gone
		}
		return result, fmt.Errorf("%s: %w", verb, context.Cause(ctx))
	}
	if stdout.full {
		return result, fmt.Errorf("%s: %w than %d bytes", verb, errOutput, limit)
	}
	return result, newFault(verb, err, result)
}

func (t *Trees) arguments(c call) []string {
	args := []string{"--no-pager", "--no-replace-objects"}
	for _, s := range settings() {
		args = append(args, "-c", s)
	}
	if c.remote != nil && c.remote.helper != "" {
		args = append(args, "-c", "credential.helper="+c.remote.helper)
	}
	return append(args, c.args...)
}

// bounded keeps the first limit bytes. With fail it then ends the process by refusing more.
type bounded struct {
	bytes.Buffer
	limit int64
	fail  bool
	full  bool
}

// Write keeps what fits.
func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - int64(b.Len())
	if int64(len(p)) <= room {
		return b.Buffer.Write(p)
	}
	b.full = true
	if b.fail {
		return 0, errOutput
	}
	b.Buffer.Write(p[:room])
	return len(p), nil
}

// fault is git's own failure, with its words.
type fault struct {
	verb  string
	code  int // -1: it was not started or was killed
	words string
	cause error
}

func newFault(verb string, err error, s said) *fault {
	f := &fault{verb: verb, code: -1, words: clean(string(s.err)), cause: err}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		f.code = exit.ExitCode()
	}
	return f
}

// Error gives git's words without anything that could move a terminal.
func (f *fault) Error() string {
	words := f.words
	if words == "" {
		words = f.cause.Error()
	}
	if f.code > 0 {
		return f.verb + ": exit " + strconv.Itoa(f.code) + ": " + words
	}
	return f.verb + ": " + words
}

func (f *fault) Unwrap() error { return f.cause }

// exited says that git ended by itself with this code.
func exited(err error, code int) bool {
	var f *fault
	return errors.As(err, &f) && f.code == code
}

const cleanLimit = 1000

// clean makes foreign words fit for a log line or a comment: one line, bounded, no control characters.
func clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	s = strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if strange(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > cleanLimit {
		s = strings.ToValidUTF8(s[:cleanLimit], "") + "…"
	}
	return strings.TrimSpace(s)
}
