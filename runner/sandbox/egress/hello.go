package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
)

// encryptedHello is the TLS extension that hides the real name from us (RFC 9849).
const encryptedHello = 0xfe0d

// errHello ends the handshake of readHello once the client has said what it wants.
var errHello = errors.New("hello read")

// peekConn is a connection that is read only as far as needed, and never written to.
type peekConn struct {
	net.Conn
	in   io.Reader
	seen *bytes.Buffer
}

func (p peekConn) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.seen.Write(b[:n])
	return n, err
}

func (p peekConn) Write(b []byte) (int, error) { return len(b), nil }

// readHello reads a TLS ClientHello from in, which stands for c, and refuses it unless it asks for host, openly. It
// returns the bytes that were read, to be sent on, whatever they are. The reading is crypto/tls's own, which takes
// at most 64 KB and refuses what is ambiguous, such as an extension that comes twice; c's deadline bounds its time.
func readHello(ctx context.Context, c net.Conn, in io.Reader, host string) (seen []byte, tlsSpoken bool, why string) {
	var hello *tls.ClientHelloInfo
	peek := peekConn{Conn: c, in: in, seen: new(bytes.Buffer)}
	err := tls.Server(peek, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = h
			return nil, errHello
		},
	}).HandshakeContext(ctx)
	seen = peek.seen.Bytes()
	switch {
	case hello == nil && len(seen) == 0:
		return seen, false, "the client said nothing"
	case hello == nil:
		return seen, false, "not TLS: " + err.Error()
	case slices.Contains(hello.Extensions, encryptedHello):
		return seen, true, "TLS with an encrypted hello (ECH), so that its host cannot be seen"
	case hello.ServerName == "":
		return seen, true, "TLS without a host name (SNI)"
	}
	if name, err := normal(hello.ServerName); err != nil || name != host {
		return seen, true, "TLS for another host, " + hello.ServerName
	}
	return seen, true, ""
}

// denied is the TLS alert access_denied (RFC 8446, 6.2), so that a client can say more than that it was cut off.
func denied() []byte { return []byte{21, 3, 3, 0, 2, 2, 49} }
