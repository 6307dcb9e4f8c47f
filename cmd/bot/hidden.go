package main

import (
	"context"
	"io"
	"os"

	"dozens/internal/scripted"
	"dozens/runner/sandbox/egress"
	"dozens/runner/worktree"
)

// credentialVerb answers git with the credential of one push or fetch, over the socket it is told of.
func credentialVerb(_ context.Context, args []string, stdout, _ io.Writer) error {
	if code := worktree.CredentialMain(args, os.Stdin, stdout); code != 0 {
		return exit(code)
	}
	return nil
}

// forwardName is the verb by which this program forwards to the egress proxy from inside a box.
const forwardName = "egress-forward"

// forwardVerb starts a program in a box and forwards what it sends to its proxy.
func forwardVerb(_ context.Context, args []string, _, stderr io.Writer) error {
	if code := egress.ForwardMain(args, stderr); code != 0 {
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
