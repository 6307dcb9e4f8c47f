package worktree

import (
	"os"
	"path/filepath"
)

// settings overrule whatever a configuration might say that starts programs or leaves our folders. There is no
// system or global configuration, and the mirror's own is ours, so this is the second wall.
func settings() []string {
	return []string{
		"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.sshCommand=false", "core.askPass=", "core.gitProxy=",
		"core.attributesFile=/dev/null", "core.excludesFile=/dev/null", "core.commitGraph=false", "core.multiPackIndex=false",
		"core.protectHFS=true", "core.protectNTFS=true", "core.logAllRefUpdates=false", "core.bigFileThreshold=64m",
		"core.sparseCheckout=false", "core.splitIndex=false", "core.untrackedCache=false", "core.quotePath=false",
		"credential.helper=", "credential.useHttpPath=true", "protocol.allow=never",
		"http.followRedirects=false", "http.lowSpeedLimit=1", "http.lowSpeedTime=300",
		"gc.auto=0", "maintenance.auto=false", "commit.gpgSign=false", "push.gpgSign=false",
		"submodule.recurse=false", "fetch.recurseSubmodules=false", "push.recurseSubmodules=no", "push.followTags=false",
		"transfer.fsckObjects=true", "advice.detachedHead=false", "advice.graftFileDeprecated=false", "user.useConfigOnly=true",
		// Faults of old tools that are found in the history of sound repositories, and that harm nobody.
		"fetch.fsck.zeroPaddedFilemode=ignore", "fetch.fsck.badTimezone=ignore", "fetch.fsck.missingSpaceBeforeDate=ignore",
		"fetch.fsck.missingSpaceBeforeEmail=ignore", "fetch.fsck.missingNameBeforeEmail=ignore", "fetch.fsck.badEmail=ignore",
		"fetch.fsck.missingEmail=ignore", "fetch.fsck.badDate=ignore", "fetch.fsck.badDateOverflow=ignore",
	}
}

// passed are the variables of our own environment that git may see: where programs are, and for calls to a
// server how this machine reaches it.
func passed(network bool) []string {
	names := []string{"PATH", "TMPDIR"}
	if network {
		names = append(names, "http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY",
			"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "CURL_CA_BUNDLE")
	}
	var env []string
	for _, n := range names {
		if v, ok := os.LookupEnv(n); ok {
			env = append(env, n+"="+v)
		}
	}
	return env
}

func (t *Trees) environment(c call) []string {
	env := append(passed(c.remote != nil), "HOME="+filepath.Join(t.dir, "home"))
	if c.box != nil {
		env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/tmp"}
	}
	env = append(env, "LC_ALL=C", "LANGUAGE=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_EDITOR=false", "GIT_PAGER=cat",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_LITERAL_PATHSPECS=1",
		"GIT_GRAFT_FILE=/dev/null", "GIT_DIR="+c.gitDir)
	allowed := "none"
	if c.remote != nil {
		allowed = c.remote.url.Scheme
	}
	env = append(env, "GIT_ALLOW_PROTOCOL="+allowed)
	if c.common != "" {
		env = append(env, "GIT_COMMON_DIR="+c.common)
	}
	if c.tree != "" {
		env = append(env, "GIT_WORK_TREE="+c.tree)
	}
	if c.index != "" {
		env = append(env, "GIT_INDEX_FILE="+c.index)
	}
	return append(env, c.env...)
}

func (t *Trees) arguments(c call) []string {
	args := []string{"--no-pager", "--no-replace-objects"}
	for _, s := range settings() {
		args = append(args, "-c", s)
	}
	if c.remote != nil && c.remote.helper != "" {
		args = append(args, "-c", "credential.helper="+c.remote.helper)
	}
	return append(args, c.args...)
}
