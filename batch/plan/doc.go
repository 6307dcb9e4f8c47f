// Package plan turns a planner's output into an accepted plan, or into reasons why not.
//
// Before it: a planning run has returned units with labels, briefs and owned paths. After it: an accepted plan
// becomes tasks, so whatever this package lets through may be a branch name, a folder name and a promise that no
// two tasks change the same file. The same globs are asked again after each run, when Stray says which changes
// left the task's own paths.
//
// It is pure: no I/O, no clock, and it imports nothing of Dozens but batch and batch/work.
package plan
