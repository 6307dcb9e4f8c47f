package handlers

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// HookPath is where GitHub delivers.
const HookPath = "/api/github/hook"

// ServerOptions say what the server serves. Webhook and View are needed.
type ServerOptions struct {
	Webhook http.Handler // of Webhook
	View    View
	Metrics *Metrics // the ones given to Webhook

	// Listen is the address the listener is bound to, host:port. Only on a loopback address is the page open to
	// everybody who reaches it; elsewhere Token must be shown, and without Token nobody sees it.
	Listen string
	Token  string // of DOZENS_WEB_TOKEN

	Unsandboxed bool                                   // agents run without a sandbox: every page says so
	Ready       func(context.Context) error            // nil: always ready
	Gauges      func(context.Context) ([]Gauge, error) // nil: none
	Now         func() time.Time                       // default time.Now
	Log         zerolog.Logger
}

// Server makes the HTTP server: webhook, health, metrics and web page, with limits on time and size. It does not listen
// yet; see Serve.
func Server(opts ServerOptions) (*http.Server, error) {
	if opts.Webhook == nil || opts.View == nil {
		return nil, errors.New("http server: a webhook handler and a view are needed")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	pages, err := newPages(opts)
	if err != nil {
		return nil, err
	}
	guard := newGuard(opts.Listen, opts.Token, pages.refused)
	mux := http.NewServeMux()
	mux.Handle(HookPath, opts.Webhook)
	mux.HandleFunc("GET /healthz", say("up"))
	mux.HandleFunc("GET /readyz", ready(opts.Ready))
	mux.Handle("GET /metrics", guard.protect(opts.Metrics.serve(opts.Gauges)))
	mux.Handle("/", guard.protect(pages.handler()))
	srv := &http.Server{
		Handler:           withLog(opts.Log, mux),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(opts.Log.With().Str("from", "http server").Logger(), "", 0),
	}
	// A live log has no end of its own; Shutdown would wait for it.
	srv.RegisterOnShutdown(pages.stop)
	return srv, nil
}

// Serve serves on ln until ctx ends, then lets requests in progress finish, for ten seconds at most. It owns ln.
func Serve(ctx context.Context, srv *http.Server, ln net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := srv.Shutdown(end)
	if err != nil {
		err = errors.Join(fmt.Errorf("end requests: %w", err), srv.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// withLog gives handlers the logger by ctx.
func withLog(logger zerolog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(logger.WithContext(r.Context())))
	})
}

func say(words string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, words) // who hangs up does not want to know
	}
}

// ready answers whether work can be taken now. Why not is in the log, because everybody may ask.
func ready(check func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if check != nil {
			ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
			defer cancel()
			if err := check(ctx); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("not ready")
				http.Error(w, "not ready, see the log", http.StatusServiceUnavailable)
				return
			}
		}
		say("ready")(w, r)
	}
}
