package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

func listening(t *testing.T, opts Options) *Bus {
	t.Helper()
	opts.Listen = "127.0.0.1:0"
	opts.Hosts = []Login{{Host: "h1", Key: "key-of-h1"}, {Host: "h2", Key: "key-of-h2"}, {Host: "server", Key: "key-of-server"}}
	return open(t, opts)
}

func dialHost(t *testing.T, b *Bus, name string, key work.Secret) (*HostConn, error) {
	t.Helper()
	h, err := Dial(t.Context(), DialOptions{
		URL: "nats://" + b.Addr(), Name: name, Credential: Credential{Password: key}, Log: zerolog.Nop(),
	})
	if err == nil {
		t.Cleanup(h.Close)
	}
	return h, err
}

func TestHostFromOutside(t *testing.T) {
	t.Parallel()
	b, d := listening(t, Options{}), newDesk()
	serve(t, b, d)
	h, err := dialHost(t, b, "h1", "key-of-h1")
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	for _, to := range []string{"", "h1"} {
		o := run("to" + to)
		offer(t, b, to, o)
		got := next(t, h, work.Run)
		if a, err := h.Claim(t.Context(), o); err != nil || a.Order == nil || a.Order.Token != "the-token" {
			t.Fatalf("claim: %v, %v", a, err)
		}
		if err := got.InProgress(); err != nil {
			t.Errorf("in progress: %v", err)
		}
		if err := h.Report(t.Context(), work.Report{Offer: o, Outcome: work.Done}); err != nil {
			t.Fatalf("report: %v", err)
		}
		if err := got.Ack(); err != nil {
			t.Fatalf("ack: %v", err)
		}
		if r := receive(t, d.reports); r.Host != "h1" || r.Task != o.Task {
			t.Errorf("report: got %s from %s", r.Task, r.Host)
		}
	}
	if _, err := h.Beat(t.Context(), work.Beat{}); err != nil {
		t.Errorf("beat: %v", err)
	}
	if err := b.Stop(t.Context(), "h1", "x"); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if got := receive(t, h.Stops()); got != "x" {
		t.Errorf("hint: got %q, want x", got)
	}
	emit(h, "a", 1, 1, 3)
	settle(t, h)
	if got := len(readLog(t, b, LogQuery{Task: "a"})); got != 3 {
		t.Errorf("lines: got %d, want 3", got)
	}
}

func TestLoginIsRefused(t *testing.T) {
	t.Parallel()
	b := listening(t, Options{})
	for name, tc := range map[string]struct {
		host string
		key  work.Secret
	}{
		"no key": {"h1", ""}, "wrong key": {"h1", "x"}, "key of another": {"h1", "key-of-h2"}, "unknown": {"h3", "key-of-h1"},
	} {
		if _, err := dialHost(t, b, tc.host, tc.key); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	// A host that is called server has its own login, not the server's.
	nc, err := nats.Connect("nats://"+b.Addr(), nats.UserInfo("server", "key-of-server"))
	if err == nil {
		nc.Close()
		t.Error("the server's own login took a host's key")
	}
}

// TestHostIsHeldToItsSubjects tries with a valid login what only others may do.
func TestHostIsHeldToItsSubjects(t *testing.T) {
	t.Parallel()
	b := listening(t, Options{})
	host(t, b, "h2")
	refused := make(chan error, 1)
	nc, err := nats.Connect("nats://"+b.Addr(), nats.UserInfo("host-h1", "key-of-h1"),
		nats.CustomInboxPrefix("_INBOX_h1"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(nc.Close)
	for _, subject := range []string{
		"run.pool.run", "run.host.h1.run", "claim.h2", "hb.h2", "evt.h2.report", "evt.h1.other", "log.h2.a.1", "ctl.h1", "ctl.h2",
		"_INBOX_h2.x", "_INBOX.x",
		"$JS.API.CONSUMER.MSG.NEXT.RUNS.host-h2-run", "$JS.ACK.RUNS.host-h2-run.1.1.1.1.1",
		"$JS.API.CONSUMER.CREATE.LOGS.x", "$JS.API.STREAM.INFO.LOGS", "$JS.API.STREAM.MSG.GET.RUNS", "$JS.API.STREAM.DELETE.RUNS",
		"$JS.API.STREAM.PURGE.LOGS", "$JS.API.STREAM.NAMES", "$JS.API.DIRECT.GET.LOGS", "$SYS.REQ.SERVER.PING",
	} {
		if err := nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatalf("publish: %v", err)
		}
		expectRefusal(t, refused, "publish to "+subject)
	}
	for _, subject := range []string{">", "run.>", "claim.*", "claim.h1", "log.>", "log.h1.>", "evt.>", "ctl.*", "ctl.h2", "_INBOX.>", "_INBOX_h2.>", "$SYS.>"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatalf("subscribe: %v", err)
		}
		expectRefusal(t, refused, "subscription to "+subject)
	}
	if n := stored(t, b, runsStream) + stored(t, b, reportsStream) + stored(t, b, logsStream); n != 0 {
		t.Errorf("messages stored: got %d, want 0", n)
	}
}

func expectRefusal(t *testing.T, refused <-chan error, what string) {
	t.Helper()
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: got %v, want a permission violation", what, err)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("%s was not refused", what)
	}
}

func TestListenWithTLS(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil) // only for its certificate
	web.Close()
	b := listening(t, Options{TLS: &tls.Config{Certificates: web.TLS.Certificates}})
	serve(t, b, newDesk())
	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	opts := DialOptions{
		URL: "tls://" + b.Addr(), Name: "h1", Credential: Credential{Password: "key-of-h1"},
		TLS: &tls.Config{RootCAs: pool}, Log: zerolog.Nop(),
	}
	h, err := Dial(t.Context(), opts)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	defer h.Close()
	if _, err := h.Claim(t.Context(), run("a")); err != nil {
		t.Errorf("claim: %v", err)
	}
	opts.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	if h, err := Dial(t.Context(), opts); err == nil {
		h.Close()
		t.Error("dial took a certificate of nobody it knows")
	}
}

// With an external NATS the same code runs on both ends; here another embedded server plays it.
func TestExternalServer(t *testing.T) {
	t.Parallel()
	nats := listening(t, Options{})
	b := open(t, Options{URL: "nats://" + nats.Addr(), Credential: nats.own})
	d := newDesk()
	serve(t, b, d)
	h := host(t, b, "h1")
	offer(t, b, "", run("a"))
	o := next(t, h, work.Run).Offer()
	if _, err := h.Claim(t.Context(), o); err != nil {
		t.Fatalf("claim: %v", err)
	}
	if err := h.Report(t.Context(), work.Report{Offer: o, Outcome: work.Done}); err != nil {
		t.Fatalf("report: %v", err)
	}
	if r := receive(t, d.reports); r.Task != "a" {
		t.Errorf("report: got task %s, want a", r.Task)
	}
}
