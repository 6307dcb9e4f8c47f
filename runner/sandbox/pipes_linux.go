package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pipes are how we talk with bubblewrap. The order of its work (seen in versions 0.6 to 0.11): it reads --args, starts
// the first process of the box, tells its number on --json-status-fd, makes the box, reads a byte from --block-fd and
// closes it, reads the filter from --seccomp, starts the program. It knows no way to say that the box is made, so we
// look for the closing of --block-fd. And it would go on if we died before that; but an empty filter is refused by the
// kernel, so when we die too early, it dies too. The filter is our go.
type pipes struct {
	status *os.File
	block  *os.File
	gate   *os.File
	theirs []*os.File
	said   *json.Decoder
}

// open makes the files and returns bubblewrap's, from descriptor 3 on: arguments, status, block, filter, data.
func (p *pipes) open(s *Sandbox, b Box) ([]*os.File, error) {
	numbers := map[string]int{}
	p.theirs = make([]*os.File, 4, 8)
	for _, f := range files() {
		held, err := memory(f.path, []byte(f.text))
		if err != nil {
			return nil, err
		}
		numbers[f.path] = 3 + len(p.theirs)
		p.theirs = append(p.theirs, held)
	}
	var args bytes.Buffer
	for _, a := range s.arguments(b, numbers) {
		args.WriteString(a)
		args.WriteByte(0)
	}
	var errs [4]error
	p.theirs[0], errs[0] = memory("arguments", args.Bytes())
	p.status, p.theirs[1], errs[1] = statusPipe()
	p.theirs[2], p.block, errs[2] = os.Pipe()
	p.theirs[3], p.gate, errs[3] = os.Pipe()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make pipes for a box: %w", err)
	}
	p.said = json.NewDecoder(io.LimitReader(p.status, 1<<16))
	return p.theirs, nil
}

// statusPipe is a pipe whose other end is never broken, because it can be read too: bubblewrap must not be killed by
// writing to it when we are dead, for then the first process of the box would wait for it for ever.
func statusPipe() (ours, theirs *os.File, err error) {
	ours, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	theirs, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), os.O_RDWR, 0)
	return ours, theirs, err
}

// memory is a file that holds data and has no name.
func memory(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("box", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make %s in memory: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteAt(data, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s in memory: %w", name, err)
	}
	return f, nil
}

// handedOver closes what bubblewrap has now.
func (p *pipes) handedOver() {
	for _, f := range p.theirs {
		if f != nil {
			f.Close()
		}
	}
	p.theirs = nil
}

// shut closes a descriptor through which nothing was written.
func shut(fd int) { _ = unix.Close(fd) }

// close closes all.
func (p *pipes) close() {
	p.handedOver()
	for _, f := range []*os.File{p.status, p.block, p.gate} {
		if f != nil {
			f.Close()
		}
	}
}

// firstProcess waits for the number of the first process of the box.
func (p *pipes) firstProcess() (int, error) {
	if err := p.status.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, fmt.Errorf("set a deadline for bubblewrap: %w", err)
	}
	var said struct {
		Pid int `json:"child-pid"`
	}
	if err := p.said.Decode(&said); err != nil {
		return 0, fmt.Errorf("hear from bubblewrap: %w", err)
	}
	return said.Pid, nil
}

// awaitMade waits until the box is made, or will never be.
func (p *pipes) awaitMade() error {
	if _, err := p.block.Write([]byte{0}); err != nil {
		return fmt.Errorf("unblock bubblewrap: %w", err)
	}
	// A pipe is in error when nobody has its other end any more.
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		fds := []unix.PollFd{{Fd: int32(p.block.Fd())}}
		n, err := unix.Poll(fds, int(patience/time.Millisecond))
		if n > 0 && fds[0].Revents&unix.POLLERR != 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for bubblewrap: %w", err)
		}
	}
	return fmt.Errorf("bubblewrap did not make the box in %s", patience)
}

// letGo lets the program begin under the filter.
func (p *pipes) letGo(filter []byte) error {
	_, err := p.gate.Write(filter) // fits into a pipe and arrives as one
	if err := errors.Join(err, p.gate.Close()); err != nil {
		return fmt.Errorf("give bubblewrap the filter: %w", err)
	}
	return nil
}

// began says whether the program was started, when bubblewrap has ended: only then it has told an exit code.
func (p *pipes) began() bool {
	for {
		var said struct {
			Code *int `json:"exit-code"`
		}
		if err := p.said.Decode(&said); err != nil {
			return false
		}
		if said.Code != nil {
			return true
		}
	}
}
