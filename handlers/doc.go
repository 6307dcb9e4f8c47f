// Package handlers is all that arrives over HTTP: GitHub's webhook, the web page with its live logs, health and metrics.
//
// The webhook is verified, stored through Inbox and answered; nothing is decided here. What was stored is taken up
// by package flow. The web page shows what View gives it and changes nothing.
//
// Before it: GitHub, or a browser. After it: the inbox (webhook) and the views (page), both satisfied by others.
// It must never import store, github, bus, runner or flow, never start a process, and never call GitHub. Of
// go-githubapp it uses the dispatcher of webhooks only.
package handlers
