package meter

import (
	"net"
	"sync"
)

// door is a listener with room for so many connections at the same time: an agent must not use up the host's file
// descriptors. Who finds no room waits in the kernel's queue.
type door struct {
	net.Listener
	room chan struct{}
	done chan struct{}
	once sync.Once
}

func newDoor(l net.Listener, conns int) *door {
	return &door{Listener: l, room: make(chan struct{}, conns), done: make(chan struct{})}
}

// Accept waits for room, and then for a connection.
func (d *door) Accept() (net.Conn, error) {
	select {
	case d.room <- struct{}{}:
	case <-d.done:
		return nil, net.ErrClosed
	}
	conn, err := d.Listener.Accept()
	if err != nil {
		<-d.room
		return nil, err
	}
	return &guest{Conn: conn, leave: sync.OnceFunc(func() { <-d.room })}, nil
}

// Close closes the listener; connections live on.
func (d *door) Close() error {
	d.once.Do(func() { close(d.done) })
	return d.Listener.Close()
}

// guest gives its room back when it is closed.
type guest struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
