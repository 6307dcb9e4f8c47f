package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestTunnelToAnAllowedHost(t *testing.T) {
	t.Parallel()
	server := newServer(t, "hello from outside")
	r := newRig(t, server.Listener.Addr().String(), setup{rules: []string{host, "*.example.com:8443"}})
	client := r.client(server)
	for _, url := range []string{"https://example.com/", "https://www.example.com:8443/"} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(b) != "hello from outside" {
			t.Errorf("%s: got %q, %v", url, b, err)
		}
	}
	r.wantLines("egress: allowed example.com:443", "egress: allowed www.example.com:8443")
	client.CloseIdleConnections()
	for _, line := range r.waitLines(4)[2:] {
		if !strings.HasPrefix(line, "egress: closed ") || !strings.Contains(line, " bytes up, ") || strings.Contains(line, " 0 bytes") {
			t.Errorf("the end of a tunnel is %q, want how much went through", line)
		}
	}
	want := []netip.AddrPort{netip.MustParseAddrPort(somewhere + ":443"), netip.MustParseAddrPort(somewhere + ":8443")}
	if !slices.Equal(r.dialled, want) {
		t.Errorf("connected to %v, want %v", r.dialled, want)
	}
}

func TestRefusedWithoutALookAtTheNetwork(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, request, status, words, line string }{
		{"another host", connect("evil.example:443"), "403", "setting egress in .github/dozens.yml", "egress: refused evil.example:443 (not in the repository's egress list)"},
		{"another port", connect("example.com:22"), "403", "setting egress", "egress: refused example.com:22 (not in the repository's egress list)"},
		{"below", connect("www.example.com:443"), "403", "setting egress", "egress: refused www.example.com:443 (*"},
		{"the star's own name", connect("star.example:443"), "403", "setting egress", "egress: refused star.example:443 (*"},
		{"loopback", connect("127.0.0.1:443"), "403", "setting egress", "egress: refused 127.0.0.1:443 (*"},
		{"localhost", connect("localhost:443"), "403", "setting egress", "egress: refused localhost:443 (*"},
		{"metadata", connect("169.254.169.254:80"), "403", "setting egress", "egress: refused 169.254.169.254:80 (*"},
		{"IPv6", connect("[::1]:443"), "403", "setting egress", "egress: refused [::1]:443 (*"},
		{"a hidden address", connect("0x7f.1:443"), "403", "setting egress", "egress: refused 0x7f.1:443 (*"},
		{"a star", connect("*.star.example:443"), "403", "setting egress", "egress: refused *.star.example:443 (*"},
		{"a header names another", "CONNECT evil.example:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", "403", "egress", "egress: refused evil.example:443 (*"},
		{"escape codes", connect("evil.example\x1b[31m:443"), "4", "", "egress: refused *"},
		{"a long name", connect(strings.Repeat("a", 5000) + ":443"), "403", "egress", "egress: refused " + strings.Repeat("a", maxName) + "... (*"},
		{"plain HTTP", "GET http://example.com/x?secret=1 HTTP/1.1\r\nHost: example.com\r\n\r\n", "405", "only tunnels HTTPS", "egress: refused example.com (only HTTPS is tunnelled)"},
		{"a path", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "405", "only tunnels HTTPS", "egress: refused x (only HTTPS is tunnelled)"},
		{"a body", "POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello", "405", "only tunnels", "egress: refused *"},
		{"lower case method", strings.Replace(connect("example.com:443"), "CONNECT", "connect", 1), "405", "", "egress: refused *"},
		{"no port", connect("example.com"), "400", "not a readable", "egress: refused example.com (*"},
		{"no number", connect("example.com:https"), "400", "", "egress: refused *"},
		{"port 0", connect("example.com:0"), "400", "", "egress: refused example.com:0 (*"},
		{"port too high", connect("example.com:65979"), "400", "", "egress: refused *"}, // 443 + 65536
		{"no HTTP", "\x16\x03\x01 raw bytes\r\n\r\n", "400", "", "egress: refused a connection (not a readable HTTP request)"},
		{"a header without end", "CONNECT example.com:443 HTTP/1.1\r\nX: " + strings.Repeat("a", 20<<10), "400", "", "egress: refused a connection (*"},
		{"many headers", "CONNECT example.com:443 HTTP/1.1\r\n" + strings.Repeat("X: a\r\n", 4<<10) + "\r\n", "400", "", "egress: refused a connection (*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "127.0.0.1:1", setup{rules: []string{host, "*.star.example"}})
			answer := r.ask(tt.request)
			if !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status) || !strings.Contains(answer, tt.words) {
				t.Errorf("got the answer %q, want %s and %q", answer, tt.status, tt.words)
			}
			if strings.HasPrefix(tt.status, "405") != strings.Contains(answer, "Allow: CONNECT") {
				t.Errorf("got the answer %q, want the allowed method with 405 only", answer)
			}
			r.wantLines(tt.line)
			if line := r.waitLines(1)[0]; clean(line, len(line)) != line || len(line) > 500 {
				t.Errorf("the line %q is not clean", line)
			}
			r.untouched()
		})
	}
}

func TestNoRulesAllowNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, "127.0.0.1:1", setup{rules: []string{}})
	if answer := r.ask(connect("example.com:443")); !strings.HasPrefix(answer, "HTTP/1.1 403 ") {
		t.Errorf("got %q, want 403", answer)
	}
	r.untouched()
}

// addresses is what every host resolves to.
func addresses(list ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) {
		var all []netip.Addr
		for _, a := range list {
			all = append(all, netip.MustParseAddr(a))
		}
		return all, nil
	}
}

func TestOneAddressThatIsNotPublicRefusesTheHost(t *testing.T) {
	t.Parallel()
	for _, private := range []string{"127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:192.168.1.1", "64:ff9b::7f00:1", "fd00:ec2::254", "fe80::1%eth0"} {
		for _, answers := range [][]string{{private}, {somewhere, private}, {private, somewhere}, {somewhere, somewhere, somewhere, somewhere, private}} {
			r := newRig(t, "127.0.0.1:1", setup{answers: addresses(answers...)})
			answer := r.ask(connect("example.com:443"))
			if !strings.HasPrefix(answer, "HTTP/1.1 403 ") || !strings.Contains(answer, "not public") || strings.Contains(answer, private) {
				t.Errorf("%v: got %q, want 403 without the address", answers, answer)
			}
			r.wantLines("egress: refused example.com:443 (its address " + strings.TrimPrefix(private, "::ffff:") + " is not public)")
			if len(r.dialled) > 0 {
				t.Errorf("%v: connected to %v", answers, r.dialled)
			}
		}
	}
}

// A name server that answers differently the second time gets no second time.
func TestResolvesOnceAndConnectsToWhatItChecked(t *testing.T) {
	t.Parallel()
	server := newServer(t, "ok")
	asked := 0
	r := newRig(t, server.Listener.Addr().String(), setup{answers: func(ctx context.Context, host string) ([]netip.Addr, error) {
		if asked++; asked > 1 {
			return addresses("127.0.0.1")(ctx, host)
		}
		return addresses("::ffff:"+somewhere, "2606:4700::1")(ctx, host)
	}})
	resp, err := r.client(server).Get("https://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if want := []netip.AddrPort{netip.MustParseAddrPort(somewhere + ":443")}; asked != 1 || !slices.Equal(r.dialled, want) {
		t.Errorf("resolved %d times and connected to %v, want once and %v", asked, r.dialled, want)
	}
	if !slices.Equal(r.resolved, []string{host}) {
		t.Errorf("resolved %q", r.resolved)
	}
}

func TestTriesTheNextOfTheCheckedAddresses(t *testing.T) {
	t.Parallel()
	server := newServer(t, "ok")
	first := netip.MustParseAddrPort("[2606:4700::1]:443")
	r := newRig(t, server.Listener.Addr().String(), setup{
		answers: addresses("2606:4700::1", somewhere),
		dialled: func(_ context.Context, to netip.AddrPort) error {
			if to == first {
				return errors.New("network is unreachable")
			}
			return nil
		},
	})
	resp, err := r.client(server).Get("https://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if want := []netip.AddrPort{first, netip.MustParseAddrPort(somewhere + ":443")}; !slices.Equal(r.dialled, want) {
		t.Errorf("connected to %v, want %v", r.dialled, want)
	}
}

