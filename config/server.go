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
	// How agents are confined: bwrap (bubblewrap), or none: they then run with the rights, files and network of this user,
	// and every status says so. DOZENS_SANDBOX.
	Sandbox string `yaml:"sandbox"`
	// Files and folders that agents may read in the sandbox beside the system's own, such as /opt/node or a cache of
	// packages; tools in them are found when they are in PATH. DOZENS_SANDBOX_READ, with colons between.
	SandboxRead []string `yaml:"sandbox_read"`
	// What one run of an agent may use of this machine.
	Run Run `yaml:"run"`
	// Runs at the same time on the embedded host, 0 to 1000; 0: this server runs no agents itself. DOZENS_SLOTS.
	Slots int `yaml:"slots"`
	// Shell command of the operator that prints the key of the model's API, instead of ANTHROPIC_API_KEY. DOZENS_KEY_HELPER.
	KeyHelper string `yaml:"key_helper"`
	// Models that agents may use, as globs such as claude-sonnet-*. Empty: all. DOZENS_MODELS, with commas between.
	Models []string `yaml:"models"`
	// File with prices of models over the built-in ones. DOZENS_PRICES.
	Prices string `yaml:"prices"`
	// Where people reach the web page, for links in comments, without a slash at the end. Empty: no links. DOZENS_PUBLIC_URL.
	PublicURL string `yaml:"public_url"`
	// Opens the web page to those who know it, at least 16 characters. Empty: only on loopback. DOZENS_WEB_TOKEN.
	WebToken Secret `yaml:"web_token"`
	// What is logged.
	Log Log `yaml:"log"`
}

// Run bounds what one run may use of the machine it runs on; the sandbox holds it.
type Run struct {
	// Memory of all its processes together, in MB. 0: four fifths of the machine's, shared by the slots. DOZENS_RUN_MEMORY_MB.
	MemoryMB int `yaml:"memory_mb"`
	// Processes and threads at the same time. DOZENS_RUN_PROCESSES.
	Processes int `yaml:"processes"`
	// Disk space by which its worktree, home and git objects may grow together, in MB. DOZENS_RUN_DISK_MB.
	DiskMB int `yaml:"disk_mb"`
	// Size of one file, in MB. DOZENS_RUN_FILE_MB.
	FileMB int `yaml:"file_mb"`
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

// DefaultServer is what holds where nothing is said; without an App it is not complete.
func DefaultServer() Server {
	return Server{
		Listen: "127.0.0.1:8080", Agent: "claude", Sandbox: Bubblewrap, Slots: 3, Log: Log{Level: "info", Format: "json"},
		Run: Run{Processes: 1000, DiskMB: 10_000, FileMB: 2_000},
	}
}

// The ways to confine agents.
const (
	Bubblewrap = "bwrap"
	NoSandbox  = "none"
)

// FromEnviron reads the server's settings: the defaults, over them the file (dozens.yml; may be empty), over them
// the environment. An empty variable counts as unset, except that an empty webhook secret is an error. A file that
// a setting names is read. The error is an *Error with every problem; the settings are then not to be used.
func FromEnviron(getenv func(string) string, file []byte) (Server, error) {
	s := DefaultServer()
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
