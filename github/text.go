package github

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// GitHub's own limits are higher and differ by field and by unit (bytes, characters); this is under all of them.
const maxBody = 60_000 // bytes

// maxTitle is GitHub's limit for titles of pull requests and check runs, minus a little, in characters.
const maxTitle = 250

const cutNotice = "\n\n*(The text was cut here because it is too long for GitHub.)*"

// fit cuts a Markdown text to at most limit bytes, at a line's end if one is near, and says so. A code block
// that the cut left open is closed, so that what follows is not swallowed by it.
func fit(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	const fence = "\n```"
	text = cutAt(text, limit-len(cutNotice)-len(fence))
	if openFence(text) {
		text += fence
	}
	return text + cutNotice
}

// cutAt cuts at a line's end within the last kilobyte, else at a character's end.
func cutAt(text string, limit int) string {
	text = bound(text, limit)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 && i > len(text)-1024 {
		return text[:i]
	}
	return text
}

func openFence(text string) bool {
	open := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "```") {
			open = !open
		}
	}
	return open
}

// bound cuts to at most limit bytes at a character's end, without a word about it.
func bound(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	if limit <= 0 {
		return ""
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// oneLine makes one printable line of at most limit characters.
func oneLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return -1
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= limit {
		return strings.Trim(text, "; ")
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// sameText compares texts as people see them: GitHub's web editor changes line ends, and trailing space has no meaning.
func sameText(a, b string) bool {
	plain := func(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), " \t\n") }
	return plain(a) == plain(b)
}

var (
	ownerForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	loginForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$`)
	shaForm   = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	keyForm   = regexp.MustCompile(`^[A-Za-z0-9._:/=+-]{1,200}$`)
)

func validOwner(s string) bool { return ownerForm.MatchString(s) }
func validName(s string) bool  { return nameForm.MatchString(s) && s != "." && s != ".." }
func validLogin(s string) bool { return loginForm.MatchString(s) }
func validSHA(s string) bool   { return shaForm.MatchString(s) }

// validKey keeps the marker of a comment inside its HTML comment.
func validKey(s string) bool { return keyForm.MatchString(s) && !strings.Contains(s, "--") }

// validBranch follows git check-ref-format for a branch name.
func validBranch(s string) bool {
	if len(s) > 250 || s == "@" || !utf8.ValidString(s) ||
		strings.HasPrefix(s, "-") || strings.HasPrefix(s, "refs/") || strings.HasSuffix(s, ".") {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if !validRefPart(part) {
			return false
		}
	}
	return true
}

// validRefPart is for what stands between two slashes of a ref's name.
func validRefPart(s string) bool {
	if s == "" || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".lock") || strings.Contains(s, "..") || strings.Contains(s, "@{") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r)
	})
}

// validPath accepts slash-separated paths inside a repository.
func validPath(s string) bool {
	if s == "" || len(s) > 4096 || strings.ContainsFunc(s, unicode.IsControl) {
		return false
	}
	for _, part := range strings.Split(s, "/") {
		if part == "" || part == "." || strings.Contains(part, "..") {
			return false
		}
	}
	return true
}
