package egress

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// noise is so many bytes that are not all the same.
func noise(t testing.TB, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// Who has finished sending still gets the whole answer, on either side.
func TestNothingIsLostAfterHalfClose(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"client ends first", "host ends first"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, accepted := newRaw(t)
			r := newRig(t, address, setup{})
			client, server := r.granted(accepted)
			var first, second halfCloser = client, server
			if name == "host ends first" {
				first, second = server, client
			}
			question, answer := noise(t, 300_000), noise(t, 5_000_000)
			go func() {
				_, _ = first.Write(question)
				_ = first.CloseWrite()
			}()
			if got, err := io.ReadAll(second); err != nil || !bytes.Equal(got, question) {
				t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(question))
			}
			go func() {
				_, _ = second.Write(answer)
				second.Close()
			}()
			if got, err := io.ReadAll(first); err != nil || !bytes.Equal(got, answer) {
				t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(answer))
			}
			hello := len(plainHello(t))
			up, down := int64(hello+len(question)), int64(len(answer))
			if name == "host ends first" {
				up, down = int64(hello+len(answer)), int64(len(question))
			}
			r.wantLines("egress: allowed example.com:443", "egress: closed example.com:443 ("+amount(up, down)+")")
		})
	}
}

// pair is the two sides of a connection.
func pair(t *testing.T) (here, there *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{c, other} {
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return c.(*net.UnixConn), other.(*net.UnixConn)
}

// A host that takes no more may still answer: the answer arrives, and its receiver is told to stop sending.
func TestAnswerArrivesThoughTheQuestionIsCutShort(t *testing.T) {
	t.Parallel()
	client, in := pair(t)
	server, out := pair(t)
	if err := server.CloseRead(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		join(endOf(in), endOf(out), time.Minute)
		in.Close()
	}()
	for deadline := time.Now().Add(20 * time.Second); ; {
		_ = client.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) // what blocks already is not told
		if _, err := client.Write([]byte("?")); errors.Is(err, syscall.EPIPE) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("got %v, want to be told that nothing is taken", err)
		}
	}
	answer := noise(t, 1_000_000)
	go func() {
		_, _ = server.Write(answer)
		_ = server.CloseWrite()
	}()
	// The end may come as a reset, because what was sent in vain is still there.
	if got, _ := io.ReadAll(client); !bytes.Equal(got, answer) {
		t.Fatalf("got %d bytes, want %d", len(got), len(answer))
	}
	<-ended
}

// A side that breaks off takes the other with it.
func TestBrokenConnectionEndsTheTunnel(t *testing.T) {
	t.Parallel()
	address, accepted := newRaw(t)
	r := newRig(t, address, setup{})
	client, server := r.granted(accepted)
	if err := server.SetLinger(0); err != nil { // close with a reset
		t.Fatal(err)
	}
	server.Close()
	if _, err := io.ReadAll(client); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client is still connected")
	}
	r.waitLines(2)
}

// A client that does not read holds the host back; what it does not take is not kept here.
func TestSlowReaderHoldsTheSenderBack(t *testing.T) {
	t.Parallel()
	address, accepted := newRaw(t)
	r := newRig(t, address, setup{})
	_, server := r.granted(accepted)
	_ = server.SetWriteDeadline(time.Now().Add(time.Second))
	sent, chunk := 0, make([]byte, 64<<10)
	for {
		n, err := server.Write(chunk)
		sent += n
		if err != nil {
			break
		}
		if sent > 256<<20 {
			t.Fatal("more than 256 MB were taken for a client that reads nothing")
		}
	}
	t.Logf("%d KB are in the sockets", sent>>10)
}
