package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"dozens/config"
	"dozens/runner"
	"dozens/runner/claude"
	"dozens/runner/meter"
	"dozens/runner/sandbox"
)

// agentGrace is how long a stopped agent may take to end by itself: /stop is to be over in two seconds.
const agentGrace = 1500 * time.Millisecond

// agentOptions are what agents are started with.
type agentOptions struct {
	Config config.Server
	Args   []string // before claude's own
	Env    []string // what agents see of this process's environment; nil: what the allow-list lets through
	Box    *sandbox.Sandbox
	Author runner.Identity
	Log    zerolog.Logger
}

// newAgent finds the claude program and the way to its model.
func newAgent(o agentOptions) (*claude.Driver, error) {
	if o.Env == nil {
		o.Env = claude.FromEnviron(os.Environ())
	}
	way, err := newMeter(o.Config, o.Env, o.Log)
	if err != nil {
		return nil, err
	}
	if way != nil && o.Args == nil && !hasCredential(o.Config, o.Env) {
		o.Log.Warn().Msg("no credential for the model is set, so every run will fail: see `bot check`")
	}
	return claude.New(claude.Options{Binary: o.Config.Agent, Args: o.Args, Env: o.Env, Box: o.Box, Limits: limits(o.Config), Meter: way,
		Name: o.Author.Name, Email: o.Author.Email, Grace: agentGrace, Log: o.Log})
}

// hasCredential says whether the meter has anything to pay with.
func hasCredential(cfg config.Server, environ []string) bool {
	o := meter.FromEnviron(environ)
	return o.APIKey != "" || o.Token != "" || cfg.KeyHelper != ""
}

// newBox opens the sandbox that the settings ask for and tries it; nil when they ask for none.
func newBox(ctx context.Context, cfg config.Server, log zerolog.Logger) (*sandbox.Sandbox, error) {
	if cfg.Sandbox == config.NoSandbox {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	box, err := sandbox.Open(sandbox.Options{Read: cfg.SandboxRead, Forwarder: []string{self, forwardName}, Log: log})
	if err == nil {
		err = box.Try(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w\nAgents do not run without a sandbox unless DOZENS_SANDBOX=none says so: they would have the rights, files and network of this user", err)
	}
	return box, nil
}

// limits are what one run may use of this machine.
func limits(cfg config.Server) sandbox.Limits {
	const mega = 1 << 20
	l := sandbox.Limits{Processes: cfg.Run.Processes, Memory: int64(cfg.Run.MemoryMB) * mega, Disk: int64(cfg.Run.DiskMB) * mega, FileSize: int64(cfg.Run.FileMB) * mega}
	if l.Memory == 0 {
		l.Memory = max(machineMemory()/5*4/int64(max(cfg.Slots, 1)), 1<<30)
	}
	return l
}

// machineMemory is this machine's memory in bytes (proc_meminfo(5)); 0 when it does not say.
func machineMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64) // of what is no number we know nothing
			return kilobytes << 10
		}
	}
	return 0
}

// clouds are the switches by which claude goes to a cloud's model by itself.
func clouds() []string {
	return []string{"CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"}
}

// newMeter opens the agents' way to the model; nil when claude goes to a cloud by itself, which only works without a
// sandbox.
func newMeter(cfg config.Server, environ []string, log zerolog.Logger) (*meter.Meter, error) {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if !slices.Contains(clouds(), name) || value == "" || value == "0" {
			continue
		}
		if cfg.Sandbox == config.NoSandbox {
			return nil, nil
		}
		return nil, fmt.Errorf("%s is set, but agents in the sandbox hold no cloud credential: run a gateway that speaks the Messages API before the cloud's models, and set ANTHROPIC_BASE_URL and ANTHROPIC_AUTH_TOKEN to it", name)
	}
	o := meter.FromEnviron(environ)
	o.Helper, o.Models, o.Log = cfg.KeyHelper, cfg.Models, log
	if cfg.Prices != "" {
		text, err := os.ReadFile(cfg.Prices)
		if err != nil {
			return nil, fmt.Errorf("read prices: %w", err)
		}
		if o.Prices, err = meter.ParsePrices(text); err != nil {
			return nil, errors.Join(fmt.Errorf("prices in %s", cfg.Prices), err)
		}
	}
	return meter.New(o)
}
