package flow

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"dozens/batch"
	"dozens/batch/say"
	"dozens/batch/task"
	"dozens/batch/work"
	"dozens/config"
	"dozens/github"
	"dozens/store"
)

// Claim answers a host that has a slot for an offer: one transaction decides go, later or drop. The git token
// is minted before, cut to the one repository, and revoked when the work is over.
func (f *Flow) Claim(ctx context.Context, host string, o work.Offer) work.Answer {
	log := f.log.With().Str("task", o.Task).Int("generation", o.Generation).Str("kind", string(o.Kind)).Str("host", host).Logger()
	a, err := f.claim(ctx, host, o)
	if err != nil {
		log.Warn().Err(err).Msg("claim not answered, later")
		return work.Answer{Decision: work.Later, Why: "the server cannot say now"}
	}
	log.Debug().Str("decision", string(a.Decision)).Str("why", a.Why).Msg("claim answered")
	return a
}

func (f *Flow) claim(ctx context.Context, host string, o work.Offer) (work.Answer, error) {
	t, err := f.store.Task(ctx, o.Task)
	if errors.Is(err, store.ErrNotFound) {
		return work.Answer{Decision: work.Drop, Why: "no such task"}, nil
	} else if err != nil {
		return work.Answer{}, err
	}
	if why := unwanted(t, o, host); why != "" {
		return work.Answer{Decision: work.Drop, Why: why}, nil
	}
	order, err := f.order(ctx, t, o)
	if err != nil {
		return f.unorderable(ctx, t, err)
	}
	var answer work.Answer
	err = f.store.Tx(ctx, func(tx *store.Tx) error {
		answer, err = f.lease(ctx, tx, host, o, order)
		return err
	})
	if err != nil || answer.Decision != work.Go {
		f.revoke(ctx, o.ID(), order.Token)
		return answer, err
	}
	answer.Order = order
	return answer, f.store.Token(ctx, o, order.Token)
}

// unwanted says why nobody wants this piece of work any more; empty: it is wanted.
func unwanted(t task.Task, o work.Offer, host string) string {
	wanted := map[work.Kind]task.Stage{work.Run: task.Queue, work.Publish: task.Publish, work.Cleanup: task.Cleanup}
	switch {
	case o.Generation != t.Generation:
		return "an older generation"
	case o.Kind == work.Publish && t.Waiting == task.ForPermission:
		return "it waits for a permission"
	case t.Stage == wanted[o.Kind]:
		return ""
	case o.Kind == work.Run && t.Stage == task.Run && t.Host == host:
		return "" // asked again by the host that has it
	}
	return "the task is at " + string(t.Stage)
}

// unorderable handles a task whose order cannot be made: a repository that is gone or that we may not see any
// more fails the task with words; everything else is tried again.
func (f *Flow) unorderable(ctx context.Context, t task.Task, err error) (work.Answer, error) {
	why := ""
	switch {
	case errors.Is(err, errNoMoney): // the pump sees it too, and parks the task with words
		return work.Answer{Decision: work.Drop, Why: err.Error()}, f.Signal(ctx, t.ID, task.Overspent{Why: "the money for this task or its batch is spent"})
	case errors.Is(err, errBarred):
		return work.Answer{Decision: work.Drop, Why: err.Error()}, f.Signal(ctx, t.ID, task.Barred{})
	case errors.Is(err, github.ErrNotFound), errors.Is(err, github.ErrSuspended):
		why = "the repository cannot be read any more: it is gone, or the app was removed or suspended"
	case errors.Is(err, github.ErrForbidden), errors.Is(err, github.ErrRefused):
		why = "GitHub does not let the app work on this repository; are its permissions as in app.yml? " + err.Error()
	default:
		return work.Answer{}, err
	}
	return work.Answer{Decision: work.Drop, Why: why}, f.Signal(ctx, t.ID, task.FailedNow{Why: why})
}

