package scripted

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Env names the environment variable with the script: the path of a JSON file, or the JSON itself.
const Env = "SCRIPTED_AGENT"

// Script says what the agent does. The zero Script does the demo's work at the demo's pace.
type Script struct {
	Rules   []Rule `json:"rules,omitempty"`   // the first that fits a run decides what it does
	StepMS  *int   `json:"step_ms,omitempty"` // milliseconds that a step of the demo's work takes; nil: 300
	Mistake string `json:"mistake,omitempty"` // label of the demo's unit with a mistake in it; empty: the last; "-": none
}

// Rule says what the runs of a session do. Its conditions must all fit; an empty one fits always.
type Rule struct {
	Kind  string `json:"kind,omitempty"`  // "plan" or "code"
	Label string `json:"label,omitempty"` // the worktree's folder is LABEL or begins with LABEL-
	Match string `json:"match,omitempty"` // the first prompt of the session or that of this run contains it
	Runs  []Run  `json:"runs"`            // the first run of the session, the second…; the last one repeats
}

// Run is what one run does. When no step ends it, it ends with a result that says done.
type Run struct {
	Steps        []Step `json:"steps"`
	CostMicroUSD int64  `json:"cost_micro_usd,omitempty"` // 0: a cent
	Turns        int    `json:"turns,omitempty"`          // 0: one for each step
}

// The actions of a step, and what it takes from the step's other fields.
const (
	Write      = "write"      // Text to the file Path
	Append     = "append"     // Text to the end of the file Path
	Delete     = "delete"     // the file or folder Path
	Shell      = "shell"      // the command Text
	Commit     = "commit"     // everything, with the message Text
	Checkout   = "checkout"   // a new branch Text
	DeleteGit  = "delete-git" // the worktree's .git
	Background = "background" // the command Text in a session of its own, left behind
	Say        = "say"        // Text, as the model's words
	Stdout     = "stdout"     // Text as it is
	Stderr     = "stderr"     // Text as it is
	Flood      = "flood"      // N MB of JSON lines
	LongLine   = "long-line"  // one JSON line of N MB
	Pause      = "pause"      // N milliseconds
	WaitFor    = "wait-for"   // until the file Path exists
	Hang       = "hang"       // for ever
	Deaf       = "deaf"       // ignore the request to stop from now on
	Exit       = "exit"       // at once with code N, without a result
	Signal     = "signal"     // end by the signal with number N, without a result
	Ask        = "ask"        // end with the question Text
	Blocked    = "blocked"    // end blocked with the reason Text
	Result     = "result"     // end with the structured result Output
	Plain      = "plain"      // end with Text and no structured result
	APIError   = "api-error"  // end as after the model API answered N with the words Text
	Demo       = "demo"       // do the demo's work and end
)

// Step is one thing that the agent does.
type Step struct {
	Do     string          `json:"do"`
	Path   string          `json:"path,omitempty"` // relative to the worktree, absolute, or ~/… in the session's home
	Text   string          `json:"text,omitempty"`
	N      int             `json:"n,omitempty"`
	Output json.RawMessage `json:"output,omitempty"`
}

// Variable is the environment entry that gives this script to an agent.
func (s Script) Variable() (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("write script: %w", err)
	}
	return Env + "=" + string(text), nil
}

// load reads the script that the value of the environment variable names.
func load(value string) (Script, error) {
	var s Script
	if value == "" {
		return s, nil
	}
	text := []byte(value)
	if !strings.HasPrefix(value, "{") {
		var err error
		if text, err = os.ReadFile(value); err != nil {
			return s, fmt.Errorf("read script: %w", err)
		}
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("read script: %w", err)
	}
	return s, nil
}

// pace is how long a step of the demo's work takes.
func (s Script) pace() time.Duration {
	if s.StepMS == nil {
		return 300 * time.Millisecond
	}
	return time.Duration(*s.StepMS) * time.Millisecond
}

// run is what the n-th run of a session does, counted from 1.
func (s Script) run(kind, dir, first, prompt string, n int) Run {
	for _, r := range s.Rules {
		if r.fits(kind, filepath.Base(dir), first, prompt) && len(r.Runs) > 0 {
			return r.Runs[min(n, len(r.Runs))-1]
		}
	}
	return Run{Steps: []Step{{Do: Demo}}}
}

func (r Rule) fits(kind, folder, first, prompt string) bool {
	return (r.Kind == "" || r.Kind == kind) &&
		(r.Label == "" || folder == r.Label || strings.HasPrefix(folder, r.Label+"-")) &&
		(strings.Contains(first, r.Match) || strings.Contains(prompt, r.Match))
}
