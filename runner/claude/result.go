package claude

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"dozens/batch/work"
	"dozens/runner/meter"
)

// maxReason bounds the words about an outcome, in bytes.
const maxReason = 6 << 10

// Exit codes of the program that mean a signal ended it; it gives no result then.
const (
	exitSIGINT  = 130
	exitSIGTERM = 143
	exitSIGHUP  = 129
	exitSIGKILL = 137
)

// ending is all that is known when a run has ended.
type ending struct {
	*stream
	ended
	metered meter.Usage
	stopped bool // by us, whatever the cause
	timeUp  bool // by us, because the order's time was over
	took    time.Duration
}

// conversationLost says that there was nothing to continue, so that nothing has happened either.
func (e *ending) conversationLost() bool {
	const lost = "No conversation found"
	said := strings.Contains(string(e.tail), lost)
	if e.last != nil {
		said = said || strings.Contains(e.last.Text, lost) || strings.Contains(strings.Join(e.last.Errors, "\n"), lost)
	}
	return said && !e.stopped && e.state.ExitCode() == 1 && (e.last == nil || e.last.Turns == 0)
}

// judge decides what came of the run. A line that says success is not enough: the program must have ended well and
// the result must be what the order asks for.
func (e *ending) judge(o work.Order, schema *jsonschema.Schema) Result {
	code := e.state.ExitCode()
	switch {
	case e.reason != "":
		return Result{Outcome: work.Limit, Reason: "the sandbox ended the run: " + e.reason}
	case code == 0 && e.last != nil && !e.last.IsError:
		return e.accept(schema)
	case e.timeUp:
		return Result{Outcome: work.Limit, Reason: fmt.Sprintf("the time limit of %s for one run is over", o.Limits.Time)}
	case e.stopped:
		return Result{Outcome: work.Stopped, Reason: "stopped"}
	case e.metered.Over || e.metered.Limited:
		return e.refused(o)
	case interruptedBy(code) || e.interrupted():
		return Result{Outcome: work.Stopped, Reason: "the agent was stopped from outside of Dozens"}
	case e.last != nil && (e.last.IsError || e.last.Subtype != "success"):
		return e.failure(o)
	default:
		return e.silence()
	}
}

// refused is a run that could not go on because the meter passed no more of its requests.
func (e *ending) refused(o work.Order) Result {
	if e.metered.Over {
		return Result{Outcome: work.Limit, Reason: "the run's budget of $" + dollars(o.Limits.CostMicroUSD) + " is spent"}
	}
	reason := "the model account's limit is reached"
	if until := e.metered.LimitedUntil; !until.IsZero() {
		reason += "; it can be used again after " + until.UTC().Format(time.RFC3339)
	}
	return Result{Outcome: work.UsageOver, Reason: reason}
}

// accept takes the structured result of a run that ended well.
func (e *ending) accept(schema *jsonschema.Schema) Result {
	if schema == nil {
		return Result{Outcome: work.Done}
	}
	output := e.last.Output
	if len(output) == 0 || bytes.Equal(output, []byte("null")) {
		reason := "the agent ended without a structured result"
		if e.last.Text != "" {
			reason += "; it said: " + cut(e.last.Text, 2000)
		}
		return Result{Outcome: work.Unusable, Reason: reason}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(output))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return Result{Outcome: work.Unusable, Reason: cut("the agent's result does not fit its schema: "+err.Error(), maxReason)}
	}
	var said struct {
		Status   string `json:"status"`
		Summary  string `json:"summary"`
		Question string `json:"question"`
	}
	_ = json.Unmarshal(output, &said) // another schema has no status: done
	result := Result{Outcome: work.Done, Output: output}
	switch said.Status {
	case string(work.Question):
		result.Outcome, result.Reason = work.Question, cut(said.Question, maxReason)
		if result.Reason == "" {
			result.Reason = cut(said.Summary, maxReason)
		}
	case string(work.Blocked):
		result.Outcome, result.Reason = work.Blocked, cut(said.Summary, maxReason)
	}
	return result
}

// interruptedBy says that the program's exit code tells of a signal that asked it to end.
func interruptedBy(code int) bool {
	return code == exitSIGTERM || code == exitSIGINT || code == exitSIGHUP
}

// interrupted says that somebody broke the run off and the program ended in good order.
func (e *ending) interrupted() bool {
	return e.last != nil && strings.HasPrefix(e.last.TerminalReason, "aborted")
}

// failure tells from a result line that reports an error what to do about it.
func (e *ending) failure(o work.Order) Result {
	f := e.last
	said := strings.TrimSpace(strings.Join(append(f.Errors, f.Text), " "))
	said = cut(said, 1000)
	switch {
	case f.Subtype == "error_max_turns":
		return Result{Outcome: work.Limit, Reason: fmt.Sprintf("the limit of %d turns for one run is reached", o.Limits.Turns)}
	case f.Subtype == "error_max_budget_usd" || f.TerminalReason == "budget_exhausted":
		return Result{Outcome: work.Limit, Reason: "the run's budget of $" + dollars(o.Limits.CostMicroUSD) + " is spent"}
	case f.Subtype == "error_max_structured_output_retries":
		return Result{Outcome: work.Unusable, Reason: "the agent did not manage to give a result that fits its schema: " + said}
	case f.StopReason == "refusal":
		return Result{Outcome: work.Unusable, Reason: "the model refused to go on: " + said}
	case f.TerminalReason == "prompt_too_long":
		return Result{Outcome: work.Fault, Reason: "the conversation is too long for the model; start the task again, or make it smaller: " + said}
	case f.Subtype == "success" || f.TerminalReason == "api_error":
		return e.apiFailure(o, said)
	default:
		return Result{Outcome: work.Unusable, Reason: e.withTail("the agent ended with " + f.Subtype + ": " + said)}
	}
}

