package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dozens/internal/demo"
	"dozens/internal/lookalike"
	"dozens/internal/scripted"
	"dozens/internal/testenv"
)

// TestMain makes the test binary the bot: called with one of its verbs, it is the real thing.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		for _, v := range verbs() {
			if v.name == os.Args[1] {
				main()
				return
			}
		}
	}
	os.Exit(m.Run())
}

const (
	patience = 90 * time.Second      // of a test that waits for something
	glance   = 25 * time.Millisecond // between two looks at it
)

// world is a look-alike GitHub and the bot beside it, as a process of its own.
type world struct {
	*demo.World
	t    testing.TB
	dir  string
	addr string
	env  []string
	log  *tail
	cmd  *exec.Cmd
	done chan struct{}
}

// options of a test's world.
type options struct {
	files    map[string]string
	approves bool            // the reviewer approves what is ready
	ci       lookalike.CI    // nil: the sample's
	noCI     bool            // nobody reports a check
	script   scripted.Script // of the scripted agent
	agent    string          // a real agent instead
	env      []string        // beyond the usual
	settings string          // .github/dozens.yml
	bare     bool            // agents run without a sandbox
}

// newWorld starts a look-alike GitHub and the bot.
func newWorld(t testing.TB, o options) *world {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "github"), 0o700); err != nil {
		t.Fatal(err)
	}
	if o.files == nil {
		o.files = map[string]string{"README.md": "# Shop\n", "src/a.txt": "a\n", "src/b.txt": "b\n"}
	}
	if o.settings != "" {
		o.files[".github/dozens.yml"] = o.settings
	}
	dw, err := demo.Start(context.Background(), demo.Options{Dir: filepath.Join(dir, "github"), Files: o.files, Approves: o.approves, Validate: true})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{World: dw, t: t, dir: dir, addr: freeAddr(t), log: &tail{}}
	if o.noCI || o.ci != nil {
		w.Repo.SetCI(o.ci)
	}
	w.env = w.environ(o)
	w.GitHub.SetWebhook("http://" + w.addr + "/api/github/hook")
	t.Cleanup(w.end)
	w.start()
	return w
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// environ is what a person would export, and nothing of the test's own environment beyond the usual.
func (w *world) environ(o options) []string {
	app := w.GitHub.App()
	agent, read := o.agent, ""
	if agent == "" {
		agent = w.scriptedAgent(o.script)
		read = w.script() + ":" + w.self()
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir,
		"GITHUB_WEB_URL=" + w.GitHub.URL(), "GITHUB_V3_API_URL=" + w.GitHub.V3URL(), "GITHUB_V4_API_URL=" + w.GitHub.V4URL(),
		"GITHUB_APP_INTEGRATION_ID=" + strconv.FormatInt(app.ID, 10), "GITHUB_APP_PRIVATE_KEY=" + app.PrivateKey, "GITHUB_APP_WEBHOOK_SECRET=" + app.WebhookSecret,
		"DOZENS_LISTEN=" + w.addr, "DOZENS_DATA_DIR=" + filepath.Join(w.dir, "data"), "DOZENS_AGENT=" + agent, "DOZENS_SANDBOX_READ=" + read, "DOZENS_SLOTS=4"}
	if o.bare || !testenv.HasBwrap() {
		env = append(env, "DOZENS_SANDBOX=none")
	}
	return append(env, o.env...)
}

// Files by which a scripted agent and a test tell each other how far they are: in the session's home.
const (
	here = "~/here"
	goOn = "~/go-on"
)

// marks are the contents of a file in all sessions' homes that have it.
func (w *world) marks(name string) (found []string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "data", "host", "sessions", "*", "home", filepath.Base(name)))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && len(text) > 0 { //nolint:gosec // a file of ours
			found = append(found, string(text))
		}
	}
	return found
}

// mark makes a file in every session's home.
func (w *world) mark(name string) {
	w.t.Helper()
	homes, err := filepath.Glob(filepath.Join(w.dir, "data", "host", "sessions", "*", "home"))
	if err != nil || len(homes) == 0 {
		w.t.Fatalf("no session's home: %v", err)
	}
	for _, h := range homes {
		write(w.t, filepath.Join(h, filepath.Base(name)))
	}
}

// script is the file with the scripted agent's script.
func (w *world) script() string { return filepath.Join(w.dir, "script.json") }

