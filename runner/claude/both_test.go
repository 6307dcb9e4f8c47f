package claude

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"dozens/batch/work"
	"dozens/internal/fakemodel"
	"dozens/internal/scripted"
	"dozens/internal/testenv"
)

// scenario is one way a run can go, for the real claude with a scripted model and for the scripted agent.
type scenario struct {
	order  func(*work.Order)
	model  fakemodel.Actor
	script []scripted.Step
	want   work.Outcome
	reason string
	check  func(t *testing.T, r *rig, got Result)
}

var (
	done     = map[string]string{"status": "done", "summary": "Wrote b.txt.", "verified": "cat b.txt"}
	doneJSON = json.RawMessage(`{"status":"done","summary":"Wrote b.txt.","verified":"cat b.txt"}`)
)

// scenarios are the outcomes that both agents must be understood in.
func scenarios() map[string]scenario {
	refused := func(status int, words string, want work.Outcome, reason string) scenario {
		return scenario{
			model:  func(fakemodel.Request) fakemodel.Reply { return fakemodel.Refuse(status, words) },
			script: []scripted.Step{{Do: scripted.APIError, N: status, Text: words}},
			want:   want, reason: reason,
		}
	}
	return map[string]scenario{
		"done": {
			model: fakemodel.Conversation(
				fakemodel.Bash("echo two > b.txt && git add b.txt && git commit -q -m 'add b' && env"), fakemodel.Return(done)),
			script: []scripted.Step{
				{Do: scripted.Shell, Text: "echo two > b.txt && git add b.txt && git commit -q -m 'add b' && env"},
				{Do: scripted.Result, Output: doneJSON},
			},
			want: work.Done, check: checkDone,
		},
		"question": {
			model:  fakemodel.Conversation(fakemodel.Return(map[string]string{"status": "question", "summary": "s", "question": "Red or blue?"})),
			script: []scripted.Step{{Do: scripted.Ask, Text: "Red or blue?"}},
			want:   work.Question, reason: "Red or blue?",
		},
		"blocked": {
			model:  fakemodel.Conversation(fakemodel.Return(map[string]string{"status": "blocked", "summary": "no such file"})),
			script: []scripted.Step{{Do: scripted.Blocked, Text: "no such file"}},
			want:   work.Blocked, reason: "no such file",
		},
		"no structured result": {
			model:  fakemodel.Conversation(fakemodel.Say("I am done, I think.")),
			script: []scripted.Step{{Do: scripted.Plain, Text: "I am done, I think."}},
			want:   work.Unusable, reason: "I am done, I think.",
		},
		"result does not fit": {
			model:  fakemodel.Conversation(fakemodel.Return(map[string]string{"status": "maybe"})),
			script: []scripted.Step{{Do: scripted.Result, Output: json.RawMessage(`{"status":"maybe"}`)}},
			want:   work.Unusable, reason: "schema",
		},
		"turns": {
			order:  func(o *work.Order) { o.Limits.Turns = 2 },
			model:  fakemodel.Conversation(fakemodel.Bash("true")),
			script: []scripted.Step{{Do: scripted.Say}, {Do: scripted.Say}, {Do: scripted.Say}},
			want:   work.Limit, reason: "limit of 2 turns",
		},
		"budget": {
			order:  func(o *work.Order) { o.Limits.CostMicroUSD = 1000 },
			model:  fakemodel.Conversation(fakemodel.Bash("true")),
			script: []scripted.Step{{Do: scripted.Say}, {Do: scripted.Say}},
			want:   work.Limit, reason: "budget of $0.001 is spent",
		},
		"time": {
			order:  func(o *work.Order) { o.Limits.Time = 3 * time.Second },
			model:  func(fakemodel.Request) fakemodel.Reply { return fakemodel.Reply{Hang: true} },
			script: []scripted.Step{{Do: scripted.Hang}},
			want:   work.Limit, reason: "time limit of 3s",
		},
		"wrong key":     refused(401, "invalid x-api-key", work.Fault, "check ANTHROPIC_API_KEY"),
		"forbidden":     refused(403, "forbidden", work.Fault, "check ANTHROPIC_API_KEY"),
		"no money":      refused(400, "Your credit balance is too low", work.Fault, "cannot pay"),
		"unknown model": refused(404, "model: x", work.Fault, "choose another model"),
		"rate limit":    refused(429, "slow down", work.UsageOver, "the model account's limit is reached"),
		"overloaded":    refused(529, "overloaded", work.UsageOver, "the model account's limit is reached"),
		"out of order":  refused(500, "oops", work.UsageOver, "(500)"),
	}
}

// checkDone looks at what a run that went well has left and said.
func checkDone(t *testing.T, r *rig, got Result) {
	if got, want := git(t, r.dir, "log", "-1", "--format=%s %an %ae %cn"), "add b dozens dozens@localhost dozens"; got != want {
		t.Errorf("last commit = %q, want %q", got, want)
	}
	if got := git(t, r.dir, "status", "--porcelain"); got != "" {
		t.Errorf("worktree has changes: %s", got)
	}
	var result work.Result
	if err := json.Unmarshal(got.Output, &result); err != nil || result.Status != work.Done || result.Verified != "cat b.txt" {
		t.Errorf("output = %s (%v)", got.Output, err)
	}
	if got.Reason != "" || got.Resumed {
		t.Errorf("reason = %q, resumed = %v; want none, false", got.Reason, got.Resumed)
	}
	if u := got.Usage; u.CostMicroUSD <= 0 || u.Turns < 2 || u.InputTokens < 2000 || u.OutputTokens < 200 {
		t.Errorf("usage = %+v, want a cost and two turns", u)
	}
	for i, l := range r.lines {
		if l.Seq != i+1 || l.Task != r.order.Task || l.Generation != 1 || l.At.IsZero() {
			t.Errorf("line %d is %d of %s.%d at %s", i, l.Seq, l.Task, l.Generation, l.At)
		}
	}
	if entries, err := filepath.Glob(filepath.Join(r.home, "home", ".claude", "projects", "*", r.order.Session+".jsonl")); err != nil || len(entries) != 1 {
		t.Errorf("conversations in the session home: %v (%v), want one", entries, err)
	}
}

func (s scenario) run(t *testing.T, r *rig) {
	if s.order != nil {
		s.order(&r.order)
	}
	got := r.start(t.Context())
	r.want(got, s.want, s.reason)
	if s.check != nil {
		s.check(t, r, got)
	}
}

func TestScriptedOutcomes(t *testing.T) {
	t.Parallel()
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.run(t, scriptedRig(t, runs(s.script), nil))
		})
		t.Run(name+", bare", func(t *testing.T) {
			t.Parallel()
			s.run(t, bareScriptedRig(t, runs(s.script)))
		})
	}
}

func TestClaudeOutcomes(t *testing.T) {
	t.Parallel()
	binary := testenv.Claude(t)
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.run(t, claudeRig(t, binary, s.model, nil))
		})
		t.Run(name+", bare", func(t *testing.T) {
			t.Parallel()
			server := fakemodel.Start(s.model)
			t.Cleanup(server.Close)
			s.run(t, bareRig(t, Options{Binary: binary, Env: server.Env()}, nil))
		})
	}
}

// claudeRig is a rig with the real claude and a model that acts like this.
func claudeRig(t *testing.T, binary string, model fakemodel.Actor, files map[string]string) *rig {
	t.Helper()
	server := fakemodel.Start(model)
	t.Cleanup(server.Close)
	return newRig(t, Options{Binary: binary, Env: server.Env()}, files)
}