func (f *Flow) lease(ctx context.Context, tx *store.Tx, host string, o work.Offer, order *work.Order) (work.Answer, error) {
	t, err := tx.Task(ctx, o.Task)
	if err != nil {
		return work.Answer{}, err
	}
	if why := unwanted(t, o, host); why != "" {
		return work.Answer{Decision: work.Drop, Why: why}, nil
	}
	if o.Kind == work.Cleanup {
		busy, err := tx.Leased(ctx, o.Task, work.Cleanup)
		if err != nil || busy {
			return work.Answer{Decision: work.Later, Why: "its work has not ended yet"}, err
		}
	}
	if o.Kind == work.Run && (t.Prompt != order.Prompt || t.BaseSHA != order.BaseSHA) {
		return work.Answer{Decision: work.Later, Why: "there is news for it"}, nil
	}
	taken, err := tx.Lease(ctx, o, host)
	if err != nil {
		return work.Answer{}, err
	}
	if !taken {
		return work.Answer{Decision: work.Drop, Why: "another host has it, or it is over"}, nil
	}
	if o.Kind == work.Run && t.Stage == task.Queue {
		if _, err := f.signal(ctx, tx, o.Task, task.Leased{Host: host}); errors.Is(err, task.ErrIgnored) {
			return work.Answer{Decision: work.Drop, Why: "the task waits"}, errNotLeased
		} else if err != nil {
			return work.Answer{}, err
		}
	}
	return work.Answer{Decision: work.Go}, nil
}

var errNotLeased = errors.New("the task waits and cannot be leased")

// order is everything the host needs, git token included.
func (f *Flow) order(ctx context.Context, t task.Task, o work.Offer) (*work.Order, error) {
	if o.Kind == work.Cleanup { // needs neither GitHub nor a token: it touches the host only
		return &work.Order{Offer: o, Repo: t.Repo, Label: t.Label, Branch: t.Branch, Base: t.Base, BaseSHA: t.BaseSHA, Keep: t.Merged == ""}, nil
	}
	b, err := f.store.Batch(ctx, t.Batch)
	if err != nil {
		return nil, err
	}
	in, err := f.infoOf(ctx, t.Repo)
	if err != nil {
		return nil, err
	}
	set, err := f.limitsOf(ctx, t.Repo, t.Base)
	if err != nil {
		return nil, err
	}
	var access github.Access
	if o.Kind == work.Publish {
		if access, err = f.pushAccess(ctx, t); err != nil {
			return nil, err
		}
	}
	order := &work.Order{Offer: o, Repo: t.Repo, CloneURL: in.CloneURL, Label: t.Label, Branch: t.Branch, Base: t.Base,
		BaseSHA: t.BaseSHA, Owned: t.Owned, Title: say.PullTitle(t), Pushed: t.Pushed}
	if o.Kind == work.Run {
		if err := f.runOrder(ctx, order, b, t, set); err != nil {
			return nil, err
		}
	} else {
		order.Head, order.Expected = t.Head, t.Pushed
	}
	repo := f.github.Repo(t.Repo)
	value, _, err := repo.GitToken(ctx, access)
	if err != nil {
		return nil, err
	}
	order.Token = value
	f.mu.Lock()
	f.tokens[o.ID()] = token{value: value, repo: repo}
	f.mu.Unlock()
	return order, nil
}

func (f *Flow) runOrder(ctx context.Context, order *work.Order, b batch.Batch, t task.Task, set config.Repository) error {
	tasks, err := f.store.TasksOf(ctx, b.ID)
	if err != nil {
		return err
	}
	order.Session, order.Prompt, order.System = t.Session, t.Prompt, say.Rules(t)
	order.Limits = work.Limits{Time: set.Limits.RunTime, Turns: set.Limits.Turns, CostMicroUSD: moneyLeft(b, tasks, t, set)}
	order.Egress = set.Egress
	if order.Limits.CostMicroUSD <= 0 {
		return errNoMoney
	}
	if t.Kind == task.Plan {
		order.ReadOnly, order.Schema, order.Model, order.Units = true, work.PlanSchema(), set.Models.Plan, set.Limits.Units
		order.Brief = say.PlanBrief(b, set.Limits.Units, set.Instructions)
		return nil
	}
	order.Schema, order.Model = work.ResultSchema(), set.Models.Work
	order.Brief = say.Brief(b, t, set.Verify, set.Instructions)
	return nil
}

