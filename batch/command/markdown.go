package command

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// hiddenByte stands in the source for a byte of an HTML comment. It is free, because normalise removes it.
const hiddenByte = "\x00"

// place is a part of the source, from start to before end.
type place struct{ start, end int }

// plainLines finds the lines of plain text at the top level of the document. The source comes back with its HTML
// comments blanked out, byte for byte: what nobody sees on the page is not part of what was asked.
func plainLines(src string) (string, []place) {
	source := []byte(src)
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote))
	doc := md.Parser().Parse(text.NewReader(source))
	r := reader{source: source, clean: bytes.Clone(source)}
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		if p, ok := n.(*ast.Paragraph); ok && r.depth == 0 {
			r.paragraph(p)
		}
		r.html(n)
	}
	return string(r.clean), r.lines
}

// reader walks the blocks of one document.
type reader struct {
	source []byte
	clean  []byte
	lines  []place
	depth  int // HTML elements that are open around the present block
}

// paragraph adds the lines of a paragraph that begin with text of its own, not with code, a link or emphasis. Lines
// and texts both come in the order of the source, so one walk along both is enough.
func (r *reader) paragraph(p *ast.Paragraph) {
	child := p.FirstChild()
	for i := range p.Lines().Len() {
		l := p.Lines().At(i)
		for ; child != nil; child = child.NextSibling() {
			t, ok := child.(*ast.Text)
			if !ok || t.Segment.Stop <= l.Start {
				continue
			}
			if t.Segment.Start <= l.Start {
				r.lines = append(r.lines, place{l.Start, l.Start + len(bytes.TrimRight(r.source[l.Start:l.Stop], "\n"))})
			}
			break
		}
	}
}

// html looks at the HTML in a block and all it holds: comments are blanked out, open elements are counted.
func (r *reader) html(n ast.Node) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker below never fails
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.HTMLBlock:
			r.htmlBlock(n)
		case *ast.RawHTML:
			for i := range n.Segments.Len() {
				s := n.Segments.At(i)
				r.tags(s.Start, s.Stop)
			}
		}
		return ast.WalkContinue, nil
	})
}

func (r *reader) htmlBlock(n *ast.HTMLBlock) {
	if n.Lines().Len() == 0 {
		return
	}
	start, end := n.Lines().At(0).Start, n.Lines().At(n.Lines().Len()-1).Stop
	if n.HasClosure() {
		end = max(end, n.ClosureLine.Stop)
	}
	r.tags(start, end)
}

// tags reads the HTML between two places of the source.
func (r *reader) tags(start, end int) {
	for start < end {
		open := bytes.IndexByte(r.source[start:end], '<')
		if open < 0 {
			return
		}
		start += open
		if bytes.HasPrefix(r.source[start:end], []byte("<!--")) {
			stop := end
			if i := bytes.Index(r.source[start:end], []byte("-->")); i >= 0 {
				stop = start + i + len("-->")
			}
			for i := start; i < stop; i++ {
				r.clean[i] = hiddenByte[0]
			}
			start = stop
			continue
		}
		r.count(string(r.source[start+1 : min(end, start+20)]))
		start++
	}
}

// count keeps track of the elements that change what a paragraph between their tags is: a quotation, code, a list,
// or something folded away.
func (r *reader) count(tag string) {
	closing := strings.HasPrefix(tag, "/")
	name := strings.ToLower(strings.TrimPrefix(tag, "/"))
	if i := strings.IndexFunc(name, func(c rune) bool { return c < 'a' || c > 'z' }); i >= 0 {
		name = name[:i]
	}
	switch name {
	case "blockquote", "details", "pre", "code", "table", "ul", "ol":
	default:
		return
	}
	if closing {
		r.depth = max(0, r.depth-1)
	} else {
		r.depth++
	}
}
