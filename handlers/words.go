package handlers

import (
	"fmt"
	"html/template"
	"time"
)

// functions are what the templates say numbers and times with.
func (p *pages) functions() template.FuncMap {
	return template.FuncMap{
		"money":   money,
		"elapsed": func(from, to time.Time) string { return elapsed(from, to, p.now()) },
		"stage":   stageClass,
	}
}

// money writes millionths of a US dollar as dollars and cents.
func money(microUSD int64) string {
	if microUSD > 0 && microUSD < 5000 {
		return "<$0.01"
	}
	return fmt.Sprintf("$%.2f", float64(microUSD)/1e6)
}

// elapsed says how long something took, or takes until now when to is zero; "" when it has not begun.
func elapsed(from, to, now time.Time) string {
	if from.IsZero() {
		return ""
	}
	if to.IsZero() {
		to = now
	}
	d := max(to.Sub(from), 0).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

// stageClass is the CSS class that colours a stage.
func stageClass(stage string) string {
	switch stage {
	case "done":
		return "good"
	case "failed":
		return "bad"
	case "cancelled":
		return "off"
	default:
		return "live"
	}
}
