// Package config reads the settings: those of the server, from the environment and an optional dozens.yml, and
// those of a repository, from its .github/dozens.yml.
//
// Before it: cmd/bot hands over the environment and the file's bytes; whoever reads a repository's file takes it
// from the base branch. After it: plain values that have been checked.
//
// Reading is strict: an unknown key or an odd value is an error, all problems are reported together, and secrets
// never show. It imports nothing of Dozens but batch; it reads files only where a setting names one.
package config
