package secret

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// view is a text as it reads once something is taken off it, with the way back to the bytes of the original.
type view struct {
	text string
	at   []int // of each byte, and of the end: where it stands in the original; nil: nothing was changed
}

func (v view) match(kind string, start, end int) Match {
	if v.at == nil {
		return Match{kind, start, end}
	}
	return Match{kind, v.at[start], v.at[end]}
}

// escapes is how many layers of escapes are looked through: JSON in JSON is common in logs.
const escapes = 2

// viewsOf is the text without invisible characters, and that with its escapes read, layer by layer.
func viewsOf(text string) []view {
	v := view{text: text}
	if strings.ContainsFunc(text, invisible) {
		v = v.mapped(func(s string) (string, int) {
			r, size := utf8.DecodeRuneInString(s)
			if invisible(r) {
				return "", size
			}
			return s[:size], size
		})
	}
	views := []view{v}
	for range escapes {
		if !strings.ContainsAny(v.text, `\%&`) {
			break
		}
		read := v.mapped(unescape)
		if read.text == v.text {
			break
		}
		v = read
		views = append(views, v)
	}
	return views
}

// mapped rewrites the text piece by piece: f says what the piece at the front becomes and how many bytes it is long.
func (v view) mapped(f func(s string) (string, int)) view {
	var b strings.Builder
	b.Grow(len(v.text))
	at := make([]int, 0, len(v.text)+1)
	for i := 0; i < len(v.text); {
		piece, size := f(v.text[i:])
		for range len(piece) {
			at = append(at, v.origin(i))
		}
		if len(piece) == size { // the same letters, byte by byte
			for k := range size {
				at[len(at)-size+k] = v.origin(i + k)
			}
		}
		b.WriteString(piece)
		i += size
	}
	return view{b.String(), append(at, v.origin(len(v.text)))}
}

func (v view) origin(i int) int {
	if v.at == nil {
		return i
	}
	return v.at[i]
}

// invisible is true for what nobody sees: format characters (zero width, direction, tags), variation selectors and
// fillers, and control characters that do not break a line.
func invisible(r rune) bool {
	switch r {
	case '\n', '\r', '\t', '\v', '\f':
		return false
	case 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0:
		return true
	}
	return r < 0x20 || r > 0x7E && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector))
}

// unescape reads the escape at the front of the text, if there is one: \n, \/, \u0041, \x41, %41, &#65;, &#x41;.
func unescape(s string) (string, int) {
	switch s[0] {
	case '\\':
		return backslash(s)
	case '%':
		if r, ok := hexadecimal(s, 1, 2); ok {
			return string(r), 3
		}
	case '&':
		if r, size, ok := entity(s); ok {
			return string(r), size
		}
	}
	_, size := utf8.DecodeRuneInString(s)
	return s[:size], size
}

func backslash(s string) (string, int) {
	if len(s) < 2 {
		return s, len(s)
	}
	switch s[1] {
	case 'n', 'r':
		return "\n", 2
	case 't':
		return "\t", 2
	case '/', '"', '\'', '\\', '\n':
		return s[1:2], 2
	case 'u':
		if r, ok := hexadecimal(s, 2, 4); ok {
			return string(r), 6
		}
	case 'x':
		if r, ok := hexadecimal(s, 2, 2); ok {
			return string(r), 4
		}
	}
	return s[:1], 1
}

// hexadecimal reads a number of so many digits as a character of ASCII; others are of no interest here.
func hexadecimal(s string, from, digits int) (r rune, ok bool) {
	if len(s) < from+digits {
		return 0, false
	}
	for _, c := range []byte(s[from : from+digits]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if c < '0' || d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, r >= 0x20 && r < 0x7F
}

// entity reads &#65; or &#x41;.
func entity(s string) (r rune, size int, ok bool) {
	const longest = len("&#0000000;")
	end := strings.IndexByte(s[:min(len(s), longest)], ';')
	if end < 3 || s[1] != '#' {
		return 0, 0, false
	}
	base, digits := rune(10), s[2:end]
	if digits[0]|0x20 == 'x' {
		base, digits = 16, digits[1:]
	}
	for _, c := range []byte(digits) {
		d := rune(strings.IndexByte("0123456789abcdef", c|0x20))
		if c < '0' || d < 0 || d >= base {
			return 0, 0, false
		}
		r = r*base + d
	}
	return r, end + 1, r >= 0x20 && r < 0x7F
}
