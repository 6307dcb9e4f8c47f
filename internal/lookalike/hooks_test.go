package lookalike

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// titles are those of the issues opened events, as they arrived.
func (w *world) titles() []string {
	w.Helper()
	var out []string
	for _, e := range w.events() {
		if e.String() == "issues.opened" {
			out = append(out, dig(e.payload, "issue.title").(string))
		}
	}
	return out
}

func (w *world) open(n int) (titles []string) {
	w.Helper()
	for i := range n {
		title := fmt.Sprintf("issue %02d", i)
		must(w.shop.OpenIssue("ada", title, ""))(w)
		titles = append(titles, title)
	}
	return titles
}

func TestDeliveryHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open(1)
	h := w.the("issues.opened").header
	for name, want := range map[string]string{"X-GitHub-Event": "issues", "User-Agent": "GitHub-Hookshot/.+", "X-Hub-Signature": "sha1=[0-9a-f]{40}",
		"X-Hub-Signature-256": "sha256=[0-9a-f]{64}", "X-GitHub-Delivery": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "X-GitHub-Hook-ID": "[0-9]+",
		"X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(w.g.App().ID), "X-GitHub-Hook-Installation-Target-Type": "integration", "Content-Type": "application/json"} {
		if got := h.Get(name); !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("%s: got %q, want %s", name, got, want)
		}
	}
	if got := w.names(); !slices.Equal(got[:3], []string{"ping", "installation.created", "push"}) {
		t.Errorf("first events: got %v", got)
	}
}

func TestInOrderDoubledHeldShuffled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := w.open(20)
	if got := w.titles(); !slices.Equal(got, want) {
		t.Errorf("in order: got %v", got)
	}
	w.forget()
	w.g.Double(func(d Delivery) bool { return d.Event == "issues" })
	w.open(2)
	events := w.events()
	if len(events) != 4 || events[0].guid != events[1].guid || events[1].guid == events[2].guid {
		t.Errorf("doubled: got %v", events)
	}
	w.g.Double(nil)
	w.forget()
	w.g.Pause()
	w.g.Shuffle(7)
	want = w.open(20)
	w.g.Resume()
	got := w.titles()
	if slices.Equal(got, want) {
		t.Errorf("shuffled: still in order")
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("shuffled: got %v", got)
	}
	w.g.Shuffle(0)
	w.forget()
	w.g.Hold(func(d Delivery) bool { return strings.Contains(string(d.Payload), "issue 00") })
	w.open(3)
	if got := w.titles(); !slices.Equal(got, []string{"issue 01", "issue 02"}) {
		t.Errorf("held: got %v", got)
	}
	w.g.Release()
	if got := w.titles(); !slices.Equal(got, []string{"issue 01", "issue 02", "issue 00"}) {
		t.Errorf("released: got %v", got)
	}
}

func TestLostAndRedelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forget()
	w.g.Lose(func(d Delivery) bool { return d.Event == "issues" })
	w.open(3)
	w.try(w.g.Drain(t.Context()))
	w.g.Lose(nil)
	if got := w.titles(); len(got) != 0 {
		t.Errorf("lost: got %v", got)
	}
	failed := w.want(200, w.jwt(), "GET", "/app/hook/deliveries?status=failure&per_page=2", nil)
	if len(failed.list()) != 2 || failed.at("0.event") != "issues" || failed.at("0.status_code") != 502.0 || failed.at("0.installation_id") != float64(w.shop.InstallationID()) {
		t.Fatalf("failed deliveries: got %s", failed.text)
	}
	found := regexp.MustCompile(`<([^>]+cursor=[^>]+)>; rel="next"`).FindStringSubmatch(failed.header.Get("Link"))
	if found == nil {
		t.Fatalf("Link: got %s", failed.header.Get("Link"))
	}
	rest := w.ask(w.jwt(), "GET", found[1], nil)
	if len(rest.list()) != 1 || rest.header.Get("Link") != "" {
		t.Errorf("second page: got %s, Link %s", rest.text, rest.header.Get("Link"))
	}
	id := int64(rest.at("0.id").(float64))
	path := fmt.Sprintf("/app/hook/deliveries/%d", id)
	whole := w.want(200, w.jwt(), "GET", path, nil)
	if whole.at("request.payload.issue.title") != "issue 00" || whole.at("request.headers.X-Github-Event") == nil {
		t.Errorf("delivery: got %s", whole.text)
	}
	w.want(202, w.jwt(), "POST", path+"/attempts", nil)
	e := w.the("issues.opened")
	if e.guid != rest.at("0.guid") {
		t.Errorf("redelivered: got GUID %s, want %v", e.guid, rest.at("0.guid"))
	}
	log := w.g.Deliveries()
	last := log[len(log)-1]
	if !last.Redelivery || !last.OK() || last.GUID != e.guid || last.ID == id {
		t.Errorf("log: got %+v", last)
	}
	w.want(404, w.jwt(), "GET", "/app/hook/deliveries/1", nil)
	if err := w.g.Redeliver(1); err == nil {
		t.Error("redeliver an unknown one: no error")
	}
}

func TestLoseFraction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.forget()
	w.g.LoseFraction(0.5, 3)
	w.open(40)
	if got := len(w.titles()); got < 8 || got > 32 {
		t.Errorf("half lost: got %d of 40", got)
	}
}

func TestUnhappyReceiver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook.answer(503)
	w.open(1)
	w.try(w.g.Drain(t.Context()))
	log := w.g.Deliveries()
	if last := log[len(log)-1]; last.OK() || last.StatusCode != 503 || last.Status != "Invalid HTTP Response: 503" {
		t.Errorf("got %+v", last)
	}
	w.g.SetWebhook("http://127.0.0.1:1/")
	w.try(w.g.Drain(t.Context()))
	log = w.g.Deliveries()
	if last := log[len(log)-1]; last.StatusCode != 502 || last.Event != "ping" {
		t.Errorf("nobody there: got %+v", last)
	}
	w.g.Pause()
	w.open(1)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := w.g.Drain(short); err == nil {
		t.Error("drain while paused: no error")
	}
	w.g.SetWebhook("")
	w.want(200, w.jwt(), "PATCH", "/app/hook/config", map[string]any{"url": w.hook.URL})
	w.g.Resume()
}

func TestUnsubscribedEventsAreNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Events = []string{"issues"} })
	w.forget()
	issue := must(w.shop.OpenIssue("ada", "t", "b"))(t)
	must(issue.Comment("ada", "x"))(t)
	if got := w.names(); !slices.Equal(got, []string{"issues.opened"}) {
		t.Errorf("got %v", got)
	}
}
