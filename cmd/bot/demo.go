package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"dozens/batch"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/config"
	"dozens/internal/demo"
	"dozens/store"
)

// demoVerb shows the whole loop on this machine.
func demoVerb(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bot demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	agent := flags.String("agent", "", "the real agent's `program`, such as claude; it costs real money (default: a scripted agent)")
	leave := flags.Bool("exit", false, "end when the work is done, with status 0 if all went well")
	slots := flags.Int("slots", 8, "agents at once")
	limit := flags.Duration("limit", 5*time.Minute, "give up after this time")
	if err := flags.Parse(args); err != nil {
		return exit(2)
	}
	dir, err := os.MkdirTemp("", "dozens-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	s := &show{out: stdout, dir: dir, agent: *agent, slots: *slots, stay: !*leave, limit: *limit, bars: terminal(stdout)}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("%w (its log and data are kept in %s)", err, dir)
	}
	return os.RemoveAll(dir)
}

// terminal says whether a writer is one, so that it can show bars.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// show is one demo.
type show struct {
	out   io.Writer
	dir   string
	agent string
	slots int
	stay  bool
	bars  bool
	limit time.Duration

	world  *demo.World
	store  *store.Store
	web    string
	issue  int
	batch  string
	start  time.Time
	drawn  int
	stages map[string]string
}

func (s *show) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

func (s *show) run(ctx context.Context) (err error) {
	if err := os.Mkdir(filepath.Join(s.dir, "github"), 0o700); err != nil {
		return err
	}
	s.world, err = demo.Start(ctx, demo.Options{Dir: filepath.Join(s.dir, "github"), CITime: 700 * time.Millisecond, Approves: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.world.GitHub.Close()) }()
	srv, err := s.server(ctx)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(serving) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	return s.play(ctx)
}

// server puts Dozens together as `bot serve` does, with its log in a file.
func (s *show) server(ctx context.Context) (*server, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	logFile, err := os.Create(filepath.Join(s.dir, "dozens.log"))
	if err != nil {
		return nil, err
	}
	log := zerolog.New(logFile).With().Timestamp().Logger()
	binary, args, env := s.agent, []string(nil), []string(nil)
	if s.agent == "" {
		if binary, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		args, env = []string{"scripted-agent"}, []string{"PATH=" + os.Getenv("PATH")}
	}
	app := s.world.GitHub.App()
	s.web = "http://" + ln.Addr().String()
	cfg := config.DefaultServer()
	cfg.GitHub = config.GitHub{WebURL: s.world.GitHub.URL(), V3URL: s.world.GitHub.V3URL(), V4URL: s.world.GitHub.V4URL(), AppID: app.ID,
		PrivateKey: config.Secret(app.PrivateKey), WebhookSecrets: []config.Secret{config.Secret(app.WebhookSecret)}}
	cfg.DataDir, cfg.Agent, cfg.Slots, cfg.PublicURL = filepath.Join(s.dir, "data"), binary, s.slots, s.web
	if _, err := newBox(ctx, cfg, log); err != nil {
		s.say("The sandbox does not work here, so the demo's agents run without one: %v\n", err)
		cfg.Sandbox = config.NoSandbox
	}
	o := serveOptions{Config: cfg, Listener: ln, Log: log, Pace: time.Second}
	if err := o.equip(ctx, args, env); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	srv, err := newServer(ctx, o)
	if err != nil {
		return nil, err
	}
	s.store = srv.store
	s.world.GitHub.SetWebhook(s.web + "/api/github/hook")
	return srv, nil
}

