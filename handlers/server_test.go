package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestServerNeedsItsParts(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]ServerOptions{
		"no webhook": {View: newWorld()},
		"no view":    {Webhook: http.NotFoundHandler()},
	} {
		if _, err := Server(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	broken := func(context.Context) error { return errors.New("database is gone") }
	for _, tt := range []struct {
		path  string
		ready func(context.Context) error
		want  int
		body  string
	}{
		{"/healthz", broken, 200, "up"},
		{"/readyz", nil, 200, "ready"},
		{"/readyz", broken, 503, "not ready, see the log"},
	} {
		srv := serve(t, ServerOptions{View: newWorld(), Ready: tt.ready, Listen: "0.0.0.0:80"}) // open whoever asks
		if resp, body := get(t, srv.URL+tt.path); resp.StatusCode != tt.want || strings.TrimSpace(body) != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.path, resp.StatusCode, body, tt.want, tt.body)
		}
	}
}

func TestServerTakesWebhooksWhereverItListens(t *testing.T) {
	t.Parallel()
	srv := serve(t, ServerOptions{View: newWorld(), Listen: "0.0.0.0:80"})
	if got, body := do(t, request(t, srv.URL+HookPath, "issues", "d-1", issue)); got != 202 {
		t.Errorf("status %d: %s", got, body)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	srv := serve(t, ServerOptions{View: newWorld(), Gauges: func(context.Context) ([]Gauge, error) {
		return []Gauge{
			{Name: "dozens_tasks", Help: "Tasks by stage.", Labels: map[string]string{"stage": "run"}, Value: 3},
			{Name: "dozens_hosts", Help: "Hosts\nseen.", Value: 1.5},
			{Name: "dozens_tasks", Help: "Tasks by stage.", Labels: map[string]string{"stage": `a"b\`}, Value: 0},
		}, nil
	}})
	for _, id := range []string{"d-1", "d-1", "d-2"} {
		do(t, request(t, srv.URL+HookPath, "issues", id, issue))
	}
	do(t, request(t, srv.URL+HookPath, "made_up", "d-3", issue))
	unsigned := request(t, srv.URL+HookPath, "issues", "d-4", issue)
	unsigned.Header.Del(signatureHeader)
	do(t, unsigned)

	want := `# HELP dozens_deliveries_total Webhooks that arrived, by event and what became of them.
# TYPE dozens_deliveries_total counter
dozens_deliveries_total{event="issues",result="duplicate"} 1
dozens_deliveries_total{event="issues",result="refused: signature"} 1
dozens_deliveries_total{event="issues",result="stored"} 2
dozens_deliveries_total{event="other",result="stored"} 1
# HELP dozens_hosts Hosts\nseen.
# TYPE dozens_hosts gauge
dozens_hosts 1.5
# HELP dozens_tasks Tasks by stage.
# TYPE dozens_tasks gauge
dozens_tasks{stage="run"} 3
dozens_tasks{stage="a\"b\\"} 0
`
	if _, got := get(t, srv.URL+"/metrics"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMetricsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	srv := serve(t, ServerOptions{View: newWorld(), Gauges: func(context.Context) ([]Gauge, error) { return nil, errors.New("gone") }})
	if resp, body := get(t, srv.URL+"/metrics"); resp.StatusCode != 503 || strings.Contains(body, "gone") {
		t.Errorf("%d %q, want 503 without the reason", resp.StatusCode, body)
	}
}
