package meter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a request may be nested.
const maxDepth = 200

// maxFields bounds how many fields one object of a request may have.
const maxFields = 20_000

// walker goes once through a JSON text that is known to be valid, and refuses what two readers could understand in two
// ways: the same key twice in an object, or, where the API reads the keys, two keys that differ in case only. So what
// is checked here is what every reader on the other side sees, and the text can be sent on byte for byte; to write it
// anew would change numbers and half surrogates, and with them the prompt cache.
type walker struct {
	b []byte
	i int

	top map[string][]byte // fields of the outermost object by folded key; the slices point into b
	// outside names the first thing in which the API itself would fetch or look something up; empty: none.
	outside string
	hour    bool // somewhere the dearer cache is asked for
}

// walk reads a whole request.
func walk(b []byte) (*walker, error) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, errors.New("the body is not valid JSON")
	}
	w := &walker{b: b, top: map[string][]byte{}}
	w.space()
	if w.b[w.i] != '{' {
		return nil, errors.New("the body is not a JSON object")
	}
	return w, w.object("", false, 1)
}

// value reads one value. key is the folded key it stands under, opaque says that it is data of a tool, which the API
// does not read.
func (w *walker) value(key string, opaque bool, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("the body is nested more than %d deep", maxDepth)
	}
	switch w.b[w.i] {
	case '{':
		return w.object(key, opaque, depth)
	case '[':
		return w.array(key, opaque, depth)
	case '"':
		w.text()
	default:
		for w.i < len(w.b) && !strings.ContainsRune(",]} \t\r\n", rune(w.b[w.i])) {
			w.i++
		}
	}
	return nil
}

func (w *walker) array(key string, opaque bool, depth int) error {
	w.i++
	for w.space(); w.b[w.i] != ']'; w.space() {
		if err := w.value(key, opaque, depth+1); err != nil {
			return err
		}
		w.comma()
	}
	w.i++
	return nil
}

func (w *walker) object(under string, opaque bool, depth int) error {
	w.i++
	var fields seen
	for w.space(); w.b[w.i] != '}'; w.space() {
		raw := unquote(w.text())
		key := fold(raw)
		if opaque {
			key = raw
		}
		if err := fields.add(key); err != nil {
			return err
		}
		w.space()
		w.i++ // the colon
		w.space()
		start := w.i
		if err := w.value(key, opaque || isData(key), depth+1); err != nil {
			return err
		}
		value := w.b[start:w.i]
		if depth == 1 {
			w.top[key] = value
		}
		if !opaque {
			w.look(under, key, value)
		}
		w.comma()
	}
	w.i++
	return nil
}

// look notes what a field means, wherever it stands outside of tools' data.
func (w *walker) look(under, key string, value []byte) {
	found := ""
	switch key {
	case "type":
		if is(value, "url") {
			found = "content that the API would fetch from a URL"
		}
	case "url":
		if under == "source" {
			found = "content that the API would fetch from a URL"
		}
	case "file_id":
		found = "a file of the account"
	case "ttl":
		w.hour = w.hour || is(value, "1h")
	}
	if w.outside == "" {
		w.outside = found
	}
}

// isData says whether what stands under a key is data or a schema of a tool: there any field may have any name.
func isData(key string) bool {
	return key == "input" || key == "input_schema" || key == "input_examples" || key == "schema"
}

// text reads a string and returns it as it stands, with its quotes.
func (w *walker) text() []byte {
	start := w.i
	for w.i++; w.b[w.i] != '"'; w.i++ {
		if w.b[w.i] == '\\' {
			w.i++
		}
	}
	w.i++
	return w.b[start:w.i]
}

func (w *walker) space() {
	for w.i < len(w.b) && (w.b[w.i] == ' ' || w.b[w.i] == '\n' || w.b[w.i] == '\t' || w.b[w.i] == '\r') {
		w.i++
	}
}

// comma steps over the comma behind a value, if there is one.
func (w *walker) comma() {
	if w.space(); w.b[w.i] == ',' {
		w.i++
	}
}

// seen holds the keys of one object.
type seen struct {
	few  []string
	many map[string]bool // from the ninth key on, so that many keys do not cost their square
	n    int
}

func (s *seen) add(key string) error {
	if s.n++; s.n > maxFields {
		return fmt.Errorf("an object has more than %d fields", maxFields)
	}
	twice := s.many[key]
	for _, k := range s.few {
		twice = twice || k == key
	}
	if twice {
		return fmt.Errorf("the field %q stands twice in one object", clip(key))
	}
	if len(s.few) < 8 {
		s.few = append(s.few, key)
		return nil
	}
	if s.many == nil {
		s.many = map[string]bool{}
	}
	s.many[key] = true
	return nil
}

// unquote reads a JSON string that is known to be valid.
func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return string(quoted)
	}
	return s
}

// fold maps keys that a careless reader takes for the same to one: upper and lower case, with the letters that Unicode
// folds onto ASCII (the long s, the Kelvin sign), as encoding/json itself does.
func fold(key string) string {
	for i := range len(key) {
		if c := key[i]; c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf {
			return strings.ToLower(strings.ToUpper(key))
		}
	}
	return key
}

// is says whether a JSON value is this string, in any case.
func is(value []byte, s string) bool {
	return len(value) > 1 && value[0] == '"' && fold(strings.TrimSpace(unquote(value))) == s
}

// clip shortens what an agent wrote, before it is shown.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
