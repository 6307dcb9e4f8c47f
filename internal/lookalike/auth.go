package lookalike

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// actor is who asks: a person, the App itself (jwt), one of its installations, or nobody.
type actor struct {
	user    *account
	app     *application
	install *installation
	tok     *token
	jwt     bool
}

func (a actor) name() string {
	switch {
	case a.jwt:
		return "app:" + a.app.slug
	case a.user != nil:
		return a.user.login
	}
	return ""
}

func (a actor) installID() int64 {
	if a.install == nil {
		return 0
	}
	return a.install.id
}

// token is an installation's or a person's.
type token struct {
	secret  string
	user    *account
	install *installation
	repos   map[int64]bool // nil: all of the installation
	perms   map[string]string
	expires time.Time // zero: never
	revoked bool
	used    int
}

// identify reads the Authorization header. Nobody is no error here; wrong credentials are.
func (g *GitHub) identify(r *http.Request) (actor, error) {
	secret := credentials(r)
	if secret == "" {
		return actor{}, nil
	}
	if strings.Count(secret, ".") == 2 && strings.HasPrefix(secret, "eyJ") {
		return g.verifyJWT(secret)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.tokens[secret]
	if t == nil || t.revoked || (!t.expires.IsZero() && !g.now().Before(t.expires)) {
		return actor{}, no(http.StatusUnauthorized, "Bad credentials")
	}
	if t.install != nil {
		return actor{user: g.app.bot, app: g.app, install: t.install, tok: t}, nil
	}
	return actor{user: t.user, tok: t}, nil
}

// credentials takes the secret out of "Bearer X", "token X" or Basic, whose user name does not matter.
func credentials(r *http.Request) string {
	kind, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(kind) {
	case "bearer", "token":
		return strings.TrimSpace(rest)
	case "basic":
		_, password, _ := r.BasicAuth()
		return password
	}
	return ""
}

// peek names the asker for the record before the request is handled.
func (g *GitHub) peek(r *http.Request) (string, int64) {
	by, err := g.identify(r)
	if err != nil {
		return "", 0
	}
	return by.name(), by.installID()
}

// verifyJWT accepts what GitHub does: RS256 by the App's key, its id as issuer, at most ten minutes ahead.
func (g *GitHub) verifyJWT(secret string) (actor, error) {
	bad := no(http.StatusUnauthorized, "A JSON web token could not be decoded")
	parts := strings.Split(secret, ".")
	var head struct{ Alg string }
	var claims struct {
		Iss json.RawMessage
		Iat *float64
		Exp *float64
	}
	if !decodePart(parts[0], &head) || !decodePart(parts[1], &claims) || head.Alg != "RS256" {
		return actor{}, bad
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return actor{}, bad
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return actor{}, bad
	}
	if strings.Trim(string(claims.Iss), `"`) != strconv.FormatInt(g.app.id, 10) {
		return actor{}, no(http.StatusUnauthorized, "'Issuer' claim ('iss') must be an Integer")
	}
	now := float64(g.now().Unix())
	switch {
	case claims.Iat == nil || *claims.Iat > now+1:
		return actor{}, no(http.StatusUnauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case claims.Exp == nil || *claims.Exp <= now:
		return actor{}, no(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case *claims.Exp > now+601:
		return actor{}, no(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
	}
	return actor{app: g.app, jwt: true}, nil
}

func decodePart(part string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	return err == nil && json.Unmarshal(raw, v) == nil
}

// sees says whether the asker may know that the repository exists. g.mu is held.
func (g *GitHub) sees(by actor, r *repository) bool {
	if by.install != nil {
		return g.covers(by, r) || !r.private
	}
	if by.jwt {
		return r.installed || !r.private
	}
	return !r.private || rank(r.role(by.user)) >= rank("read")
}

// covers says whether an installation token is for the repository. g.mu is held.
func (g *GitHub) covers(by actor, r *repository) bool {
	return r.installed && g.installs[strings.ToLower(r.owner.login)] == by.install && (by.tok.repos == nil || by.tok.repos[r.id])
}

// allowed holds the asker to what a route needs in a repository. g.mu is held.
func (g *GitHub) allowed(by actor, r *repository, need string) error {
	need, least, _ := strings.Cut(need, "@")
	if need == "" {
		return nil
	}
	if by.install != nil {
		if g.permits(by.tok.perms, need) && (g.covers(by, r) || !strings.Contains(need, ":write")) {
			return nil
		}
		return &apiError{status: http.StatusForbidden, message: "Resource not accessible by integration",
			header: map[string]string{"X-Accepted-GitHub-Permissions": strings.NewReplacer(":", "=", "|", "; ").Replace(need)}}
	}
	if least == "" {
		least = "read"
		if strings.Contains(need, ":write") {
			least = "write"
		}
	}
	if by.user == nil && strings.Contains(need, ":write") {
		return no(http.StatusUnauthorized, "Requires authentication")
	}
	if rank(r.role(by.user)) < rank(least) && !(least == "read" && !r.private) {
		return no(http.StatusForbidden, "Must have %s rights to Repository.", least)
	}
	return nil
}

// permits says whether one of the alternatives in need is granted.
func (g *GitHub) permits(perms map[string]string, need string) bool {
	for _, one := range strings.Split(need, "|") {
		what, level, _ := strings.Cut(one, ":")
		have := perms[what]
		if have != "" && (level == "read" || have == "write" || have == "admin") {
			return true
		}
	}
	return false
}
