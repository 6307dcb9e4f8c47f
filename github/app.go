package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/rs/zerolog"

	"dozens/batch"
	"dozens/batch/work"
)

// Config says which GitHub to speak to and as whom. Empty URLs mean github.com.
type Config struct {
	WebURL string
	V3URL  string // REST; https://HOST/api/v3 on GitHub Enterprise Server
	V4URL  string // GraphQL; https://HOST/api/graphql on GitHub Enterprise Server

	AppID      int64
	PrivateKey work.Secret // PEM text

	Timeout   time.Duration // of one attempt of one call, body included; 0 means 30 s
	RetryWait time.Duration // before the first retry of a read, doubled each time; 0 means 500 ms
	// WriteSpacing lies between two writes of one installation. GitHub asks for a second; 0 means none.
	WriteSpacing time.Duration
	UserAgent    string
	Log          zerolog.Logger
	Now          func() time.Time // the clock; nil means time.Now
}

// DefaultWriteSpacing is what GitHub asks for between two writes.
const DefaultWriteSpacing = time.Second

const (
	defaultTimeout   = 30 * time.Second
	defaultRetryWait = 500 * time.Millisecond
)

// App is the GitHub App: the root of all calls. It is safe for concurrent use.
type App struct {
	cfg   githubapp.Config
	set   Config
	log   zerolog.Logger
	pool  http.RoundTripper // connections, shared by all installations
	hosts map[string]bool   // where our credentials may go
	count *counter
	etags *etagCache

	mu            sync.Mutex
	installations map[int64]*installation
	names         map[int64]fullName // by repository id: where it is now, when it was renamed

	meMu      sync.Mutex
	me        Me
	meExpires time.Time

	levels *lru.Cache[string, level]   // permissions, for a minute
	gates  *lru.Cache[string, gateRun] // what PostGate said last
	turns  *turns
}

type fullName struct{ owner, name string }

// New checks the settings and returns the App. It makes no call.
func New(cfg Config) (*App, error) {
	cfg = withDefaults(cfg)
	hosts, err := apiHosts(cfg.V3URL, cfg.V4URL)
	if err != nil {
		return nil, err
	}
	if cfg.AppID <= 0 {
		return nil, errors.New("app id is missing")
	}
	if _, err := ghinstallation.NewAppsTransport(http.DefaultTransport, cfg.AppID, []byte(cfg.PrivateKey)); err != nil {
		return nil, errors.New("app private key is not an RSA key in PEM form")
	}
	levels, err := lru.New[string, level](4096)
	if err != nil {
		return nil, fmt.Errorf("make permission cache: %w", err)
	}
	gates, err := lru.New[string, gateRun](4096)
	if err != nil {
		return nil, fmt.Errorf("make gate memory: %w", err)
	}
	return &App{
		cfg: appConfig(cfg), set: cfg, log: cfg.Log, pool: newPool(), hosts: hosts,
		count: newCounter(), etags: newETagCache(),
		installations: map[int64]*installation{}, names: map[int64]fullName{},
		levels: levels, gates: gates, turns: newTurns(),
	}, nil
}

func withDefaults(cfg Config) Config {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&cfg.WebURL, "https://github.com")
	fill(&cfg.V3URL, "https://api.github.com/")
	fill(&cfg.V4URL, "https://api.github.com/graphql")
	fill(&cfg.UserAgent, "dozens")
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.RetryWait <= 0 {
		cfg.RetryWait = defaultRetryWait
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func appConfig(cfg Config) githubapp.Config {
	out := githubapp.Config{WebURL: cfg.WebURL, V3APIURL: cfg.V3URL, V4APIURL: cfg.V4URL}
	out.App.IntegrationID = cfg.AppID
	out.App.PrivateKey = string(cfg.PrivateKey)
	return out
}

// apiHosts lists the hosts that may see a credential.
func apiHosts(urls ...string) (map[string]bool, error) {
	hosts := map[string]bool{}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
			// Not quoted: it may hold a credential.
			return nil, errors.New("an API address is not an http or https URL without credentials")
		}
		hosts[strings.ToLower(u.Host)] = true
	}
	return hosts, nil
}

// Me is the App's own account.
type Me struct {
	Login string // "slug[bot]"
	ID    int64  // of the bot's account; 0 when GitHub does not show it
	Slug  string
	AppID int64
}

// Me says who we are. The answer is remembered for good, or for a minute while the bot's account id is unknown.
func (a *App) Me(ctx context.Context) (Me, error) {
	a.meMu.Lock()
	defer a.meMu.Unlock()
	if a.me.Slug != "" && (a.me.ID != 0 || a.set.Now().Before(a.meExpires)) {
		return a.me, nil
	}
	app, _, err := a.installation(0).rest.Apps.Get(ctx, "")
	if err != nil {
		return Me{}, explain("read the app", err)
	}
	me := Me{Login: app.GetSlug() + "[bot]", Slug: app.GetSlug(), AppID: app.GetID()}
	if me.AppID == 0 {
		me.AppID = a.set.AppID
	}
	user, err := a.botAccount(ctx, me.Login)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Me{}, err
	}
	me.ID = user.GetID()
	a.me, a.meExpires = me, a.set.Now().Add(time.Minute)
	return me, nil
}

// botAccount reads the bot's account. The App's own signature does not open user pages, so an installation's
// token is used where there is one; without any, github.com still answers anonymous readers.
func (a *App) botAccount(ctx context.Context, login string) (*gh.User, error) {
	client := a.installation(anonymous).rest
	list, _, err := a.installation(0).rest.Apps.ListInstallations(ctx, &gh.ListOptions{PerPage: 100})
	if err == nil {
		for _, in := range list {
			if in.SuspendedAt == nil && in.GetID() > 0 {
				client = a.installation(in.GetID()).rest
				break
			}
		}
	}
	user, _, err := client.Users.Get(ctx, login)
	if err != nil {
		return nil, explain("read account "+login, err)
	}
	return user, nil
}

// Installation finds the installation of the App on one repository: ErrNotFound when there is none,
// ErrSuspended when its owner suspended it.
func (a *App) Installation(ctx context.Context, owner, name string) (int64, error) {
	what := "find installation on " + owner + "/" + name
	if !validOwner(owner) || !validName(name) {
		return 0, fmt.Errorf("%s: %w", what, errBadName)
	}
	in, _, err := a.installation(0).rest.Apps.FindRepositoryInstallation(ctx, owner, name)
	if err != nil {
		return 0, explain(what, err)
	}
	if in.SuspendedAt != nil {
		return in.GetID(), fmt.Errorf("%s: %w", what, ErrSuspended)
	}
	return in.GetID(), nil
}

// Repo returns a handle on one repository. It makes no call and costs nothing; handles of one installation
// share their connection, limits and turn to write.
func (a *App) Repo(r batch.Repo) *Repo {
	in := a.installation(r.Installation)
	switch {
	case r.Installation <= 0:
		in = failing(errors.New("repository " + r.FullName() + " has no installation"))
	case !validOwner(r.Owner) || !validName(r.Name):
		in = failing(fmt.Errorf("repository %q: %w", r.FullName(), errBadName))
	}
	return &Repo{app: a, in: in, repo: r}
}

// Calls counts requests since the start, by method and route without its variable parts, as in
// "GET /repos/*/*/pulls/*". The keys "retried", "limited" and "not modified" count what their names say.
func (a *App) Calls() map[string]int64 { return a.count.snapshot() }
