package lookalike

import (
	"time"

	"github.com/rs/zerolog"
)

// Options say how to start a look-alike. Only Dir is needed.
type Options struct {
	Dir         string            // folder for the bare repositories; must exist, is not removed
	Addr        string            // host:port to listen on; "" is 127.0.0.1:0
	AppSlug     string            // "" is "dozens"; the App acts as "<slug>[bot]"
	AppOwner    string            // account that owns the App; "" is "acme"
	Permissions map[string]string // what the App is granted; nil is DefaultPermissions
	Events      []string          // what the App subscribes to; nil is DefaultEvents
	Validate    bool              // hold all traffic against GitHub's OpenAPI document; see Violations
	Now         func() time.Time  // nil is time.Now
	CI          CI                // plays CI for every repository; nil is none
	Reviewer    Reviewer          // plays a reviewer for every repository; nil is none
	Log         zerolog.Logger    // the zero logger is silent
}

// DefaultPermissions are the App's permissions unless Options say otherwise. Note what is missing:
// without "workflows" no workflow file can be pushed or merged.
func DefaultPermissions() map[string]string {
	return map[string]string{
		"metadata": "read", "contents": "write", "issues": "write", "pull_requests": "write",
		"checks": "write", "statuses": "read", "actions": "read",
	}
}

// DefaultEvents are the App's subscriptions unless Options say otherwise. installation and
// installation_repositories are always sent.
func DefaultEvents() []string {
	return []string{
		"issues", "issue_comment", "label", "pull_request", "pull_request_review", "pull_request_review_comment",
		"pull_request_review_thread", "check_run", "check_suite", "status", "workflow_run", "push", "repository",
	}
}

func (o Options) filled() Options {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.AppSlug == "" {
		o.AppSlug = "dozens"
	}
	if o.AppOwner == "" {
		o.AppOwner = "acme"
	}
	if o.Permissions == nil {
		o.Permissions = DefaultPermissions()
	}
	if o.Events == nil {
		o.Events = DefaultEvents()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
