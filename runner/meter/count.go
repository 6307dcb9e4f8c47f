package meter

import (
	"encoding/json"
	"io"
	"mime"
)

// maxWhole bounds how much of an answer that is not streamed is kept to be counted, in bytes.
const maxWhole = 32 << 20

// counter reads the usage out of an answer of this type.
func (c *call) counter(contentType string) io.WriteCloser {
	if kind, _, err := mime.ParseMediaType(contentType); err == nil && kind == "text/event-stream" {
		return &events{usage: c.sawUsage, output: c.sawOutput}
	}
	return &wholeCounter{c: c}
}

// sawOutput notes a piece of the answer.
func (c *call) sawOutput(tokens int64) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.streamed += tokens
}

// wholeCounter keeps an answer that comes in one piece, and counts it at its end.
type wholeCounter struct {
	c    *call
	kept []byte
	long bool
}

// Write keeps p.
func (wc *wholeCounter) Write(p []byte) (int, error) {
	wc.c.sawOutput(tokensOf(len(p)))
	if len(wc.kept)+len(p) > maxWhole {
		wc.long = true
		return len(p), nil
	}
	wc.kept = append(wc.kept, p...)
	return len(p), nil
}

// Close counts.
func (wc *wholeCounter) Close() error {
	var answer struct {
		Model string `json:"model"`
		Usage *block `json:"usage"`
	}
	if wc.long || json.Unmarshal(wc.kept, &answer) != nil || answer.Usage == nil {
		return nil // the end of the call estimates it, and says so
	}
	wc.c.sawUsage(answer.Model, *answer.Usage, true)
	return nil
}

// nothing counts nothing.
type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) Close() error                { return nil }
