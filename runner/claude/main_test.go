package claude

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"dozens/batch/work"
	"dozens/internal/scripted"
	"dozens/internal/testenv"
	"dozens/runner/meter"
	"dozens/runner/sandbox"
)

// verb makes the test binary play the scripted agent.
const verb = "scripted-agent"

// hostVerb makes the test binary play a host: it runs the session that it reads on stdin.
const hostVerb = "host"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == hostVerb {
		playHost()
	}
	if len(os.Args) > 1 && os.Args[1] == verb {
		os.Exit(scripted.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// playHost runs one session and prints the texts of its log.
func playHost() {
	var s Session
	d, err := New(Options{Binary: os.Args[0], Args: []string{verb}, Env: append(FromEnviron(os.Environ()), scripted.Env+"="+os.Getenv(scripted.Env))})
	if err == nil {
		err = json.NewDecoder(os.Stdin).Decode(&s)
	}
	if err == nil {
		_, err = d.Run(context.Background(), s, func(l work.Line) { fmt.Fprintln(os.Stdout, l.Text, string(l.Data)) })
	}
	fmt.Fprintln(os.Stdout, "ended:", err)
	os.Exit(0)
}

// hostProcess starts a host with the rig's session and returns when its agent has said NOW.
func hostProcess(t *testing.T, r *rig) *exec.Cmd {
	t.Helper()
	session, err := json.Marshal(r.session())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], hostVerb)
	cmd.Env, cmd.Stdin = r.driver.env, bytes.NewReader(session)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "NOW") {
			return cmd
		}
		t.Log(lines.Text())
	}
	t.Fatal("the host ended early")
	return nil
}

// rig is a repository with a worktree, a session home and a driver.
type rig struct {
	t      *testing.T
	driver *Driver
	dir    string // the worktree
	repo   string // its repository
	home   string
	order  work.Order

	mu      sync.Mutex
	lines   []work.Line
	changed chan struct{}
}

// newRig makes a rig whose worktree has these files, with a box and a meter around its agent where boxes are possible.
func newRig(t *testing.T, o Options, files map[string]string) *rig {
	t.Helper()
	if testenv.HasBwrap() {
		box, err := sandbox.Open(sandbox.Options{Read: []string{os.Args[0]}, Log: zerolog.New(zerolog.NewTestWriter(t))})
		if err != nil {
			t.Fatal(err)
		}
		o.Box = box
	}
	way := meter.FromEnviron(o.Env)
	way.MaxWait = time.Second
	m, err := meter.New(way)
	if err != nil {
		t.Fatal(err)
	}
	o.Meter = m
	return bareRig(t, o, files)
}

// bareRig makes a rig whose agent is neither boxed nor metered, unless the options say so.
func bareRig(t *testing.T, o Options, files map[string]string) *rig {
	t.Helper()
	o.Log = zerolog.New(zerolog.NewTestWriter(t))
	o.Env = append(FromEnviron(os.Environ()), o.Env...)
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, driver: d, home: filepath.Join(t.TempDir(), "home"), changed: make(chan struct{})}
	repo := t.TempDir()
	r.repo = repo
	r.dir = filepath.Join(t.TempDir(), "unit-k5f2")
	if files == nil {
		files = map[string]string{"a.txt": "one\n"}
	}
	git(t, repo, "init", "-q", "-b", "main")
	for name, content := range files {
		write(t, filepath.Join(repo, name), content)
	}
	git(t, repo, "add", "-A", "-f")
	git(t, repo, "commit", "-q", "-m", "start")
	git(t, repo, "worktree", "add", "-q", "-b", "unit", r.dir)
	r.order = work.Order{
		Offer:   work.Offer{Task: strings.ReplaceAll(uuid.NewString(), "-", "")[:12], Generation: 1, Kind: work.Run},
		Session: uuid.NewString(), Brief: "Do the task.", System: "You work alone.", Schema: work.ResultSchema(),
		Limits: work.Limits{Time: 2 * time.Minute, Turns: 30, CostMicroUSD: 5_000_000},
	}
	return r
}

// scriptedRig is a rig with the scripted agent.
func scriptedRig(t *testing.T, s scripted.Script, files map[string]string) *rig {
	t.Helper()
	v, err := s.Variable()
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, Options{Binary: os.Args[0], Args: []string{verb}, Env: []string{v}}, files)
}

// bareScriptedRig is a rig with the scripted agent without box and meter.
func bareScriptedRig(t *testing.T, s scripted.Script) *rig {
	t.Helper()
	v, err := s.Variable()
	if err != nil {
		t.Fatal(err)
	}
	return bareRig(t, Options{Binary: os.Args[0], Args: []string{verb}, Env: []string{v}}, nil)
}

// runs is a script of one rule with these runs.
func runs(all ...[]scripted.Step) scripted.Script {
	var r scripted.Rule
	for _, steps := range all {
		r.Runs = append(r.Runs, scripted.Run{Steps: steps})
	}
	return scripted.Script{Rules: []scripted.Rule{r}}
}

// session is the rig's session, with a run id of its own for each run.
func (r *rig) session() Session {
	return Session{Order: r.order, Dir: r.dir, Home: r.home, RunID: r.order.ID(),
		Binds: []sandbox.Bind{{From: r.repo, Write: true}, {From: r.dir, Write: !r.order.ReadOnly}}}
}

// start runs the session once; it fails the test when it cannot be started, or leaves a process behind.
func (r *rig) start(ctx context.Context) Result {
	r.t.Helper()
	s := r.session()
	got, err := r.driver.Run(ctx, s, r.take)
	if err != nil {
		r.t.Fatalf("Run: %v", err)
	}
	if left := running(r.t, s.RunID); len(left) > 0 {
		r.t.Errorf("processes left after the run: %v", left)
	}
	r.order.Generation++
	return got
}

// take collects the log.
func (r *rig) take(l work.Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, l)
	close(r.changed)
	r.changed = make(chan struct{})
}

// await blocks until a line of the log contains the text.
func (r *rig) await(text string) {
	r.t.Helper()
	for {
		r.mu.Lock()
		log, changed := joined(r.lines), r.changed
		r.mu.Unlock()
		if strings.Contains(log, text) {
			return
		}
		select {
		case <-changed:
		case <-r.t.Context().Done():
			r.t.Fatalf("the log never said %q", text)
		}
	}
}

// log is all lines so far, as text.
func (r *rig) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return joined(r.lines)
}

func joined(lines []work.Line) string {
	var s strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&s, "%d %s %s%s\n", l.Seq, l.Kind, l.Text, l.Data)
	}
	return s.String()
}

// want compares an outcome and part of its reason, and shows the log when they differ.
func (r *rig) want(got Result, outcome work.Outcome, reason string) {
	r.t.Helper()
	if got.Outcome != outcome || !strings.Contains(got.Reason, reason) {
		r.t.Errorf("outcome = %s (%s), want %s (…%s…); the log:\n%s", got.Outcome, got.Reason, outcome, reason, r.log())
	}
}

// running lists the processes that carry the mark of a run.
func running(t *testing.T, runID string) []string {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range environs {
		environ, err := os.ReadFile(path)
		if err == nil && strings.Contains("\x00"+string(environ), "\x00"+marker+"="+runID+"\x00") {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found = append(found, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

// git runs git in a folder and returns what it prints.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(identity("tester", "tester@example.com"), "PATH="+os.Getenv("PATH"), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// read is a file's content, "" when it is missing.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(content)
}
