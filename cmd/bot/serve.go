package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"dozens/batch/work"
	"dozens/bus"
	"dozens/config"
	"dozens/flow"
	"dozens/github"
	"dozens/handlers"
	"dozens/runner"
	"dozens/runner/claude"
	"dozens/runner/sandbox"
	"dozens/runner/worktree"
	"dozens/store"
)

func serveVerb(ctx context.Context, args []string, _, stderr io.Writer) error {
	flags := flag.NewFlagSet("bot serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "settings `file` (default dozens.yml in this folder, if there is one)")
	if err := flags.Parse(args); err != nil {
		return exit(2)
	}
	cfg, err := loadConfig(*file)
	if err != nil {
		return err
	}
	log, err := newLog(cfg.Log, stderr)
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	o := serveOptions{Config: cfg, Listener: ln, Log: log}
	if err := o.equip(ctx, nil, nil); err != nil {
		return errors.Join(err, ln.Close())
	}
	s, err := newServer(ctx, o)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// loadConfig reads the server's settings from the environment and, if there is one, a file.
func loadConfig(file string) (config.Server, error) {
	name := file
	if name == "" {
		name = "dozens.yml"
	}
	data, err := os.ReadFile(name) //nolint:gosec // the operator names it
	if err != nil && (file != "" || !errors.Is(err, os.ErrNotExist)) {
		return config.Server{}, fmt.Errorf("read settings: %w", err)
	}
	return config.FromEnviron(os.Getenv, data)
}

func newLog(cfg config.Log, w io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		return zerolog.Logger{}, fmt.Errorf("log level: %w", err)
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // the library's only way to say so
	if cfg.Format == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}

const identityTime = 15 * time.Second // for GitHub to say who the app is

// identity is the author of the agents' commits: the app's own account, by the address that GitHub links to it.
// Without an answer it is a name that belongs to nobody.
func identity(ctx context.Context, cfg config.Server, log zerolog.Logger) runner.Identity {
	nobody := runner.Identity{Name: "Dozens", Email: "dozens@localhost.invalid"}
	app, err := newGitHub(serveOptions{Config: cfg, Log: log})
	if err != nil {
		return nobody // newServer says it
	}
	ctx, cancel := context.WithTimeout(ctx, identityTime)
	defer cancel()
	me, err := app.Me(ctx)
	if err != nil || me.ID == 0 {
		log.Warn().Err(err).Msg("the app's account is not known; commits are by " + nobody.Email)
		return nobody
	}
	host := "github.com"
	if web, err := url.Parse(cfg.GitHub.WebURL); err == nil && web.Hostname() != "" {
		host = web.Hostname()
	}
	return runner.Identity{Name: me.Login, Email: fmt.Sprintf("%d+%s@users.noreply.%s", me.ID, me.Login, host)}
}

// serveOptions are what a server is made of. The server owns the listener.
type serveOptions struct {
	Config   config.Server
	Listener net.Listener
	Agent    *claude.Driver
	Box      *sandbox.Sandbox // nil: agents run without one
	Author   runner.Identity  // of the agents' commits
	Log      zerolog.Logger
	Pace     time.Duration // see flow.Options
}

// equip opens the sandbox and finds the agent. args go before claude's own; env is what agents see of this process's
// environment, nil for what the allow-list lets through.
func (o *serveOptions) equip(ctx context.Context, args, env []string) (err error) {
	if o.Config.Slots > 0 {
		if o.Box, err = newBox(ctx, o.Config, o.Log); err != nil {
			return err
		}
	}
	o.Author = identity(ctx, o.Config, o.Log)
	o.Agent, err = newAgent(agentOptions{Config: o.Config, Args: args, Env: env, Box: o.Box, Author: o.Author, Log: o.Log})
	return err
}

// server is one whole server: webhooks, web page, corridor, wire and the embedded host.
type server struct {
	opts     serveOptions
	store    *store.Store
	wire     *bus.Bus
	corridor *flow.Flow
	web      *http.Server
}

// newServer puts a server together. Run it, or Close it; either gives back what it holds, the listener too.
func newServer(ctx context.Context, o serveOptions) (_ *server, err error) {
	s := &server{opts: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(), o.Listener.Close())
		}
	}()
	if o.Config.DatabaseURL != "" {
		return nil, errors.New("DOZENS_DATABASE_URL is set, but PostgreSQL is not supported yet: unset it to use the SQLite database in the data folder")
	}
	if s.store, err = store.Open(ctx, store.Options{Path: filepath.Join(o.Config.DataDir, "dozens.db"), Log: o.Log}); err != nil {
		return nil, err
	}
	if s.wire, err = bus.Open(ctx, bus.Options{Dir: filepath.Join(o.Config.DataDir, "nats"), URL: string(o.Config.NATSURL), Log: o.Log}); err != nil {
		return nil, err
	}
	app, err := newGitHub(o)
	if err != nil {
		return nil, err
	}
	if s.corridor, err = flow.New(s.store, app, s.wire, flow.Options{PublicURL: o.Config.PublicURL, NoBox: o.Config.Sandbox == config.NoSandbox,
		Describe: handlers.Describe, Log: o.Log, Pace: o.Pace}); err != nil {
		return nil, err
	}
	s.web, err = newWeb(o, s.store, s.wire)
	return s, err
}