var errNoMoney = errors.New("no money is left for another run")

// revoke takes the git token of a piece of work back; failing that it expires within the hour. Without a value
// it is whichever was minted last.
func (f *Flow) revoke(ctx context.Context, offer string, value work.Secret) {
	f.mu.Lock()
	t, ok := f.tokens[offer]
	if ok && (value == "" || t.value == value) {
		delete(f.tokens, offer)
	} else if ok {
		t.value = value // another claim of the same offer holds the newer one
	}
	f.mu.Unlock()
	if !ok {
		return
	}
	if err := t.repo.RevokeToken(context.WithoutCancel(ctx), t.value); err != nil {
		f.log.Warn().Err(err).Msg("git token not revoked, it expires by itself")
	}
}

// Report takes a host's account of a piece of work. A result for a lease that the host does not hold any more
// is refused and noted. It returns nil when the report is dealt with, and may be called again with the same.
func (f *Flow) Report(ctx context.Context, r work.Report) error {
	set, err := f.limitsFor(ctx, r)
	if errors.Is(err, store.ErrNotFound) {
		return nil // no such task: nobody waits for it
	} else if err != nil {
		return err // the report comes back
	}
	err = f.store.Tx(ctx, func(tx *store.Tx) error {
		held, err := tx.EndLease(ctx, r.Offer, r.Host, string(r.Outcome))
		if err != nil {
			return err
		}
		if !held {
			f.log.Warn().Str("task", r.Task).Int("generation", r.Generation).Str("host", r.Host).Msg("result refused: the lease is not held")
			return nil
		}
		t, err := tx.Task(ctx, r.Task)
		if err != nil {
			return err
		}
		switch {
		case r.Kind == work.Cleanup:
			return f.cleanedUp(ctx, tx, t, r)
		case r.Outcome == work.Stopped && r.Kind == work.Publish:
			return f.pushAgain(ctx, tx, t, r)
		}
		return f.reported(ctx, tx, t, r, set)
	})
	if err == nil {
		f.revoke(ctx, r.ID(), "")
	}
	return err
}

// limitsFor reads the settings that a report is judged by, before the transaction begins.
func (f *Flow) limitsFor(ctx context.Context, r work.Report) (config.Repository, error) {
	t, err := f.store.Task(ctx, r.Task)
	if err != nil || r.Kind != work.Run {
		return config.Repository{}, err
	}
	set, err := f.limitsOf(ctx, t.Repo, t.Base)
	if gone(err) { // nothing will be published there
		return config.DefaultRepository(), nil
	}
	return set, err
}

// pushAgain offers a push again that a drain of its host cut short.
func (f *Flow) pushAgain(ctx context.Context, tx *store.Tx, t task.Task, r work.Report) error {
	if err := tx.DropLease(ctx, r.Offer); err != nil || t.Stage != task.Publish || t.Generation != r.Generation {
		return err
	}
	return f.enqueue(ctx, tx, t, task.Effect{Kind: task.Push})
}

func (f *Flow) reported(ctx context.Context, tx *store.Tx, t task.Task, r work.Report, set config.Repository) error {
	t = described(t, r)
	if err := tx.PutTask(ctx, t); err != nil {
		return err
	}
	next, err := f.signal(ctx, tx, t.ID, signalOf(t, r, set))
	if errors.Is(err, task.ErrIgnored) {
		f.log.Info().Str("task", t.ID).Str("stage", string(t.Stage)).Str("outcome", string(r.Outcome)).Msg("result means nothing any more")
		return nil
	} else if err != nil {
		return err
	}
	if next.Kind == task.Plan && next.Outcome == task.Done && next.Stage == task.Cleanup {
		return f.planned(ctx, tx, next, r, set)
	}
	return nil
}

