package claude

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"dozens/batch/work"
)

// Bounds of a run's log, in bytes.
const (
	maxLogged = 64 << 10 // one line
	maxLog    = 8 << 20  // all lines
)

// journal numbers the lines of a run's log and bounds them.
type journal struct {
	order work.Offer
	emit  func(work.Line)

	mu     sync.Mutex
	seq    int
	logged int // bytes of the agent's output
}

// host logs words of ours.
func (j *journal) host(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.add(work.Line{Kind: "host", Text: fmt.Sprintf(format, args...)})
}

// data logs a line of the agent's stream that is valid JSON.
func (j *journal) data(text []byte) {
	if len(text) > maxLogged {
		j.text("claude", text, len(text))
		return
	}
	j.agent(work.Line{Kind: "claude", Data: json.RawMessage(strings.ToValidUTF8(string(text), "\uFFFD"))})
}

// text logs any other output, cut where it is too long; size is how long it was before it was given to us.
func (j *journal) text(kind string, text []byte, size int) {
	shown := cut(string(text), maxLogged)
	if len(shown) < size {
		shown += fmt.Sprintf("… (%d bytes)", size)
	}
	j.agent(work.Line{Kind: kind, Text: shown})
}

// full says that no more of the agent's output is logged.
func (j *journal) full() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.logged > maxLog
}

// agent logs output of the agent as long as there is room for it.
func (j *journal) agent(l work.Line) {
	j.mu.Lock()
	defer j.mu.Unlock()
	full := j.logged > maxLog
	j.logged += len(l.Text) + len(l.Data)
	switch {
	case full:
	case j.logged > maxLog:
		j.add(work.Line{Kind: "host", Text: fmt.Sprintf(
			"the rest of this run's output is left out: it is longer than %d MB", maxLog>>20)})
	default:
		j.add(l)
	}
}

func (j *journal) add(l work.Line) {
	j.seq++
	l.Task, l.Generation, l.Seq, l.At = j.order.Task, j.order.Generation, j.seq, time.Now().UTC()
	j.emit(l)
}

// cut makes a text valid UTF-8 without NUL and at most limit bytes long.
func cut(text string, limit int) string {
	text = strings.ToValidUTF8(head(text, limit), "\uFFFD")
	return head(strings.ReplaceAll(text, "\x00", "\uFFFD"), limit)
}

// head is at most limit bytes of a text; a character that would be cut in two is left out.
func head(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for back := 0; back < utf8.UTFMax && limit > 0 && !utf8.RuneStart(text[limit]); back++ {
		limit--
	}
	return text[:limit]
}
