// Package meter is the host's one door to the model: it holds the real credential, the prices, and the pause that all
// sessions share.
//
// Before it stands a listener (a Unix socket that is bound into one session's sandbox) and a budget; after it stands the
// Messages API or a gateway that speaks the same. A session knows only a token that is worth nothing elsewhere. The meter
// puts the real credential in, passes nothing but the Messages API's two paths and bodies that it has read and checked,
// streams the answer without holding it back, counts every usage block, refuses once the budget is used up, and turns
// rate limits, overload and usage limits into one pause instead of a storm of retries.
//
// The other side of the listener is hostile: an agent, and all that an issue text can make of it. See check.go for what a
// request may ask for, and header.go for what of it goes further.
//
// This package must never import store, github, bus, handlers, flow or another part of runner.
package meter
