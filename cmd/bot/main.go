// Command bot is Dozens: one binary, its verbs. Wiring only; every decision is made in the rooms.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// verb is one thing the binary does. Hidden ones are for the binary's own use.
type verb struct {
	name, does string
	hidden     bool
	run        func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

func verbs() []verb {
	return []verb{
		{"serve", "serve webhooks, web page and an embedded host", false, serveVerb},
		{"demo", "the whole loop on this machine: a look-alike GitHub, a scripted agent or the real one, no account", false, demoVerb},
		{"check", "try settings, keys, permissions, git, claude and disk, and say how to fix what is wrong", false, checkVerb},
		{"version", "print the version", false, versionVerb},
		{"git-credential", "answer git's question for a credential", true, credentialVerb},
		{forwardName, "forward from inside a sandbox", true, forwardVerb},
		{"scripted-agent", "play claude from a script", true, scriptedVerb},
	}
}

// exit carries an exit status that is not 1.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var status exit
	switch {
	case errors.As(err, &status):
		os.Exit(int(status))
	case err != nil:
		fmt.Fprintf(os.Stderr, "bot: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		usage(stderr)
		return exit(2)
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(ctx, args[1:], stdout, stderr)
		}
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(stdout)
		return nil
	}
	usage(stderr)
	return fmt.Errorf("there is no verb %q", args[0])
}

func usage(w io.Writer) {
	_, _ = fmt.Fprint(w, "Dozens runs many Claude Code agents and takes each from an issue to a merged pull request.\n\nusage: bot VERB [options]\n\n")
	for _, v := range verbs() {
		if !v.hidden {
			_, _ = fmt.Fprintf(w, "  %-9s %s\n", v.name, v.does)
		}
	}
	_, _ = fmt.Fprint(w, "\n`bot VERB -h` lists a verb's options. Settings: docs/settings.md.\n")
}
