package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// maxTries is how many of a host's addresses are tried.
const maxTries = 3

// target is where a request wants to go.
type target struct {
	name string // as it stands in the record
	host string // in normal form
	port uint16
}

// refusal says why a request is not granted.
type refusal struct {
	what   string // refused or failed
	why    string // for the run's log
	status int
	words  string // for the client
}

func unreadable() *refusal {
	return &refusal{refused, "not a readable HTTP request", http.StatusBadRequest, "This is not a readable HTTP request."}
}

func crowded(most int) *refusal {
	return &refusal{refused, fmt.Sprintf("%d tunnels are open", most), http.StatusServiceUnavailable,
		fmt.Sprintf("This sandbox has %d connections to the outside open, and may not have more at once.", most)}
}

func unlisted(name string) *refusal {
	return &refusal{refused, "not in the repository's egress list", http.StatusForbidden, name +
		" is not in this repository's egress list. Maintainers can add it to the setting egress in .github/dozens.yml."}
}

// target reads where a request wants to go, and asks the rules. Only the request line counts, no header.
func (p *Proxy) target(req *http.Request) (target, *refusal) {
	if req.Method != http.MethodConnect {
		return target{name: clean(req.Host, maxName)}, &refusal{refused, "only HTTPS is tunnelled", http.StatusMethodNotAllowed,
			"This sandbox only tunnels HTTPS: the method CONNECT, no plain HTTP."}
	}
	t := target{name: clean(req.RequestURI, maxName)}
	host, port, err := net.SplitHostPort(req.RequestURI)
	if err != nil {
		return t, unreadable()
	}
	if t.port, err = parsePort(port); err != nil {
		return t, unreadable()
	}
	// An address is no name, and so in no list.
	if t.host, err = normal(host); err != nil {
		return t, unlisted(t.name)
	}
	t.name = fmt.Sprintf("%s:%d", t.host, t.port)
	if !p.rules.allow(t.host, t.port) {
		return t, unlisted(t.name)
	}
	return t, nil
}

// connect resolves the host, once, and connects to one of the addresses if all of them are public. A name that also
// has a private address is refused, because somebody may be trying their luck.
func (p *Proxy) connect(ctx context.Context, t target) (net.Conn, *refusal) {
	ctx, cancel := context.WithTimeout(ctx, p.limits.patience)
	defer cancel()
	addrs, err := p.resolve(ctx, t.host)
	if err == nil && len(addrs) == 0 {
		err = errors.New("it has no address")
	}
	if err != nil {
		return nil, unreached(t, fmt.Errorf("resolve: %w", err))
	}
	for _, a := range addrs {
		if !public(a) {
			return nil, &refusal{refused, "its address " + a.Unmap().String() + " is not public", http.StatusForbidden,
				t.name + " leads to an address that is not public. This sandbox reaches the public internet only."}
		}
	}
	addrs = addrs[:min(len(addrs), maxTries)]
	each := p.limits.patience / time.Duration(len(addrs))
	for _, a := range addrs {
		var c net.Conn
		if c, err = p.try(ctx, netip.AddrPortFrom(a.Unmap(), t.port), each); err == nil {
			return c, nil
		}
	}
	return nil, unreached(t, err)
}

func (p *Proxy) try(ctx context.Context, to netip.AddrPort, patience time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.dial(ctx, to)
}

// unreached tells the client less than the log, which may hold what the host's resolver said.
func unreached(t target, err error) *refusal {
	return &refusal{failed, err.Error(), http.StatusBadGateway, t.name + " is allowed, but could not be reached from this sandbox's host."}
}

// deny records the refusal and tells the client.
func (p *Proxy) deny(c net.Conn, name string, no *refusal) {
	p.record.add(no.what, name, no.why)
	_ = c.SetDeadline(time.Now().Add(p.limits.patience))
	reply(c, no.status, no.words)
}

// reply answers with words, as the last thing on a connection.
func reply(w io.Writer, status int, words string) {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	if status == http.StatusMethodNotAllowed {
		b.WriteString("Allow: CONNECT\r\n")
	}
	fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", len(words)+1, words)
	_, _ = io.WriteString(w, b.String()) // the client may have gone
}

// amount says how much went through a tunnel.
func amount(up, down int64) string { return fmt.Sprintf("%d bytes up, %d bytes down", up, down) }
