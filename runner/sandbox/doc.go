// Package sandbox confines a process and all that it starts: with bubblewrap it gets namespaces of its own (user,
// mount, PID, IPC, UTS, network), a small read-only root, and of the host's files only what its Box names.
//
// Before it stands a command and a Box; after it a process that cannot see other processes, files or networks, that
// dies with this program, and whose memory, processes and files are bounded. It is the only door to the outside for an
// agent: the model is reached through a socket that is bound in, other hosts through package egress.
//
// What holds a box: bubblewrap makes namespaces and mounts (box_linux.go); we look at them from outside, make the host's
// devices safe and set limits while the program waits (start_linux.go); a filter refuses system calls that
// reach past namespaces (calls_linux.go); a tether kills the box when this program dies (tie_linux.go); and
// what the kernel cannot hold on this host is held by a guard (guard_linux.go, disk_linux.go).
//
// This package must never import store, github, bus, handlers, flow or another part of runner.
package sandbox
