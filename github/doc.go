// Package github makes all calls to GitHub: it signs in as the App, cuts tokens for hosts, keeps to GitHub's
// limits, retries what may be repeated and reads the facts that the gate decides on.
//
// What arrives here are plain questions and orders of the flow; what leaves are plain values and a few kinds
// of error, listed in errors.go. Nothing here decides: the gate does, and the flow carries out. What creates
// something first looks whether it is there already, because every job may run twice.
//
// A call passes, from the outside in: go-github, the http.Client with its redirect rules, ghinstallation
// (the token), the ETag cache, and then transport (host guard, limits, serial writes, retries of reads, log).
//
// This package must never import store, bus, handlers, runner or flow. Nobody else imports go-github's services.
package github
