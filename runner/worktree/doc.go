// Package worktree keeps a git mirror per repository and a git worktree per task, and is the only place where a
// host runs git for itself.
//
// Before it stands an order: a repository, a branch, the commit to start from and a credential for one clone
// URL. Prepare makes the worktree in which the agent then works; Look sees afterwards what is really there,
// whatever the agent says; Push brings one commit to the remote branch; Remove and Sweep clear up without
// losing what is neither merged nor pushed. Files reads a commit without a worktree.
//
// The data folder holds
//
//	mirrors/<repository id>.git   bare, full history; remote branches under refs/remotes/origin/, ours under refs/heads/
//	trees/<label>-<task>/         the worktrees
//	shadow/<label>-<task>/        with a sandbox: the agent's own git folder, which its box shows in place of the mirror
//	state/<label>-<task>/         what we know of a worktree, our own index of it, and what was taken but not let in yet
//	locks/                        one file lock per mirror and per task, inherited by our git processes
//	trash/                        renamed away, deleted in the background
//	kept/                         leftovers of removed tasks that do not fit into a commit; for a person to look at
//
// With a sandbox the agent writes the worktree and its shadow, nothing else, and both are only data to us: every git
// that reads files, objects, refs, an index or a configuration of theirs runs in a box without a network (theirs, ours
// in box.go). Commits come out as a stream of objects (take.go) that git names anew, checks one by one and lays aside;
// they are let into the mirror when they are complete and hold to our rules. Go code reads links and small files of
// theirs without leaving the folder.
//
// Without a sandbox the agent may also have written into the mirror. So our git never reads configuration other
// than the mirror's, which is put right before each use; it uses an index of its own; it is given the git folder by
// name instead of finding one; and it never runs a hook, filter, helper or program that a repository names. What an
// agent's objects and a race against one that is still alive can do remains.
//
// This package must never import store, github, bus, handlers, flow or another part of runner but the sandbox.
package worktree
