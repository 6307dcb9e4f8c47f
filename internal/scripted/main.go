package scripted

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/google/uuid"
)

// Version is the version of claude whose stream the agent speaks.
const Version = "2.1.330"

// Main runs the agent in the current folder and environment, and returns its exit code. It takes the arguments
// that Dozens gives to claude; others are refused, as claude refuses them.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "error:", err) // the exit code says it, too
		return 1
	}
	if o.version {
		_, _ = fmt.Fprintln(stdout, Version, "(scripted)") // nobody reads
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	a, err := newAgent(o, stdin, stdout, stderr)
	if err == nil {
		err = a.work(ctx)
	}
	var end exit
	switch {
	case errors.As(err, &end):
		return end.code
	case ctx.Err() != nil:
		return 143
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "Error:", err) // the exit code says it, too
		return 1
	}
	return 0
}

// exit ends the agent with a code after everything has been said.
type exit struct{ code int }

func (e exit) Error() string { return fmt.Sprintf("exit with code %d", e.code) }

// options are the arguments that matter here.
type options struct {
	version  bool
	session  string
	resume   bool
	schema   string
	model    string
	maxTurns int
	maxUSD   float64
}

// parse reads claude's arguments.
func parse(args []string) (options, error) {
	var o options
	var resume string
	f := flag.NewFlagSet("claude", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	for _, name := range []string{"p", "print", "verbose", "strict-mcp-config", "disable-slash-commands"} {
		f.Bool(name, false, "")
	}
	for _, name := range []string{"output-format", "setting-sources", "settings", "tools", "permission-mode", "allowedTools",
		"append-system-prompt-file"} {
		f.String(name, "", "")
	}
	f.BoolVar(&o.version, "version", false, "")
	f.StringVar(&o.session, "session-id", "", "")
	f.StringVar(&resume, "resume", "", "")
	f.StringVar(&o.schema, "json-schema", "", "")
	f.StringVar(&o.model, "model", "claude-scripted", "")
	f.IntVar(&o.maxTurns, "max-turns", 0, "")
	f.Float64Var(&o.maxUSD, "max-budget-usd", 0, "")
	if err := f.Parse(args); err != nil {
		return o, errors.New(strings.Replace(err.Error(), "flag provided but not defined: ", "unknown option -", 1))
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if resume != "" {
		o.session, o.resume = resume, true
	}
	if _, err := uuid.Parse(o.session); err != nil && !o.version {
		return o, errors.New("Invalid session ID. Must be a valid UUID.") //nolint:staticcheck // claude's words
	}
	return o, nil
}

// environment is where the agent keeps its conversation and finds its script.
func environment() (home, dir string, script Script, err error) {
	if dir, err = os.Getwd(); err != nil {
		return "", "", Script{}, fmt.Errorf("find the current folder: %w", err)
	}
	script, err = load(os.Getenv(Env))
	return os.Getenv("HOME"), dir, script, err
}
