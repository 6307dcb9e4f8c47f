// Package scripted is an agent that speaks the language of the claude program, as far as Dozens listens to it,
// but follows a script instead of a model. It really edits files, runs commands and commits.
//
// It serves the demo, where it works without an account, and tests, where it does what no real agent can be
// asked to do reliably: hang, crash, print garbage, leave processes behind. It keeps its conversation where
// claude keeps it, so that a session is resumed by the same rules.
//
// A script is named by the environment variable SCRIPTED_AGENT; see Script. Without one it does the demo's work:
// see Migration. The package must not be imported outside of cmd/bot, internal/ and tests.
package scripted
