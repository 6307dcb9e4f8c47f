package lookalike

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// GitHub is a running look-alike. Its methods may be called from everywhere at once.
type GitHub struct {
	opt    Options
	dir    string
	base   string // http://host:port
	log    zerolog.Logger
	key    *rsa.PrivateKey
	keyPEM string
	secret string
	app    *application
	routes []route
	spec   *spec // nil: no validation
	schema *graphSchema
	pages  *pages
	hooks  *sender
	server *http.Server

	ctx    context.Context // ends at Close; every process and goroutine here hangs on it
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu         sync.Mutex // guards everything below, and what it points to
	closed     bool
	lastID     int64
	accounts   map[string]*account // by login in lower case
	apps       map[string]*application
	installs   map[string]*installation // by owner's login in lower case
	repos      map[string]*repository   // by full name in lower case
	moved      map[string]int64         // former full names in lower case
	tokens     map[string]*token
	calls      []Call
	intercepts []*intercept
	violations []string
}

// Start listens and serves until Close or until ctx ends.
func Start(ctx context.Context, options Options) (*GitHub, error) {
	opt := options.filled()
	dir, err := filepath.Abs(opt.Dir)
	if err != nil || opt.Dir == "" {
		return nil, fmt.Errorf("start look-alike: folder %q: %w", opt.Dir, errors.Join(err, os.ErrInvalid))
	}
	g := &GitHub{opt: opt, dir: dir, log: opt.Log, secret: randomHex(20), lastID: 1000,
		accounts: map[string]*account{}, apps: map[string]*application{}, installs: map[string]*installation{},
		repos: map[string]*repository{}, moved: map[string]int64{}, tokens: map[string]*token{}}
	if err := g.prepare(); err != nil {
		return nil, fmt.Errorf("start look-alike: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opt.Addr)
	if err != nil {
		return nil, fmt.Errorf("start look-alike: %w", err)
	}
	g.base = "http://" + listener.Addr().String()
	g.ctx, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	g.hooks = newSender(g)
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return g.ctx }}
	g.spawn(func(context.Context) { _ = g.server.Serve(listener) }) // ends with ErrServerClosed
	g.spawn(g.hooks.run)
	stop := context.AfterFunc(ctx, func() { _ = g.Close() })
	g.spawn(func(ctx context.Context) { <-ctx.Done(); stop() })
	return g, nil
}

// prepare makes what does not need an address yet.
func (g *GitHub) prepare() error {
	var err error
	if g.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return err
	}
	g.keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.key)}))
	g.app = g.ensureApp(g.opt.AppSlug)
	g.ensureAccount("web-flow", "User").email = "noreply@github.com" // who commits what GitHub itself commits
	g.routes = g.allRoutes()
	if g.opt.Validate {
		if g.spec, err = loadSpec(); err != nil {
			return err
		}
	}
	if g.schema, err = loadSchema(); err != nil {
		return err
	}
	g.pages, err = loadPages()
	return err
}

// Close stops serving, ends every process and waits for every goroutine. It may be called twice.
func (g *GitHub) Close() error {
	g.mu.Lock()
	already := g.closed
	g.closed = true
	g.mu.Unlock()
	if already {
		g.work.Wait()
		return nil
	}
	g.cancel()
	err := g.server.Close()
	g.work.Wait()
	return err
}

// spawn runs f in a goroutine that Close waits for. After Close it does nothing.
func (g *GitHub) spawn(f func(context.Context)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.work.Add(1)
	go func() {
		defer g.work.Done()
		f(g.ctx)
	}()
}

// enter counts a request as work; false after Close.
func (g *GitHub) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.work.Add(1)
	}
	return !g.closed
}

// URL is the web address, without a slash at the end.
func (g *GitHub) URL() string { return g.base }

// V3URL is the REST address, with a slash at the end.
func (g *GitHub) V3URL() string { return g.base + "/api/v3/" }

// V4URL is the GraphQL address.
func (g *GitHub) V4URL() string { return g.base + "/api/graphql" }

// api is an address under V3URL.
func (g *GitHub) api(format string, args ...any) string {
	return g.base + "/api/v3" + fmt.Sprintf(format, args...)
}

// web is the address of a page.
func (g *GitHub) web(format string, args ...any) string { return g.base + fmt.Sprintf(format, args...) }

func (g *GitHub) now() time.Time { return g.opt.Now().UTC() }

// ServeHTTP sorts requests by what they are for.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer g.work.Done()
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/api/v3/"), path == "/api/v3":
		g.serveREST(w, r)
	case path == "/api/graphql":
		g.serveGraphQL(w, r)
	case gitPath().MatchString(path):
		g.serveGit(w, r)
	default:
		g.servePage(w, r)
	}
}
