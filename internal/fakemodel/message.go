package fakemodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Request is one call of the model.
type Request struct {
	Path    string      // URL path, as asked
	Header  http.Header // as sent; the key is in x-api-key or Authorization
	Session string      // X-Claude-Code-Session-Id
	Body    []byte      // as sent

	Model    string
	Stream   bool
	System   string // all blocks joined
	Messages []Message
	Tools    []Tool
}

// Message is one turn of the conversation.
type Message struct {
	Role    string // user, assistant or system
	Content []Block
}

// Block is one piece of a message.
type Block struct {
	Type  string          `json:"type"` // text, tool_use, tool_result…
	Text  string          `json:"text,omitempty"`
	ID    string          `json:"id,omitempty"`    // of a tool_use
	Name  string          `json:"name,omitempty"`  // of a tool_use
	Input json.RawMessage `json:"input,omitempty"` // of a tool_use

	ToolUseID string `json:"tool_use_id,omitempty"` // of a tool_result
	IsError   bool   `json:"is_error,omitempty"`    // of a tool_result
}

// Tool is a tool that the model may use.
type Tool struct {
	Name        string          `json:"name"`
	InputSchema json.RawMessage `json:"input_schema"`
}

// Usage is what an answer is said to have cost, in tokens.
type Usage struct {
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
}

// Reply is what the model answers. The zero Reply is an empty text that ends the turn.
type Reply struct {
	Text       string
	Tools      []Call
	StopReason string // empty: end_turn, or tool_use when there are Tools
	Usage      Usage  // zero: 1000 in, 100 out

	Delay time.Duration // before answering
	Hang  bool          // never answer

	Status  int         // 300 and above: refuse with this status
	Message string      // of the refusal
	Header  http.Header // of the refusal
}

// Call is one use of a tool.
type Call struct {
	Name  string
	Input any // marshalled as JSON
}

// Say is a reply of text alone.
func Say(text string) Reply { return Reply{Text: text} }

// Use is a reply that uses one tool.
func Use(name string, input any) Reply { return Reply{Tools: []Call{{name, input}}} }

// Bash is a reply that runs one shell command.
func Bash(command string) Reply {
	return Use("Bash", map[string]string{"command": command, "description": "Run a command"})
}

// Return is a reply that hands in the structured result.
func Return(output any) Reply { return Use("StructuredOutput", output) }

// Refuse is a reply with an HTTP error.
func Refuse(status int, message string) Reply { return Reply{Status: status, Message: message} }

// HasTool says whether the model was offered this tool.
func (r Request) HasTool(name string) bool {
	for _, t := range r.Tools {
		if t.Name == name {
			return true
		}
	}
	return false
}

// Results returns the results of tools in the conversation, oldest first, as blocks with Text.
func (r Request) Results() []Block {
	var results []Block
	for _, m := range r.Messages {
		for _, b := range m.Content {
			if b.Type == "tool_result" {
				results = append(results, b)
			}
		}
	}
	return results
}

// Asked is all text that users wrote in the conversation, without the results of tools.
func (r Request) Asked() string {
	var text strings.Builder
	for _, m := range r.Messages {
		for _, b := range m.Content {
			if m.Role == "user" && b.Type == "text" {
				text.WriteString(b.Text + "\n")
			}
		}
	}
	return text.String()
}

func parse(r *http.Request, body []byte) (Request, error) {
	var raw struct {
		Model    string          `json:"model"`
		Stream   bool            `json:"stream"`
		System   json.RawMessage `json:"system"`
		Tools    []Tool          `json:"tools"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return Request{}, fmt.Errorf("read request: %w", err)
	}
	req := Request{
		Path: r.URL.Path, Header: r.Header.Clone(), Session: r.Header.Get("X-Claude-Code-Session-Id"), Body: body,
		Model: raw.Model, Stream: raw.Stream, Tools: raw.Tools,
	}
	for _, b := range blocks(raw.System) {
		req.System += b.Text + "\n"
	}
	for _, m := range raw.Messages {
		req.Messages = append(req.Messages, Message{Role: m.Role, Content: blocks(m.Content)})
	}
	return req, nil
}

// blocks reads content, which is a text or a list of blocks; a tool result holds such content again.
func blocks(raw json.RawMessage) []Block {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []Block{{Type: "text", Text: text}}
	}
	var list []struct {
		Block
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out []Block
	for _, entry := range list {
		for _, inner := range blocks(entry.Content) {
			entry.Text += inner.Text
		}
		out = append(out, entry.Block)
	}
	return out
}

// message is an answer as the API writes it.
type message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      []Block `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
	Usage        Usage   `json:"usage"`
}

// message builds the answer. Ids count up within a conversation, as the program expects of a model.
func (r Reply) message(req Request) message {
	turn := len(req.Messages)
	m := message{
		ID: fmt.Sprintf("msg_%s_%d", req.Session, turn), Type: "message", Role: "assistant", Model: req.Model,
		Content: []Block{}, Usage: r.Usage,
	}
	if m.Usage == (Usage{}) {
		m.Usage = Usage{InputTokens: 1000, OutputTokens: 100}
	}
	if r.Text != "" {
		m.Content = append(m.Content, Block{Type: "text", Text: r.Text})
	}
	for i, call := range r.Tools {
		input, err := json.Marshal(call.Input)
		if err != nil {
			input = []byte("{}")
		}
		m.Content = append(m.Content, Block{
			Type: "tool_use", ID: fmt.Sprintf("toolu_%d_%d", turn, i), Name: call.Name, Input: input,
		})
	}
	stop := r.StopReason
	if stop == "" {
		stop = "end_turn"
		if len(r.Tools) > 0 {
			stop = "tool_use"
		}
	}
	m.StopReason = &stop
	return m
}

// errorType is the API's name for a refusal.
func (r Reply) errorType() string {
	switch r.Status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case 529:
		return "overloaded_error"
	case http.StatusInternalServerError:
		return "api_error"
	default:
		return "invalid_request_error"
	}
}
