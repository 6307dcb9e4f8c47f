package config

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode"
)

// environ reads variables over the settings of the file.
type environ struct {
	getenv   func(string) string
	problems *problems
	from     map[string]string // place in the file → variable that overrode it
}

// name says what to call a setting in a complaint: the variable if it came from there, the place in the file if it
// stands there, else the variable, because that is how most people would set it.
func (e *environ) name(variable, path string, lines map[string]int) (string, int) {
	if e.from[path] == "" && lines[path] > 0 {
		return path, lines[path]
	}
	return variable, 0
}

func (e *environ) read(s *Server) {
	e.set("GITHUB_WEB_URL", "github.web_url", &s.GitHub.WebURL)
	e.set("GITHUB_V3_API_URL", "github.v3_api_url", &s.GitHub.V3URL)
	e.set("GITHUB_V4_API_URL", "github.v4_api_url", &s.GitHub.V4URL)
	e.set("GITHUB_APP_INTEGRATION_ID", "github.app_id", &s.GitHub.AppID)
	e.key(s)
	e.secrets(s)
	e.set("DOZENS_LISTEN", "listen", &s.Listen)
	e.set("DOZENS_DATA_DIR", "data_dir", &s.DataDir)
	e.set("DOZENS_DATABASE_URL", "database_url", &s.DatabaseURL)
	e.set("DOZENS_NATS_URL", "nats_url", &s.NATSURL)
	e.set("DOZENS_AGENT", "agent", &s.Agent)
	e.set("DOZENS_SANDBOX", "sandbox", &s.Sandbox)
	e.list("DOZENS_SANDBOX_READ", "sandbox_read", ":", &s.SandboxRead)
	e.set("DOZENS_RUN_MEMORY_MB", "run.memory_mb", &s.Run.MemoryMB)
	e.set("DOZENS_RUN_PROCESSES", "run.processes", &s.Run.Processes)
	e.set("DOZENS_RUN_DISK_MB", "run.disk_mb", &s.Run.DiskMB)
	e.set("DOZENS_RUN_FILE_MB", "run.file_mb", &s.Run.FileMB)
	e.set("DOZENS_SLOTS", "slots", &s.Slots)
	e.set("DOZENS_KEY_HELPER", "key_helper", &s.KeyHelper)
	e.list("DOZENS_MODELS", "models", ",", &s.Models)
	e.set("DOZENS_PRICES", "prices", &s.Prices)
	e.set("DOZENS_PUBLIC_URL", "public_url", &s.PublicURL)
	e.set("DOZENS_WEB_TOKEN", "web_token", &s.WebToken)
	e.set("DOZENS_LOG_LEVEL", "log.level", &s.Log.Level)
	e.set("DOZENS_LOG_FORMAT", "log.format", &s.Log.Format)
	if s.DataDir == "" {
		s.DataDir = e.stateDir()
	}
	if abs, err := filepath.Abs(s.DataDir); err == nil && s.DataDir != "" {
		s.DataDir = abs
	}
}

// set writes a variable into a setting, if it is there; to points to the setting.
func (e *environ) set(variable, path string, to any) {
	text := strings.TrimSpace(e.getenv(variable))
	if text == "" {
		return
	}
	e.from[path] = variable
	v := reflect.ValueOf(to).Elem()
	if problem, hint := setScalar(v, text); problem != "" {
		if v.Type() == reflect.TypeFor[Secret]() {
			text = ""
		}
		e.problems.add(variable, 0, text, problem, hint)
		e.from[path] = unreadable
	}
}

// list writes a variable with several values into a setting, if it is there.
func (e *environ) list(variable, path, apart string, to *[]string) {
	text := strings.TrimSpace(e.getenv(variable))
	if text == "" {
		return
	}
	e.from[path] = variable
	*to = nil
	for v := range strings.SplitSeq(text, apart) {
		if v = strings.TrimSpace(v); v != "" {
			*to = append(*to, v)
		}
	}
}

// unreadable marks a variable that has been complained about.
const unreadable = "unreadable"

// key reads the private key from where the environment says, or from the file that the settings name.
func (e *environ) key(s *Server) {
	const variable, path = "GITHUB_APP_PRIVATE_KEY", "github.private_key"
	inline, file := e.getenv(variable), e.getenv(variable+"_FILE")
	switch {
	case inline != "" && file != "":
		e.problems.add(variable, 0, "", "is set, and so is "+variable+"_FILE", "keep one of them")
		e.from[path] = unreadable
		return
	case inline != "":
		s.GitHub.PrivateKey, s.GitHub.PrivateKeyFile = Secret(inline), ""
		e.from[path] = variable
	case file != "":
		s.GitHub.PrivateKey, s.GitHub.PrivateKeyFile = "", file
		e.from[path] = variable + "_FILE"
	}
	if s.GitHub.PrivateKeyFile != "" {
		s.GitHub.PrivateKey = e.file(variable+"_FILE", path, s.GitHub.PrivateKeyFile)
	}
	// Many ways of setting a variable keep it on one line.
	if text := strings.TrimSpace(strings.ReplaceAll(s.GitHub.PrivateKey.Reveal(), `\n`, "\n")); text != "" {
		s.GitHub.PrivateKey = Secret(text + "\n")
	}
}

// secrets reads the secrets of webhooks. Those of the environment replace those of the file.
func (e *environ) secrets(s *Server) {
	const one, more, path = "GITHUB_APP_WEBHOOK_SECRET", "GITHUB_APP_WEBHOOK_SECRETS", "github.webhook_secrets"
	found := []Secret{}
	if v := strings.TrimSpace(e.getenv(one)); v != "" {
		found = append(found, Secret(v))
	}
	if name := e.getenv(one + "_FILE"); name != "" {
		if v := strings.TrimSpace(e.file(one+"_FILE", path, name).Reveal()); v != "" {
			found = append(found, Secret(v))
		}
	}
	apart := func(r rune) bool { return r == ',' || unicode.IsSpace(r) }
	for v := range strings.FieldsFuncSeq(e.getenv(more), apart) {
		found = append(found, Secret(v))
	}
	if len(found) > 0 {
		s.GitHub.WebhookSecrets = found
		e.from[path] = one
	}
}

// file reads a file with a secret; a problem leaves it empty and is told once.
func (e *environ) file(variable, path, name string) Secret {
	f, err := os.Open(name)
	if err != nil {
		e.problems.add(variable, 0, name, "cannot be opened", err.Error())
		e.from[path] = unreadable
		return ""
	}
	defer func() { _ = f.Close() }() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, fileMax))
	if err != nil {
		e.problems.add(variable, 0, name, "cannot be read", err.Error())
		e.from[path] = unreadable
	} else if strings.TrimSpace(string(b)) == "" {
		e.problems.add(variable, 0, name, "is empty", "")
		e.from[path] = unreadable
	}
	return Secret(b)
}

// stateDir is the folder where programs of this user keep their state; "" when there is none.
func (e *environ) stateDir() string {
	if dir := e.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dozens")
	}
	if os.Geteuid() == 0 {
		return "/var/lib/dozens"
	}
	if home := e.getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "dozens")
	}
	return ""
}
