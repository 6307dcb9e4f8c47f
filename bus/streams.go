package bus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"dozens/batch/work"
)

const (
	runsStream    = "RUNS"
	reportsStream = "EVT"
	logsStream    = "LOGS"

	reportsConsumer = "server"

	runsBytes    = 64 << 20
	reportsBytes = 512 << 20
	queueAge     = 30 * 24 * time.Hour
	// doublesWindow is how long a message's id is remembered. Later doubles are harmless: the claim decides.
	doublesWindow = 2 * time.Minute
)

// kinds are the lanes of work, each a subject and a consumer of its own.
func kinds() []work.Kind { return []work.Kind{work.Run, work.Publish, work.Cleanup} }

// ErrName says that a host's or task's name cannot be part of a subject.
var ErrName = errors.New("a name is 1 to 63 letters, digits, - or _")

var nameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

func validName(s string) bool { return nameRE.MatchString(s) }

// HostName makes a valid host name of a machine's name: what may not stand in one becomes a dash.
func HostName(machine string) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && validName(string(r)) || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, machine)
	name = strings.Trim(name, "-_")
	if len(name) > 63 {
		name = name[:63]
	}
	if name == "" {
		return "host"
	}
	return name
}

func checkOffer(o work.Offer) error {
	if !validName(o.Task) {
		return fmt.Errorf("task %q: %w", o.Task, ErrName)
	}
	for _, kind := range kinds() {
		if o.Kind == kind {
			return nil
		}
	}
	return fmt.Errorf("kind of work %q is not known", o.Kind)
}

func inbox(host string) string                  { return "_INBOX_" + host }
func ctlSubject(host string) string             { return "ctl." + host }
func reportSubject(host string) string          { return "evt." + host + ".report" }
func poolConsumer(k work.Kind) string           { return "pool-" + string(k) }
func hostConsumer(h string, k work.Kind) string { return "host-" + h + "-" + string(k) }

func offerSubject(host string, kind work.Kind) string {
	if host == "" {
		return "run.pool." + string(kind)
	}
	return "run.host." + host + "." + string(kind)
}

// logSubject with an empty host or generation 0 matches all of them.
func logSubject(host, task string, generation int) string {
	gen := "*"
	if generation > 0 {
		gen = strconv.Itoa(generation)
	}
	if host == "" {
		host = "*"
	}
	return "log." + host + "." + task + "." + gen
}

// makeStreams creates or updates the streams and the consumers that everybody shares.
func makeStreams(ctx context.Context, js jetstream.JetStream, opts Options) error {
	for _, cfg := range streamConfigs(opts) {
		if _, err := js.CreateOrUpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("make stream %s: %w", cfg.Name, err)
		}
	}
	for _, kind := range kinds() {
		cfg := consumerConfig(poolConsumer(kind), offerSubject("", kind), opts.AckWait)
		if err := makeConsumer(ctx, js, runsStream, cfg); err != nil {
			return err
		}
	}
	return makeConsumer(ctx, js, reportsStream, consumerConfig(reportsConsumer, "evt.>", opts.AckWait))
}

func streamConfigs(opts Options) []jetstream.StreamConfig {
	queue := jetstream.StreamConfig{
		Retention:  jetstream.WorkQueuePolicy,
		Discard:    jetstream.DiscardNew, // a full queue refuses; it never forgets
		MaxAge:     queueAge,
		Duplicates: doublesWindow,
	}
	runs, reports := queue, queue
	runs.Name, runs.Subjects, runs.MaxBytes = runsStream, []string{"run.>"}, runsBytes
	reports.Name, reports.Subjects, reports.MaxBytes = reportsStream, []string{"evt.>"}, reportsBytes
	logs := jetstream.StreamConfig{
		Name:        logsStream,
		Subjects:    []string{"log.>"},
		Discard:     jetstream.DiscardOld,
		MaxAge:      opts.LogAge,
		MaxBytes:    opts.LogBytes,
		Duplicates:  time.Second,                // lines have no ids; the default would keep two minutes of nothing
		PersistMode: jetstream.AsyncPersistMode, // a sync per line would cost more than the last line is worth
	}
	return []jetstream.StreamConfig{runs, reports, logs}
}

// makeHostConsumers makes the queues that belong to one host.
func makeHostConsumers(ctx context.Context, js jetstream.JetStream, host string, ackWait time.Duration) error {
	for _, kind := range kinds() {
		cfg := consumerConfig(hostConsumer(host, kind), offerSubject(host, kind), ackWait)
		if err := makeConsumer(ctx, js, runsStream, cfg); err != nil {
			return err
		}
	}
	return nil
}

func makeConsumer(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.ConsumerConfig) error {
	if _, err := js.CreateOrUpdateConsumer(ctx, stream, cfg); err != nil {
		return fmt.Errorf("make consumer %s of %s: %w", cfg.Name, stream, err)
	}
	return nil
}

func consumerConfig(name, filter string, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       name,
		Name:          name,
		FilterSubject: filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: 10_000, // a run holds its message for hours; the default of 1000 would stop the pool
	}
}