// apiFailure tells apart what the model API's refusals ask for.
//
//nolint:gocyclo // a plain table of what the API says and what that means
func (e *ending) apiFailure(o work.Order, said string) Result {
	status, lower := e.last.APIStatus, strings.ToLower(said)
	says := func(word string) bool { return strings.Contains(lower, word) }
	code := ""
	if status != 0 {
		code = " (" + strconv.Itoa(status) + ")"
	}
	fault := func(words string) Result { return Result{Outcome: work.Fault, Reason: words + code + ": " + said} }
	switch {
	case e.trouble == "billing_error" || says("credit balance") || status == 402:
		return fault("the model account cannot pay; top it up or use another key on this host")
	case status == 429 || status == 529 || e.trouble == "rate_limit" || says("usage limit"):
		return Result{Outcome: work.UsageOver, Reason: "the model account's limit is reached or the model is overloaded" + code + ": " + said}
	case status == 401 || status == 403 || e.trouble == "authentication_failed" || says("not logged in") || says("invalid api key"):
		return fault("the model API refuses this host; check ANTHROPIC_API_KEY, or the gateway's token, on this host")
	case status == 404 || e.trouble == "model_not_found":
		model := o.Model
		if model == "" {
			model = "the default model"
		}
		return fault("the model API does not have " + model + "; choose another model in the settings")
	case says("the host could not reach the model"): // the meter's words
		return Result{Outcome: work.UsageOver, Reason: "this host cannot reach the model; check ANTHROPIC_BASE_URL and the network of this host" + code + ": " + said}
	case status >= 500:
		return Result{Outcome: work.UsageOver, Reason: "the model API is out of order" + code + ": " + said}
	case status == 0:
		return fault("the model API cannot be reached or does not answer; check ANTHROPIC_BASE_URL and the network of this host")
	default:
		return fault("the model API refused the request")
	}
}

// silence is a run that ended without a result line, or in another way than its result line said.
func (e *ending) silence() Result {
	how := e.state.String()
	ws, ok := e.state.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() || e.state.ExitCode() == exitSIGKILL { // the latter as a box tells it
		return Result{Outcome: work.Unusable, Reason: e.withTail("the agent's process was killed (" + how + "), perhaps for lack of memory")}
	}
	if !e.began && e.state.ExitCode() != 0 {
		return Result{Outcome: work.Fault, Reason: e.withTail("claude could not start (" + how + ")")}
	}
	return Result{Outcome: work.Unusable, Reason: e.withTail("the agent ended without a result (" + how + ")")}
}

// withTail adds the end of stderr to words about a failure.
func (e *ending) withTail(words string) string {
	if tail := strings.TrimSpace(string(e.tail)); tail != "" {
		words += "; stderr: " + tail
	}
	return cut(words, maxReason)
}

// usage is what the run used, without its cost.
func (e *ending) usage() work.Usage {
	u := work.Usage{InputTokens: e.in, OutputTokens: e.out}
	if e.last != nil {
		u.Turns = e.last.Turns
	}
	return u
}

// cost is the run's in millionths of a US dollar, when so much is booked for the session's earlier runs.
func (e *ending) cost(booked int64) int64 {
	if e.last == nil {
		return 0
	}
	total := micro(e.last.TotalCostUSD)
	if e.totalIsOfRun() {
		return total
	}
	// The total also counts runs that were stopped before they told theirs.
	return max(total-booked, micro(e.since), 0)
}

// totalIsOfRun says that total_cost_usd speaks of one run, as in versions up to 2.1.197, and not of the session.
func (e *ending) totalIsOfRun() bool {
	parts := strings.SplitN(e.version, ".", 3)
	if e.hasSince || len(parts) != 3 {
		return false
	}
	patch, err := strconv.Atoi(parts[2])
	return err == nil && parts[0] == "2" && parts[1] == "1" && patch <= 197
}

// dollars writes millionths of a US dollar as dollars.
func dollars(micro int64) string { return strconv.FormatFloat(float64(micro)/1e6, 'f', -1, 64) }

func micro(usd float64) int64 {
	if !(usd > 0) || usd > 1e9 {
		return 0
	}
	return int64(math.Round(usd * 1e6))
}

// compile reads the order's schema; none is nil.
func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	if len(schema) == 0 {
		return nil, nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("read the result's schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // a schema is complete in itself: nothing is loaded from anywhere
	if err := c.AddResource("result.json", doc); err != nil {
		return nil, fmt.Errorf("read the result's schema: %w", err)
	}
	compiled, err := c.Compile("result.json")
	if err != nil {
		return nil, fmt.Errorf("compile the result's schema: %w", err)
	}
	return compiled, nil
}
