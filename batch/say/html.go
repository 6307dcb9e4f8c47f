package say

import (
	"bytes"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
)

func (h *hunt) htmlBlock(n *ast.HTMLBlock) {
	if n.Lines().Len() == 0 {
		return
	}
	start, end := n.Lines().At(0).Start, n.Lines().At(n.Lines().Len()-1).Stop
	if n.HasClosure() {
		end = max(end, n.ClosureLine.Stop)
	}
	h.html(start, end)
}

// html drops comments, declarations and attributes between two places, and what stands in elements that show nothing.
// What is open at the end has no end.
func (h *hunt) html(start, end int) {
	for start < end {
		open := bytes.IndexByte(h.source[start:end], '<')
		if open < 0 {
			return
		}
		start += open
		s := h.source[start:end]
		switch {
		case bytes.HasPrefix(s, []byte("<!--")):
			start = h.drop(start, end, "-->")
		case bytes.HasPrefix(s, []byte("<![CDATA[")):
			start = h.drop(start, end, "]]>")
		case bytes.HasPrefix(s, []byte("<?")):
			start = h.drop(start, end, "?>")
		case bytes.HasPrefix(s, []byte("<!")):
			start = h.drop(start, end, ">")
		default:
			start = h.element(start, end)
		}
	}
}

func (h *hunt) drop(start, end int, until string) int {
	if i := bytes.Index(h.source[start:end], []byte(until)); i >= 0 {
		end = start + i + len(until)
	}
	h.add(start, end, "")
	return end
}

// element drops the attributes of a tag, and all of one that nobody knows: a page shows nothing of its name.
func (h *hunt) element(start, end int) int {
	name := tagName(h.source[start:end])
	if name == "" {
		return start + 1
	}
	stop, closed := h.tagEnd(start, end)
	if !closed {
		h.add(start, end, "")
		return end
	}
	with := ""
	if slices.Contains(shown(), strings.ToLower(strings.TrimPrefix(name, "/"))) {
		with = "<" + name + ">"
	}
	h.add(start, stop, with)
	h.hush(name, start, stop)
	return stop
}

// hush drops an element whose content is not shown, once its end is found.
func (h *hunt) hush(name string, start, stop int) {
	plain := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case h.silent == "" && plain == name && slices.Contains(unseen(), plain):
		h.silent, h.since = plain, start
	case h.silent != "" && name != plain && plain == h.silent, h.silent != "" && strings.EqualFold(name, "/"+h.silent):
		h.add(h.since, stop, "")
		h.silent = ""
	}
}

// unseen are the elements whose content browsers or GitHub do not show.
func unseen() []string {
	return []string{"script", "style", "template", "noscript", "title", "head", "object", "iframe", "audio", "video", "canvas", "map", "datalist"}
}

// shown are the elements that GitHub shows.
func shown() []string {
	return strings.Fields("a abbr b bdo blockquote br caption center cite code dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li " +
		"mark ol p picture pre q rp rt ruby s samp small source span strike strong sub summary sup table tbody td tfoot th thead time tr tt ul var wbr")
}

// tagName is the name of the tag at the front, with a slash when it closes; "" when there is no tag.
func tagName(s []byte) string {
	i := 1
	if len(s) > 1 && s[1] == '/' {
		i++
	}
	from := i
	for i < len(s) && (s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || i > from && (s[i] >= '0' && s[i] <= '9' || s[i] == '-')) {
		i++
	}
	if i == from {
		return ""
	}
	return string(s[1:i])
}

// tagEnd is the place behind the tag that begins here: a > in the value of an attribute does not end it.
func (h *hunt) tagEnd(start, end int) (stop int, closed bool) {
	quote, last := byte(0), byte(0)
	for i := start; i < end; i++ {
		c := h.source[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && last == '=':
			quote = c
		case c == '>':
			return i + 1, true
		}
		if c > ' ' {
			last = c
		}
	}
	return end, false
}
