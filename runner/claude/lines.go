package claude

import (
	"bufio"
	"errors"
	"io"
	"slices"
)

// maxLine is the longest line that is read as a whole, in bytes.
const maxLine = 16 << 20

// line is one line of output without its end.
type line struct {
	text []byte // valid until the function that was given it returns
	size int    // bytes as written; more than len(text) when the line was too long
}

// readLines hands each line of r to take, the last one also without its end, until r ends or errs. A line
// longer than maxLine comes cut; no more than that is ever held.
func readLines(r io.Reader, take func(line)) {
	in := bufio.NewReaderSize(r, 64<<10)
	var held []byte
	size := 0
	for {
		part, err := in.ReadSlice('\n')
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		}
		size += len(part)
		if len(held) > 1<<20 {
			held = slices.Grow(held, maxLine-len(held)) // at once: growing step by step would cost several times as much
		}
		held = append(held, part[:min(len(part), maxLine-len(held))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if ended || size > 0 {
			take(line{text: held, size: size})
		}
		if !ended {
			return
		}
		held, size = held[:0], 0
		if cap(held) > 1<<20 {
			held = nil // one long line shall not cost memory for the rest of the run
		}
	}
}
