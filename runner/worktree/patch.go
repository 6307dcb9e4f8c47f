package worktree

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// addedLimit is how many bytes of a file's added lines are looked at together: lines in one string, so that a key of
// several lines is found, and long files in parts that overlap.
const (
	addedLimit = 1 << 20
	overlap    = 16 << 10
)

// patches collects the lines that files get, from git's patches without context, also of merges.
type patches struct {
	look    func(where, text string)
	where   string // the file's name, fit for an error
	parents int    // signs before each line of the hunk; 0: not in a hunk
	adding  bool   // the line at hand is added
	text    strings.Builder
}

// readPatches calls look with the added lines of each file.
func readPatches(in io.Reader, look func(where, text string)) error {
	p := &patches{look: look}
	lines := bufio.NewReaderSize(in, 64<<10)
	begins := true
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			p.flush(0) // git's last line is complete
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if begins {
			p.line(line)
		} else if p.adding {
			p.text.Write(line)
		}
		begins = err == nil
		if p.text.Len() > addedLimit {
			p.flush(overlap)
		}
	}
}

// line takes a line, or the beginning of a long one.
func (p *patches) line(line []byte) {
	p.adding = false
	if line[0] == '@' {
		p.parents = len(line) - len(bytes.TrimLeft(line, "@")) - 1
		return
	}
	if p.parents == 0 {
		if name, ok := bytes.CutPrefix(line, []byte("+++ ")); ok {
			p.where = quote(strings.TrimPrefix(strings.TrimSpace(string(name)), "b/"))
		}
		return
	}
	switch {
	case strings.IndexByte("+- \\", line[0]) < 0: // the next file or commit
		p.flush(0)
		p.parents = 0
	case len(line) > p.parents && isAdded(line[:p.parents]):
		p.adding = true
		p.text.Write(line[p.parents:])
	}
}

// flush looks at what was collected, and keeps the last bytes for the next look.
func (p *patches) flush(keep int) {
	text := p.text.String()
	if text != "" {
		p.look(p.where, text)
	}
	p.text.Reset()
	p.text.WriteString(text[max(0, len(text)-keep):])
}

// isAdded looks at the signs before a line, one for each parent.
func isAdded(signs []byte) bool {
	plus := false
	for _, c := range signs {
		if c != '+' && c != ' ' {
			return false
		}
		plus = plus || c == '+'
	}
	return plus
}
