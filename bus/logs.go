package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"dozens/batch/work"
)

// LogQuery says which lines of a task's log to read.
type LogQuery struct {
	Task       string
	Generation int    // 0: all runs
	After      uint64 // only lines behind this position; 0: from the first line kept
	Follow     bool   // go on with lines as they come, until ctx ends
}

// Log calls fn for each line in the order in which they arrived, with its position: give the last one as
// LogQuery.After to go on there. It returns fn's error as it is, nil at the end of a log that is not
// followed, and ctx's error when that ends. A slow fn delays nobody else.
func (b *Bus) Log(ctx context.Context, q LogQuery, fn func(position uint64, l work.Line) error) error {
	if !validName(q.Task) {
		return fmt.Errorf("read log of task %q: %w", q.Task, ErrName)
	}
	consumer, err := b.js.OrderedConsumer(ctx, logsStream, logConsumer(q))
	if err != nil {
		return fmt.Errorf("read log of task %s: %w", q.Task, err)
	}
	if empty := consumer.CachedInfo().NumPending == 0; empty && !q.Follow {
		return nil
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(256))
	if err != nil {
		return fmt.Errorf("read log of task %s: %w", q.Task, err)
	}
	defer it.Stop()
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read log of task %s: %w", q.Task, err)
		}
		more, err := readLine(msg, q, fn)
		if err != nil || !more {
			return err
		}
	}
}

func logConsumer(q LogQuery) jetstream.OrderedConsumerConfig {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{logSubject("", q.Task, q.Generation)}}
	if q.After > 0 {
		cfg.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		cfg.OptStartSeq = q.After + 1
	}
	return cfg
}

func readLine(msg jetstream.Msg, q LogQuery, fn func(uint64, work.Line) error) (more bool, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return false, fmt.Errorf("read log of task %s: %w", q.Task, err)
	}
	more = q.Follow || meta.NumPending > 0
	var l work.Line
	if err := json.Unmarshal(msg.Data(), &l); err != nil || l.Task != q.Task {
		return more, nil // not a line of ours; a host may put anything there
	}
	return more, fn(meta.Sequence.Stream, l)
}

// DropLog deletes all lines of a task.
func (b *Bus) DropLog(ctx context.Context, task string) error {
	if !validName(task) {
		return fmt.Errorf("drop log of task %q: %w", task, ErrName)
	}
	stream, err := b.js.Stream(ctx, logsStream)
	if err != nil {
		return fmt.Errorf("drop log of task %s: %w", task, err)
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(logSubject("", task, 0))); err != nil {
		return fmt.Errorf("drop log of task %s: %w", task, err)
	}
	return nil
}