// described takes over what the agent says for the pull request.
func described(t task.Task, r work.Report) task.Task {
	var out work.Result
	if t.Kind != task.Code || r.Kind != work.Run || json.Unmarshal(r.Output, &out) != nil {
		return t
	}
	if out.Summary != "" {
		t.Summary = out.Summary
	}
	if out.Verified != "" {
		t.Verified = out.Verified
	}
	if out.Title != "" && t.PR == 0 && t.Brief == "" {
		t.Title = out.Title // the title says what was wanted, the session's what was done
	}
	return t
}

const (
	hostGone  = 45 * time.Second // without a beat: its leases lapse
	hostGrace = time.Minute      // a lease that its host does not list may be a claim or a report under way
)

// Beat takes a host's sign of life and answers with what it must stop. What a host that has just started does
// not hold is lost and is leased anew at once.
func (f *Flow) Beat(ctx context.Context, b work.Beat) work.BeatAnswer {
	var answer work.BeatAnswer
	if err := f.store.Beat(ctx, b); err != nil {
		f.log.Warn().Err(err).Str("host", b.Host).Msg("beat not noted")
		return answer
	}
	leases, err := f.store.OpenLeases(ctx, b.Host)
	if err != nil {
		f.log.Warn().Err(err).Str("host", b.Host).Msg("leases not read")
		return answer
	}
	open := map[string]bool{}
	for _, l := range leases {
		open[l.Offer.ID()] = true
		held := slices.Contains(b.Held, l.Offer.ID())
		if !held && (b.First || time.Since(l.Taken) > hostGrace) {
			f.revoke(ctx, l.Offer.ID(), "")
			if err := f.lapse(ctx, l, "the host lost it"); err != nil {
				f.log.Warn().Err(err).Str("task", l.Offer.Task).Msg("lease not lapsed")
			}
			continue
		}
		if held && f.outdated(ctx, l.Offer) {
			answer.Stop = append(answer.Stop, l.Offer.ID())
		}
	}
	for _, id := range b.Held {
		if !open[id] {
			answer.Stop = append(answer.Stop, id)
		}
	}
	return answer
}

// outdated says that a held run should end: its task has moved on without it.
func (f *Flow) outdated(ctx context.Context, o work.Offer) bool {
	t, err := f.store.Task(ctx, o.Task)
	return err == nil && o.Kind == work.Run && (t.Stage != task.Run || t.Generation != o.Generation)
}

// lapse ends a lease whose host is gone, and has the work done again.
func (f *Flow) lapse(ctx context.Context, l store.Lease, why string) error {
	return f.store.Tx(ctx, func(tx *store.Tx) error {
		ended, err := tx.EndLease(ctx, l.Offer, l.Host, "lapsed")
		if err != nil || !ended {
			return err
		}
		t, err := tx.Task(ctx, l.Offer.Task)
		if err != nil {
			return err
		}
		f.log.Info().Str("task", t.ID).Str("host", l.Host).Str("kind", string(l.Offer.Kind)).Str("why", why).Msg("lease lapsed")
		if l.Offer.Kind == work.Run {
			_, err = f.signal(ctx, tx, t.ID, task.Lapsed{Generation: l.Offer.Generation, Why: why})
			if errors.Is(err, task.ErrIgnored) {
				return nil
			}
			return err
		}
		if err := tx.DropLease(ctx, l.Offer); err != nil { // the same offer may be leased again
			return err
		}
		return tx.Enqueue(ctx, offerArgs{Host: t.Host, Offer: l.Offer, Nonce: nonce(tx.Now)}, noTime)
	})
}
