package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/google/uuid"

	"dozens/batch/work"
	"dozens/runner/meter"
)

// errTime is why a run was stopped when its order's time was over.
var errTime = errors.New("the run's time is over")

// modelName is what may be given to --model; anything else could be read as another argument.
var modelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,199}$`)

// runName is what names a run; it becomes part of a path.
var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`)

// Run carries out one run and returns when nothing of it is left. Lines of its log go to emit, in order and never
// two at once; emit must not block for long, because the agent waits while it does.
//
// When ctx ends, the agent is asked to stop and the outcome is Stopped. The error is not nil only when the agent
// could not be started at all: it wraps ErrNotFound or ErrBusy, or says what is wrong with the session or the
// host; the result then says the same as a Fault.
func (d *Driver) Run(ctx context.Context, s Session, emit func(work.Line)) (Result, error) {
	result, err := d.run(ctx, s, emit)
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return Result{Outcome: work.Stopped, Reason: "stopped before it began"}, nil
	}
	return Result{Outcome: work.Fault, Reason: cut(err.Error(), maxReason)}, err
}

func (d *Driver) run(ctx context.Context, s Session, emit func(work.Line)) (Result, error) {
	if err := s.check(); err != nil {
		return Result{}, err
	}
	schema, err := compile(s.Order.Schema)
	if err != nil {
		return Result{}, err
	}
	home, err := openHome(s.Home, s.Order.Session)
	if err != nil {
		return Result{}, err
	}
	defer home.close()
	if s.Order.Limits.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Order.Limits.Time, errTime)
		defer cancel()
	}

	if err := home.forget(); err != nil {
		return Result{}, err
	}
	log := &journal{order: s.Order.Offer, emit: emit}
	found, err := home.transcripts()
	if err != nil {
		return Result{}, err
	}
	resume := len(found) > 0
	unreported := home.readBooks().OpenMicroUSD // of a run that ended with its host
	end, err := d.attempt(ctx, s, home, resume, log)
	if err != nil {
		return Result{}, err
	}
	spent := end.metered
	if resume && end.conversationLost() {
		log.host("the earlier conversation cannot be continued; starting again from the brief")
		if err := home.putAside(); err != nil {
			return Result{}, err
		}
		resume = false
		if end, err = d.attempt(ctx, s, home, resume, log); err != nil {
			return Result{}, err
		}
		spent = add(spent, end.metered)
	}
	result := end.judge(s.Order, schema)
	result.Resumed = resume
	result.Usage = end.usage()
	result.Usage.CostMicroUSD = max(home.book(end, resume), unreported)
	if spent.Requests > 0 { // what was seen on the way counts more than what the program says
		result.Usage.CostMicroUSD, result.Usage.InputTokens, result.Usage.OutputTokens = spent.CostMicroUSD+unreported, spent.InputTokens, spent.OutputTokens
	}
	log.host("the run ended: %s", describe(result))
	return result, nil
}

// add sums up what two attempts used.
func add(a, b meter.Usage) meter.Usage {
	b.CostMicroUSD += a.CostMicroUSD
	b.InputTokens += a.InputTokens
	b.OutputTokens += a.OutputTokens
	b.Requests += a.Requests
	return b
}

// describe is the log's last word on a run.
func describe(r Result) string {
	text := string(r.Outcome)
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return fmt.Sprintf("%s (%d turns, $%.4f)", text, r.Usage.Turns, float64(r.Usage.CostMicroUSD)/1e6)
}

// check refuses what would be read as something else than it is meant.
func (s Session) check() error {
	if _, err := uuid.Parse(s.Order.Session); err != nil || len(s.Order.Session) != 36 {
		return fmt.Errorf("session id %q is not a UUID", s.Order.Session)
	}
	if !filepath.IsAbs(s.Dir) || !filepath.IsAbs(s.Home) {
		return fmt.Errorf("worktree %q and session home %q must be absolute paths", s.Dir, s.Home)
	}
	if info, err := os.Stat(s.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("worktree %s is not a folder", s.Dir)
	}
	if !runName.MatchString(s.RunID) {
		return fmt.Errorf("%q is not the id of a run", s.RunID)
	}
	if m := s.Order.Model; m != "" && !modelName.MatchString(m) {
		return fmt.Errorf("%q is not the name of a model", m)
	}
	return nil
}

// attempt starts the program once and watches it to its end.
func (d *Driver) attempt(ctx context.Context, s Session, home *home, resume bool, log *journal) (*ending, error) {
	files, err := writeFiles(s, d.box != nil)
	if err != nil {
		return nil, err
	}
	defer files.remove()
	doors, err := d.open(s, files, log)
	if err != nil {
		return nil, err
	}
	defer doors.close()

	hidden := d.hidden[:len(d.hidden):len(d.hidden)]
	if doors.model != nil {
		hidden = append(hidden, doors.model.Token())
		before := home.readBooks().OpenMicroUSD
		defer home.follow(func() int64 { return before + doors.model.Usage().CostMicroUSD })()
	}
	watch := &stream{log: log, hide: redactor(hidden)}
	began := time.Now()
	log.host("%s", opening(s.Order, resume))
	end, err := d.execute(ctx, s, command{
		files: files, doors: doors,
		args:   append(d.args[:len(d.args):len(d.args)], arguments(s.Order, files, resume, d.box != nil)...),
		stdin:  prompt(s.Order, resume),
		stdout: watch.stdout,
		stderr: watch.stderr,
	})
	if err != nil {
		return nil, err
	}
	d.log.Debug().Str("run", s.RunID).Str("state", end.state.String()).Dur("took", time.Since(began)).Msg("agent ended")
	return &ending{
		stream: watch, ended: end, metered: doors.close(),
		stopped: ctx.Err() != nil, timeUp: errors.Is(context.Cause(ctx), errTime), took: time.Since(began),
	}, nil
}

// opening is the log's first word on a run.
func opening(o work.Order, resume bool) string {
	switch {
	case resume:
		return "claude goes on with session " + o.Session
	case o.ReadOnly:
		return "claude starts session " + o.Session + " (reading only)"
	default:
		return "claude starts session " + o.Session
	}
}
