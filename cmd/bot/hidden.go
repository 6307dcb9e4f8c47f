package main

import (
	"context"
	"io"
	"os"

	"dozens/internal/scripted"
	"dozens/runner/worktree"
)

// credentialVerb answers git with the credential of one push or fetch, over the socket it is told of.
func credentialVerb(_ context.Context, args []string, stdout, _ io.Writer) error {
	if code := worktree.CredentialMain(args, os.Stdin, stdout); code != 0 {
		return exit(code)
	}
	return nil
}

// scriptedVerb plays claude, for the demo.
func scriptedVerb(_ context.Context, args []string, stdout, stderr io.Writer) error {
	if code := scripted.Main(args, os.Stdin, stdout, stderr); code != 0 {
		return exit(code)
	}
	return nil
}
