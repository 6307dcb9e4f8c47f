package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

func TestOfferRefusesBadNames(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	for _, tc := range []struct{ host, task string }{
		{"", ""}, {"", "a.b"}, {"", "*"}, {"", ">"}, {"", "a b"}, {"a.b", "a"}, {"*", "a"}, {"", strings.Repeat("a", 64)},
	} {
		if err := b.Offer(t.Context(), tc.host, run(tc.task), "1"); !errors.Is(err, ErrName) {
			t.Errorf("offer of task %q to host %q: got %v, want ErrName", tc.task, tc.host, err)
		}
	}
	if err := b.Offer(t.Context(), "", work.Offer{Task: "a", Generation: 1, Kind: "dance"}, "1"); err == nil {
		t.Error("offer of an unknown kind: got no error")
	}
	if _, err := b.Host(t.Context(), "a.b"); !errors.Is(err, ErrName) {
		t.Errorf("host a.b: got %v, want ErrName", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	key := []Login{{Host: "h1", Key: "k"}}
	for name, tc := range map[string]struct {
		opts Options
		want string
	}{
		"nothing set":   {Options{}, "neither a folder nor a URL"},
		"no hosts":      {Options{Dir: "x", Listen: "127.0.0.1:0"}, "at least one host"},
		"open port":     {Options{Dir: "x", Listen: ":4222", Hosts: key}, "needs TLS"},
		"public port":   {Options{Dir: "x", Listen: "192.0.2.1:4222", Hosts: key}, "needs TLS"},
		"no port":       {Options{Dir: "x", Listen: "127.0.0.1", Hosts: key}, "listen address"},
		"bad host name": {Options{Dir: "x", Hosts: []Login{{Host: "a.b", Key: "k"}}}, "a name is"},
		"empty key":     {Options{Dir: "x", Hosts: []Login{{Host: "a"}}}, "key is empty"},
		"folder":        {Options{Dir: "/dev/null/x"}, "make folder"},
		"bad URL":       {Options{URL: "nats://user:pass word%zz@127.0.0.1:1"}, "URL of the server cannot be read"},
		"nobody there":  {Options{URL: "nats://127.0.0.1:1"}, "connect to the wire"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := Open(t.Context(), tc.opts)
			if err == nil {
				b.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, want it to contain %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "pass") {
				t.Errorf("error %q shows the password", err)
			}
		})
	}
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for machine, want := range map[string]string{
		"box": "box", "box.example.com": "box-example-com", "Büro 3": "B-ro-3", "": "host", "...": "host",
		"-x-": "x", "a_b": "a_b", strings.Repeat("a", 80): strings.Repeat("a", 63),
	} {
		if got := HostName(machine); got != want || !validName(got) {
			t.Errorf("HostName(%q): got %q, want %q", machine, got, want)
		}
	}
}

// What a message says of its sender does not count; its subject does, and the login holds a host to that.
func TestSenderOfAReportIsItsSubject(t *testing.T) {
	t.Parallel()
	b, d := open(t, Options{}), newDesk()
	b.log = zerolog.Nop()
	serve(t, b, d)
	for subject, data := range map[string]string{
		"evt.h1.report": `{"task":"a","generation":1,"kind":"run","host":"h2","outcome":"done"}`,
		"evt.h3.report": `{`, // thrown away
		"evt.h3.other":  `{"task":"a","generation":1,"kind":"run","host":"h2","outcome":"done"}`,
	} {
		if _, err := b.js.Publish(t.Context(), subject, []byte(data)); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	if r := receive(t, d.reports); r.Host != "h1" {
		t.Errorf("host of the report: got %s, want h1", r.Host)
	}
	h := host(t, b, "h1")
	if err := h.Report(t.Context(), work.Report{Offer: run("last"), Outcome: work.Done}); err != nil {
		t.Fatalf("report: %v", err)
	}
	if r := receive(t, d.reports); r.Task != "last" {
		t.Errorf("report that should have been thrown away: %+v", r)
	}
}

// The reply of a question is chosen by the host: it must not be a way to have the server write elsewhere.
func TestAnswersGoToTheCallersInboxOnly(t *testing.T) {
	t.Parallel()
	b, d := open(t, Options{}), newDesk()
	b.log = zerolog.Nop()
	serve(t, b, d)
	h := host(t, b, "h1")
	spy, err := b.nc.SubscribeSync("_INBOX_other.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nc.Publish("claim.h1", []byte(`{"task":"a","generation":1,"kind":"run"}`)); err != nil {
		t.Fatalf("publish: %v", err)
	}
	for _, reply := range []string{"run.pool.run", "_INBOX_other.x", "ctl.h1", "_INBOX_h1", "_INBOX_h1x.y"} {
		if err := h.nc.PublishRequest("claim.h1", reply, []byte(`{"task":"a","generation":1,"kind":"run"}`)); err != nil {
			t.Fatalf("publish: %v", err)
		}
		if err := h.nc.PublishRequest("hb.h1", reply, []byte(`{}`)); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	if _, err := h.Claim(t.Context(), run("honest")); err != nil {
		t.Fatalf("claim: %v", err)
	}
	if _, err := h.Beat(t.Context(), work.Beat{}); err != nil {
		t.Fatalf("beat: %v", err)
	}
	if diff := cmp.Diff([]string{"h1/honest.1.run"}, d.claimed()); diff != "" {
		t.Errorf("claims the desk saw (-want +got):\n%s", diff)
	}
	if n := stored(t, b, runsStream); n != 0 {
		t.Errorf("answers stored as work: got %d, want 0", n)
	}
	if n, _, _ := spy.Pending(); n != 0 {
		t.Errorf("answers in another host's inbox: got %d, want 0", n)
	}
}

func TestDeskErrorsAndPanicsEndNothing(t *testing.T) {
	t.Parallel()
	b, d := open(t, Options{}), newDesk()
	var tries sync.Map
	d.claim = func(_ string, o work.Offer) work.Answer {
		if o.Task == "bad" {
			panic("a claim that the desk cannot bear")
		}
		return work.Answer{Decision: work.Drop}
	}
	d.report = func(r work.Report) error {
		if _, again := tries.LoadOrStore(r.Task, true); again {
			return nil
		}
		if r.Task == "panics" {
			panic("a report that the desk cannot bear")
		}
		return errors.New("database is busy")
	}
	b.log = zerolog.Nop()
	serve(t, b, d)
	h := host(t, b, "h1")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := h.Claim(ctx, run("bad")); err == nil {
		t.Error("claim that panics: got no error")
	}
	if a, err := h.Claim(t.Context(), run("good")); err != nil || a.Decision != work.Drop {
		t.Errorf("claim after a panic: got %v, %v, want drop", a.Decision, err)
	}
	for _, task := range []string{"panics", "fails"} {
		if err := h.Report(t.Context(), work.Report{Offer: run(task), Outcome: work.Done}); err != nil {
			t.Fatalf("report: %v", err)
		}
	}
	got := map[string]bool{receive(t, d.reports).Task: true, receive(t, d.reports).Task: true}
	if diff := cmp.Diff(map[string]bool{"panics": true, "fails": true}, got); diff != "" {
		t.Errorf("reports that came back (-want +got):\n%s", diff)
	}
}

func TestHugeReportBecomesAFault(t *testing.T) {
	t.Parallel()
	b, d := open(t, Options{}), newDesk()
	serve(t, b, d)
	h := host(t, b, "h1")
	r := work.Report{Offer: run("a"), Outcome: work.Done, Head: "abcd", Usage: work.Usage{Turns: 7}}
	for i := range 60_000 {
		r.Changes = append(r.Changes, work.Change{Path: fmt.Sprintf("%s/%d", strings.Repeat("x", 200), i), Status: "A"})
	}
	if err := h.Report(t.Context(), r); err != nil {
		t.Fatalf("report: %v", err)
	}
	got := receive(t, d.reports)
	if got.Outcome != work.Fault || got.Head != "abcd" || got.Usage.Turns != 7 || !strings.Contains(got.Reason, "60000 changed paths") {
		t.Errorf("got outcome %s, head %s, usage %+v, reason %q", got.Outcome, got.Head, got.Usage, got.Reason)
	}
}

func TestUnreadableOfferIsThrownAway(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	h := host(t, b, "h1")
	for _, data := range []string{"{", `{"task":"a.>","generation":1,"kind":"run"}`} {
		if _, err := b.js.Publish(t.Context(), offerSubject("", work.Run), []byte(data)); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	offer(t, b, "", run("good"))
	got := next(t, h, work.Run)
	if got.Offer().Task != "good" {
		t.Errorf("got task %q, want good", got.Offer().Task)
	}
	if err := got.Ack(); err != nil {
		t.Fatalf("ack: %v", err)
	}
	if n := stored(t, b, runsStream); n != 0 {
		t.Errorf("messages left: got %d, want 0", n)
	}
}
