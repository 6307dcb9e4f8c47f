package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"gopkg.in/yaml.v3"
)

// testKey makes one RSA key for all tests; making them is slow.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func keyText() string { return pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(testKey())) }

// good is the smallest environment that is accepted, with changes.
func good(changes map[string]string) func(string) string {
	env := map[string]string{
		"GITHUB_APP_INTEGRATION_ID": "12", "GITHUB_APP_WEBHOOK_SECRET": "hush-hush", "GITHUB_APP_PRIVATE_KEY": keyText(),
		"XDG_STATE_HOME": "/state",
	}
	maps.Copy(env, changes)
	return func(name string) string { return env[name] }
}

func TestServerDefaults(t *testing.T) {
	t.Parallel()
	got, err := FromEnviron(good(nil), nil)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	want := Server{
		GitHub: GitHub{
			WebURL: "https://github.com", V3URL: "https://api.github.com", V4URL: "https://api.github.com/graphql", AppID: 12,
			PrivateKey: Secret(keyText()), WebhookSecrets: []Secret{"hush-hush"},
		},
		Listen: "127.0.0.1:8080", DataDir: "/state/dozens", Agent: "claude", Sandbox: "bwrap", Slots: 3, Log: Log{"info", "json"},
		Run: Run{Processes: 1000, DiskMB: 10_000, FileMB: 2_000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings, want - got +:\n%s", diff)
	}
}

func TestEnvironmentOverFile(t *testing.T) {
	t.Parallel()
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(keyFile, []byte(keyText()), 0o600); err != nil {
		t.Fatalf("write key: %v", err)
	}
	file := fmt.Sprintf(`
github: {web_url: "https://git.example.com/", app_id: 5, private_key_file: %q, webhook_secrets: [from-file]}
listen: ":9000"
slots: 7
sandbox: none
sandbox_read: [/opt/node]
run: {memory_mb: 2048, processes: 99}
models: [claude-a, "claude-b-*"]
public_url: https://dozens.example.com/
log: {level: debug}
`, keyFile)
	got, err := FromEnviron(good(map[string]string{
		"GITHUB_APP_PRIVATE_KEY": "", "GITHUB_APP_WEBHOOK_SECRET": "", "GITHUB_APP_WEBHOOK_SECRETS": "one, two\nthree",
		"DOZENS_SLOTS": "0", "DOZENS_LOG_FORMAT": "console", "DOZENS_DATABASE_URL": "postgres://u:p@db/dozens", "DOZENS_NATS_URL": "nats://a:4222, tls://b",
		"DOZENS_DATA_DIR": "/data/", "DOZENS_WEB_TOKEN": "0123456789abcdef", "DOZENS_SANDBOX": "",
		"DOZENS_SANDBOX_READ": "/a b: /c:", "DOZENS_RUN_MEMORY_MB": "4096", "DOZENS_MODELS": "claude-c", "DOZENS_KEY_HELPER": "pass show key",
	}), []byte(file))
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	want := Server{
		GitHub: GitHub{
			WebURL: "https://git.example.com", V3URL: "https://git.example.com/api/v3", V4URL: "https://git.example.com/api/graphql", AppID: 12,
			PrivateKey: Secret(keyText()), PrivateKeyFile: keyFile, WebhookSecrets: []Secret{"one", "two", "three"},
		},
		Listen: ":9000", DataDir: "/data", DatabaseURL: "postgres://u:p@db/dozens", NATSURL: "nats://a:4222, tls://b", Agent: "claude", Sandbox: "none",
		SandboxRead: []string{"/a b", "/c"}, Run: Run{MemoryMB: 4096, Processes: 99, DiskMB: 10_000, FileMB: 2_000}, Models: []string{"claude-c"},
		KeyHelper: "pass show key", PublicURL: "https://dozens.example.com", WebToken: "0123456789abcdef", Log: Log{"debug", "console"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings, want - got +:\n%s", diff)
	}
}

func TestKeysThatWork(t *testing.T) {
	t.Parallel()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(testKey())
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	for name, key := range map[string]string{
		"on one line": strings.ReplaceAll(keyText(), "\n", `\n`), "pkcs8": pemOf("PRIVATE KEY", pkcs8), "spaces around": "\n " + keyText() + "\n",
	} {
		if _, err := FromEnviron(good(map[string]string{"GITHUB_APP_PRIVATE_KEY": key}), nil); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
	got, err := FromEnviron(good(map[string]string{"GITHUB_APP_WEBHOOK_SECRETS": "old"}), nil)
	if diff := cmp.Diff([]Secret{"hush-hush", "old"}, got.GitHub.WebhookSecrets); err != nil || diff != "" {
		t.Errorf("both secrets (%v), want - got +:\n%s", err, diff)
	}
}

func TestServerProblems(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make key: %v", err)
	}
	ecDER, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatalf("write: %v", err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"GITHUB_APP_INTEGRATION_ID", "", "GITHUB_APP_INTEGRATION_ID: is not set to the App's number"},
		{"GITHUB_APP_INTEGRATION_ID", "x", `GITHUB_APP_INTEGRATION_ID: "x" is not a whole number`},
		{"GITHUB_APP_INTEGRATION_ID", "-1", "GITHUB_APP_INTEGRATION_ID: is not set"},
		{"GITHUB_APP_WEBHOOK_SECRET", "", "GITHUB_APP_WEBHOOK_SECRET: is not set"},
		{"GITHUB_APP_WEBHOOK_SECRET", "  ", "GITHUB_APP_WEBHOOK_SECRET: is not set"},
		{"GITHUB_APP_WEBHOOK_SECRET_FILE", empty, "GITHUB_APP_WEBHOOK_SECRET_FILE: "},
		{"GITHUB_APP_PRIVATE_KEY", "", "GITHUB_APP_PRIVATE_KEY: is not set"},
		{"GITHUB_APP_PRIVATE_KEY", "geheim", "GITHUB_APP_PRIVATE_KEY: is not a key in PEM"},
		{"GITHUB_APP_PRIVATE_KEY", pemOf("RSA PRIVATE KEY", []byte("geheim")), "not a private key that can be read"},
		{"GITHUB_APP_PRIVATE_KEY", pemOf("PRIVATE KEY", ecDER), "is not an RSA key"},
		{"GITHUB_APP_PRIVATE_KEY_FILE", "/nowhere/key", "and so is GITHUB_APP_PRIVATE_KEY_FILE"},
		{"GITHUB_WEB_URL", "github.com", `GITHUB_WEB_URL: "github.com" is not a URL`},
		{"GITHUB_WEB_URL", "ftp://github.com", "does not begin with http:// or https://"},
		{"GITHUB_WEB_URL", "http://git.example.com", "is not https"},
		{"GITHUB_V3_API_URL", "https://u:geheim@git.example.com", "holds more than a host and a path"},
		{"GITHUB_V4_API_URL", "https://git.example.com?a=b", "holds more than a host and a path"},
		{"DOZENS_LISTEN", "8080", "DOZENS_LISTEN: \"8080\" is not an address with a port"},
		{"DOZENS_LISTEN", "127.0.0.1:99999", "has no port"},
		{"DOZENS_DATABASE_URL", "mysql://u:geheim@db/x", "DOZENS_DATABASE_URL: does not begin with postgres://"},
		{"DOZENS_DATABASE_URL", "postgres://u:geheim%zz@db/x", "DOZENS_DATABASE_URL: is not a URL"},
		{"DOZENS_NATS_URL", "nats://a:4222,geheim", "DOZENS_NATS_URL: is not a URL"},
		{"DOZENS_AGENT", "--help", "is not a program"},
		{"DOZENS_SANDBOX", "firejail", `DOZENS_SANDBOX: "firejail" is not possible here; choose bwrap, none`},
		{"DOZENS_SANDBOX_READ", "/opt:opt", `DOZENS_SANDBOX_READ: "opt" is not the plain absolute path`},
		{"DOZENS_SANDBOX_READ", "/opt/../root", "DOZENS_SANDBOX_READ"},
		{"DOZENS_RUN_MEMORY_MB", "5", `DOZENS_RUN_MEMORY_MB: "5" is not at least 512`},
		{"DOZENS_RUN_PROCESSES", "many", "DOZENS_RUN_PROCESSES"},
		{"DOZENS_MODELS", "claude-[", `DOZENS_MODELS: "claude-[" is not a pattern`},
		{"DOZENS_SLOTS", "1001", "is not within 0 and 1000"},
		{"DOZENS_SLOTS", "three", "is not a whole number"},
		{"DOZENS_PUBLIC_URL", "dozens", "is not a URL"},
		{"DOZENS_WEB_TOKEN", "geheim", "is shorter than 16"},
		{"DOZENS_LOG_LEVEL", "loud", "choose trace, debug"},
		{"DOZENS_LOG_FORMAT", "xml", "choose json, console"},
	} {
		_, err := FromEnviron(good(map[string]string{c.name: c.value}), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%.30q: got %v, want %q", c.name, c.value, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error shows a secret: %v", c.name, err)
		}
		if n := strings.Count(err.Error(), "\n"); n > 0 {
			t.Errorf("%s=%.30q: got %d problems, want one:\n%v", c.name, c.value, n+1, err)
		}
	}
}

