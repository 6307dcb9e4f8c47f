package egress

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
)

// bench is a proxy whose one host is back.
type bench struct {
	b     *testing.B
	front string
	back  net.Listener
	hello []byte
}

func newBench(b *testing.B) *bench {
	b.Helper()
	rules, err := Parse([]string{host})
	if err != nil {
		b.Fatal(err)
	}
	front, err := net.Listen("unix", b.TempDir()+"/s")
	if err != nil {
		b.Fatal(err)
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { back.Close() })
	p := Serve(front, Options{Rules: rules, Resolve: addresses(somewhere), Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
		return net.Dial("tcp", back.Addr().String())
	}})
	b.Cleanup(p.Close)
	return &bench{b: b, front: front.Addr().String(), back: back, hello: plainHello(b)}
}

// tunnel opens one, up to the moment when the host has the hello.
func (n *bench) tunnel() (client, server net.Conn) {
	n.b.Helper()
	client, err := net.Dial("unix", n.front)
	if err != nil {
		n.b.Fatal(err)
	}
	if _, err = client.Write(append([]byte(connect("example.com:443")), n.hello...)); err != nil {
		n.b.Fatal(err)
	}
	if server, err = n.back.Accept(); err != nil {
		n.b.Fatal(err)
	}
	if _, err = io.ReadFull(server, make([]byte, len(n.hello))); err != nil {
		n.b.Fatal(err)
	}
	if _, err = io.ReadFull(client, make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))); err != nil {
		n.b.Fatal(err)
	}
	return client, server
}

// BenchmarkTunnel measures what goes through one tunnel, from a host to a client that reads all.
func BenchmarkTunnel(b *testing.B) {
	chunk := make([]byte, 1<<20)
	client, server := newBench(b).tunnel()
	defer client.Close()
	defer server.Close()
	b.SetBytes(int64(len(chunk)))
	go func() {
		for {
			if _, err := server.Write(chunk); err != nil {
				return
			}
		}
	}()
	into := make([]byte, len(chunk))
	for b.Loop() {
		if _, err := io.ReadFull(client, into); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnect measures a tunnel from its request to the first byte at the host.
func BenchmarkConnect(b *testing.B) {
	n := newBench(b)
	for b.Loop() {
		client, server := n.tunnel()
		client.Close()
		server.Close()
	}
}

// BenchmarkDirect is the same without a proxy, to compare with.
func BenchmarkDirect(b *testing.B) {
	n := newBench(b)
	for b.Loop() {
		client, err := net.Dial("tcp", n.back.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		server, err := n.back.Accept()
		if err != nil {
			b.Fatal(err)
		}
		if _, err = client.Write(n.hello); err != nil {
			b.Fatal(err)
		}
		if _, err = io.ReadFull(server, make([]byte, len(n.hello))); err != nil {
			b.Fatal(err)
		}
		client.Close()
		server.Close()
	}
}

// BenchmarkReadHello measures the look at a client's first words.
func BenchmarkReadHello(b *testing.B) {
	hello := plainHello(b)
	c, other := net.Pipe()
	defer c.Close()
	defer other.Close()
	for b.Loop() {
		if _, _, why := readHello(b.Context(), c, bytes.NewReader(hello), host); why != "" {
			b.Fatal(why)
		}
	}
}
