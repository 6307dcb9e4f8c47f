package runner

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"dozens/batch/work"
)

// lines is the live log of one piece of work: the host's words and the agent's stream, numbered as one.
// Only lines of a run are numbered; those of a push or cleanup of the same generation have number 0.
type lines struct {
	server Server
	offer  work.Offer
	token  string

	mu  sync.Mutex
	seq int
}

func newLines(s Server, o *work.Order) *lines {
	return &lines{server: s, offer: o.Offer, token: string(o.Token)}
}

// say adds a line of the host's own.
func (l *lines) say(format string, args ...any) {
	l.emit(work.Line{Kind: "host", Text: fmt.Sprintf(format, args...)})
}

// emit adds a line under this work's name and the next number. The token is cut out, should it ever get here.
func (l *lines) emit(line work.Line) {
	line.Task, line.Generation = l.offer.Task, l.offer.Generation
	if line.At.IsZero() {
		line.At = time.Now().UTC()
	}
	line.Text = l.hide(line.Text)
	if l.token != "" && bytes.Contains(line.Data, []byte(l.token)) {
		line.Data = bytes.ReplaceAll(line.Data, []byte(l.token), []byte("***"))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	line.Seq = 0
	if l.offer.Kind == work.Run {
		l.seq++
		line.Seq = l.seq
	}
	l.server.Emit(line)
}

func (l *lines) hide(s string) string {
	if l.token == "" {
		return s
	}
	return strings.ReplaceAll(s, l.token, "***")
}
