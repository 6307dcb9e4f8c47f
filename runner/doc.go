// Package runner is the host: it takes work, prepares it, runs it, reports it, and drains.
//
// Before it the wire brings offers; after it the server decides what a report means. In between, worktree
// gives each task its files and looks at what became of them, and claude runs the agent. The runner knows
// nothing of SQL, of GitHub's API or of the App's key, and must never import store, github, bus, handlers
// or flow; the wire comes as the interface Server.
//
// An offer becomes work only when the server answers its claim with "go": the answer holds the order and
// the git token, which stays in memory. Every piece of work is noted in the journal on disk when it begins
// and, with its report, when it ends. So after a crash the host knows what it held (lost: the server is told
// at once, leftover processes are ended) and what it finished (the report is sent, the work not done twice).
//
// Two contexts, because stopping the host does not mean dropping the work: when Run's context ends, the host
// takes nothing new and stops the agents; a second one lives on until everything is looked at and reported.
package runner
