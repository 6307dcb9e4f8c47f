package config

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// server checks the values and works out those that follow from others.
func (c *checks) server(s *Server, e *environ) {
	say := func(variable, path, value, problem, hint string) {
		if e.from[path] == unreadable {
			return
		}
		name, line := e.name(variable, path, c.lines)
		c.problems.add(name, line, value, problem, hint)
	}
	c.github(&s.GitHub, say)
	checkEngine(s, say)
	if err := checkListen(s.Listen); err != nil {
		say("DOZENS_LISTEN", "listen", s.Listen, err.Error(), "write 127.0.0.1:8080")
	}
	if s.Agent == "" || strings.HasPrefix(s.Agent, "-") || strings.ContainsRune(s.Agent, 0) {
		say("DOZENS_AGENT", "agent", s.Agent, "is not a program", "write the path of the claude binary")
	}
	checkRuns(s, say)
	if s.Slots < 0 || s.Slots > 1000 {
		say("DOZENS_SLOTS", "slots", strconv.Itoa(s.Slots), "is not within 0 and 1000", "")
	}
	if err := checkURL(s.PublicURL, "http", "https"); s.PublicURL != "" && err != nil {
		say("DOZENS_PUBLIC_URL", "public_url", withoutUser(s.PublicURL), err.Error(), "write https://dozens.example.com")
	}
	s.PublicURL = strings.TrimRight(s.PublicURL, "/")
	if n := len(s.WebToken); n > 0 && n < 16 {
		say("DOZENS_WEB_TOKEN", "web_token", "", "is shorter than 16 characters", "make one with: openssl rand -hex 32")
	}
	oneOf(s.Log.Level, "DOZENS_LOG_LEVEL", "log.level", say, "trace", "debug", "info", "warn", "error")
	oneOf(s.Log.Format, "DOZENS_LOG_FORMAT", "log.format", say, "json", "console")
}

// checkEngine checks where state is kept and messages go.
func checkEngine(s *Server, say sayer) {
	if s.DataDir == "" {
		say("DOZENS_DATA_DIR", "data_dir", "", "is not set, and there is no home folder to put the data in", "name a folder")
	}
	if err := checkURL(s.DatabaseURL.Reveal(), "postgres", "postgresql"); s.DatabaseURL != "" && err != nil {
		say("DOZENS_DATABASE_URL", "database_url", "", err.Error(), "write postgres://user:password@host/name")
	}
	for u := range strings.SplitSeq(s.NATSURL.Reveal(), ",") {
		if err := checkURL(strings.TrimSpace(u), "nats", "tls", "ws", "wss"); s.NATSURL != "" && err != nil {
			say("DOZENS_NATS_URL", "nats_url", "", err.Error(), "write nats://host:4222")
			break
		}
	}
}

// sayer reports a problem of a setting by its variable or its place in the file.
type sayer func(variable, path, value, problem, hint string)

func oneOf(value, variable, path string, say sayer, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	say(variable, path, value, "is not possible here", "choose "+strings.Join(allowed, ", "))
}

// checkRuns checks how agents are confined and what they may use.
func checkRuns(s *Server, say sayer) {
	oneOf(s.Sandbox, "DOZENS_SANDBOX", "sandbox", say, Bubblewrap, NoSandbox)
	for _, p := range s.SandboxRead {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p || p == "/" || strings.ContainsRune(p, 0) {
			say("DOZENS_SANDBOX_READ", "sandbox_read", p, "is not the plain absolute path of a file or folder", "write /opt/node")
		}
	}
	atLeast := func(variable, path string, value, least int) {
		if value < least || value > 1<<30 {
			say(variable, path, strconv.Itoa(value), fmt.Sprintf("is not at least %d", least), "")
		}
	}
	if s.Run.MemoryMB != 0 {
		atLeast("DOZENS_RUN_MEMORY_MB", "run.memory_mb", s.Run.MemoryMB, 512)
	}
	atLeast("DOZENS_RUN_PROCESSES", "run.processes", s.Run.Processes, 50)
	atLeast("DOZENS_RUN_DISK_MB", "run.disk_mb", s.Run.DiskMB, 100)
	atLeast("DOZENS_RUN_FILE_MB", "run.file_mb", s.Run.FileMB, 10)
	for _, m := range s.Models {
		if _, err := path.Match(m, ""); err != nil || strings.HasPrefix(m, "-") {
			say("DOZENS_MODELS", "models", m, "is not a pattern of model names", "write claude-sonnet-*")
		}
	}
}

