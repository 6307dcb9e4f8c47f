package lookalike

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func appRoutes() []route {
	return []route{
		{method: "GET", pattern: "/app", need: "jwt", handle: getApp},
		{method: "GET", pattern: "/app/installations", need: "jwt", handle: listInstallations},
		{method: "GET", pattern: "/app/installations/{installation_id}", need: "jwt", handle: found((*call).installation, getInstallation)},
		{method: "POST", pattern: "/app/installations/{installation_id}/access_tokens", need: "jwt", handle: found((*call).installation, createToken)},
		{method: "PUT", pattern: "/app/installations/{installation_id}/suspended", need: "jwt", handle: suspend},
		{method: "DELETE", pattern: "/app/installations/{installation_id}/suspended", need: "jwt", handle: unsuspend},
		{method: "GET", pattern: "/app/hook/config", need: "jwt", handle: getHookConfig},
		{method: "PATCH", pattern: "/app/hook/config", need: "jwt", handle: setHookConfig},
		{method: "GET", pattern: "/app/hook/deliveries", need: "jwt", handle: listDeliveries},
		{method: "GET", pattern: "/app/hook/deliveries/{delivery_id}", need: "jwt", handle: getDelivery},
		{method: "POST", pattern: "/app/hook/deliveries/{delivery_id}/attempts", need: "jwt", handle: redeliver},
		{method: "GET", pattern: "/repos/{owner}/{repo}/installation", need: "jwt", handle: repoInstallation},
		{method: "GET", pattern: "/orgs/{org}/installation", need: "jwt", handle: ownerInstallation},
		{method: "GET", pattern: "/users/{username}/installation", need: "jwt", handle: ownerInstallation},
		{method: "GET", pattern: "/installation/repositories", need: "token", handle: installationRepos},
		{method: "DELETE", pattern: "/installation/token", need: "token", handle: revokeToken},
		{method: "GET", pattern: "/rate_limit", handle: rateLimit},
		{method: "GET", pattern: "/meta", handle: meta},
		{method: "GET", pattern: "/user", handle: self},
		{method: "GET", pattern: "/users/{username}", handle: getUser},
	}
}

func getApp(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	out := c.g.appJSON(c.g.app).(obj)
	out["installations_count"] = len(c.g.installs)
	return ok(out)
}

func listInstallations(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	list := []any{}
	for _, owner := range sortedKeys(c.g.installs) {
		list = append(list, c.g.installJSON(c.g.installs[owner]))
	}
	return ok(page(c, list))
}

// installation finds the one that the path names. g.mu is held.
func (c *call) installation() (*installation, error) {
	id, err := c.number("installation_id")
	if err != nil {
		return nil, err
	}
	for _, i := range c.g.installs {
		if i.id == id {
			return i, nil
		}
	}
	return nil, notFound()
}

func getInstallation(c *call, i *installation) (reply, error) {
	return ok(c.g.installJSON(i))
}

func ownerInstallation(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i := c.g.installs[strings.ToLower(c.param("org")+c.param("username"))]
	if i == nil {
		return reply{}, notFound()
	}
	return ok(c.g.installJSON(i))
}

func repoInstallation(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if !c.repo.installed {
		return reply{}, notFound()
	}
	return ok(c.g.installJSON(c.g.installs[strings.ToLower(c.repo.owner.login)]))
}

func suspend(c *call) (reply, error)   { return c.setSuspended(true) }
func unsuspend(c *call) (reply, error) { return c.setSuspended(false) }

func (c *call) setSuspended(on bool) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	i, err := c.installation()
	if err != nil {
		return reply{}, err
	}
	c.g.suspend(i, i.owner, on)
	return noContent()
}

// suspend stops or restores an installation and tells the App. g.mu is held.
func (g *GitHub) suspend(i *installation, by *account, on bool) {
	action := "unsuspend"
	i.suspended, i.by = time.Time{}, nil
	if on {
		action, i.suspended, i.by = "suspend", g.now(), by
	}
	g.emit("installation", action, nil, by, obj{"installation": g.installJSON(i)})
}