// scriptedAgent writes the program that plays claude by the script.
func (w *world) scriptedAgent(s scripted.Script) string {
	w.t.Helper()
	if s.StepMS == nil {
		none := 0
		s.StepMS = &none
	}
	text, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	script, program := w.script(), filepath.Join(w.dir, "agent")
	if err := os.WriteFile(script, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	sh := fmt.Sprintf("#!/bin/sh\nSCRIPTED_AGENT='%s' exec '%s' scripted-agent \"$@\"\n", script, w.self())
	if err := os.WriteFile(program, []byte(sh), 0o700); err != nil { //nolint:gosec // a program
		w.t.Fatal(err)
	}
	return program
}

// self is this test's binary, which plays the bot and the agent.
func (w *world) self() string {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	return self
}

// start starts the bot and waits until it is ready.
func (w *world) start() {
	w.t.Helper()
	w.cmd = exec.Command(w.self(), "serve")
	w.cmd.Env, w.cmd.Dir = w.env, w.dir
	out, err := w.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	w.done = done
	go func() {
		defer close(done)
		w.log.read(out)
		_ = w.cmd.Wait() // killed more often than not
	}()
	w.eventually("the bot is ready", func() bool {
		resp, err := http.Get("http://" + w.addr + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// kill ends the bot as a power cut would.
func (w *world) kill() {
	_ = w.cmd.Process.Signal(syscall.SIGKILL) // gone already: as good
	<-w.done
}

func (w *world) end() {
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.done:
	case <-time.After(40 * time.Second):
		w.t.Error("the bot does not end on SIGTERM")
		w.kill()
	}
	if w.t.Failed() {
		for _, p := range w.Repo.Pulls() {
			w.t.Logf("pull request %d: draft %v, merged %v, reviews %+v", p.Number, p.Draft, p.Merged, p.Reviews)
			for _, c := range w.Repo.Checks(p.HeadSHA) {
				w.t.Logf("check %s: %s %s %s\n%s", c.Name, c.Status, c.Conclusion, c.Title, c.Summary)
			}
		}
		w.t.Logf("last lines of the bot's log:\n%s", w.log.last(60))
	}
	if v := w.GitHub.Violations(); len(v) > 0 {
		w.t.Errorf("%d calls violate GitHub's description, the first: %s", len(v), v[0])
	}
	if err := w.GitHub.Close(); err != nil {
		w.t.Error(err)
	}
}

// eventually waits for something to become true.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	limit := time.After(patience)
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-limit:
			w.t.Fatalf("waited in vain: %s", what)
		case <-w.t.Context().Done():
			w.t.Fatalf("interrupted: %s", what)
		case <-ticker.C:
		}
	}
}

// tail keeps what a process wrote.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (l *tail) read(r io.Reader) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		l.mu.Lock()
		l.lines = append(l.lines, in.Text())
		l.mu.Unlock()
	}
}

func (l *tail) all() string { return l.last(1 << 30) }

func (l *tail) last(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines[max(0, len(l.lines)-n):], "\n")
}

// issue opens one as the requester.
func (w *world) issue(title, body string, labels ...string) *lookalike.Issue {
	w.t.Helper()
	i, err := w.Repo.OpenIssue(demo.Requester, title, body, labels...)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) comment(i *lookalike.Issue, who, body string) int64 {
	w.t.Helper()
	id, err := i.Comment(who, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) state(i *lookalike.Issue) lookalike.IssueState {
	w.t.Helper()
	s, err := i.State()
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// said counts the bot's comments on an issue that contain a text.
func (w *world) said(i *lookalike.Issue, text string) (n int) {
	w.t.Helper()
	for _, c := range w.state(i).Comments {
		if strings.HasSuffix(c.Author, "[bot]") && strings.Contains(c.Body, text) {
			n++
		}
	}
	return n
}

// reactions lists what the bot reacted to a comment with.
func (w *world) reactions(i *lookalike.Issue, comment int64) (all []string) {
	w.t.Helper()
	for _, c := range w.state(i).Comments {
		if c.ID == comment {
			for _, r := range c.Reactions {
				all = append(all, r.Content)
			}
		}
	}
	return all
}

// pull waits for the one pull request there is.
func (w *world) pull() lookalike.PullState {
	w.t.Helper()
	w.eventually("a pull request is open", func() bool { return len(w.Repo.Pulls()) > 0 })
	return w.Repo.Pulls()[0]
}

// squashes counts the commits on main that merged a pull request.
func (w *world) squashes() (n int) {
	w.t.Helper()
	log, err := w.Repo.Log("main")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range log {
		if strings.Contains(c.Subject, "(#") && len(c.Parents) == 1 {
			n++
		}
	}
	return n
}

// settled waits until a batch has ended well, and looks for leftovers.
func (w *world) settled(i *lookalike.Issue, units int) {
	w.t.Helper()
	w.eventually("the issue is closed and the end is said", func() bool { return !w.state(i).Open && w.said(i, "merged, 0 failed") > 0 })
	if got := w.squashes(); got != units {
		w.t.Errorf("got %d squash commits on main, want %d", got, units)
	}
	if got := len(w.Repo.Pulls()); got != units {
		w.t.Errorf("got %d pull requests, want %d", got, units)
	}
	branches, err := w.Repo.Branches()
	if err != nil {
		w.t.Fatal(err)
	}
	if len(branches) != 1 {
		w.t.Errorf("got branches %v, want main alone", branches)
	}
	trees, err := filepath.Glob(filepath.Join(w.dir, "data", "host", "trees", "*"))
	if err != nil || len(trees) > 0 {
		w.t.Errorf("worktrees are left: %v %v", trees, err)
	}
	if n := w.said(i, "<!-- dozens:status:"); n != 1 {
		w.t.Errorf("got %d status comments, want one", n)
	}
	if n := w.said(i, "<!-- dozens:final:"); n != 1 {
		w.t.Errorf("got %d final comments, want one", n)
	}
}

// edits is a script whose code runs change a file and are done.
func edits() scripted.Script {
	return scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{{Steps: []scripted.Step{
		{Do: scripted.Write, Path: "src/a.txt", Text: "better\n"},
		{Do: scripted.Commit, Text: "Make it better"},
		{Do: scripted.Result, Output: json.RawMessage(`{"status":"done","summary":"Made it better.","verified":"looked at it"}`)},
	}}}}}}
}
