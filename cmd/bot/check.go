package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"dozens/config"
	"dozens/runner/claude"
	"dozens/runner/sandbox"
	"dozens/runner/worktree"
	"dozens/store"
)

// trial is one line of bot check.
type trial struct {
	name string
	run  func(context.Context) (found, hint string, err error)
}

const trialTime = 20 * time.Second

// checkVerb tries what a server needs, one thing after another, and says how to fix what is wrong.
func checkVerb(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bot check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "settings `file` (default dozens.yml in this folder, if there is one)")
	if err := flags.Parse(args); err != nil {
		return exit(2)
	}
	cfg, err := loadConfig(*file)
	if err != nil {
		_, _ = fmt.Fprintf(stdout, "✗ settings\n%v\n", err)
		return exit(1)
	}
	_, _ = fmt.Fprintln(stdout, "✓ settings")
	bad := 0
	for _, t := range trials(cfg) {
		one, cancel := context.WithTimeout(ctx, trialTime)
		found, hint, err := t.run(one)
		cancel()
		if err == nil {
			_, _ = fmt.Fprintf(stdout, "✓ %s: %s\n", t.name, found)
			continue
		}
		bad++
		_, _ = fmt.Fprintf(stdout, "✗ %s: %v\n  → %s\n", t.name, err, hint)
	}
	if bad > 0 {
		return exit(1)
	}
	return nil
}

func trials(cfg config.Server) []trial {
	return []trial{
		{"data folder", func(ctx context.Context) (string, string, error) { return tryData(ctx, cfg) }},
		{"github", func(ctx context.Context) (string, string, error) { return tryGitHub(ctx, cfg) }},
		{"git", func(ctx context.Context) (string, string, error) {
			v, err := worktree.GitVersion(ctx)
			return v, "install git 2.31 or newer (apt-get install git)", err
		}},
		{"claude", func(ctx context.Context) (string, string, error) { return tryAgent(ctx, cfg) }},
		{"model", func(context.Context) (string, string, error) { return tryModel(cfg) }},
		{"sandbox", func(ctx context.Context) (string, string, error) { return trySandbox(ctx, cfg) }},
	}
}

const enoughDisk = 2 << 30 // bytes

func tryData(ctx context.Context, cfg config.Server) (found, hint string, err error) {
	st, err := store.Open(ctx, store.Options{Path: filepath.Join(cfg.DataDir, "dozens.db")})
	if err != nil {
		return "", "make DOZENS_DATA_DIR a folder that this user can write, on a local disk", err
	}
	if err := st.Close(); err != nil {
		return "", "look at the disk", err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(cfg.DataDir, &fs); err != nil {
		return "", "look at the disk", err
	}
	free := fs.Bavail * uint64(fs.Bsize) //nolint:gosec // a block size is positive
	if free < enoughDisk {
		return "", "free some space: mirrors and worktrees live there", fmt.Errorf("%s has %d MB left", cfg.DataDir, free>>20)
	}
	return fmt.Sprintf("%s, %d GB free", cfg.DataDir, free>>30), "", nil
}

func tryGitHub(ctx context.Context, cfg config.Server) (found, hint string, err error) {
	app, err := newGitHub(serveOptions{Config: cfg, Log: zerolog.Nop()})
	if err != nil {
		return "", "check GITHUB_APP_PRIVATE_KEY and the URLs", err
	}
	me, err := app.Me(ctx)
	if err != nil {
		return "", "check GITHUB_APP_INTEGRATION_ID, the private key, GITHUB_V3_API_URL, and this machine's clock", err
	}
	return fmt.Sprintf("app %s (%d) at %s", me.Slug, me.AppID, cfg.GitHub.V3URL), "", nil
}

// tryAgent asks for the version where agents will run.
func tryAgent(ctx context.Context, cfg config.Server) (found, hint string, err error) {
	box, err := newBox(ctx, cfg, zerolog.Nop())
	if err != nil {
		box = nil // the trial of the sandbox says why
	}
	agent, err := claude.New(claude.Options{Binary: cfg.Agent, Env: claude.FromEnviron(os.Environ()), Box: box})
	if err != nil {
		return "", "npm install -g @anthropic-ai/claude-code@" + claude.Tested + ", or point DOZENS_AGENT to the program", err
	}
	hint = "run it by hand: claude --version"
	if box != nil {
		hint += "; if that works, it needs more than agents can see in the sandbox: name the folders in DOZENS_SANDBOX_READ"
	}
	found, err = agent.Version(ctx)
	return found, hint, err
}

func tryModel(cfg config.Server) (found, hint string, err error) {
	if _, err := newMeter(cfg, claude.FromEnviron(os.Environ()), zerolog.Nop()); err != nil {
		return "", "look at DOZENS_PRICES, DOZENS_MODELS and the ANTHROPIC_ variables", err
	}
	if cfg.KeyHelper != "" {
		return "by DOZENS_KEY_HELPER", "", nil
	}
	for _, name := range append([]string{"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"}, clouds()...) {
		if os.Getenv(name) != "" {
			return "by " + name, "", nil
		}
	}
	return "", "set ANTHROPIC_API_KEY, or ANTHROPIC_BASE_URL with ANTHROPIC_AUTH_TOKEN for a gateway, or DOZENS_KEY_HELPER", errors.New("no way to a model is set")
}

// trySandbox starts a box for real and looks around in it.
func trySandbox(ctx context.Context, cfg config.Server) (found, hint string, err error) {
	if cfg.Sandbox == config.NoSandbox {
		return "none (agents run as this user, with its network and files: trust who may command)", "", nil
	}
	if _, err = newBox(ctx, cfg, zerolog.Nop()); err == nil {
		return "bubblewrap works", "", nil
	}
	hint = "install bubblewrap (apt-get install bubblewrap), or say DOZENS_SANDBOX=none"
	var trouble *sandbox.Trouble
	if errors.As(err, &trouble) {
		hint, err = trouble.Hint, errors.New(trouble.What)
	}
	return "", hint, err
}
