package scripted

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// agent is one run.
type agent struct {
	options
	dir     string // the worktree
	script  Script
	session *session
	prompt  string
	stdout  io.Writer
	stderr  io.Writer

	kind  string // "plan" or "code"
	now   Run
	turns int
}

func newAgent(o options, stdin io.Reader, stdout, stderr io.Writer) (*agent, error) {
	home, dir, script, err := environment()
	if err != nil {
		return nil, err
	}
	s, err := openSession(home, dir, o.session)
	if err != nil {
		return nil, err
	}
	a := &agent{options: o, dir: dir, script: script, session: s, stdout: stdout, stderr: stderr, kind: "code"}
	if o.resume && s.runs == 0 {
		return nil, a.lost()
	}
	if !o.resume && s.exists {
		return nil, fmt.Errorf("Session ID %s is already in use.", o.session) //nolint:staticcheck // claude's words
	}
	text, err := io.ReadAll(stdin)
	if err != nil {
		return nil, fmt.Errorf("read prompt: %w", err)
	}
	a.prompt = string(text)
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	if o.schema != "" {
		if err := json.Unmarshal([]byte(o.schema), &schema); err != nil {
			return nil, fmt.Errorf("--json-schema is not valid JSON: %w", err)
		}
	}
	if _, ok := schema.Properties["units"]; ok {
		a.kind = "plan"
	}
	return a, nil
}

// work does the run's steps. It returns nil or an exit when the run has ended.
func (a *agent) work(ctx context.Context) error {
	if err := a.session.add(entry{Type: "user", Prompt: a.prompt}); err != nil {
		return err
	}
	first := a.session.first
	if first == "" {
		first = a.prompt
	}
	a.now = a.script.run(a.kind, a.dir, first, a.prompt, a.session.runs+1)
	if a.now.CostMicroUSD == 0 {
		a.now.CostMicroUSD = 10_000
	}
	a.line(map[string]any{
		"type": "system", "subtype": "init", "cwd": a.dir, "session_id": a.options.session, "model": a.model,
		"tools": []string{"Bash", "Edit", "Glob", "Grep", "Read", "Write"}, "claude_code_version": Version,
	})
	for _, step := range a.now.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.turn(); err != nil {
			return err
		}
		ended, err := a.do(ctx, step)
		if ended || err != nil {
			return err
		}
	}
	return a.finish(json.RawMessage(`{"status":"done","summary":"The script was carried out."}`))
}

// turn counts one turn of the model against the limits of the run.
func (a *agent) turn() error {
	if a.maxTurns > 0 && max(a.turns, a.now.Turns-1) >= a.maxTurns {
		return a.fail("error_max_turns", fmt.Sprintf("Reached maximum number of turns (%d)", a.maxTurns))
	}
	if a.maxUSD > 0 && a.turns > 0 && float64(a.now.CostMicroUSD)/1e6 >= a.maxUSD {
		return a.fail("error_max_budget_usd", fmt.Sprintf("Reached maximum budget ($%g)", a.maxUSD))
	}
	a.turns++
	return nil
}

// line writes one line of the stream.
func (a *agent) line(fields map[string]any) {
	text, err := json.Marshal(fields)
	if err != nil {
		text = fmt.Appendf(nil, `{"type":"system","subtype":"informational","message":%q}`, err.Error())
	}
	// A reader that went away is noticed by its signal, not here.
	_, _ = a.stdout.Write(append(text, '\n'))
}

// say prints the model's words.
func (a *agent) say(text string) {
	a.message("assistant", map[string]any{"type": "text", "text": text})
}

// use prints one use of a tool and its result.
func (a *agent) use(tool string, input map[string]any, result string, failed bool) {
	id := fmt.Sprintf("toolu_%d_%d", a.session.runs, a.turns)
	a.message("assistant", map[string]any{"type": "tool_use", "id": id, "name": tool, "input": input})
	a.message("user", map[string]any{"type": "tool_result", "tool_use_id": id, "content": result, "is_error": failed})
}

func (a *agent) message(role string, block map[string]any) {
	message := map[string]any{"role": role, "content": []any{block}}
	if role == "assistant" {
		message["id"] = fmt.Sprintf("msg_%d_%d", a.session.runs, a.turns)
		message["model"] = a.model
	}
	a.line(map[string]any{
		"type": role, "message": message, "parent_tool_use_id": nil, "session_id": a.options.session,
	})
}

// finish ends the run with a structured result, or with its text when none was asked for.
func (a *agent) finish(output json.RawMessage) error {
	fields := map[string]any{"subtype": "success", "is_error": false, "result": string(output), "terminal_reason": "completed"}
	if a.schema != "" {
		a.message("assistant", map[string]any{
			"type": "tool_use", "id": fmt.Sprintf("toolu_%d_result", a.session.runs), "name": "StructuredOutput", "input": output,
		})
		fields["structured_output"] = output
	}
	return a.end(fields)
}

// fail ends the run with an error of this kind.
func (a *agent) fail(subtype, words string) error {
	err := a.end(map[string]any{"subtype": subtype, "is_error": true, "errors": []string{words}})
	if err != nil {
		return err
	}
	return exit{1}
}

// refuse ends the run as when the model API refused.
func (a *agent) refuse(status int, words string) error {
	text := fmt.Sprintf("API Error: %d %s", status, words)
	a.line(map[string]any{
		"type": "assistant", "error": trouble(status), "session_id": a.options.session,
		"message": map[string]any{"role": "assistant", "model": "<synthetic>", "content": []any{map[string]any{"type": "text", "text": text}}},
	})
	err := a.end(map[string]any{
		"subtype": "success", "is_error": true, "result": text, "api_error_status": status, "terminal_reason": "api_error",
	})
	if err != nil {
		return err
	}
	return exit{1}
}

// trouble is claude's word for what the API answered, "" if it has none.
func trouble(status int) string {
	switch status {
	case 401, 403:
		return "authentication_failed"
	case 404:
		return "model_not_found"
	case 429:
		return "rate_limit"
	case 500, 529:
		return "server_error"
	}
	return ""
}

// end prints the result line. Costs are cumulative over the session's runs, as claude's are.
func (a *agent) end(fields map[string]any) error {
	cost := a.now.CostMicroUSD
	if err := a.session.add(entry{Type: "cost", CostMicroUSD: cost}); err != nil {
		return err
	}
	usd := func(micro int64) float64 { return float64(micro) / 1e6 }
	all := map[string]any{
		"type": "result", "session_id": a.options.session, "num_turns": max(a.turns, a.now.Turns),
		"total_cost_usd": usd(a.session.cost + cost),
		"modelUsage":     map[string]any{a.model: map[string]any{"costUSD": usd(a.session.cost + cost)}},
		"usage":          map[string]any{"input_tokens": 1000 * a.turns, "output_tokens": 100 * a.turns},
		"model_usage_since_last_result": map[string]any{a.model: map[string]any{
			"costUSD": usd(cost), "inputTokens": 1000 * a.turns, "outputTokens": 100 * a.turns,
		}},
		"permission_denials": []any{},
	}
	for name, value := range fields {
		all[name] = value
	}
	a.line(all)
	return nil
}

// lost is how claude says that there is nothing to resume.
func (a *agent) lost() error {
	words := "No conversation found with session ID: " + a.options.session
	a.line(map[string]any{
		"type": "result", "subtype": "error_during_execution", "is_error": true, "num_turns": 0,
		"session_id": a.options.session, "total_cost_usd": 0, "errors": []string{words},
	})
	_, _ = fmt.Fprintln(a.stderr, words) // nobody reads
	return exit{1}
}