// github checks where GitHub is and the App's own values, and fills in what follows from the web site's address.
func (c *checks) github(g *GitHub, say sayer) {
	const hosted = "https://github.com"
	check := func(variable, path string, value *string, otherwise string) {
		*value = strings.TrimRight(*value, "/")
		if *value == "" {
			*value = otherwise // made of what has been checked already
			return
		}
		if err := checkGitHubURL(*value); err != nil {
			say(variable, path, withoutUser(*value), err.Error(), "write it like "+otherwise)
		}
	}
	check("GITHUB_WEB_URL", "github.web_url", &g.WebURL, hosted)
	v3, v4 := g.WebURL+"/api/v3", g.WebURL+"/api/graphql" // of an Enterprise Server
	if g.WebURL == hosted {
		v3, v4 = "https://api.github.com", "https://api.github.com/graphql"
	}
	check("GITHUB_V3_API_URL", "github.v3_api_url", &g.V3URL, v3)
	check("GITHUB_V4_API_URL", "github.v4_api_url", &g.V4URL, v4)
	if g.AppID <= 0 {
		say("GITHUB_APP_INTEGRATION_ID", "github.app_id", "", "is not set to the App's number", "the App's settings page shows it as App ID")
	}
	if err := checkKey(g.PrivateKey); err != nil {
		say("GITHUB_APP_PRIVATE_KEY", "github.private_key", "", err.Error(), "download one from the App's settings page")
	}
	c.webhookSecrets(g.WebhookSecrets, say)
}

func (c *checks) webhookSecrets(secrets []Secret, say sayer) {
	const variable, path = "GITHUB_APP_WEBHOOK_SECRET", "github.webhook_secrets"
	if len(secrets) == 0 {
		say(variable, path, "", "is not set; without it anybody could send webhooks", "set the same secret here and in the App's settings")
	}
	for _, s := range secrets {
		if strings.TrimSpace(s.Reveal()) == "" {
			say(variable, path, "", "holds an empty secret; with it anybody could send webhooks", "remove it")
		}
	}
}

// checkKey wants an RSA private key in PEM.
func checkKey(s Secret) error {
	if strings.TrimSpace(s.Reveal()) == "" {
		return errors.New("is not set")
	}
	block, _ := pem.Decode([]byte(s.Reveal()))
	if block == nil {
		return errors.New("is not a key in PEM")
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return errors.New("is PEM, but not a private key that can be read")
	}
	if _, ok := key.(*rsa.PrivateKey); !ok {
		return errors.New("is not an RSA key")
	}
	return nil
}

// checkURL wants an absolute URL of one of the schemes. Its errors never show the URL, which may hold a password.
func checkURL(s string, schemes ...string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return errors.New("is not a URL")
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return nil
		}
	}
	return fmt.Errorf("does not begin with %s://", strings.Join(schemes, ":// or "))
}

// checkGitHubURL wants a place that tokens may be sent to.
func checkGitHubURL(s string) error {
	if err := checkURL(s, "http", "https"); err != nil {
		return err
	}
	u, _ := url.Parse(s) // it has just been read
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("holds more than a host and a path")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("is not https; tokens would travel in the clear")
	}
	return nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// withoutUser cuts off what may be a password.
func withoutUser(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

func checkListen(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("is not an address with a port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("has no port from 0 to 65535")
	}
	return nil
}
