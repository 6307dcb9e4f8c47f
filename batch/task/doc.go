// Package task is the heart of the pure core: the stages a task passes, the signals that reach it, and the
// one table that says what happens then.
//
// A signal arrives (a host's report, the gate's verdict, a command, a timer); Next answers with the changed
// task and the effects to carry out. The caller saves both in one transaction and acts afterwards, maybe
// twice. Nothing here does I/O or reads a clock; docs/state-machine.md is generated from the table.
package task
