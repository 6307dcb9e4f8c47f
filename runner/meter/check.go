package meter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// What a request may ask for. The list follows the parameters of POST /v1/messages with all betas, as Anthropic's
// own client libraries name them (July 2026). A request is refused for what would let the API itself reach out in the
// agent's place, or cost what is not counted:
//
//	mcp_servers       the API would connect to servers that the agent names; empty is fine
//	container         code execution on the API's side, with the account's skills and files
//	tools             only those that the client carries out, by the kinds in clientTools. Tools that the API carries out
//	                  (web search and fetch, code execution, MCP tool sets, an advising second model) are refused, and so is
//	                  any kind that is not known here
//	source type url   anywhere in messages and system: the API would fetch it
//	file_id           files of the account are not the run's
//	model, fallbacks  must be allowed by Options.Models; the API's own choice of fallbacks is refused when that is set
//	speed             other than standard costs a multiple
//	service_tier      other than auto and standard_only
//
// Passed as they are, because they neither reach out nor escape the count: max_tokens, temperature, top_p, top_k,
// stop_sequences, stream, thinking, metadata, output_config, output_format, tool_choice, cache_control and context_management
// (a compaction is counted, see block), inference_geo (counted at its price), fallback_credit_token and diagnostics. A field
// that is not known here passes too: new fields come often, and Claude Code must not stop working with each.

// maxBody bounds a request's body, in bytes. It is the limit of the Messages API itself.
const maxBody = 32 << 20

// request is a body that was checked and may be sent as it is.
type request struct {
	body   []byte
	model  string
	stream bool
	most   int64 // the most tokens the answer may have, as asked
	hour   bool  // asks for the dearer cache
}

// checkBody reads a request's body and refuses what it may not ask for.
func checkBody(body []byte, models []string) (*request, error) {
	w, err := walk(body)
	if err != nil {
		return nil, invalid(err.Error())
	}
	r := &request{body: body, hour: w.hour}
	if err := r.read(w.top); err != nil {
		return nil, err
	}
	if w.outside != "" {
		return nil, invalid("the request holds " + w.outside + "; a run may not use it")
	}
	return r, errors.Join(
		allowed(r.model, models),
		checkNothing(w.top["mcp_servers"], "mcp_servers"),
		checkNothing(w.top["container"], "container"),
		checkOneOf(w.top["speed"], "speed", "standard"),
		checkOneOf(w.top["service_tier"], "service_tier", "auto", "standard_only"),
		checkFallbacks(w.top["fallbacks"], models),
		checkTools(w.top["tools"]),
	)
}

// read takes out what the meter itself needs to know.
func (r *request) read(top map[string][]byte) error {
	if err := json.Unmarshal(orNull(top["model"]), &r.model); err != nil || !modelName(r.model) {
		return invalid("model must be the name of a model")
	}
	if err := json.Unmarshal(orNull(top["stream"]), &r.stream); err != nil {
		return invalid("stream must be true or false")
	}
	var most float64
	if err := json.Unmarshal(orNull(top["max_tokens"]), &most); err != nil {
		return invalid("max_tokens must be a number")
	}
	r.most = int64(min(max(most, 0), maxTokens))
	return nil
}

// allowed refuses a model that is none of the globs; without any all are allowed.
func allowed(model string, models []string) error {
	for _, glob := range models {
		if ok, err := path.Match(glob, model); err == nil && ok {
			return nil
		}
	}
	if len(models) == 0 {
		return nil
	}
	return invalid(fmt.Sprintf("the model %q is not allowed on this host; allowed: %s", clip(model), strings.Join(models, ", ")))
}

// checkNothing refuses a field unless it is missing, null or empty.
func checkNothing(value []byte, name string) error {
	switch string(bytes.Join(bytes.Fields(value), nil)) {
	case "", "null", "[]", "{}", `""`:
		return nil
	}
	return invalid(name + ": a run may not use it")
}

func checkOneOf(value []byte, name string, fine ...string) error {
	var s *string
	if err := json.Unmarshal(orNull(value), &s); err != nil {
		return invalid(name + " must be a text")
	}
	if s == nil {
		return nil
	}
	for _, f := range fine {
		if *s == f {
			return nil
		}
	}
	return invalid(fmt.Sprintf("%s %q: a run may use %s only", name, clip(*s), strings.Join(fine, " or ")))
}

// checkFallbacks holds the models that may take over to the same rules as the model itself.
func checkFallbacks(value []byte, models []string) error {
	var choice string
	if json.Unmarshal(orNull(value), &choice) == nil {
		if choice == "" || len(models) == 0 {
			return nil
		}
		return invalid("fallbacks must name models, because this host allows some models only")
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		return invalid("fallbacks must be a list of models")
	}
	var all []error
	for _, entry := range list {
		folded := map[string][]byte{}
		for key, raw := range entry {
			folded[fold(key)] = raw
		}
		var name string
		if err := json.Unmarshal(orNull(folded["model"]), &name); err != nil || !modelName(name) {
			return invalid("fallbacks must be a list of models")
		}
		all = append(all, allowed(name, models), checkOneOf(folded["speed"], "speed", "standard"))
	}
	return errors.Join(all...)
}

// clientTools are the beginnings of the kinds of tool that the client carries out; behind them stands a date. The search
// for tools runs at the API, over nothing but the tools of the same request.
func clientTools() []string {
	return []string{"bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_"}
}

// checkTools refuses every kind of tool that is not known to be carried out by the client.
func checkTools(value []byte) error {
	var tools []struct {
		Type *string `json:"type"`
	}
	if err := json.Unmarshal(orNull(value), &tools); err != nil {
		return invalid("tools must be a list of tools")
	}
	for _, t := range tools {
		if t.Type == nil || *t.Type == "custom" || isClientTool(*t.Type) {
			continue
		}
		return invalid(fmt.Sprintf("tools: a run may not use the kind %q, which the API would carry out itself", clip(*t.Type)))
	}
	return nil
}

func isClientTool(kind string) bool {
	for _, prefix := range clientTools() {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// modelName says whether s can be the name of a model, at any gateway. Two dots in a row could climb in a gateway's path.
func modelName(s string) bool {
	return s != "" && len(s) <= 200 && !strings.Contains(s, "..") && strings.IndexFunc(s, func(r rune) bool {
		alnum := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !alnum && !strings.ContainsRune("._:/@[]-", r)
	}) < 0
}

func orNull(value []byte) []byte {
	if value == nil {
		return []byte("null")
	}
	return value
}

// refusal is an answer that is given instead of asking the model, in the API's own shape.
type refusal struct {
	status int
	kind   string
	text   string
	// final asks the client not to try again by itself.
	final bool
}

// Error is what the client reads.
func (r *refusal) Error() string { return r.text }

func invalid(text string) error {
	return &refusal{http.StatusBadRequest, "invalid_request_error", "request refused by the host: " + text, true}
}

// forbidden refuses what is no business of a run at all. Like invalid, it ends Claude Code at once; but after a 403 the
// program tells its user of a failed login, so it is for what the program itself never does.
func forbidden(text string) error {
	return &refusal{http.StatusForbidden, "permission_error", "request refused by the host: " + text, true}
}
