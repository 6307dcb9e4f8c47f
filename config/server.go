package config

import (
	"reflect"
)

// Server is the settings of bot serve.
type Server struct {
	// The GitHub instance and the App's own values.
	GitHub GitHub `yaml:"github"`
	// Address the HTTP server listens on. DOZENS_LISTEN.
	Listen string `yaml:"listen"`
	// Folder for the database, mirrors, worktrees and logs, made absolute. Default: $XDG_STATE_HOME/dozens; without it
	// /var/lib/dozens for root and ~/.local/state/dozens for others. DOZENS_DATA_DIR.
	DataDir string `yaml:"data_dir"`
	// PostgreSQL instead of SQLite in the data folder: postgres://user:password@host/name. DOZENS_DATABASE_URL.
	DatabaseURL Secret `yaml:"database_url"`
	// NATS server instead of the embedded one; several with commas between. DOZENS_NATS_URL.
	NATSURL Secret `yaml:"nats_url"`
	// The claude binary: a path, or a name that is looked up in PATH. DOZENS_AGENT.
	Agent string `yaml:"agent"`
	// How agents are confined. Only none is there, and must be said. DOZENS_SANDBOX.
	Sandbox string `yaml:"sandbox"`
	// Runs at the same time on the embedded host, 0 to 1000; 0: this server runs no agents itself. DOZENS_SLOTS.
	Slots int `yaml:"slots"`
	// Where people reach the web page, for links in comments, without a slash at the end. Empty: no links. DOZENS_PUBLIC_URL.
	PublicURL string `yaml:"public_url"`
	// Opens the web page to those who know it, at least 16 characters. Empty: only on loopback. DOZENS_WEB_TOKEN.
	WebToken Secret `yaml:"web_token"`
	// What is logged.
	Log Log `yaml:"log"`
}

// GitHub is where GitHub is and which App we are there. The URLs have no slash at the end.
type GitHub struct {
	// Address of the web site. GITHUB_WEB_URL.
	WebURL string `yaml:"web_url"`
	// Address of the REST API. Default: that of the web site. GITHUB_V3_API_URL.
	V3URL string `yaml:"v3_api_url"`
	// Address of the GraphQL API. Default: that of the web site. GITHUB_V4_API_URL.
	V4URL string `yaml:"v4_api_url"`
	// The App's number. GITHUB_APP_INTEGRATION_ID.
	AppID int64 `yaml:"app_id"`
	// The App's private key as PEM text; the variable may hold \n for line ends. GITHUB_APP_PRIVATE_KEY.
	PrivateKey Secret `yaml:"private_key"`
	// File with the private key, instead of the key itself. GITHUB_APP_PRIVATE_KEY_FILE.
	PrivateKeyFile string `yaml:"private_key_file"`
	// Secrets that a webhook may be signed with; several while one is being replaced. GITHUB_APP_WEBHOOK_SECRET holds one,
	// GITHUB_APP_WEBHOOK_SECRETS more of them, with commas or spaces between.
	WebhookSecrets []Secret `yaml:"webhook_secrets"`
}

// Log says what is logged, and how.
type Log struct {
	// trace, debug, info, warn or error. DOZENS_LOG_LEVEL.
	Level string `yaml:"level"`
	// json, or console for people. DOZENS_LOG_FORMAT.
	Format string `yaml:"format"`
}

// FromEnviron reads the server's settings: the defaults, over them the file (dozens.yml; may be empty), over them
// the environment. An empty variable counts as unset, except that an empty webhook secret is an error. A file that
// a setting names is read. The error is an *Error with every problem; the settings are then not to be used.
func FromEnviron(getenv func(string) string, file []byte) (Server, error) {
	s := Server{Listen: "127.0.0.1:8080", Agent: "claude", Slots: 3, Log: Log{Level: "info", Format: "json"}}
	p := problems{}
	f := filler{problems: &p, lines: map[string]int{}}
	if n := parse(file, "dozens.yml", &p); n != nil {
		f.fill(n, reflect.ValueOf(&s).Elem(), "")
	}
	e := environ{getenv: getenv, problems: &p, from: map[string]string{}}
	e.read(&s)
	c := checks{problems: &p, lines: f.lines}
	c.server(&s, &e)
	if err := p.err(); err != nil {
		return Server{}, err
	}
	return s, nil
}
