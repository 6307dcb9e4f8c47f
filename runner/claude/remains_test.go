package claude

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dozens/batch/work"
	"dozens/internal/fakemodel"
	"dozens/internal/scripted"
	"dozens/internal/testenv"
)

// A named pipe among the conversations does not hold up the next run.
func TestPipeInTheSessionHome(t *testing.T) {
	t.Parallel()
	r := scriptedRig(t, runs([]scripted.Step{{Do: scripted.Say}}), nil)
	r.want(r.start(t.Context()), work.Done, "")
	if err := syscall.Mkfifo(filepath.Join(r.home, "home", ".claude", "projects", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if got := r.start(ctx); got.Outcome != work.Done || !got.Resumed || ctx.Err() != nil {
		t.Errorf("got %+v, want the session to go on", got)
	}
}

// A program that is reached through a link, as installers make them, is found in a box as well.
func TestProgramBehindALink(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "claude")
	if err := os.Symlink(os.Args[0], link); err != nil {
		t.Fatal(err)
	}
	v, err := runs([]scripted.Step{{Do: scripted.Say}}).Variable()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Options{Binary: link, Args: []string{verb}, Env: []string{v}}, nil)
	r.want(r.start(t.Context()), work.Done, "")
}

// What an agent plants in its home does not speak to, or run in, the session's next run.
func TestClaudePlantedHome(t *testing.T) {
	t.Parallel()
	const plant = `mkdir -p ~/.claude/skills/evil ~/.claude/agents ~/.claude/rules; echo PLANTED > ~/.claude/CLAUDE.md; echo PLANTED > CLAUDE.local.md; echo PLANTED > ~/CLAUDE.md; echo PLANTED > ~/.claude/rules/r.md
printf -- '---\nname: evil\ndescription: PLANTED\n---\nx' | tee ~/.claude/skills/evil/SKILL.md > ~/.claude/agents/evil.md
for d in ~/.claude/projects/*/; do mkdir -p $d/memory; echo PLANTED > $d/memory/MEMORY.md; done
H='{"SessionStart":[{"hooks":[{"type":"command","command":"touch ~/fired-hook"}]}]}'; M='{"evil":{"command":"touch","args":["fired-server"]}}'
echo '{"env":{"PLANTED_VARIABLE":"1"},"hooks":'"$H"',"mcpServers":'"$M"',"apiKeyHelper":"touch ~/fired-helper; echo k"}' | tee ~/.claude.json ~/.claude/settings.json ~/.claude/settings.local.json ~/.claude/managed-settings.json > /dev/null`
	server := fakemodel.Start(func(q fakemodel.Request) fakemodel.Reply {
		switch {
		case len(q.Results()) == 0:
			return fakemodel.Bash(plant)
		case strings.Contains(q.Asked(), "Go on please") && len(q.Results()) < 3:
			return fakemodel.Bash("env; ls -a ~ .")
		}
		return fakemodel.Return(done)
	})
	t.Cleanup(server.Close)
	r := newRig(t, Options{Binary: testenv.Claude(t), Env: server.Env()}, nil)
	r.want(r.start(t.Context()), work.Done, "")
	first := len(server.Requests())
	r.order.Prompt = "Go on please."
	r.want(r.start(t.Context()), work.Done, "")
	looked := false
	for _, q := range server.Requests()[first:] {
		if strings.Contains(q.System, "PLANTED") {
			t.Errorf("the system prompt holds what an agent planted: %.2000s", q.System)
		}
		for _, b := range q.Results() {
			looked = looked || strings.Contains(b.Text, "SHLVL")
			if strings.Contains(b.Text, "PLANTED_VARIABLE") || strings.Contains(b.Text, "fired-") {
				t.Errorf("what an agent planted acts: %s", b.Text)
			}
		}
	}
	if !looked {
		t.Error("the second run did not look around")
	}
}

// What a run has cost is not lost with the host: the session's next run reports it.
func TestClaudeCostOutlivesTheHost(t *testing.T) {
	t.Parallel()
	r := claudeRig(t, testenv.Claude(t), fakemodel.Conversation(fakemodel.Return(done)), nil)
	r.want(r.start(t.Context()), work.Done, "")
	// As a killed host leaves them: metered, and not reported.
	write(t, filepath.Join(r.home, "dozens-cost.json"), `{"booked_micro_usd":6000,"open_micro_usd":40000}`)
	if got := r.start(t.Context()); got.Usage.CostMicroUSD != 46_000 {
		t.Errorf("cost = %d, want 46000: this run's, and what was open", got.Usage.CostMicroUSD)
	}
	if got := r.start(t.Context()); got.Usage.CostMicroUSD != 6_000 {
		t.Errorf("cost = %d, want 6000: reported once", got.Usage.CostMicroUSD)
	}
}

// Who only reads can read the skills that it is told of.
func TestClaudeReadsSkills(t *testing.T) {
	t.Parallel()
	server := fakemodel.Start(func(q fakemodel.Request) fakemodel.Reply {
		if len(q.Results()) == 0 {
			return fakemodel.Use("Read", map[string]string{"file_path": "/run/agent/skills/tidy/SKILL.md"})
		}
		return fakemodel.Return(done)
	})
	t.Cleanup(server.Close)
	testenv.Bwrap(t)
	r := newRig(t, Options{Binary: testenv.Claude(t), Env: server.Env()}, nil)
	r.order.ReadOnly = true
	s := r.session()
	s.House = House{Skills: []Skill{{Name: "tidy", Description: "d", Files: map[string][]byte{"SKILL.md": []byte("SKILLTEXT")}}}, Deny: []string{"Read(./secrets/**)"}}
	if _, err := r.driver.Run(t.Context(), s, r.take); err != nil || !strings.Contains(r.log(), "SKILLTEXT") {
		t.Errorf("Run: %v; the log:\n%s", err, r.log())
	}
}
