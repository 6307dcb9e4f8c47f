// Package worktree keeps a git mirror per repository and a git worktree per task, and is the only place where a
// host runs git for itself.
//
// Before it stands an order: a repository, a branch, the commit to start from and a credential for one clone
// URL. Prepare makes the worktree in which the agent then works; Look sees afterwards what is really there,
// whatever the agent says; Push brings one commit to the remote branch; Remove and Sweep clear up without
// losing what is neither merged nor pushed.
//
// The data folder holds
//
//	mirrors/<repository id>.git   bare, full history; remote branches under refs/remotes/origin/, ours under refs/heads/
//	trees/<label>-<task>/         the worktrees: all an agent sees
//	state/<label>-<task>/         what we know of a worktree, and our own index of it; no agent writes here
//	locks/                        one file lock per mirror and per task, inherited by our git processes
//	trash/                        renamed away, deleted in the background
//	kept/                         leftovers of removed tasks that do not fit into a commit; for a person to look at
//
// An agent may have written into its worktree and, without a sandbox, into the mirror. So our git never reads
// configuration other than the mirror's, which is put right before each use; it uses an index of its own; it
// is given the git folder by name instead of finding one; and it never runs a hook, filter, helper or program
// that a repository names. A race against an agent that is still alive remains; only a sandbox closes it.
//
// This package must never import store, github, bus, handlers, flow or another part of runner.
package worktree
