package egress

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// end is one end of a tunnel. What arrives there is read from in, because some of it may have been read before.
type end struct {
	net.Conn
	in io.Reader
}

func endOf(c net.Conn) end { return end{Conn: c, in: c} }

// join carries bytes between two ends until both directions have ended, or nothing moves for as long as idle (0:
// for ever). It returns how many bytes reached b and a. An end that has finished sending still receives. Nothing
// is read from one end before the other has taken what came before. The caller closes both.
func join(a, b end, idle time.Duration) (toB, toA int64) {
	moved := func() {
		if idle > 0 {
			until := time.Now().Add(idle)
			_ = a.SetDeadline(until)
			_ = b.SetDeadline(until)
		}
	}
	moved()
	var there sync.WaitGroup
	there.Go(func() { toB = carry(b, a, moved) })
	toA = carry(a, b, moved)
	there.Wait()
	return toB, toA
}

// carry brings what arrives at one end to the other.
func carry(to, from end, moved func()) (n int64) {
	buf := make([]byte, 32<<10)
	for {
		got, err := from.in.Read(buf)
		if got > 0 {
			moved()
			sent, err := to.Write(buf[:got])
			n += int64(sent)
			if err != nil {
				// It takes no more, but may have sent an answer that is still on its way: only this direction ends.
				closeRead(from.Conn)
				return n
			}
			moved()
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			closeWrite(to.Conn)
			return n
		default: // broken, idle for too long, or closed by us
			to.Close()
			from.Close()
			return n
		}
	}
}

// closeWrite tells the other side that no more will come.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	c.Close()
}

// closeRead tells the other side, where it can be told, that no more will be taken.
func closeRead(c net.Conn) {
	if half, ok := c.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead()
	}
}
