// Package say holds every sentence that a user or an agent reads: comments, pull request text, check text,
// briefs. Pure: values in, text out. What comes from agents and strangers is made harmless on its way out (harmless.go),
// and what nobody sees on the page is taken from what people wrote before an agent reads it (heard.go).
package say

import (
	"fmt"
	"time"
)

// Sandbox is said wherever a status is shown while agents run without a sandbox.
const Sandbox = "Agents run **without a sandbox** on this server (`DOZENS_SANDBOX=none`)."

// Money writes millionths of a US dollar.
func Money(micro int64) string { return fmt.Sprintf("$%.2f", float64(micro)/1e6) }

// Time writes a span as people say it.
func Time(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
