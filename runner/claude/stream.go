package claude

import (
	"bytes"
	"encoding/json"
)

// maxTail is how much of stderr's end is kept for the reason of a failure, in bytes.
const maxTail = 4 << 10

// stream reads what the program prints. Its fields are to be read only after the program's end.
type stream struct {
	log  *journal
	hide func(string) string // takes secrets out

	began    bool    // the program got as far as its first line of JSON
	version  string  // as the program says
	trouble  string  // kind of the last model call's error, such as rate_limit; empty after one that went well
	last     *final  // the last result line; there may be several
	since    float64 // US dollars, all result lines' costs since the one before
	hasSince bool
	in, out  int64 // tokens, as since
	tail     []byte
}

// final is a result line.
type final struct {
	Subtype        string          `json:"subtype"`
	IsError        bool            `json:"is_error"`
	Text           string          `json:"result"`
	Output         json.RawMessage `json:"structured_output"`
	Turns          int             `json:"num_turns"`
	TotalCostUSD   float64         `json:"total_cost_usd"`
	APIStatus      int             `json:"api_error_status"`
	StopReason     string          `json:"stop_reason"`
	TerminalReason string          `json:"terminal_reason"`
	Errors         []string        `json:"errors"`
	Denials        []struct {
		Tool string `json:"tool_name"`
	} `json:"permission_denials"`
	Usage struct {
		Input    int64 `json:"input_tokens"`
		Created  int64 `json:"cache_creation_input_tokens"`
		CacheHit int64 `json:"cache_read_input_tokens"`
		Output   int64 `json:"output_tokens"`
	} `json:"usage"`
	Since map[string]struct {
		CostUSD  *float64 `json:"costUSD"`
		Input    int64    `json:"inputTokens"`
		Created  int64    `json:"cacheCreationInputTokens"`
		CacheHit int64    `json:"cacheReadInputTokens"`
		Output   int64    `json:"outputTokens"`
	} `json:"model_usage_since_last_result"`
}

// stdout takes one line of the program's stream.
func (s *stream) stdout(l line) {
	tooLong := l.size > len(l.text)
	if tooLong {
		// Only its head is shown. Twice as much is looked at, so that no secret is cut in two before it is hidden.
		l.text = l.text[:min(len(l.text), 2*maxLogged)]
	}
	if !tooLong && s.log.full() && kindOf(l.text).Type != "result" {
		s.read(l.text) // nobody sees it any more; a flood shall not cost what hiding its secrets would
		return
	}
	text := s.redact(bytes.TrimRight(l.text, "\r"))
	if len(bytes.TrimSpace(text)) == 0 {
		return
	}
	if tooLong || text[0] != '{' || !json.Valid(text) {
		s.log.text("claude", text, l.size)
		return
	}
	s.log.data(text)
	s.read(text)
}

// stderr takes one line of what the program complains of.
func (s *stream) stderr(l line) {
	text := s.redact(l.text)
	if len(bytes.TrimSpace(text)) == 0 {
		return
	}
	s.log.text("stderr", text, l.size)
	s.tail = append(append(s.tail, text[max(0, len(text)-maxTail):]...), '\n')
	s.tail = append([]byte(nil), s.tail[max(0, len(s.tail)-maxTail):]...)
}

// redact hides secrets. JSON stays JSON: where hiding in the line would break it, each of its strings is looked at.
func (s *stream) redact(text []byte) []byte {
	clean := []byte(s.hide(string(text)))
	if json.Valid(clean) || !json.Valid(text) {
		return clean
	}
	var doc any
	if json.Unmarshal(text, &doc) != nil {
		return clean
	}
	clean, err := json.Marshal(hidden(doc, s.hide))
	if err != nil {
		return nil // a document that was read can be written
	}
	return clean
}

// hidden is a JSON document without secrets in its strings and names.
func hidden(doc any, hide func(string) string) any {
	switch v := doc.(type) {
	case string:
		return hide(v)
	case []any:
		for i := range v {
			v[i] = hidden(v[i], hide)
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for name, value := range v {
			clean[hide(name)] = hidden(value, hide)
		}
		return clean
	}
	return doc
}

// kind is what a line is about.
type kind struct {
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
}

func kindOf(text []byte) (k kind) {
	_ = json.Unmarshal(text, &k) // a shape we do not know has no type we know
	return k
}

// read takes from a line of JSON what the result depends on. Unknown types, and fields of an unknown shape, are skipped.
func (s *stream) read(text []byte) {
	s.began = true
	kind := kindOf(text)
	switch {
	case kind.Type == "system" && kind.Subtype == "init":
		var init struct {
			Version string `json:"claude_code_version"`
		}
		if json.Unmarshal(text, &init) == nil {
			s.version = init.Version
		}
	case kind.Type == "assistant":
		var reply struct {
			Trouble string `json:"error"`
		}
		if json.Unmarshal(text, &reply) == nil {
			s.trouble = reply.Trouble
		}
	case kind.Type == "result":
		s.result(text)
	}
}

func (s *stream) result(text []byte) {
	var f final
	if err := json.Unmarshal(text, &f); err != nil {
		// The last one counts: an earlier result must not stand in for one that cannot be read.
		f = final{IsError: true, Text: "the result line cannot be read: " + err.Error()}
	}
	s.last = &f
	if f.Since == nil {
		s.in += f.Usage.Input + f.Usage.Created + f.Usage.CacheHit
		s.out += f.Usage.Output
	}
	for _, model := range f.Since {
		if model.CostUSD != nil {
			s.since += *model.CostUSD
			s.hasSince = true
		}
		s.in += model.Input + model.Created + model.CacheHit
		s.out += model.Output
	}
}
