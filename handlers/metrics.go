package handlers

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// Metrics counts what arrives. It is safe for concurrent use; a nil *Metrics counts nothing.
type Metrics struct {
	mu         sync.Mutex
	deliveries map[series]uint64
}

type series struct{ event, result string }

// NewMetrics makes counters that start at zero.
func NewMetrics() *Metrics { return &Metrics{deliveries: map[series]uint64{}} }

// delivery counts one webhook. Names of events that are not worked on share one series, because senders choose them.
func (m *Metrics) delivery(event, result string) {
	if m == nil {
		return
	}
	if !slices.Contains(Events(), event) {
		event = "other"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deliveries[series{event, result}]++
}

// Gauge is one measured value that somebody else knows, such as the number of tasks in a stage.
type Gauge struct {
	Name   string // in Prometheus' alphabet, such as dozens_tasks
	Help   string // one line
	Labels map[string]string
	Value  float64
}

// serve answers GET /metrics in Prometheus' text format.
func (m *Metrics) serve(gauges func(context.Context) ([]Gauge, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var values []Gauge
		if gauges != nil {
			var err error
			if values, err = gauges(r.Context()); err != nil {
				zerolog.Ctx(r.Context()).Error().Err(err).Msg("metrics not complete")
				http.Error(w, "the values could not be read, see the log", http.StatusServiceUnavailable)
				return
			}
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		m.write(w)
		writeGauges(w, values)
	}
}

func (m *Metrics) write(w io.Writer) {
	if m == nil {
		return
	}
	m.mu.Lock()
	counts := maps.Clone(m.deliveries)
	m.mu.Unlock()
	head(w, "dozens_deliveries_total", "Webhooks that arrived, by event and what became of them.", "counter")
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b series) int {
		return cmp.Or(strings.Compare(a.event, b.event), strings.Compare(a.result, b.result))
	})
	for _, k := range keys {
		sample(w, "dozens_deliveries_total", map[string]string{"event": k.event, "result": k.result}, float64(counts[k]))
	}
}

// writeGauges writes the values grouped by name, as the format asks for.
func writeGauges(w io.Writer, values []Gauge) {
	values = slices.Clone(values)
	slices.SortStableFunc(values, func(a, b Gauge) int { return strings.Compare(a.Name, b.Name) })
	last := ""
	for _, g := range values {
		if g.Name != last {
			head(w, g.Name, g.Help, "gauge")
			last = g.Name
		}
		sample(w, g.Name, g.Labels, g.Value)
	}
}

// A scraper that hangs up in the middle is no error of ours, so the writes below are not checked.

func head(w io.Writer, name, help, kind string) {
	_, _ = fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(help), name, kind)
}

func sample(w io.Writer, name string, labels map[string]string, value float64) {
	escape := strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, k+`="`+escape.Replace(labels[k])+`"`)
	}
	set := ""
	if len(pairs) > 0 {
		set = "{" + strings.Join(pairs, ",") + "}"
	}
	_, _ = fmt.Fprintf(w, "%s%s %s\n", name, set, strconv.FormatFloat(value, 'g', -1, 64))
}
