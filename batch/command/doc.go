// Package command reads what people ask for: the text of a comment in, commands or helpful refusals out. It also
// holds the help text, made from the same table as the grammar.
//
// Before it: a delivery has been verified and stored. After it: the caller looks up whether the author may
// command, and only then acts; nothing here says that somebody is allowed to do something.
//
// The grammar is closed. Whatever is not the free text of /batch and /claude is checked here, so that labels,
// branches and numbers of a Command are safe to use; the text itself stays foreign data.
//
// It is pure: no I/O, no clock, and it imports nothing of Dozens but batch and batch/plan.
package command
