// Package bus is the wire between the server and its hosts: work, claims, heartbeats, reports, logs, cancels.
//
// Before it stands flow, which decides what may run now; after it stands runner, which carries it out.
// The wire decides nothing and owns nothing: SQL is the truth, and what is kept here can be rebuilt from it.
// It must never import store, github, handlers or runner.
//
// The engine is NATS JetStream: embedded in the process by default (no listener unless asked), an external
// server or cluster by URL. A host's connection is the same in both cases.
//
//	subject                  kept in   who → who        what
//	run.pool.<kind>          RUNS      server → any     a work.Offer; redelivered when its host goes silent
//	run.host.<h>.<kind>      RUNS      server → host h  the same, where the task's worktree is
//	evt.<h>.report           EVT       host h → server  a work.Report
//	log.<h>.<task>.<gen>     LOGS      host h → readers a work.Line
//	claim.<h>                nowhere   host h → server  a work.Offer, answered with a work.Answer (holds the token)
//	hb.<h>                   nowhere   host h → server  a work.Beat, answered with a work.BeatAnswer
//	ctl.<h>                  nowhere   server → host h  the ID of an offer to stop; a hint only
//
// Every kind of work has its own subject, so that a host whose slots for runs are taken still takes pushes
// and cleanups. RUNS and EVT are work queues synced to disk before they are acknowledged; LOGS is written in
// the background, ages out and is bounded in size.
//
// A host speaks as its own name only. With logins (Options.Hosts) the NATS server holds it to its subjects;
// in any case the name in the subject replaces whatever name a message claims, and requests are answered
// only to the inbox of the host that sent them, else a host could have the answer delivered as work.
package bus