func TestSaysThatAnAllowedHostCannotBeReached(t *testing.T) {
	t.Parallel()
	no := func(context.Context, string) ([]netip.Addr, error) {
		return nil, errors.New("lookup on 10.0.0.53: no such host")
	}
	for name, tt := range map[string]struct {
		s     setup
		line  string
		tries int
	}{
		"not resolved": {setup{answers: no}, "egress: failed example.com:443 (resolve: lookup on 10.0.0.53: no such host)", 0},
		"no address":   {setup{answers: addresses()}, "egress: failed example.com:443 (resolve: it has no address)", 0},
		"not connected": {setup{answers: addresses("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"), dialled: func(_ context.Context, to netip.AddrPort) error {
			return errors.New("10.0.0.1 refused " + to.String())
		}}, "egress: failed example.com:443 (10.0.0.1 refused 1.1.1.3:443)", 3},
	} {
		r := newRig(t, "127.0.0.1:1", tt.s)
		answer := r.ask(connect("example.com:443"))
		if !strings.HasPrefix(answer, "HTTP/1.1 502 ") || !strings.Contains(answer, "could not be reached") || strings.Contains(answer, "10.0.0") {
			t.Errorf("%s: got %q, want 502 without what the host's network said", name, answer)
		}
		r.wantLines(tt.line)
		if len(r.dialled) != tt.tries {
			t.Errorf("%s: connected to %v, want %d tries", name, r.dialled, tt.tries)
		}
	}
}

// What does not begin as TLS for the host that was asked for never reaches that host.
func TestRefusesOtherThingsThanTLSForTheHost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first []byte
		line  string
		alert bool
	}{
		"another host": {helloOf(t, asks("evil.example")), "egress: refused example.com:443 (TLS for another host, evil.example)", true},
		"escape codes": {bytes.Replace(plainHello(t), []byte(host), []byte("\x1b[31m\nxxxxx"), 1), "egress: refused example.com:443 (TLS for another host, ?[31m?xxxxx)", true},
		"no host":      {helloOf(t, asks("")), "egress: refused example.com:443 (TLS without a host name (SNI))", true},
		"encrypted":    {helloOf(t, asksHidden(t)), "egress: refused example.com:443 (TLS with an encrypted hello (ECH)*", true},
		"plain HTTP":   {[]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), "egress: refused example.com:443 (not TLS: *", false},
		"SSH":          {[]byte("SSH-2.0-OpenSSH_9.6\r\n"), "egress: refused example.com:443 (not TLS: *", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, accepted := newRaw(t)
			r := newRig(t, address, setup{})
			c := r.tunnelTo("example.com:443")
			if _, err := c.Write(tt.first); err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(c) // may end in a reset: the proxy does not read what it does not want
			if got := len(answer) > 0; got != tt.alert || got && string(answer) != string(denied()) {
				t.Errorf("the client got %x, want an alert: %t", answer, tt.alert)
			}
			if got, err := io.ReadAll(<-accepted); len(got) > 0 || err != nil {
				t.Errorf("the host got %q, %v, want nothing", got, err)
			}
			r.wantLines(tt.line)
		})
	}
}

// A client may send its hello, and what follows, together with the request.
func TestHelloMayComeEarly(t *testing.T) {
	t.Parallel()
	address, accepted := newRaw(t)
	r := newRig(t, address, setup{})
	c := r.dialSocket()
	said := slices.Concat(plainHello(t), noise(t, 50_000))
	if _, err := c.Write(slices.Concat([]byte(connect("EXAMPLE.com.:443")), said)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(said))
	if n, err := io.ReadFull(<-accepted, got); err != nil || !slices.Equal(got, said) {
		t.Errorf("the host got %d bytes, %v, want %d as they were", n, err, len(said))
	}
	r.wantLines("egress: allowed example.com:443")
}
