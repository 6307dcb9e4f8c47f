package task

import (
	"fmt"
	"strings"
)

// Document writes the state machine as Markdown: docs/state-machine.md is this text.
func Document() string {
	var b strings.Builder
	b.WriteString("# Stages of a task\n\nGenerated from the table in `batch/task/next.go` by `go test ./batch/task -update`; do not edit.\n\n")
	b.WriteString("```mermaid\nstateDiagram-v2\n    direction LR\n    [*] --> queue\n")
	seen := map[string]bool{}
	for _, r := range table() {
		if len(r.at) == len(live) {
			continue // at every live stage: said below, drawn nowhere
		}
		for _, from := range r.at {
			for _, to := range r.to {
				arrow := fmt.Sprintf("    %s --> %s\n", from, to)
				if from != to && !seen[arrow] {
					seen[arrow] = true
					b.WriteString(arrow)
				}
			}
		}
	}
	for _, s := range []Stage{Done, Failed, Cancelled} {
		fmt.Fprintf(&b, "    %s --> [*]\n", s)
	}
	b.WriteString("```\n\n| signal | at | leads to | when |\n|---|---|---|---|\n")
	for _, r := range table() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.on, words(r.at), words(r.to), r.says)
	}
	b.WriteString("\nA signal at any other stage means nothing: it is ignored and changes nothing. `waiting` is a flag beside the stage, with its reason: ")
	fmt.Fprintf(&b, "%s, %s, %s, %s, %s, %s or %s.\n", ForAnswer, ForBudget, ForUsage, ForHold, ForReviewers, ForDependency, ForPermission)
	return b.String()
}

func words(stages []Stage) string {
	if len(stages) == len(live) {
		return "every live stage"
	}
	var all []string
	for _, s := range stages {
		all = append(all, string(s))
	}
	return strings.Join(all, ", ")
}