// Close gives back what a server holds that does not run.
func (s *server) Close() error {
	if s.wire != nil {
		s.wire.Close()
	}
	if s.store != nil {
		return s.store.Close()
	}
	return nil
}

// Run serves until ctx ends. The host ends first, so that the others can still take what it reports.
func (s *server) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	o := s.opts
	rest, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	group, rest := errgroup.WithContext(rest)
	group.Go(func() error { return s.corridor.Run(rest) })
	group.Go(func() error { return s.wire.Serve(rest, s.corridor) })
	group.Go(func() error { return handlers.Serve(rest, s.web, o.Listener) })
	group.Go(func() error {
		defer cancel()
		return hostUntil(ctx, rest, o, s.wire)
	})
	o.Log.Info().Str("listen", o.Listener.Addr().String()).Str("data", o.Config.DataDir).Str("version", versionName()).
		Str("sandbox", o.Config.Sandbox).Int("slots", o.Config.Slots).Msg("serving")
	err = group.Wait()
	o.Log.Info().Msg("stopped")
	return err
}

func newGitHub(o serveOptions) (*github.App, error) {
	g := o.Config.GitHub
	return github.New(github.Config{WebURL: g.WebURL, V3URL: g.V3URL, V4URL: g.V4URL, AppID: g.AppID,
		PrivateKey: work.Secret(g.PrivateKey), UserAgent: "dozens/" + versionName(), Log: o.Log})
}

// hostUntil runs the embedded host until ctx ends, or until the rest of the server has.
func hostUntil(ctx, rest context.Context, o serveOptions, wire *bus.Bus) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(rest, cancel)()
	if o.Config.Slots == 0 {
		<-ctx.Done()
		return nil
	}
	dir := filepath.Join(o.Config.DataDir, "host")
	trees, err := worktree.Open(dir, o.Log, worktree.Boxed(o.Box))
	if err != nil {
		return err
	}
	defer trees.Close()
	conn, err := wire.Host(ctx, hostName)
	if err != nil {
		return err
	}
	defer conn.Close()
	host, err := runner.New(runner.Options{Name: hostName, Dir: dir, Slots: o.Config.Slots, Server: conn, Trees: trees, Agent: o.Agent,
		Author: o.Author, Log: o.Log})
	if err != nil {
		return err
	}
	return host.Run(ctx)
}

const hostName = "embedded"

func newWeb(o serveOptions, st *store.Store, wire *bus.Bus) (*http.Server, error) {
	metrics := handlers.NewMetrics()
	var secrets []string
	for _, s := range o.Config.GitHub.WebhookSecrets {
		secrets = append(secrets, string(s))
	}
	hook, err := handlers.Webhook(handlers.WebhookOptions{Secrets: secrets, Inbox: st, Log: o.Log, Metrics: metrics})
	if err != nil {
		return nil, err
	}
	return handlers.Server(handlers.ServerOptions{Webhook: hook, View: view{store: st, wire: wire, web: o.Config.GitHub.WebURL}, Metrics: metrics,
		Listen: o.Listener.Addr().String(), Token: string(o.Config.WebToken), Unsandboxed: o.Config.Sandbox == config.NoSandbox,
		Ready: st.Ping, Gauges: gauges(st), Log: o.Log})
}
