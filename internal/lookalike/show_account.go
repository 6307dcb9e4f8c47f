package lookalike

import (
	"sort"
	"time"
)

// stamp is a time as GitHub's JSON has it, null for the zero time.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// orNil is null for an empty text.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// userJSON is an account in short form, null for none.
func (g *GitHub) userJSON(a *account) any {
	if a == nil {
		return nil
	}
	return g.user(a)
}

func (g *GitHub) user(a *account) obj {
	u := g.api("/users/%s", a.login)
	return obj{
		"login": a.login, "id": a.id, "node_id": nodeID("U", a.id), "avatar_url": g.web("/avatars/u/%d?v=4", a.id),
		"gravatar_id": "", "url": u, "html_url": g.web("/%s", a.login), "followers_url": u + "/followers",
		"following_url": u + "/following{/other_user}", "gists_url": u + "/gists{/gist_id}",
		"starred_url": u + "/starred{/owner}{/repo}", "subscriptions_url": u + "/subscriptions",
		"organizations_url": u + "/orgs", "repos_url": u + "/repos", "events_url": u + "/events{/privacy}",
		"received_events_url": u + "/received_events", "type": a.kind, "user_view_type": "public", "site_admin": false,
	}
}

func (g *GitHub) users(list []*account) []any {
	out := make([]any, 0, len(list))
	for _, a := range list {
		out = append(out, g.user(a))
	}
	return out
}

// profile is an account in long form.
func (g *GitHub) profile(a *account) obj {
	return with(g.user(a), obj{"name": a.name, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil,
		"bio": nil, "twitter_username": nil, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": stamp(a.created), "updated_at": stamp(a.created)})
}

// with adds fields to an object and returns it.
func with(o, more obj) obj {
	for k, v := range more {
		o[k] = v
	}
	return o
}

func (g *GitHub) orgJSON(a *account) obj {
	u := g.api("/orgs/%s", a.login)
	return obj{"login": a.login, "id": a.id, "node_id": nodeID("O", a.id), "url": u, "repos_url": u + "/repos",
		"events_url": u + "/events", "hooks_url": u + "/hooks", "issues_url": u + "/issues",
		"members_url": u + "/members{/member}", "public_members_url": u + "/public_members{/member}",
		"avatar_url": g.web("/avatars/u/%d?v=4", a.id), "description": nil}
}

func (g *GitHub) appJSON(a *application) any {
	if a == nil {
		return nil
	}
	perms, events := obj{"checks": "write", "metadata": "read"}, []any{"check_run", "check_suite"}
	if a == g.app {
		perms, events = g.grantedJSON(), g.eventsJSON()
	}
	return obj{"id": a.id, "client_id": "Iv1." + a.slug, "slug": a.slug, "node_id": nodeID("A", a.id),
		"owner": g.user(a.owner), "name": a.name, "description": "", "external_url": g.web("/apps/%s", a.slug),
		"html_url": g.web("/apps/%s", a.slug), "created_at": stamp(a.created), "updated_at": stamp(a.created),
		"permissions": perms, "events": events}
}

func (g *GitHub) grantedJSON() obj {
	perms := obj{}
	for k, v := range g.opt.Permissions {
		perms[k] = v
	}
	return perms
}

func (g *GitHub) eventsJSON() []any {
	events := make([]any, 0, len(g.opt.Events))
	for _, e := range g.opt.Events {
		events = append(events, e)
	}
	return events
}

func (g *GitHub) installJSON(i *installation) obj {
	updated := i.created
	if i.suspended.After(updated) {
		updated = i.suspended
	}
	return obj{"id": i.id, "client_id": "Iv1." + g.app.slug, "account": g.user(i.owner), "repository_selection": "selected",
		"access_tokens_url": g.api("/app/installations/%d/access_tokens", i.id),
		"repositories_url":  g.api("/installation/repositories"),
		"html_url":          g.web("/organizations/%s/settings/installations/%d", i.owner.login, i.id),
		"app_id":            g.app.id, "app_slug": g.app.slug, "target_id": i.owner.id, "target_type": i.owner.kind,
		"permissions": g.grantedJSON(), "events": g.eventsJSON(), "created_at": stamp(i.created), "updated_at": stamp(updated),
		"single_file_name": nil, "has_multiple_single_files": false, "single_file_paths": []any{},
		"suspended_at": stamp(i.suspended), "suspended_by": g.userJSON(i.by)}
}

func (g *GitHub) labelJSON(r *repository, l *label) obj {
	return obj{"id": l.id, "node_id": nodeID("LA", l.id), "url": g.api("/repos/%s/labels/%s", r.full(), escape(l.name)),
		"name": l.name, "color": l.color, "default": false, "description": l.description}
}

func (g *GitHub) labelsJSON(r *repository, list []*label) []any {
	out := make([]any, 0, len(list))
	for _, l := range list {
		out = append(out, g.labelJSON(r, l))
	}
	return out
}

// reactionsJSON is the count of each kind.
func reactionsJSON(url string, list []*reaction) obj {
	out := obj{"url": url + "/reactions", "total_count": len(list)}
	for _, kind := range reactionKinds() {
		n := 0
		for _, r := range list {
			if r.content == kind {
				n++
			}
		}
		out[kind] = n
	}
	return out
}

func reactionKinds() []string {
	return []string{"+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"}
}

func sortedKeys[K int | string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}
