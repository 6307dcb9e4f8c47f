package worktree

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// strange runes have no place in a path or a log line: control characters, and those that turn the direction
// of writing so that a name looks like another.
func strange(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// checkPath refuses names that some git, file system or reader takes for something else.
func checkPath(name string) error {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, strange) {
		return fmt.Errorf("%w: %s has control characters in its name", ErrUnsafe, quote(name))
	}
	// Windows takes a backslash for a separator.
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "." || part == ".." || gitLike(part) {
			return fmt.Errorf("%w: %s", ErrUnsafe, quote(name))
		}
	}
	if name == "" || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.Contains(name, "//") {
		return fmt.Errorf("%w: %s", ErrUnsafe, quote(name))
	}
	return nil
}

// gitLike knows the names that macOS and Windows take for .git.
func gitLike(part string) bool {
	part = strings.Map(func(r rune) rune { // HFS+ ignores these
		if r >= 0x200c && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x206a && r <= 0x206f || r == 0xfeff {
			return -1
		}
		return r
	}, part)
	part, _, _ = strings.Cut(part, ":") // NTFS: a stream of the file
	part = strings.ToLower(strings.TrimRight(part, ". "))
	return part == ".git" || part == "git~1"
}

// checkLink refuses a symbolic link that might lead out of the tree. Only leading ".." are understood: after a
// name, which may be a link itself, their meaning is not known.
func checkLink(name, target string) error {
	bad := target == "" || path.IsAbs(target) || strings.ContainsFunc(target, strange) || strings.Contains(target, "\\")
	depth, leading := strings.Count(name, "/"), true
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "" || part == ".":
		case part == ".." && leading:
			depth--
		case part == "..":
			bad = true
		default:
			leading = false
			bad = bad || gitLike(part)
		}
	}
	if bad || depth < 0 {
		return fmt.Errorf("%w: the symbolic link %s leads to %s", ErrUnsafe, quote(name), quote(target))
	}
	return nil
}

const quoteLimit = 200

// quote makes an untrusted name fit for an error.
func quote(name string) string {
	if len(name) > quoteLimit {
		name = name[:quoteLimit] + "…"
	}
	return fmt.Sprintf("%q", name)
}
