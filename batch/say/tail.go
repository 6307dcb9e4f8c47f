package say

import (
	"bytes"

	"github.com/yuin/goldmark/ast"
)

// tail is the part of a link or picture behind its text: (destination "title").
type tail struct {
	open     int // of the bracket
	from, to int // the destination, as it was written
	end      int // behind it all
}

// tail finds the tail of a link or picture that the parser has found. It is not ok where that is not certain.
func (h *hunt) tail(n ast.Node) (t tail, ok bool) {
	at := n.Pos()
	if at < 0 || at >= len(h.source) {
		return t, false
	}
	at += len("[")
	if n.Kind() == ast.KindImage {
		at++
	}
	if at, ok = h.behind(n, at); !ok {
		return t, false
	}
	closing := bytes.IndexByte(h.source[at:], ']')
	if closing < 0 {
		return t, false
	}
	return h.readTail(at + closing + 1)
}

// behind is a place behind the text of a link or picture, and before the bracket that closes it.
func (h *hunt) behind(n ast.Node, at int) (int, bool) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			at = max(at, c.Segment.Stop)
		case *ast.RawHTML:
			at = max(at, c.Segments.At(c.Segments.Len()-1).Stop)
		case *ast.AutoLink:
			at = max(at, c.Pos()+len(c.Label(h.source)))
		case *ast.Link, *ast.Image:
			t, ok := h.tail(c)
			if !ok {
				return 0, false
			}
			at = max(at, t.end)
		default: // emphasis, code
			inner, ok := h.behind(c, at)
			if !ok {
				return 0, false
			}
			at = max(at, inner)
		}
	}
	return at, true
}

// readTail reads what stands behind the bracket that closes a text: (destination "title") or [label], or nothing.
func (h *hunt) readTail(at int) (t tail, ok bool) {
	s := h.source
	t.open, t.end = at, at
	if at < len(s) && s[at] == '[' {
		end := bytes.IndexByte(s[at:], ']')
		t.end = at + end + 1
		return t, end >= 0
	}
	if at >= len(s) || s[at] != '(' {
		return t, true // a short reference
	}
	t.from = h.spaces(at + 1)
	if t.to, ok = h.destination(t.from); !ok {
		return t, false
	}
	at = h.spaces(t.to)
	if at < len(s) && (s[at] == '"' || s[at] == '\'' || s[at] == '(') {
		closing := s[at]
		if closing == '(' {
			closing = ')'
		}
		if at, ok = h.until(at+1, closing); !ok {
			return t, false
		}
		at = h.spaces(at)
	}
	t.end = at + 1
	return t, at < len(s) && s[at] == ')'
}

// destination is the place behind the destination that begins here.
func (h *hunt) destination(at int) (end int, ok bool) {
	if at < len(h.source) && h.source[at] == '<' {
		return h.until(at+1, '>')
	}
	depth := 0
	for ; at < len(h.source); at++ {
		switch c := h.source[at]; {
		case c == '\\':
			at++
		case c == '(':
			depth++
		case c == ')' && depth == 0, c <= ' ':
			return at, true
		case c == ')':
			depth--
		}
	}
	return at, false
}

// until is the place behind the next such sign that is not escaped.
func (h *hunt) until(at int, sign byte) (end int, ok bool) {
	for ; at < len(h.source); at++ {
		switch h.source[at] {
		case '\\':
			at++
		case sign:
			return at + 1, true
		}
	}
	return at, false
}

func (h *hunt) spaces(at int) int {
	for at < len(h.source) && bytes.IndexByte([]byte(" \t\n"), h.source[at]) >= 0 {
		at++
	}
	return at
}
