package claude

import (
	"slices"
	"strings"

	"dozens/batch/secret"
)

// always lists the variables of the host that any agent gets.
var always = []string{
	"PATH", "LANG", "LC_ALL", "TZ", "TERM",
	"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
}

// cloud says which further variables a cloud's own way to the model needs, and by which variable it is chosen.
var cloud = []struct {
	chosen   string
	prefixes []string
}{
	{"CLAUDE_CODE_USE_BEDROCK", []string{"AWS_", "CLAUDE_CODE_SKIP_BEDROCK_AUTH"}},
	{"CLAUDE_CODE_USE_VERTEX", []string{"GOOGLE_", "GCLOUD_", "CLOUD_ML_REGION", "VERTEX_REGION_", "CLAUDE_CODE_SKIP_VERTEX_AUTH"}},
	{"CLAUDE_CODE_USE_FOUNDRY", []string{"AZURE_", "CLAUDE_CODE_SKIP_FOUNDRY_AUTH"}},
}

// FromEnviron picks from the host's environment ("NAME=value") what an agent's process may see. Everything
// that is not on the list stays out: tokens, keys and settings of the host above all.
func FromEnviron(environ []string) []string {
	allowed := []string{"ANTHROPIC_", "CLAUDE_CODE_USE_"}
	for _, c := range cloud {
		if slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, c.chosen+"=") && on(v) }) {
			allowed = append(allowed, c.prefixes...)
		}
	}
	var picked []string
	for _, v := range environ {
		name, _, ok := strings.Cut(v, "=")
		prefixed := slices.ContainsFunc(allowed, func(p string) bool { return strings.HasPrefix(name, p) })
		// An administrator's key can do more than talk to a model.
		admin := strings.HasPrefix(name, "ANTHROPIC_ADMIN")
		if ok && !admin && (prefixed || slices.Contains(always, name)) {
			picked = append(picked, v)
		}
	}
	return picked
}

// on says whether a switch variable, "NAME=value", is set to something that means yes.
func on(v string) bool {
	_, value, _ := strings.Cut(v, "=")
	return value != "" && value != "0" && !strings.EqualFold(value, "false")
}

// model lists the variables that name models and nothing secret; an agent behind a meter gets them too.
var model = []string{"ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"}

// hostEnv leaves out of the host's list what this package sets itself. Behind a meter the ways to the model stay out as
// well, and in a box the host's proxies and certificates, which are of no use there.
func hostEnv(env []string, metered, boxed bool) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, ok := strings.Cut(v, "=")
		switch {
		case !ok || slices.Contains([]string{"HOME", "TMPDIR", "CLAUDE_CONFIG_DIR", marker}, name):
			return true
		case strings.HasPrefix(name, "ANTHROPIC_") || strings.HasPrefix(name, "CLAUDE_CODE_USE_") || cloudName(name):
			return metered && !slices.Contains(model, name)
		case strings.HasSuffix(strings.ToUpper(name), "_PROXY") || strings.HasPrefix(name, "SSL_CERT_") || name == "NODE_EXTRA_CA_CERTS":
			return boxed
		}
		return false
	})
}

// cloudName says whether a variable belongs to a cloud's own way to the model.
func cloudName(name string) bool {
	return slices.ContainsFunc(cloud, func(c struct {
		chosen   string
		prefixes []string
	}) bool {
		return slices.ContainsFunc(c.prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
}

// identity is the git identity of an agent's commits.
func identity(name, email string) []string {
	if name == "" {
		name = "dozens"
	}
	if email == "" {
		email = "dozens@localhost"
	}
	return []string{
		"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + email,
		"GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + email,
	}
}

// environ is the whole environment of one run.
func (d *Driver) environ(s Session, f files, doors doors) []string {
	env := slices.Clone(d.env)
	if len(s.Path) > 0 {
		env = withPath(env, s.Path)
	}
	env = append(env,
		"HOME="+s.agentHome(),
		"TMPDIR="+f.tmp,
		"CLAUDE_CODE_TMPDIR="+f.sockets(),
		marker+"="+s.RunID,
		"DISABLE_AUTOUPDATER=1",
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
		"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1",
		// What an agent writes into its home must not come back as its user's own instructions.
		"CLAUDE_CODE_DISABLE_AUTO_MEMORY=1",
		"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST=1",
		// An "@/path" in a prompt would put that file of the host, whichever it is, into the conversation.
		"CLAUDE_CODE_DISABLE_ATTACHMENTS=1",
		"CLAUDE_CODE_MAX_RETRIES=3",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
	)
	return append(env, doors.env...)
}

// withPath puts folders before PATH.
func withPath(env, folders []string) []string {
	path := strings.Join(folders, ":")
	for i, v := range env {
		if old, ok := strings.CutPrefix(v, "PATH="); ok {
			env[i] = "PATH=" + path + ":" + old
			return env
		}
	}
	return append(env, "PATH="+path)
}

// secretValues are the values of secret variables.
func secretValues(env []string) []string {
	var values []string
	for _, v := range env {
		if name, value, _ := strings.Cut(v, "="); secretName(name) {
			values = append(values, value)
		}
	}
	return values
}

// redactor takes these values, if they are not too short to be secrets, and whatever has the shape of a credential out of
// what an agent prints.
func redactor(values []string) func(string) string {
	known := secret.Known(values...)
	return func(text string) string { return secret.Redact(known.Redact(text)) }
}

// secretName says whether a variable of this name holds something that must not be shown.
func secretName(name string) bool {
	return !strings.EqualFold(name, "NO_PROXY") && slices.ContainsFunc([]string{"KEY", "TOKEN", "SECRET", "PASSWORD", "HEADERS", "CREDENTIAL", "PROXY"},
		func(part string) bool { return strings.Contains(strings.ToUpper(name), part) })
}
