package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	credentials "dozens/batch/secret"
	"dozens/batch/work"
)

// maxText bounds one entry's text, in bytes: a page must stay usable when an agent prints a whole file.
const maxText = 16 << 10

// Entry is one thing to show of a log: what a line of the agent's stream says, in a form for people. Its texts are
// untrusted, but free of control characters.
type Entry struct {
	Kind string `json:"kind"`           // said, thought, tool, result, error, host, stderr, system, end
	At   string `json:"at"`             // time of day, UTC
	Head string `json:"head,omitempty"` // a few words
	Text string `json:"text,omitempty"` // any number of lines
}

// Render turns a line of a log into what is worth showing of it; often nothing, seldom more than one entry.
func Render(line work.Line) []Entry {
	var entries []Entry
	switch line.Kind {
	case "claude":
		entries = renderStream(line.Data)
	case "stderr":
		entries = []Entry{{Kind: "stderr", Text: line.Text}}
	default:
		entries = []Entry{{Kind: "host", Text: line.Text}}
	}
	shown := entries[:0]
	for _, e := range entries {
		e.At, e.Head, e.Text = line.At.UTC().Format(time.TimeOnly), clean(e.Head, 200), clean(e.Text, maxText)
		if e.Head != "" || e.Text != "" {
			shown = append(shown, e)
		}
	}
	return shown
}

// plain is the entry as text: a heading line, and the text indented below it.
func (e Entry) plain() string {
	head := strings.Join(strings.Fields(strings.ReplaceAll(e.Head, "\n", " ")), " ")
	out := fmt.Sprintf("%s %-7s %s\n", e.At, e.Kind, head)
	if e.Text != "" {
		out += "    " + strings.ReplaceAll(e.Text, "\n", "\n    ") + "\n"
	}
	return out
}

// streamLine is what is read of a line of the agent's output. Fields it does not have stay empty; types it does not
// know are not shown.
type streamLine struct {
	Type    string `json:"type"`
	Subtype string `json:"subtype"`
	Message struct {
		Content json.RawMessage `json:"content"`
	} `json:"message"`
	Parent  string  `json:"parent_tool_use_id"` // set for what a subagent says
	Model   string  `json:"model"`
	Result  string  `json:"result"`
	IsError bool    `json:"is_error"`
	Turns   int     `json:"num_turns"`
	CostUSD float64 `json:"total_cost_usd"`
	Attempt int     `json:"attempt"`
	Retries int     `json:"max_retries"`
	Status  int     `json:"error_status"`
}

// block is one piece of a message.
type block struct {
	Type     string          `json:"type"`
	Text     string          `json:"text"`
	Thinking string          `json:"thinking"`
	Name     string          `json:"name"`
	Input    json.RawMessage `json:"input"`
	Content  json.RawMessage `json:"content"` // of a tool's result: a string, or blocks
	IsError  bool            `json:"is_error"`
}

func renderStream(data json.RawMessage) []Entry {
	var line streamLine
	if json.Unmarshal(data, &line) != nil {
		return []Entry{{Kind: "system", Text: string(data)}}
	}
	switch line.Type {
	case "assistant", "user":
		return renderMessage(line)
	case "system":
		return renderSystem(line)
	case "result":
		kind, head := "end", "finished"
		if line.IsError {
			kind, head = "error", "ended with an error"
		}
		if line.Subtype != "" && line.Subtype != "success" {
			head += " (" + line.Subtype + ")"
		}
		return []Entry{{Kind: kind, Head: fmt.Sprintf("%s: %d turns, $%.2f", head, line.Turns, line.CostUSD), Text: line.Result}}
	default:
		return nil
	}
}

func renderSystem(line streamLine) []Entry {
	switch line.Subtype {
	case "init":
		return []Entry{{Kind: "system", Head: "the agent starts, model " + line.Model}}
	case "api_retry":
		return []Entry{{Kind: "error", Head: fmt.Sprintf("the model answered %d, attempt %d of %d", line.Status, line.Attempt, line.Retries)}}
	case "permission_denied", "model_fallback":
		return []Entry{{Kind: "system", Head: strings.ReplaceAll(line.Subtype, "_", " ")}}
	default:
		return nil
	}
}

// renderMessage shows what the agent said and did, and what its tools answered.
func renderMessage(line streamLine) []Entry {
	var entries []Entry
	for _, b := range blocksOf(line.Message.Content) {
		var e Entry
		switch b.Type {
		case "text":
			e = Entry{Kind: "said", Text: b.Text}
		case "thinking":
			e = Entry{Kind: "thought", Text: b.Thinking}
		case "tool_use":
			e = Entry{Kind: "tool", Head: b.Name, Text: toolInput(b.Input)}
		case "tool_result":
			e = Entry{Kind: "result", Text: textOf(b.Content)}
			if b.IsError {
				e.Kind, e.Head = "error", "the tool failed"
			}
		default:
			continue
		}
		if line.Parent != "" {
			e.Head = strings.TrimSpace("subagent " + e.Head)
		}
		entries = append(entries, e)
	}
	return entries
}

// blocksOf reads a message's content, which is a list of blocks or a plain string.
func blocksOf(content json.RawMessage) []block {
	var blocks []block
	if json.Unmarshal(content, &blocks) == nil {
		return blocks
	}
	var text string
	if json.Unmarshal(content, &text) == nil {
		return []block{{Type: "text", Text: text}}
	}
	return nil
}

// textOf joins the texts of a tool's result; pictures and the like are left out.
func textOf(content json.RawMessage) string {
	var texts []string
	for _, b := range blocksOf(content) {
		if b.Type == "text" {
			texts = append(texts, b.Text)
		}
	}
	return strings.Join(texts, "\n")
}

// toolInput shows the part of a tool's input that tells what it does: the command, the file or the pattern; else all.
func toolInput(input json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(input, &fields) != nil {
		return string(input)
	}
	for _, name := range []string{"command", "file_path", "pattern", "path", "url", "query", "description"} {
		var s string
		if json.Unmarshal(fields[name], &s) == nil && s != "" {
			return s
		}
	}
	var compact bytes.Buffer
	if json.Compact(&compact, input) != nil || compact.String() == "{}" {
		return ""
	}
	return compact.String()
}

// colours are the escape sequences by which programs colour a terminal.
var colours = regexp.MustCompile(`\x1b\[[0-9;?]*[ -/]*[@-~]`)

// clean takes out what could mislead a reader or a terminal (control characters, escape sequences,
// characters that turn the direction of text or cannot be seen) and credentials, and cuts what is too long, in bytes.
func clean(s string, limit int) string {
	const margin = 2 << 10 // a credential that the end cuts is still known by its beginning
	all := len(s)
	s = begin(s, limit+margin)
	rest := all - len(s)
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.In(r, unicode.Cc, unicode.Cf) {
			return r
		}
		return -1
	}, colours.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), ""))
	s = credentials.Redact(s)
	shown := begin(s, limit)
	rest += len(s) - len(shown)
	shown = strings.TrimRight(shown, " \n\t")
	if rest > 0 && all > limit {
		shown += fmt.Sprintf("\n… %d more bytes", rest)
	}
	return shown
}

// begin is the first so many bytes of a text, without half a character.
func begin(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