// play is the story: an issue, a plan, an approval, and then hands off.
func (s *show) play(ctx context.Context) error {
	s.say("A look-alike GitHub runs at %s, with the repository acme/shop.", s.world.GitHub.URL())
	s.say("Dozens serves at %s, with %d slots and %s.\n", s.web, s.slots, s.agentName())
	issue, err := s.world.Repo.OpenIssue(demo.Requester, "fetchUser is old", "All callers should use the new service.")
	if err != nil {
		return err
	}
	s.issue, s.start = issue.Number, time.Now()
	if _, err := issue.Comment(demo.Requester, "/batch "+demo.Request); err != nil {
		return err
	}
	s.say("%s opens issue #%d and comments:\n    /batch %s\n", demo.Requester, issue.Number, demo.Request)
	limited, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("not done after %s; the log is %s", s.limit, filepath.Join(s.dir, "dozens.log")))
	defer cancel()
	if err := s.until(limited, s.planned); err != nil {
		return err
	}
	if _, err := issue.Comment(demo.Requester, "/go"); err != nil {
		return err
	}
	s.say("%s reads the plan and says /go. From here on nobody types anything:\n", demo.Requester)
	s.stages = map[string]string{}
	if err := s.until(limited, s.worked); err != nil {
		return err
	}
	return s.close(ctx)
}

func (s *show) agentName() string {
	if s.agent == "" {
		return "a scripted agent in the place of claude (no account, no cost)"
	}
	return s.agent + " as the agent"
}

// until calls step several times a second until it says that it is done.
func (s *show) until(ctx context.Context, step func(context.Context) (bool, error)) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, err := step(ctx)
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// planned waits for the plan and shows it.
func (s *show) planned(ctx context.Context) (bool, error) {
	b, err := s.store.LatestBatch(ctx, s.world.Repo.ID(), s.issue)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if b.Stage.Final() {
		return false, fmt.Errorf("the batch ended before it had a plan: %s", b.Detail)
	}
	if b.Stage != batch.Approval {
		return false, nil
	}
	s.batch = b.ID
	state, err := s.world.Repo.Issue(s.issue).State()
	if err != nil {
		return false, err
	}
	for _, c := range state.Comments {
		if strings.HasPrefix(c.Body, "### Plan") {
			s.say("The planner looked at the repository, read-only, and proposes:")
			for _, line := range strings.Split(c.Body, "\n") {
				if cells := strings.Split(line, "|"); len(cells) > 5 && strings.Contains(cells[2], "`") {
					s.say("   %s %-12s %s", strings.TrimSpace(cells[1]), strings.Trim(strings.TrimSpace(cells[2]), "`"), strings.TrimSpace(cells[3]))
				}
			}
			s.say("")
			return true, nil
		}
	}
	return false, nil
}

// worked follows the units until the batch has ended.
func (s *show) worked(ctx context.Context) (bool, error) {
	b, err := s.store.Batch(ctx, s.batch)
	if err != nil {
		return false, err
	}
	tasks, err := s.units(ctx)
	if err != nil {
		return false, err
	}
	if s.bars {
		s.draw(tasks)
	} else {
		s.tell(tasks)
	}
	issue, err := s.world.Repo.Issue(s.issue).State()
	if err != nil {
		return false, err
	}
	return b.Stage.Final() && (b.Stage != batch.Done || !issue.Open), nil
}

func (s *show) units(ctx context.Context) ([]task.Task, error) {
	all, err := s.store.TasksOf(ctx, s.batch)
	var units []task.Task
	for _, t := range all {
		if t.Kind == task.Code {
			units = append(units, t)
		}
	}
	return units, err
}

// words says where a unit stands.
func words(t task.Task) string {
	switch t.Stage {
	case task.Queue:
		if t.Rounds > 0 {
			return fmt.Sprintf("checks of #%d are red: the same session is told", t.PR)
		}
		return "waits for a slot"
	case task.Run:
		if t.Rounds > 0 {
			return "the same session mends it"
		}
		return "agent works in its own worktree"
	case task.Publish:
		return "done: pushed for it, pull request follows"
	case task.CI:
		return fmt.Sprintf("pull request #%d: %s", t.PR, t.Checks)
	case task.Review:
		return fmt.Sprintf("pull request #%d is green: reviewer asked", t.PR)
	case task.Merge:
		return fmt.Sprintf("pull request #%d is approved: its turn to merge", t.PR)
	case task.Cleanup:
		return "branch and worktree are removed"
	case task.Done:
		return fmt.Sprintf("merged as #%d, nothing left behind", t.PR)
	case task.Failed, task.Cancelled:
		return fmt.Sprintf("%s: %s", t.Stage, t.Detail)
	}
	return string(t.Stage)
}

