package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	shortestKnown = 8  // bytes; shorter values stand in ordinary text by chance
	shortestLine  = 20 // bytes of a line of a value of several lines
)

// Values takes values that are known, such as a session's own token, out of texts, whatever their shape.
type Values struct {
	forms []string // in lower case, the longest first
}

// Known knows these values in the ways in which they are usually written: as they are, in other case, reversed, in
// base64 (also as a part of something longer), in hex, and escaped for URLs, JSON and HTML. Values of fewer than 8
// bytes are left out.
func Known(values ...string) Values {
	var v Values
	for _, s := range values {
		s = strings.TrimSpace(s)
		v.add(s)
		if lines := strings.Split(s, "\n"); len(lines) > 1 {
			for _, line := range lines {
				if line = strings.TrimSpace(line); len(line) >= shortestLine && !strings.HasPrefix(line, "-----") {
					v.add(line)
				}
			}
		}
	}
	slices.SortFunc(v.forms, func(a, b string) int { return len(b) - len(a) })
	v.forms = slices.Compact(v.forms)
	return v
}

func (v *Values) add(s string) {
	if len(s) < shortestKnown {
		return
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		quoted = []byte(`"` + s + `"`)
	}
	letters := []byte(s)
	slices.Reverse(letters)
	forms := []string{s, string(letters), string(quoted[1 : len(quoted)-1]), hex.EncodeToString([]byte(s)), percent(s)}
	forms = append(forms, inBase64(s)...)
	for _, f := range forms {
		v.forms = append(v.forms, lower(f))
	}
}

// percent writes every byte as %xx. Where only some are, it is the text's view that is read.
func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

// inBase64 is the part of the base64 of a value that does not depend on what stands around it, for each of the three
// places at which it can begin.
func inBase64(s string) []string {
	var forms []string
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + s))
		from := (before*8 + 5) / 6
		to := (before + len(s)) * 8 / 6
		for _, form := range []string{text[from:to], strings.NewReplacer("+", "-", "/", "_").Replace(text[from:to])} {
			if len(form) >= shortestKnown {
				forms = append(forms, form)
			}
		}
	}
	return forms
}

// lower is strings.ToLower for ASCII alone, so that every byte stays at its place.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// Redact takes the known values out of a text. The rest stays as it is.
func (v Values) Redact(text string) string {
	if len(v.forms) == 0 {
		return text
	}
	for range rounds {
		found := v.find(text)
		if len(found) == 0 {
			return text
		}
		text = without(text, found)
	}
	return "[redacted: text full of known values]"
}

func (v Values) find(text string) []Match {
	var all []Match
	for _, w := range viewsOf(text) {
		folded := lower(w.text)
		for _, form := range v.forms {
			for from := 0; ; {
				i := strings.Index(folded[from:], form)
				if i < 0 {
					break
				}
				all = append(all, w.match("known value", from+i, from+i+len(form)))
				from += i + len(form)
			}
		}
	}
	return merged(all)
}
