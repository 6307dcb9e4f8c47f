package say

import (
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"

	"dozens/batch/secret"
)

// breaker is a character that nobody sees and that parts what would act if it stood together.
const breaker = "\u200b"

// What acts on GitHub. Each pattern is parted between its first group and what follows.
var (
	tag     = regexp.MustCompile(`(<)([A-Za-z/!?])`)     // HTML, comments, autolinks; no tag has a space here
	entity  = regexp.MustCompile(`(&)(#?[0-9A-Za-z]+;)`) // would become any of the others once it is read
	image   = regexp.MustCompile(`(!)(\[)`)              // a picture tells its server who reads the page
	number  = regexp.MustCompile(`(#)([0-9])`)           // #12, owner/repo#12
	prefix  = regexp.MustCompile(`(?i)(gh-)([0-9])`)     // GH-12
	address = regexp.MustCompile(`(?i)(/(?:issues|pulls?|discussions|commits?|compare|milestone)/)([0-9A-Za-z%])`)
	scheme  = regexp.MustCompile(`(?i)(\b(?:javascript|vbscript|data|file|blob))(\\?:[^\s:])`)
	note    = regexp.MustCompile(`(?m)(^[ \t>*+.)0-9-]*\[)(\^[^\]\n]*\]:)`) // a footnote would stand among ours
	// A bot takes a line that begins with a slash for a command, some of them also in lists and quotes.
	slash = regexp.MustCompile(`(?m)^([\s\p{Z}>*+#-]*(?:[0-9]{1,9}[.)][\s\p{Z}]+)?)/`)
	// Words by which a commit keeps CI from looking at it, and lines that look like those git keeps accounts with.
	skipCI  = regexp.MustCompile(`(?i)(\[(?:skip|no|ci|actions)) (ci|actions|skip)\]`)
	skip    = regexp.MustCompile(`(?im)(^[\s\p{Z}]*skip-checks)(:)`)
	trailer = regexp.MustCompile(`(?m)(^[\s\p{Z}]*[A-Za-z][A-Za-z-]*-[Bb][Yy]|^[\s\p{Z}]*(?i:dozens-[a-z-]+|change-id|bug|fixes|closes))(:)`)
)

// Inline makes foreign text fit for one line of Markdown: one line, no table bars, nothing that acts, no credentials,
// at most so many characters.
func Inline(s string, most int) string {
	s = cut(oneLine(fit(s, most)), most)
	return strings.ReplaceAll(harmless(s), "|", "\\|")
}

// Block makes foreign text fit for a paragraph or more of Markdown: what it does not close is closed, nothing acts, no
// credentials, at most so many characters.
func Block(s string, most int) string {
	return closed(harmless(cut(strings.TrimSpace(fit(s, most)), most)))
}

// Code makes foreign text fit to stand between backquotes.
func Code(s string, most int) string {
	s = strings.ReplaceAll(cut(oneLine(fit(s, most)), most), "`", "'")
	if s == "" {
		return "(nothing)"
	}
	return s
}

// plainLine is Inline for places that are not Markdown (titles, commit subjects). It begins with no slash.
func plainLine(s string, most int) string {
	s = oneLine(fit(s, most))
	for slash.MatchString(s) {
		s = strings.TrimSpace(slash.ReplaceAllString(s, "$1"))
	}
	return unlinked(cut(s, most))
}

// Subject is one line that says what a text of several asks for.
func Subject(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(Heard(text)), "\n")
	return cut(oneLine(line), 100)
}

// plainBlock is Block for commit messages.
func plainBlock(s string, most int) string {
	s = unlinked(cut(strings.TrimSpace(fit(s, most)), most))
	return part(trailer, slash.ReplaceAllString(s, `$1\/`))
}

// login is the name of an account. What no account is called is left out.
func login(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r == '[' || r == ']' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z') {
			return r
		}
		return -1
	}, s)
	return cut(s, 60)
}

// fit drops what nobody sees and takes out credentials, in time that is bounded by most: what is far behind the end
// is not looked at.
func fit(s string, most int) string {
	const margin = 2000 // a credential that the end cuts is still known by its beginning
	head, whole := first(visible(s), 2*most+margin)
	head = uncommitted(secret.Redact(head))
	if !whole {
		head += " …"
	}
	return head
}

// harmless takes the effect from what would act in Markdown on GitHub, and keeps what a person sees: mentions,
// references to issues and commits (which closing keywords need too), HTML, pictures, links that run something,
// footnotes and commands to bots.
func harmless(s string) string {
	for _, p := range []*regexp.Regexp{entity, tag, image, scheme, note} {
		s = part(p, s)
	}
	return slash.ReplaceAllString(unlinked(s), `$1\/`)
}

// unlinked takes the effect from mentions and references, which act in titles and commit messages too.
func unlinked(s string) string {
	s = strings.ReplaceAll(s, "@", "@"+breaker)
	for _, p := range []*regexp.Regexp{number, prefix, address} {
		s = part(p, s)
	}
	return s
}

// uncommitted takes the effect from what a commit message says to CI; the texts of pull requests become such.
func uncommitted(s string) string { return part(skip, skipCI.ReplaceAllString(s, "$1"+breaker+" $2]")) }

// part puts the breaker behind the first group of every match.
func part(p *regexp.Regexp, s string) string { return p.ReplaceAllString(s, "${1}"+breaker+"${2}") }

// closed ends a code block that the text leaves open, so that it does not swallow what we say behind it.
func closed(s string) string {
	if !strings.Contains(s, "```") && !strings.Contains(s, "~~~") {
		return s
	}
	if !leaks(s) {
		return s
	}
	for _, fence := range fences.FindAllStringSubmatch(s, -1) {
		if end := s + "\n" + fence[1]; !leaks(end) {
			return end
		}
	}
	return strings.NewReplacer("```", "``"+breaker+"`", "~~~", "~~"+breaker+"~").Replace(s)
}

var fences = regexp.MustCompile("(?m)^ {0,3}(`{3,}|~{3,})")

// leaks says that a paragraph behind the text would not be one.
func leaks(s string) bool {
	const probe = "probe"
	source := []byte(s + "\n\n" + probe)
	last := parse(source).LastChild()
	p, ok := last.(*ast.Paragraph)
	return !ok || p.Lines().Len() != 1 || string(lineOf(p, 0, source)) != probe
}
