package lookalike

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Person is somebody with an account.
type Person struct {
	Login string
	ID    int64
	Type  string // User, Bot, Organization
	Email string
	Token string // works for REST and as git's password; a secret
}

// App is the GitHub App that the look-alike plays the server for.
type App struct {
	ID            int64
	Slug          string
	PrivateKey    string // PEM
	WebhookSecret string
	BotID         int64
	BotLogin      string // "<slug>[bot]"
	BotEmail      string
}

// App is what a server needs to act as the App.
func (g *GitHub) App() App {
	return App{ID: g.app.id, Slug: g.app.slug, PrivateKey: g.keyPEM, WebhookSecret: g.secret,
		BotID: g.app.bot.id, BotLogin: g.app.bot.login, BotEmail: g.app.bot.email}
}

// AddPerson makes an account of kind "User" or "Bot". Adding one that exists answers the one there is.
func (g *GitHub) AddPerson(login, kind string) (Person, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !loginPattern().MatchString(login) || (kind != "User" && kind != "Bot") {
		return Person{}, fmt.Errorf("add person %q of kind %q: not a login or not a kind", login, kind)
	}
	a := g.ensureAccount(login, kind)
	if a.kind != kind {
		return Person{}, fmt.Errorf("add person %s: exists as %s", login, a.kind)
	}
	return person(a), nil
}

func loginPattern() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?(\[bot\])?$`)
}

func person(a *account) Person {
	return Person{Login: a.login, ID: a.id, Type: a.kind, Email: a.email, Token: a.secret}
}

// ensureAccount finds or makes an account. g.mu is held.
func (g *GitHub) ensureAccount(login, kind string) *account {
	if a := g.accounts[strings.ToLower(login)]; a != nil {
		return a
	}
	id := g.nextID()
	a := &account{id: id, login: login, kind: kind, name: strings.TrimSuffix(login, "[bot]"), created: g.now(),
		email: fmt.Sprintf("%d+%s@users.noreply.github.com", id, login)}
	if kind == "User" {
		a.secret = "ghp_" + randomHex(18)
		g.tokens[a.secret] = &token{user: a}
	}
	if kind == "Bot" && !strings.HasSuffix(login, "[bot]") {
		a.secret = "ghp_" + randomHex(18) // a machine account, not an App's
		g.tokens[a.secret] = &token{user: a}
	}
	g.accounts[strings.ToLower(login)] = a
	return a
}

// find is the account of a login; the Go API's callers name people by it.
func (g *GitHub) find(login string) (*account, error) {
	a := g.accounts[strings.ToLower(login)]
	if a == nil {
		return nil, fmt.Errorf("no account %q: add it with AddPerson", login)
	}
	return a, nil
}

// ensureApp finds or makes an App that reports checks. g.mu is held.
func (g *GitHub) ensureApp(slug string) *application {
	if a := g.apps[slug]; a != nil {
		return a
	}
	a := &application{id: g.nextID(), slug: slug, name: slug, owner: g.ensureAccount(g.opt.AppOwner, "Organization"),
		bot: g.ensureAccount(slug+"[bot]", "Bot"), created: g.now()}
	g.apps[slug] = a
	return a
}

func (g *GitHub) nextID() int64 {
	g.lastID++
	return g.lastID
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// roles in rising order; the number is compared.
func rank(role string) int {
	for i, r := range []string{"none", "read", "triage", "write", "maintain", "admin"} {
		if r == role {
			return i
		}
	}
	return -1
}

// role is what a person may do in a repository. g.mu is held.
func (r *repository) role(a *account) string {
	if a == nil {
		return "none"
	}
	if a == r.owner {
		return "admin"
	}
	if role := r.grants[strings.ToLower(a.login)]; role != "" {
		return role
	}
	if !r.private && a.kind != "Organization" {
		return "read"
	}
	return "none"
}

// Grant gives a person a role: admin, maintain, write, triage, read or none.
func (r *Repo) Grant(login, role string) error {
	if rank(role) < 0 {
		return fmt.Errorf("grant %s %q: no such role", login, role)
	}
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	a, err := r.g.find(login)
	if err != nil {
		return err
	}
	if a.kind == "Organization" {
		return errors.New("grant: an organization is no collaborator")
	}
	r.r.grants[strings.ToLower(a.login)] = role
	return nil
}
