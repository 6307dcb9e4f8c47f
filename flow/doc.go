// Package flow is the corridor between the rooms: load, decide, save, act.
//
// Everything that arrives (a stored delivery, a host's claim or report, a job that is due, the sweep) becomes
// a signal to a task. One transaction saves what task.Next decided, the audit event, and the jobs that will
// act; the jobs act afterwards, and may act twice. One file per effect. Only cmd/bot imports this package.
package flow
