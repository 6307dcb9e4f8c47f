package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"dozens/batch/work"
)

const (
	pulse        = 15 * time.Second // between signs of life on a silent stream, so that proxies keep it open
	openAfter    = 300 * time.Millisecond
	writeTimeout = 30 * time.Second // for one write to a reader that does not read
)

// position is where a line stands in a task's log. Sequence numbers start again in each run, generations never.
type position struct{ generation, seq int }

func (p position) String() string { return fmt.Sprintf("%d.%d", p.generation, p.seq) }

func (p position) after(q position) bool {
	return p.generation > q.generation || p.generation == q.generation && p.seq > q.seq
}

// events sends the log as server-sent events: all of it from the start, then each new line. A browser that lost the
// connection names the last line it has, and gets what comes after it.
func (p *pages) events(w http.ResponseWriter, r *http.Request) {
	var last position
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		if _, err := fmt.Sscanf(id, "%d.%d", &last.generation, &last.seq); err != nil {
			last = position{} // not one of ours: everything again
		}
	}
	out := &stream{w: w, control: http.NewResponseController(w), kind: "text/event-stream", hello: "retry: 3000\n\n", pulse: ": \n\n"}
	p.follow(w, r, out, func(line work.Line) (string, error) {
		at := position{line.Generation, line.Seq}
		if !at.after(last) {
			return "", nil
		}
		entries := Render(line)
		if len(entries) == 0 {
			return "", nil
		}
		data, err := json.Marshal(entries)
		if err != nil {
			return "", fmt.Errorf("encode line %s: %w", at, err)
		}
		return fmt.Sprintf("id: %s\ndata: %s\n\n", at, data), nil
	}, "event: end\ndata:\n\n")
}

// text sends the same log as plain text, for people without JavaScript and for curl.
func (p *pages) text(w http.ResponseWriter, r *http.Request) {
	out := &stream{w: w, control: http.NewResponseController(w), kind: "text/plain; charset=utf-8"}
	p.follow(w, r, out, func(line work.Line) (string, error) {
		var b strings.Builder
		for _, e := range Render(line) {
			b.WriteString(e.plain())
		}
		return b.String(), nil
	}, "(end of the log)\n")
}

// follow copies a task's log into out until it is complete, the reader has gone or the server stops.
func (p *pages) follow(w http.ResponseWriter, r *http.Request, out *stream, format func(work.Line) (string, error), end string) {
	task := r.PathValue("id")
	if !isID(task) {
		p.fail(w, r, ErrNotFound)
		return
	}
	if !p.streams.TryAcquire(1) {
		http.Error(w, "too many logs are followed at once", http.StatusServiceUnavailable)
		return
	}
	defer p.streams.Release(1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.stopping, cancel)()

	err := p.pump(ctx, task, out, format)
	switch {
	case err == nil:
		// Who has hung up by now does not miss the end.
		_ = out.send(end)
	case !out.opened && ctx.Err() == nil:
		p.fail(w, r, err)
	}
	// Otherwise the stream breaks off, and the browser asks again from where it is.
}

// pump is one owner of the stream: lines come from Tail's goroutine, signs of life from a timer, and only this one
// writes.
func (p *pages) pump(ctx context.Context, task string, out *stream, format func(work.Line) (string, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	lines, ended := make(chan work.Line), make(chan error, 1)
	go func() {
		ended <- p.view.Tail(ctx, task, func(l work.Line) error {
			select {
			case lines <- l:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(lines)
	}()
	err := write(ctx, out, lines, format)
	cancel()
	if tail := <-ended; err == nil {
		err = tail
	}
	return err
}

// write sends what comes out of lines until they end.
func write(ctx context.Context, out *stream, lines <-chan work.Line, format func(work.Line) (string, error)) error {
	beat := time.NewTimer(openAfter)
	defer beat.Stop()
	for {
		text := out.pulse
		select {
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			var err error
			if text, err = format(line); err != nil {
				return err
			}
		case <-beat.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		beat.Reset(pulse)
		if err := out.send(text); err != nil {
			return err
		}
	}
}

// stream is one answer that goes on. The header goes out with the first write, so that a log that does not exist can
// still be answered with 404.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	kind    string // Content-Type
	hello   string // sent first
	pulse   string // sent when there was nothing for a while
	opened  bool
}

func (s *stream) send(text string) error {
	// Writers that know no deadline, as tests use, do without.
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if !s.opened {
		s.opened = true
		headers(s.w)
		s.w.Header().Set("Content-Type", s.kind)
		s.w.Header().Set("X-Accel-Buffering", "no") // proxies are not to collect lines before they pass them on
		text = s.hello + text
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return fmt.Errorf("write to reader: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("flush to reader: %w", err)
	}
	return nil
}
