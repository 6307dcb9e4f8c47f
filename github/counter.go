package github

import (
	"maps"
	"strings"
	"sync"
)

// counter counts calls by route.
type counter struct {
	mu sync.Mutex
	n  map[string]int64
}

func newCounter() *counter { return &counter{n: map[string]int64{}} }

func (c *counter) add(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[key]++
}

func (c *counter) snapshot() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

// route replaces the variable parts of an API path by "*", so that the number of routes is bounded whatever
// owners, branches and files are called.
func route(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) > 2 && parts[0] == "api" && parts[1] == "v3" {
		parts = parts[2:]
	}
	out := make([]string, 0, len(parts))
	for i, part := range parts {
		switch {
		case i < 3 && i > 0 && parts[0] == "repos":
			part = "*"
		case !isRouteWord(part):
			part = "*"
		}
		out = append(out, part)
		if endsRoute(part) && i+1 < len(parts) {
			out = append(out, "*")
			break
		}
	}
	return "/" + strings.Join(out, "/")
}

// endsRoute recognises the words after which names of any form follow.
func endsRoute(word string) bool {
	switch word {
	case "contents", "branches", "ref", "refs", "users", "labels", "collaborators":
		return true
	}
	return false
}

func isRouteWord(word string) bool {
	switch word {
	case "repos", "repositories", "app", "installation", "installations", "access_tokens", "token", "users", "graphql", "api",
		"issues", "comments", "reactions", "labels", "pulls", "merge", "reviews", "commits", "requested_reviewers",
		"check-runs", "check-suites", "annotations", "status", "contents", "branches", "git", "ref", "refs", "collaborators",
		"hook", "deliveries", "actions", "jobs", "logs":
		return true
	}
	return false
}