// createToken mints an installation token, cut to what the body asks for.
func createToken(c *call, i *installation) (reply, error) {
	var in struct {
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	err := c.read(&in)
	if err != nil {
		return reply{}, err
	}
	if !i.suspended.IsZero() {
		return reply{}, no(http.StatusForbidden, "This installation has been suspended")
	}
	t := &token{secret: "ghs_" + randomHex(18), install: i, expires: c.g.now().Add(time.Hour).Truncate(time.Second)}
	if t.perms, err = c.g.cutPermissions(in.Permissions); err != nil {
		return reply{}, err
	}
	if t.repos, err = c.g.cutRepos(i, in.Repositories, in.RepositoryIDs); err != nil {
		return reply{}, err
	}
	c.g.tokens[t.secret] = t
	out := obj{"token": t.secret, "expires_at": stamp(t.expires), "permissions": t.perms, "repository_selection": "selected"}
	if t.repos != nil {
		out["repositories"] = c.g.reposOf(i, t)
	}
	return created(out)
}

// Allow grants the App a further permission, as the owners of its installations do when they accept it, and tells it.
// Tokens that are out keep what they have.
func (g *GitHub) Allow(permission, level string) error {
	if level != "read" && level != "write" {
		return fmt.Errorf("allow %s: %q is no level", permission, level)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	granted := maps.Clone(g.opt.Permissions)
	granted[permission] = level
	g.opt.Permissions = granted
	for _, owner := range sortedKeys(g.installs) {
		i := g.installs[owner]
		g.emit("installation", "new_permissions_accepted", nil, i.owner, obj{"installation": g.installJSON(i)})
	}
	return nil
}

func (g *GitHub) cutPermissions(want map[string]string) (map[string]string, error) {
	if len(want) == 0 {
		want = g.opt.Permissions
	}
	perms := map[string]string{}
	for k, v := range want {
		if !g.permits(g.opt.Permissions, k+":"+v) {
			return nil, no(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
		perms[k] = v
	}
	if g.opt.Permissions["metadata"] != "" {
		perms["metadata"] = "read"
	}
	return perms, nil
}

func (g *GitHub) cutRepos(i *installation, names []string, ids []int64) (map[int64]bool, error) {
	if len(names) == 0 && len(ids) == 0 {
		return nil, nil
	}
	repos := map[int64]bool{}
	for _, r := range g.repos {
		if !r.installed || r.owner != i.owner {
			continue
		}
		for _, name := range names {
			if strings.EqualFold(name, r.name) {
				repos[r.id] = true
			}
		}
		for _, id := range ids {
			if id == r.id {
				repos[r.id] = true
			}
		}
	}
	if len(repos) < max(len(names), len(ids)) {
		return nil, no(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	return repos, nil
}

func (g *GitHub) reposOf(i *installation, t *token) []any {
	list := []any{}
	for _, name := range sortedKeys(g.repos) {
		r := g.repos[name]
		if r.installed && r.owner == i.owner && (t.repos == nil || t.repos[r.id]) {
			one := g.repoJSON(r)
			one["permissions"] = g.permissionsJSON(actor{install: i, tok: t}, r)
			list = append(list, one)
		}
	}
	return list
}

func installationRepos(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	list := c.g.reposOf(c.by.install, c.by.tok)
	return ok(obj{"total_count": len(list), "repository_selection": "selected", "repositories": page(c, list)})
}

func revokeToken(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.by.tok.revoked = true
	return noContent()
}

// ExpireTokens ends every installation token now, as an hour would.
func (g *GitHub) ExpireTokens() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.tokens {
		if t.install != nil {
			t.expires = g.now()
		}
	}
}

const hourlyLimit = 5000

// rateHeaders count a request and say what is left. The count is shown, never enforced: limits are put in by
// Intercept.
func (g *GitHub) rateHeaders(by actor) map[string]string {
	g.mu.Lock()
	used := 1
	if by.tok != nil {
		by.tok.used++
		used = by.tok.used
	}
	g.mu.Unlock()
	return map[string]string{"X-RateLimit-Limit": strconv.Itoa(hourlyLimit), "X-RateLimit-Remaining": strconv.Itoa(max(hourlyLimit-used, 0)),
		"X-RateLimit-Used": strconv.Itoa(used), "X-RateLimit-Resource": "core",
		"X-RateLimit-Reset": strconv.FormatInt(g.now().Truncate(time.Hour).Add(time.Hour).Unix(), 10)}
}

// used is how many requests a token has made.
func (g *GitHub) used(by actor) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if by.tok == nil {
		return 0
	}
	return by.tok.used
}

func rateLimit(c *call) (reply, error) {
	used := c.g.used(c.by)
	one := obj{"limit": hourlyLimit, "used": used, "remaining": max(hourlyLimit-used, 0), "reset": c.g.now().Truncate(time.Hour).Add(time.Hour).Unix()}
	return ok(obj{"resources": obj{"core": one, "search": one, "graphql": one}, "rate": one})
}

func meta(c *call) (reply, error) {
	return ok(obj{"verifiable_password_authentication": true, "hooks": []any{"127.0.0.1/32"}, "web": []any{"127.0.0.1/32"},
		"api": []any{"127.0.0.1/32"}, "git": []any{"127.0.0.1/32"}, "installed_version": "3.19.0"})
}

// self is /user: a person's own account; an App has none.
func self(c *call) (reply, error) {
	switch {
	case c.by.install != nil:
		return reply{}, no(http.StatusForbidden, "Resource not accessible by integration")
	case c.by.user == nil:
		return reply{}, no(http.StatusUnauthorized, "Requires authentication")
	}
	return ok(c.g.profile(c.by.user))
}

func getUser(c *call) (reply, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	a := c.g.accounts[strings.ToLower(c.param("username"))]
	if a == nil {
		return reply{}, notFound()
	}
	return ok(c.g.profile(a))
}
