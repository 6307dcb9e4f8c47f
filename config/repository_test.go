package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const whole = `
labels: {claude: do it, batch: fan out, protected: careful}
commands:
  permission: maintain
  users: [alice, "renovate[bot]"]
  read: everyone
base: [main, release/*]
setup: npm ci
verify: |
  make test
  make lint
instructions: Be kind.
egress: [registry.npmjs.org, "proxy.example.com:8443", "*.example.com"]
paths:
  protected: [infra/**]
  shared: [CHANGELOG.md]
limits: {parallel: 10, open_pull_requests: 20, units: 50, start: 0, rounds: 0, run_time: 1h30m, turns: 500, task_usd: 2.5, batch_usd: 100}
models: {plan: "claude-opus-4[1m]", work: sonnet}
reviewers: [bob, acme/core]
merge:
  mode: shadow
  method: squash
  approvals: 2
  requester_approval: true
  protected_approvers: [grace]
  checks: none
  ignore_checks: [codecov/patch]
  hold_labels: []
  delete_branch: false
  checks_deadline: 15m
`

func TestParseRepository(t *testing.T) {
	t.Parallel()
	want := Repository{
		Labels: Labels{"do it", "fan out", "careful"}, Commands: Commands{"maintain", []string{"alice", "renovate[bot]"}, "everyone"}, Base: []string{"main", "release/*"},
		Setup: "npm ci", Verify: "make test\nmake lint\n", Instructions: "Be kind.", Egress: []string{"registry.npmjs.org", "proxy.example.com:8443", "*.example.com"}, Paths: Paths{[]string{"infra/**"}, []string{"CHANGELOG.md"}},
		Limits: Limits{10, 20, 50, 0, 0, 90 * time.Minute, 500, 2.5, 100}, Models: Models{"claude-opus-4[1m]", "sonnet"}, Reviewers: []string{"bob", "acme/core"},
		Merge: Merge{Shadow, "squash", 2, true, []string{"grace"}, "none", []string{"codecov/patch"}, []string{}, false, 15 * time.Minute},
	}
	got, err := ParseRepository([]byte(whole))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings, want - got +:\n%s", diff)
	}
}

func TestDefaultsHoldWhereNothingIsSaid(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "# nothing\n", "---\n", "null\n", "labels:\nlimits: {}\nmerge: {mode: }\n"} {
		got, err := ParseRepository([]byte(text))
		if err != nil {
			t.Errorf("parse %q: %v", text, err)
		}
		if diff := cmp.Diff(DefaultRepository(), got); diff != "" {
			t.Errorf("parse %q, want - got +:\n%s", text, diff)
		}
	}
	got, err := ParseRepository([]byte("limits: {parallel: 7}\n"))
	want := DefaultRepository()
	want.Limits.Parallel = 7
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("one limit (%v), want - got +:\n%s", err, diff)
	}
}

func TestRepositoryProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"limit: {}", "limit (line 1): is not known; did you mean limits?"},
		{"limits: {Parallel: 3}", "limits.Parallel (line 1): is not known; did you mean parallel?"},
		{"merge: {automerge: true}", "merge.automerge (line 1): is not known; known here: approvals, "},
		{"a: 1\n\nb: 2", "b (line 3): is not known"},
		{"limits: {parallel: 3, parallel: 4}", "limits.parallel (line 1): is given twice"},
		{"limits: {parallel: many}", `limits.parallel (line 1): "many" is not a whole number`},
		{"limits: {parallel: 0}", `limits.parallel (line 1): "0" is not within 1 and 100`},
		{"limits: {parallel: 99999999999999999999}", "is not a whole number"},
		{"limits: {run_time: 30}", `limits.run_time (line 1): "30" is not a length of time; write it with its unit`},
		{"limits: {run_time: 1s}", `"1s" is not within 1m0s and 24h0m0s`},
		{"limits: {task_usd: .nan}", "is not a number"}, {"limits: {task_usd: nan}", "is not a number"}, {"limits: {task_usd: 0}", "is not within"},
		{"limits: {task_usd: 60}", "is more than limits.batch_usd (50)"},
		{"limits: [1]", "limits (line 1): must hold settings by name"}, {"- a", "the file (line 1): must hold settings by name"}, {"text", "the file (line 1): must hold"},
		{"base: main", "base (line 1): must be a list"}, {"base: [[a]]", "base[0] (line 1): must be a single value"}, {"base: [a, ]", ""}, {"base: [a, ~]", "base[1] (line 1): is empty"},
		{"base: [-x]", "base[0] (line 1): \"-x\" is not the name of a branch"}, {"base: ['a b']", "is not the name of a branch"}, {"base: ['[']", "is not the name of a branch"},
		{"merge: {mode: Auto}", `merge.mode (line 1): "Auto" is not possible here; choose auto, shadow, off`},
		{"merge: {method: rebase}", "choose squash"}, {"merge: {approvals: 0}", "is not within 1 and 10"}, {"merge: {delete_branch: yes}", `"yes" is neither true nor false`},
		{"merge: {checks_deadline: 10s}", "is not within"}, {"merge: {ignore_checks: ['']}", "merge.ignore_checks[0] (line 1): is empty"},
		{"commands: {read: nobody}", "choose commanders, everyone"}, {"commands: {permission: owner}", "choose read, triage, write, maintain, admin"}, {"commands: {users: ['@alice']}", "without @"}, {"commands: {users: ['a b']}", "is not the name of an account"},
		{"reviewers: [a/b/c]", "is neither a person nor a team"}, {"models: {work: --x}", "is not the name of a model"},
		{"labels: {batch: Claude}", "is the same label as labels.claude"}, {"labels: {batch: ' '}", "is empty"}, {"labels: {batch: \"a\\nb\"}", "control character"},
		{"paths: {protected: [/etc]}", "is not a path within the repository"}, {"paths: {shared: [a/../b]}", "is not a path"}, {"paths: {shared: ['a[']}", "is not a valid glob"},
		{"verify: \"a\\u0000b\"", "control character"}, {"setup: " + strings.Repeat("x", 2001), "is 2001 bytes long"},
		{"base: &b [main]", "uses a YAML anchor"}, {"a: &a [x]\nbase: *a", "base (line 2): uses a YAML anchor or alias"}, {"a: b: c", ".github/dozens.yml: is not valid YAML"},
		{"setup: a\n---\nsetup: b", "more than one document"}, {strings.Repeat("#", fileMax+1), "bytes long"}, {"? [a]\n: b", "is not known"},
	} {
		_, err := ParseRepository([]byte(c.text))
		if c.want == "" {
			if err != nil {
				t.Errorf("parse %.60q: got %v, want no error", c.text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("parse %.60q: got %v, want %q", c.text, err, c.want)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ParseRepository([]byte("limit: 1\nlimits:\n  parallel: x\n  turns: 0\nmerge:\n  mode: y\n  checks_deadline: 5\nbase: [main, 'a b']\n"))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	got := []string{}
	for _, p := range e.Problems {
		got = append(got, p.Path)
	}
	if diff := cmp.Diff([]string{"limit", "limits.parallel", "limits.turns", "merge.mode", "merge.checks_deadline", "base[1]"}, got); diff != "" {
		t.Errorf("paths, want - got +:\n%s\n%v", diff, err)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != 6 {
		t.Errorf("got %d lines, want one for each problem:\n%v", lines, err)
	}
}

func TestPermissionRank(t *testing.T) {
	t.Parallel()
	last := -1
	for _, p := range []Permission{"none", "read", "triage", "write", "maintain", "admin"} {
		if p.Rank() <= last {
			t.Errorf("rank of %s: got %d, want more than %d", p, p.Rank(), last)
		}
		last = p.Rank()
	}
	if got := Permission("owner").Rank(); got != 0 {
		t.Errorf("rank of an unknown word: got %d, want 0", got)
	}
}

func FuzzParseRepository(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("limits: {task_usd: 1e308, turns: 0x10}\nbase: [a"))
	f.Add([]byte("a: &a [*a]\n<<: *a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRepository(b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x00\x1b\r") {
				t.Errorf("got error %q with control characters", err)
			}
			return
		}
		l := r.Limits
		if l.Parallel < 1 || l.Units < 1 || l.TaskUSD <= 0 || l.BatchUSD < l.TaskUSD || l.RunTime < time.Minute || r.Merge.Approvals < 1 || r.Commands.Permission.Rank() == 0 {
			t.Errorf("got settings out of range: %+v", r)
		}
	})
}
