// Package gate decides about one pull request at one head commit: merge it, wait, have it mended, or ask a person,
// and says why in full.
//
// Before it: the caller has read all facts from GitHub. After it: the caller acts on the verdict, and pins the
// verdict's head when it merges. A fact that is missing never lets anything through.
//
// It is pure: no I/O, no clock, and it imports nothing of Dozens.
package gate
