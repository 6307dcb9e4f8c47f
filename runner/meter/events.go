package meter

import (
	"bytes"
	"encoding/json"
)

// maxEvent bounds how much of one event is looked at, in bytes. Events that carry usage are a few hundred bytes long; what
// is longer is passed on and not read.
const maxEvent = 1 << 20

// events reads a stream of server-sent events as it passes by, in pieces of any size, and tells what concerns the meter.
// It keeps at most one event.
type events struct {
	// usage takes a usage block; model is empty where the event does not name it, last is true in the event that ends
	// the answer.
	usage  func(model string, b block, last bool)
	output func(tokens int64) // a guess at the tokens of one piece of the answer

	line []byte // an unfinished line
	data []byte // the data lines of an unfinished event
	cr   bool   // the last byte was a carriage return
	skip bool   // the event is too long to be read
}

// Write takes the next piece. It never fails.
func (e *events) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if e.cr && p[0] == '\n' { // the second half of one line end
			e.cr, p = false, p[1:]
			continue
		}
		e.cr = false
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			e.line = e.keep(e.line, p)
			break
		}
		if len(e.line) == 0 {
			e.endLine(p[:end])
		} else {
			e.line = e.keep(e.line, p[:end])
			e.endLine(e.line)
			e.line = e.line[:0]
		}
		e.cr = p[end] == '\r'
		p = p[end+1:]
	}
	return n, nil
}

// Close reads what a broken stream left unfinished. It never fails.
func (e *events) Close() error {
	if len(e.line) > 0 {
		e.endLine(e.line)
		e.line = nil
	}
	e.endEvent()
	return nil
}

// keep appends, unless the event becomes too long.
func (e *events) keep(to, p []byte) []byte {
	if len(to)+len(e.data)+len(p) > maxEvent {
		e.skip = true
		return to[:0]
	}
	return append(to, p...)
}

func (e *events) endLine(line []byte) {
	if len(line) == 0 {
		e.endEvent()
		return
	}
	value, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok || e.skip {
		return
	}
	if len(e.data) > 0 {
		e.data = append(e.data, '\n')
	}
	e.data = e.keep(e.data, bytes.TrimPrefix(value, []byte(" ")))
}

func (e *events) endEvent() {
	if len(e.data) > 0 && !e.skip {
		e.look(e.data)
	}
	e.data, e.skip = e.data[:0], false
}

// frame is about what an event weighs that carries a piece of the answer, without the piece, in bytes.
const frame = 80

// look reads one event. Only those that may matter are parsed: the text of an answer cannot hold a key with its quotes,
// because inside of JSON they are escaped.
func (e *events) look(data []byte) {
	if !bytes.Contains(data, []byte(`"usage"`)) {
		if len(data) > frame {
			e.output(tokensOf(len(data) - frame))
		}
		return
	}
	var event struct {
		Type    string `json:"type"`
		Message struct {
			Model string `json:"model"`
			Usage *block `json:"usage"`
		} `json:"message"`
		Usage *block `json:"usage"`
		Delta struct {
			StopReason *string `json:"stop_reason"`
		} `json:"delta"`
	}
	if json.Unmarshal(data, &event) != nil {
		return
	}
	switch {
	case event.Type == "message_start" && event.Message.Usage != nil:
		e.usage(event.Message.Model, *event.Message.Usage, false)
	case event.Type == "message_delta" && event.Usage != nil:
		e.usage("", *event.Usage, event.Delta.StopReason != nil)
	}
}

// tokensOf guesses how many tokens so many bytes are. Text has about four bytes to a token, code fewer: three is cautious.
func tokensOf(bytes int) int64 { return int64(bytes+2) / 3 }