func TestNothingSetNamesEverything(t *testing.T) {
	t.Parallel()
	_, err := FromEnviron(func(string) string { return "" }, []byte("slots: x\nlisten: y\nmystery: 1\ngithub: {webhook_secrets: ['']}"))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	text := err.Error()
	for _, want := range []string{
		"GITHUB_APP_INTEGRATION_ID", "GITHUB_APP_PRIVATE_KEY", `slots (line 1): "x"`, `listen (line 2): "y"`, "mystery (line 3)",
		"github.webhook_secrets (line 4): holds an empty secret",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got no problem with %q in:\n%s", want, text)
		}
	}
}

func TestLoopbackMayBePlain(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1:9000", "localhost:9000", "[::1]:9000"} {
		if _, err := FromEnviron(good(map[string]string{"GITHUB_WEB_URL": "http://" + host}), nil); err != nil {
			t.Errorf("http://%s: got %v, want no error", host, err)
		}
	}
}

func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	s, err := FromEnviron(good(map[string]string{"DOZENS_DATABASE_URL": "postgres://u:hush-hush@db/x", "DOZENS_WEB_TOKEN": "hush-hush-hush-hush"}), nil)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	js, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	ym, err := yaml.Marshal(s)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	var log bytes.Buffer
	logger := zerolog.New(&log)
	logger.Info().Interface("settings", s).Stringer("secret", s.WebToken).Any("key", s.GitHub.PrivateKey).Msg("read")
	shown := []string{string(js), string(ym), log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, s.WebToken))
	}
	for _, text := range shown {
		hex := fmt.Sprintf("%x", "hush")
		if strings.Contains(text, "hush") || strings.Contains(text, "PRIVATE KEY") || strings.Contains(strings.ToLower(text), hex) {
			t.Errorf("a secret shows in %.200s", text)
		}
	}
	if got := s.WebToken.Reveal(); got != "hush-hush-hush-hush" {
		t.Errorf("reveal: got %q", got)
	}
}
