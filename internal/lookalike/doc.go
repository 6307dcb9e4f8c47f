// Package lookalike is a GitHub to test and to show things with: stateful, over HTTP, with git behind it.
//
// It looks from outside as a GitHub Enterprise Server does: REST at /api/v3/, GraphQL at /api/graphql, git's smart
// HTTP at /OWNER/NAME.git, plain web pages at /, and signed webhooks sent to one App. Each repository is a
// real bare git repository; merges, conflicts and comparisons are git's own. It is not shaped to any client:
// with Options.Validate every request and answer is held against GitHub's published OpenAPI document
// (folder openapi), every GraphQL query against its published schema (folder graphql).
//
// A test or the demo drives it through Go: people open issues, label, comment, review and push
// (Repo, Issue, Pull), actors play CI and reviewers (CI, Reviewer), and faults are put in its way
// (Intercept, Lose, Double, Shuffle, NullMergeable…). State is read back by value for assertions.
//
// How a request travels: server.go → call.go (who asks, intercepts, validation, ETag) → the route's handler
// (issues.go, pulls.go, merge.go, checks.go …) → state under one lock → events put into the queue of
// hooks.go, which sends them in order.
//
// Locks: a repository's git lock is taken before the state lock, never after it, and no process is started
// under the state lock.
//
// It must never import a room of the product: what it tests must not be what it is made of.
package lookalike
