package scripted

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"dozens/batch/work"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// shop is a small repository for the demo's work. Its check needs nothing but a shell.
var shop = map[string]string{
	"src/services/userService.js": "export const userService = { get(id) { return { id }; } };\n",
	"src/api/users.js":            "export function fetchUser(id) {\n  return { id };\n}\n",
	"src/orders/cart.js":          "import { fetchUser } from \"../api/users.js\";\n\nexport const owner = (id) => fetchUser(id);\n",
	"src/orders/refund.js":        "import { fetchUser } from \"../api/users.js\";\n\nexport const payee = (id) => fetchUser(id);\n",
	"src/pages/home.js":           "import { fetchUser } from \"../api/users.js\";\n\nexport const a = fetchUser(1);\n",
	"src/pages/list.js":           "import { fetchUser } from \"../api/users.js\";\n\nexport const b = fetchUser(2);\n",
	"check.sh": `for f in $(grep -rl 'userService.get(' src); do
  grep -q 'import.*userService' "$f" || { echo "$f: userService is not imported"; exit 1; }
done
echo all good
`,
}

// place is a repository in which the agent is run, with a session.
type place struct {
	t       *testing.T
	dir     string
	home    string
	session string
	script  Script
}

func newPlace(t *testing.T, files map[string]string) *place {
	t.Helper()
	none := 0
	p := &place{t: t, dir: t.TempDir(), home: t.TempDir(), session: uuid.NewString(), script: Script{StepMS: &none}}
	p.git("init", "-q", "-b", "main")
	for name, content := range files {
		path := filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.git("add", "-A")
	p.git("commit", "-q", "-m", "start")
	return p
}

func (p *place) env() []string {
	script, err := p.script.Variable()
	if err != nil {
		p.t.Fatal(err)
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "GIT_CONFIG_NOSYSTEM=1", script,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
	}
}

func (p *place) git(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = p.dir, p.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// agent runs the agent and returns its exit code and what it printed.
func (p *place) agent(prompt string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"agent", "-p", "--output-format", "stream-json", "--verbose"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env(), strings.NewReader(prompt)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code says it
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// result runs the agent, which must end well, and decodes its structured result.
func result[T any](p *place, prompt string, schema json.RawMessage, args ...string) T {
	p.t.Helper()
	code, out, errs := p.agent(prompt, append(args, "--json-schema", string(schema))...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var last struct {
		Type    string `json:"type"`
		IsError bool   `json:"is_error"`
		Output  T      `json:"structured_output"`
	}
	err := json.Unmarshal([]byte(lines[len(lines)-1]), &last)
	if err != nil || code != 0 || last.Type != "result" || last.IsError {
		p.t.Fatalf("exit code %d, %v\n%s\n%s", code, err, out, errs)
	}
	return last.Output
}

func prompt(u work.Unit) string {
	return fmt.Sprintf("Do this unit of the work. Its label is %s.\n\n%s\n\nPaths you own:\n- %s\n\nDo not touch anything else.\n",
		u.Label, u.Brief, strings.Join(u.OwnedPaths, "\n- "))
}

// The demo from plan to mended mistake: all units together leave no call of the old function and a green check.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shop)
	plan := result[work.PlanOutput](p, "Replace every call of `fetchUser(id)` by `userService.get(id)`.", work.PlanSchema(), "--session-id", p.session)
	if len(plan.Units) != 2 || plan.Units[0].Label != "orders" || plan.Units[1].Label != "pages" {
		t.Fatalf("units = %+v, want orders and pages", plan.Units)
	}
	if status := p.git("status", "--porcelain"); status != "" {
		t.Errorf("planning changed %s", status)
	}

	orders := uuid.NewString()
	got := result[work.Result](p, prompt(plan.Units[0]), work.ResultSchema(), "--session-id", orders)
	if got.Status != work.Done || !strings.Contains(got.Verified, "sh check.sh") || !strings.Contains(got.Verified, "all good") {
		t.Errorf("orders = %+v, want done and verified by check.sh", got)
	}
	if n := p.git("rev-list", "--count", "HEAD"); n != "3" {
		t.Errorf("%s commits, want 3", n)
	}

	pages := uuid.NewString()
	result[work.Result](p, prompt(plan.Units[1]), work.ResultSchema(), "--session-id", pages)
	if out, err := p.check(); err == nil || !strings.Contains(out, "src/pages/list.js") {
		t.Errorf("check after the mistake = %q (%v), want it red for src/pages/list.js", out, err)
	}
	red := "Checks failed on your commit.\n<checks name=\"test\">\nsrc/pages/list.js: userService is not imported\n</checks>\n"
	result[work.Result](p, red, work.ResultSchema(), "--resume", pages)
	if out, err := p.check(); err != nil {
		t.Errorf("check after mending: %v: %s", err, out)
	}
	if left := p.git("grep", "-n", "fetchUser"); !strings.HasPrefix(left, "src/api/users.js:1:") || strings.Contains(left, "\n") {
		t.Errorf("left of the old function: %s", left)
	}
	if status := p.git("status", "--porcelain"); status != "" {
		t.Errorf("left uncommitted: %s", status)
	}
}

func (p *place) check() (string, error) {
	cmd := exec.Command("sh", "check.sh")
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestDemoMistakeIsAChoice(t *testing.T) {
	t.Parallel()
	for mistake, red := range map[string]string{"-": "", "orders": "src/orders/refund.js"} {
		t.Run(mistake, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, shop)
			p.script.Mistake = mistake
			for _, u := range (Migration{Old: "fetchUser", New: "userService.get"}).Plan([]string{"src/orders/cart.js", "src/orders/refund.js", "src/pages/home.js", "src/pages/list.js"}) {
				result[work.Result](p, prompt(u), work.ResultSchema(), "--session-id", uuid.NewString())
			}
			out, err := p.check()
			if (err != nil) != (red != "") || !strings.Contains(out, red) {
				t.Errorf("check = %q (%v), want red for %q", out, err, red)
			}
		})
	}
}

// A conflict is solved by merging the base, a review by a change in the files asked about.
func TestDemoConflictAndReview(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shop)
	unit := Migration{Old: "fetchUser", New: "userService.get"}.Plan([]string{"src/orders/cart.js"})[0]
	p.git("checkout", "-q", "-b", "unit")
	result[work.Result](p, prompt(unit), work.ResultSchema(), "--session-id", p.session)

	p.git("checkout", "-q", "main")
	other := strings.Replace(shop["src/orders/cart.js"], "owner", "buyer", 1)
	if err := os.WriteFile(filepath.Join(p.dir, "src/orders/cart.js"), []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	p.git("commit", "-q", "-a", "-m", "rename")
	main := p.git("rev-parse", "HEAD")
	p.git("checkout", "-q", "unit")
	result[work.Result](p, "Your branch conflicts with main, which is now at "+main+". Merge it.", work.ResultSchema(), "--resume", p.session)
	p.git("merge-base", "--is-ancestor", main, "HEAD")
	if got := p.git("show", "HEAD:src/orders/cart.js"); !strings.Contains(got, "buyer = (id) => userService.get(id)") || strings.Contains(got, "<<<<") {
		t.Errorf("after the merge: %s", got)
	}

	head := p.git("rev-parse", "HEAD")
	result[work.Result](p, "A reviewer requests changes.\n<review by=\"ada\">Say where users come from.</review>", work.ResultSchema(), "--resume", p.session)
	if p.git("rev-parse", "HEAD") == head {
		t.Error("the review changed nothing")
	}
}

func TestDemoOtherTask(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shop)
	got := result[work.Result](p, "Do what is asked here.\n\n<issue number=\"7\" title=\"Fix the \\\"typo\\\"\">\nIn the README.\n</issue>\n", work.ResultSchema(), "--session-id", p.session)
	if want := `Fix the "typo"`; got.Title != want || p.git("log", "-1", "--format=%s") != "Note: "+want {
		t.Errorf("title = %q, commit = %q; want them about %q", got.Title, p.git("log", "-1", "--format=%s"), want)
	}
}

// What claude refuses, the agent refuses in claude's words and with its exit code.
func TestProtocol(t *testing.T) {
	t.Parallel()
	p := newPlace(t, shop)
	tests := []struct {
		args []string
		code int
		out  string
		errs string
	}{
		{[]string{"--version"}, 0, Version, ""},
		{[]string{"--session-id", "nope"}, 1, "", "Invalid session ID"},
		{[]string{"--frobnicate"}, 1, "", "unknown option --frobnicate"},
		{[]string{"--session-id", p.session, "words"}, 1, "", `unexpected argument "words"`},
		{[]string{"--resume", p.session}, 1, `"error_during_execution"`, "No conversation found with session ID: " + p.session},
		{[]string{"--session-id", p.session}, 0, `"type":"result"`, ""},
		{[]string{"--session-id", p.session}, 1, "", "already in use"},
		{[]string{"--resume", p.session}, 0, `"type":"result"`, ""},
	}
	for _, test := range tests {
		code, out, errs := p.agent("hello", test.args...)
		if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(errs, test.errs) {
			t.Errorf("%v: exit code %d, want %d\nstdout %s\nstderr %s", test.args, code, test.code, out, errs)
		}
	}
}

func TestRulesChooseARun(t *testing.T) {
	t.Parallel()
	run := func(text string) Run { return Run{Steps: []Step{{Do: Say, Text: text}}} }
	s := Script{Rules: []Rule{
		{Kind: "plan", Runs: []Run{run("plan")}},
		{Label: "users", Runs: []Run{run("users 1"), run("users 2")}},
		{Match: "blue", Runs: []Run{run("blue")}},
	}}
	tests := []struct {
		kind, dir, first, prompt string
		n                        int
		want                     string
	}{
		{"plan", "/x/users-ab", "", "", 1, "plan"},
		{"code", "/x/users-ab", "blue", "", 1, "users 1"},
		{"code", "/x/users", "", "", 2, "users 2"},
		{"code", "/x/users-ab", "", "", 9, "users 2"},
		{"code", "/x/usersab", "the blue one", "go on", 2, "blue"},
		{"code", "/x/other", "red", "now blue", 2, "blue"},
	}
	for _, test := range tests {
		if got := s.run(test.kind, test.dir, test.first, test.prompt, test.n).Steps[0].Text; got != test.want {
			t.Errorf("run(%s, %s, %q, %q, %d) = %s, want %s", test.kind, test.dir, test.first, test.prompt, test.n, got, test.want)
		}
	}
	if got := s.run("code", "/x/other", "red", "red", 1).Steps[0].Do; got != Demo {
		t.Errorf("without a rule = %s, want %s", got, Demo)
	}
}
