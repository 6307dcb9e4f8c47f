package say

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

func parse(source []byte) ast.Node {
	return goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
}

func lineOf(n ast.Node, i int, source []byte) []byte {
	l := n.Lines().At(i)
	return bytes.TrimSpace(source[l.Start:l.Stop])
}

// edit replaces the bytes of a source from start to before end.
type edit struct {
	start, end int
	with       string
}

const (
	rounds  = 4 // taking something out can make something else of what stood around it
	leftOut = "(a passage was left out here: it hides text from readers)"
	knot    = "(the text was left out: its Markdown is too tangled to be read)"

	tailsMax = 2000 // of links and pictures in one text: unfinished ones are slow to read
)

// nested is a line with so many quotes and lists within each other that it is slow to read.
var nested = regexp.MustCompile(`(?m)^(?:[ \t]*(?:>|[-+*][ \t]|[0-9]{1,9}[.)][ \t])){64}`)

// unhidden takes from Markdown what readers of the page do not see. Where that cannot be done in place, the passage
// goes; the rest stays byte for byte.
func unhidden(s string) string {
	if strings.Count(s, "](") > tailsMax || nested.MatchString(s) {
		return knot
	}
	for round := range 2 * rounds {
		h := hunt{source: []byte(s), used: map[string]bool{}}
		h.read(parse(h.source))
		if len(h.edits)+len(h.bad) == 0 {
			return s
		}
		edits := h.edits
		if len(h.edits) == 0 || round >= rounds {
			edits = h.passages()
		}
		s = edited(s, edits)
	}
	return leftOut
}

// edited carries out edits. One within another is left out.
func edited(s string, edits []edit) string {
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) })
	var b strings.Builder
	from := 0
	for _, e := range edits {
		if e.start < from {
			continue
		}
		b.WriteString(s[from:e.start])
		b.WriteString(e.with)
		from = e.end
	}
	b.WriteString(s[from:])
	return b.String()
}

// hunt looks for what is hidden in one document.
type hunt struct {
	source []byte
	edits  []edit
	bad    []ast.Node      // nodes that hide something, for those whose place is not certain
	used   map[string]bool // labels of definitions that links use
	silent string          // the element that is open and whose content nobody sees
	since  int             // where it begins
}

func (h *hunt) add(start, end int, with string) {
	if string(h.source[start:end]) != with {
		h.edits = append(h.edits, edit{start, end, with})
	}
}

func (h *hunt) read(doc ast.Node) {
	h.walk(doc, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Link:
			h.link(n)
		case *ast.Image:
			h.image(n)
		}
	})
	h.walk(doc, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.HTMLBlock:
			h.htmlBlock(n)
		case *ast.RawHTML:
			h.html(n.Segments.At(0).Start, n.Segments.At(n.Segments.Len()-1).Stop)
		case *ast.LinkReferenceDefinition:
			h.definition(n)
		case *ast.Paragraph:
			h.footnote(n)
		}
	})
}

func (h *hunt) walk(doc ast.Node, see func(ast.Node)) {
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker below never fails
		if entering {
			see(n)
		}
		return ast.WalkContinue, nil
	})
}

// link drops a link's title.
func (h *hunt) link(n *ast.Link) {
	if n.Reference != nil {
		h.used[util.ToLinkReference(n.Reference.Value)] = true
		return // its title goes with the definition's
	}
	if len(n.Title) == 0 {
		return
	}
	if t, ok := h.tail(n); ok {
		h.add(t.open, t.end, "("+string(h.source[t.from:t.to])+")")
		return
	}
	h.bad = append(h.bad, n)
}

// image drops a picture's title and the text that stands for it where pictures are not shown.
func (h *hunt) image(n *ast.Image) {
	if n.Reference != nil {
		h.used[util.ToLinkReference(n.Reference.Value)] = true
	}
	if len(n.Title) == 0 && n.FirstChild() == nil {
		return
	}
	switch t, ok := h.tail(n); {
	case ok && n.Reference == nil:
		h.add(n.Pos(), t.end, "![]("+string(h.source[t.from:t.to])+")")
	case ok && !bytes.ContainsAny(n.Destination, " ()<>\\"):
		h.add(n.Pos(), t.end, "![]("+string(n.Destination)+")")
	default:
		h.bad = append(h.bad, n)
	}
}

// definition drops the title of a definition that is used, and all of one that is not.
func (h *hunt) definition(n *ast.LinkReferenceDefinition) {
	if n.Lines().Len() == 0 {
		h.bad = append(h.bad, n)
		return
	}
	used := h.used[util.ToLinkReference(n.Label)]
	if used && len(n.Title) == 0 {
		return
	}
	start, end := n.Lines().At(0).Start, n.Lines().At(n.Lines().Len()-1).Stop
	with := ""
	if used {
		with = "[" + string(n.Label) + "]: <" + string(n.Destination) + ">\n"
	}
	h.add(start, end, with)
}

// footnote drops one that nothing refers to, because it is not shown then, and the indented text that belongs to it.
func (h *hunt) footnote(n *ast.Paragraph) {
	if n.Lines().Len() == 0 {
		return
	}
	label, _, ok := bytes.Cut(lineOf(n, 0, h.source), []byte("]:"))
	if !ok || !bytes.HasPrefix(label, []byte("[^")) || bytes.ContainsAny(label, " \t") {
		return
	}
	mark := string(label) + "]"
	if all := strings.Count(string(h.source), mark); all > strings.Count(string(h.source), mark+":") {
		return
	}
	h.add(n.Lines().At(0).Start, n.Lines().At(n.Lines().Len()-1).Stop, "")
	for next := n.NextSibling(); next != nil && next.Kind() == ast.KindCodeBlock; next = next.NextSibling() {
		h.add(next.Lines().At(0).Start, next.Lines().At(next.Lines().Len()-1).Stop, "")
	}
}

// passages are the blocks that hold what hides something, each replaced by words.
func (h *hunt) passages() []edit {
	var out []edit
	for _, n := range h.bad {
		for n.Type() == ast.TypeInline && n.Parent() != nil {
			n = n.Parent()
		}
		out = append(out, h.passage(n))
	}
	for _, e := range h.edits {
		out = append(out, edit{e.start, e.end, ""})
	}
	return out
}

func (h *hunt) passage(n ast.Node) edit {
	if n.Type() == ast.TypeInline || n.Kind() == ast.KindDocument || n.Lines().Len() == 0 {
		return edit{0, len(h.source), leftOut}
	}
	return edit{n.Lines().At(0).Start, n.Lines().At(n.Lines().Len() - 1).Stop, leftOut + "\n"}
}
