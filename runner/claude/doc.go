// Package claude drives one run of the Claude Code program: arguments and prompt in, a stream of lines while it
// works, one checked result out.
//
// Before it the host has prepared a worktree and holds an order; after it the host looks at git itself, because
// what an agent says about its work is only a claim. A session outlives its runs: its conversation lies in the
// session home, and a later run with the same home goes on with it.
//
// The program runs in a box of package sandbox, and reaches its model through a session of package meter, whose count is
// what a run costs. Without a box it is found by its process group and by a mark in its environment, see Reap; a process
// that leaves both behind on purpose escapes.
//
// The agent gets an environment made from nothing but the list in Options.Env and what this package sets, and settings that belong to the host, never the repository's own.
//
// This package must never import store, github, bus, handlers, flow or anything that knows of them.
package claude
