package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dozens/batch/work"
	"dozens/internal/fakemodel"
	"dozens/internal/testenv"
)

// runClaude runs the real Claude Code against a session, with nothing else to reach the model by, and returns the
// last line of its stream.
func runClaude(t *testing.T, w *world) (exit int, result map[string]any, took time.Duration) {
	t.Helper()
	home := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testenv.Claude(t), "-p", "--output-format", "stream-json", "--verbose",
		"--setting-sources", "", "--strict-mcp-config", "--model", opus, "say hello")
	cmd.Dir = home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "DISABLE_AUTOUPDATER=1",
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "ANTHROPIC_UNIX_SOCKET=" + w.socket,
		"ANTHROPIC_BASE_URL=http://127.0.0.1", "ANTHROPIC_API_KEY=" + w.session.Token(),
	}
	began := time.Now()
	out, err := cmd.Output()
	took = time.Since(began)
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out) {
		var l map[string]any
		if json.Unmarshal(line, &l) == nil && l["type"] == "result" {
			result = l
		}
	}
	if result == nil {
		t.Fatalf("no result: %v\n%s", err, out)
	}
	return cmd.ProcessState.ExitCode(), result, took
}

// claudeWorld puts the meter between the real program and a fake model.
func claudeWorld(t *testing.T, budget int64, actor fakemodel.Actor, change func(*Options)) *world {
	t.Helper()
	testenv.Claude(t) // skips before anything is started
	fake := fakemodel.Start(actor)
	t.Cleanup(fake.Close)
	return newWorld(t, budget, http.NotFound, func(o *Options) {
		o.BaseURL = fake.URL()
		if change != nil {
			change(o)
		}
	})
}

func TestClaudeWorksThroughTheMeter(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	w := claudeWorld(t, 1_000_000, func(r fakemodel.Request) fakemodel.Reply {
		if r.Header.Get("X-Api-Key") != realKey {
			return fakemodel.Refuse(http.StatusForbidden, "wrong key")
		}
		if asked.Add(1) == 1 {
			reply := fakemodel.Refuse(http.StatusTooManyRequests, "slow down")
			reply.Header = http.Header{"Retry-After": {"1"}}
			return reply
		}
		return fakemodel.Say("hello")
	}, nil)
	exit, result, _ := runClaude(t, w)
	if exit != 0 || result["is_error"] != false || result["result"] != "hello" {
		t.Errorf("exit %d, %v; said %s", exit, result, w.said)
	}
	got := w.session.Close()
	if got.Requests != 1 || got.CostMicroUSD != 6000 || got.InputTokens != 1000 || got.OutputTokens != 100 {
		t.Errorf("got %+v", got)
	}
	if cost, ok := result["total_cost_usd"].(float64); !ok || int64(cost*1e6+0.5) != got.CostMicroUSD {
		t.Errorf("Claude Code reckons with %v, we with %d", result["total_cost_usd"], got.CostMicroUSD)
	}
	if strings.Contains(w.said.String(), "not sent") {
		t.Errorf("refused: %s", w.said)
	}
}

// What cannot get better by trying again must end the program at once, not after minutes of it.
func TestClaudeEndsAtOnceWhenTheMeterRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		budget int64
		actor  fakemodel.Actor
		change func(*Options)
		words  string
		check  func(Usage) bool
	}{
		"budget": {1, func(fakemodel.Request) fakemodel.Reply { return fakemodel.Bash("true") }, nil, "budget",
			func(u Usage) bool { return u.Over && u.Requests == 1 }},
		"usage limit": {0, func(fakemodel.Request) fakemodel.Reply {
			reply := fakemodel.Refuse(http.StatusTooManyRequests, "slow down")
			reply.Header = http.Header{"Retry-After": {"180"}}
			return reply
		}, nil, "limited until", func(u Usage) bool { return u.Limited && u.Requests == 0 }},
		"no credential": {0, func(fakemodel.Request) fakemodel.Reply { return fakemodel.Say("x") },
			func(o *Options) { o.APIKey = work.Secret("") }, "ANTHROPIC_API_KEY", func(u Usage) bool { return u.Requests == 0 }},
		"model": {0, func(fakemodel.Request) fakemodel.Reply { return fakemodel.Say("x") },
			func(o *Options) { o.Models = []string{"claude-haiku-*"} }, "not allowed", func(u Usage) bool { return u.Requests == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := claudeWorld(t, tt.budget, tt.actor, tt.change)
			exit, result, took := runClaude(t, w)
			text, _ := result["result"].(string)
			if exit != 1 || result["is_error"] != true || !tt.check(w.session.Close()) {
				t.Errorf("exit %d, %v, usage %+v", exit, result, w.session.Usage())
			}
			if !strings.Contains(text, tt.words) {
				t.Errorf("the program says %q", text)
			}
			if took > 30*time.Second {
				t.Errorf("took %s", took)
			}
			t.Logf("%s, after %s: %s", name, took.Round(10*time.Millisecond), text)
		})
	}
}