func (s *show) tell(tasks []task.Task) {
	for _, t := range tasks {
		if now := words(t); s.stages[t.ID] != now {
			s.stages[t.ID] = now
			s.say("%6.1f s  %-12s %s", time.Since(s.start).Seconds(), t.Label, now)
		}
	}
}

const barWidth = 20

// draw redraws one bar per unit.
func (s *show) draw(tasks []task.Task) {
	if s.drawn > 0 {
		_, _ = fmt.Fprintf(s.out, "\x1b[%dA", s.drawn)
	}
	for _, t := range tasks {
		at := 0
		for i, stage := range task.Stages {
			if stage == t.Stage {
				at = min(i, int(barSteps))
			}
		}
		full := barWidth * at / barSteps
		_, _ = fmt.Fprintf(s.out, "\x1b[2K   %-12s %s%s %s\n", t.Label, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), words(t))
	}
	s.drawn = len(tasks)
}

const barSteps = 7 // from queue to done

// close checks what is left, sums up, and stays if asked.
func (s *show) close(ctx context.Context) error {
	tasks, err := s.units(ctx)
	if err != nil {
		return err
	}
	elapsed := time.Since(s.start)
	var agents time.Duration
	var cost int64
	merged := 0
	for _, t := range tasks {
		agents += t.AgentTime
		cost += t.CostMicroUSD
		if t.Merged != "" {
			merged++
		}
	}
	s.say("\n%d units, %d squash-merged · %s elapsed, %s of agents' time · %s · %d pull requests", len(tasks), merged,
		say.Time(elapsed), say.Time(agents), say.Money(cost), len(s.world.Repo.Pulls()))
	bad := s.leftovers(tasks)
	for _, b := range bad {
		s.say("  ✗ %s", b)
	}
	if len(bad) == 0 {
		s.say("  ✓ one squash commit per unit on main · no dozens/ branch · no worktree · issue #%d closed", s.issue)
	}
	s.say("\nLook around: %s/acme/shop/issues/%d and %s/batches/%s", s.world.GitHub.URL(), s.issue, s.web, s.batch)
	if s.stay {
		s.say("Ctrl-C ends the demo.")
		<-ctx.Done()
		return nil
	}
	if len(bad) > 0 {
		return exit(1)
	}
	return nil
}

// leftovers says what is not as it should be.
func (s *show) leftovers(tasks []task.Task) (bad []string) {
	commits, err := s.world.Repo.Log("main")
	if err != nil {
		return []string{err.Error()}
	}
	for _, t := range tasks {
		n := 0
		for _, c := range commits {
			if strings.HasSuffix(c.Subject, fmt.Sprintf("(#%d)", t.PR)) {
				n++
			}
		}
		if n != 1 {
			bad = append(bad, fmt.Sprintf("%s has %d commits on main, not one", t.Label, n))
		}
	}
	branches, err := s.world.Repo.Branches()
	if err != nil {
		bad = append(bad, err.Error())
	}
	for name := range branches {
		if strings.HasPrefix(name, "dozens/") {
			bad = append(bad, "branch "+name+" is left")
		}
	}
	trees, err := filepath.Glob(filepath.Join(s.dir, "data", "host", "trees", "*"))
	if err != nil || len(trees) > 0 {
		bad = append(bad, fmt.Sprintf("%d worktrees are left", len(trees)))
	}
	if issue, err := s.world.Repo.Issue(s.issue).State(); err != nil || issue.Open {
		bad = append(bad, fmt.Sprintf("issue #%d is open", s.issue))
	}
	return bad
}
