package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v62/github"
	"github.com/gregjones/httpcache"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/shurcooL/githubv4"
)

// Beside the real ids, which are positive, 0 stands for the App itself, and these for calls that carry no
// credential of ours. They are two, so that a limit on anonymous readers does not keep tokens from being revoked.
const (
	anonymous = int64(-1)
	revoking  = int64(-2)
)

// maxRedirects bounds how often one call may be sent elsewhere; a renamed repository needs one.
const maxRedirects = 3

// installation holds the clients of one installation. Both use one token, one limiter and one turn to write.
type installation struct {
	rest      *gh.Client
	graph     *githubv4.Client
	transport *transport
	renewer   *renewer // of the token; nil where there is none
}

// installation returns the clients of an installation, made once.
func (a *App) installation(id int64) *installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	if in, ok := a.installations[id]; ok {
		return in
	}
	in, err := a.newInstallation(id)
	if err != nil {
		return failing(err)
	}
	a.installations[id] = in
	return in
}

func (a *App) newInstallation(id int64) (*installation, error) {
	t := newTransport(a, id)
	creator := githubapp.NewClientCreator(a.cfg.V3APIURL, a.cfg.V4APIURL, a.cfg.App.IntegrationID, []byte(a.cfg.App.PrivateKey),
		githubapp.WithClientUserAgent(a.set.UserAgent),
		githubapp.WithTransport(t),
		githubapp.WithClientCaching(true, func() httpcache.Cache { return a.etags.of(id) }))
	client, err := a.signedClient(creator, t, id)
	if err != nil {
		return nil, fmt.Errorf("make client of installation %d: %w", id, err)
	}
	// go-github gives only copies of its http.Client away, so the redirect rules need a second go-github client around it.
	hc := client.Client()
	hc.CheckRedirect = a.checkRedirect
	var renewing *renewer
	if id > 0 {
		renewing = &renewer{current: hc.Transport, make: func() (http.RoundTripper, error) {
			fresh, err := a.signedClient(creator, t, id)
			if err != nil {
				return nil, err
			}
			return fresh.Client().Transport, nil
		}}
		hc.Transport = renewing
	}
	rest := gh.NewClient(hc)
	rest.BaseURL, rest.UserAgent = client.BaseURL, client.UserAgent
	graph := githubv4.NewEnterpriseClient(strings.TrimSuffix(a.cfg.V4APIURL, "/"), hc)
	return &installation{rest: rest, graph: graph, transport: t, renewer: renewing}, nil
}

func (a *App) signedClient(creator githubapp.ClientCreator, t *transport, id int64) (*gh.Client, error) {
	switch id {
	case 0:
		return creator.NewAppClient()
	case anonymous, revoking:
		client, err := creator.NewAppClient()
		if err != nil {
			return nil, err
		}
		plain := gh.NewClient(&http.Client{Transport: t})
		plain.BaseURL, plain.UserAgent = client.BaseURL, client.UserAgent
		return plain, nil
	default:
		return creator.NewInstallationClient(id)
	}
}

// checkRedirect keeps a call on the API's host, with its method, for a few steps.
func (a *App) checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects:
		return errors.New("GitHub redirects too often")
	case !a.hosts[strings.ToLower(req.URL.Host)]:
		return fmt.Errorf("%w: %s", errForeignHost, req.URL.Host)
	case first.URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("GitHub redirects from https to http")
	case req.Method != first.Method:
		return fmt.Errorf("GitHub redirects a %s to a %s", first.Method, req.Method)
	}
	return nil
}

// failing returns clients that answer every call with err, so that handles need no error of their own.
func failing(err error) *installation {
	hc := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was sent
		}
		return nil, err
	})}
	return &installation{rest: gh.NewClient(hc), graph: githubv4.NewClient(hc)}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
