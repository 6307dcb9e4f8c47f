package lookalike

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// route is one operation. need says what an App's token must be allowed ("contents:read", with alternatives
// as "issues:write|pull_requests:write") and, after "@", a person's least role where it is not the usual one.
// The words jwt and token need the App itself and any installation; "" needs nothing.
type route struct {
	method  string
	pattern string // as in GitHub's document; {x...} takes several segments, {x*} also none
	need    string
	handle  func(*call) (reply, error)
	re      *regexp.Regexp
	names   []string
}

// specPath is the path as GitHub's document writes it.
func (r *route) specPath() string {
	return strings.NewReplacer("...}", "}", "/{path*}", "/{path}").Replace(r.pattern)
}

func (g *GitHub) allRoutes() []route {
	var all []route
	for _, list := range [][]route{appRoutes(), repoRoutes(), gitRoutes(), issueRoutes(), labelRoutes(), reactionRoutes(),
		pullRoutes(), reviewRoutes(), checkRoutes()} {
		all = append(all, list...)
	}
	for i := range all {
		all[i].compile()
	}
	return all
}

func (r *route) compile() {
	var b strings.Builder
	b.WriteString("^")
	for _, part := range strings.Split(strings.TrimPrefix(r.pattern, "/"), "/") {
		name := strings.Trim(part, "{}.*")
		switch {
		case !strings.HasPrefix(part, "{"):
			b.WriteString("/" + regexp.QuoteMeta(part))
			continue
		case strings.HasSuffix(part, "*}"):
			b.WriteString(`(?:/(.*))?`)
		case strings.HasSuffix(part, "...}"):
			b.WriteString(`/(.+)`)
		case strings.HasSuffix(name, "_number") || strings.HasSuffix(name, "_id"):
			b.WriteString(`/(\d+)`)
		default:
			b.WriteString(`/([^/]+)`)
		}
		r.names = append(r.names, name)
	}
	b.WriteString("$")
	r.re = regexp.MustCompile(b.String()) // of our own table
}

// match finds the operation for a path that is still escaped, and its parameters unescaped.
func match(routes []route, method, path string) (*route, map[string]string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range routes {
		if routes[i].method != method {
			continue
		}
		found := routes[i].re.FindStringSubmatch(path)
		if found == nil {
			continue
		}
		params := map[string]string{}
		for n, name := range routes[i].names {
			value, err := url.PathUnescape(found[n+1])
			if err != nil {
				return nil, nil
			}
			params[name] = value
		}
		return &routes[i], params
	}
	return nil, nil
}

// byNumber turns /repositories/ID/… , where redirects of renamed repositories lead, into /repos/OWNER/NAME/….
func (g *GitHub) byNumber(path string) (string, *repository) {
	rest, found := strings.CutPrefix(path, "/repositories/")
	if !found {
		return path, nil
	}
	number, tail, _ := strings.Cut(rest, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return path, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repoByID(id)
	if r == nil {
		return path, nil
	}
	path = "/repos/" + r.full()
	if tail != "" {
		path += "/" + tail
	}
	return path, r
}

// handle is the part of a REST request between the intercepts.
func (c *call) handle() (reply, error) {
	var err error
	if c.by, err = c.g.identify(c.r); err != nil {
		return reply{}, err
	}
	if c.route == nil {
		return reply{}, notFound()
	}
	if err := c.admit(); err != nil {
		return reply{}, err
	}
	if _, named := c.params["repo"]; named {
		if answer, err := c.findRepo(); err != nil || answer.status != 0 {
			return answer, err
		}
	}
	return c.route.handle(c)
}

// admit refuses askers of the wrong kind.
func (c *call) admit() error {
	switch need := c.route.need; {
	case need == "jwt" && !c.by.jwt:
		return no(http.StatusUnauthorized, "A JSON web token could not be decoded")
	case need != "jwt" && need != "" && c.by.jwt:
		return no(http.StatusUnauthorized, "Bad credentials")
	case need == "token" && c.by.install == nil:
		return no(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
	}
	if c.by.install != nil {
		return c.g.working(c.by.install)
	}
	return nil
}

func (g *GitHub) working(i *installation) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !i.suspended.IsZero() {
		return no(http.StatusForbidden, "This installation has been suspended")
	}
	return nil
}

// findRepo fills c.repo, redirects when it was renamed, and holds the asker to what the route needs.
func (c *call) findRepo() (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	full := strings.ToLower(c.param("owner") + "/" + c.param("repo"))
	c.repo = c.g.repos[full]
	if c.repo == nil {
		if r := c.g.repoByID(c.g.moved[full]); r != nil && c.g.sees(c.by, r) {
			return c.redirect(r), nil
		}
		return reply{}, notFound()
	}
	if c.route.need == "jwt" {
		return reply{}, nil
	}
	if !c.g.sees(c.by, c.repo) {
		return reply{}, notFound()
	}
	return reply{}, c.g.allowed(c.by, c.repo, c.route.need)
}

// redirect answers for a former name: 301 for a GET, 307 for what must keep its method.
func (c *call) redirect(r *repository) reply {
	old := "/repos/" + c.param("owner") + "/" + c.param("repo")
	_, tail, _ := strings.Cut(c.r.URL.EscapedPath(), old)
	to := c.g.api("/repositories/%d%s", r.id, tail)
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	status, message := http.StatusTemporaryRedirect, "Temporary Redirect"
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		status, message = http.StatusMovedPermanently, "Moved Permanently"
	}
	return reply{status: status, header: map[string]string{"Location": to},
		body: obj{"message": message, "url": to, "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"}}
}
