package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// fileMax bounds a settings file, in bytes.
const fileMax = 256 << 10

// parse reads one YAML document; nil when there is nothing in it.
func parse(b []byte, name string, p *problems) *yaml.Node {
	if len(b) > fileMax {
		p.add(name, 0, "", fmt.Sprintf("is %d bytes long", len(b)), fmt.Sprintf("at most %d are read", fileMax))
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		p.add(name, 0, "", "is not valid YAML", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if !errors.Is(d.Decode(&second), io.EOF) {
		p.add(name, second.Line, "", "holds more than one document", "keep all settings in one")
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	return doc.Content[0]
}

// filler writes the values of a YAML tree over the defaults in a struct, and remembers the line of each, so that
// later checks can name it.
type filler struct {
	problems *problems
	lines    map[string]int
}

// fill goes down the tree and the value together. The value must be a struct, list, or one of the simple kinds.
func (f *filler) fill(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		f.bad(n, path, "uses a YAML anchor or alias", "write the value out")
		return
	}
	f.lines[path] = n.Line
	switch v.Kind() {
	case reflect.Struct:
		f.fillStruct(n, v, path)
	case reflect.Slice:
		f.fillList(n, v, path)
	default:
		f.fillScalar(n, v, path)
	}
}

func (f *filler) bad(n *yaml.Node, path, problem, hint string) {
	if path == "" {
		path = "the file"
	}
	f.problems.add(path, n.Line, "", problem, hint)
}

func (f *filler) fillStruct(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		f.bad(n, path, "must hold settings by name", "write one 'name: value' on each line")
		return
	}
	fields := fieldsOf(v.Type())
	seen := []string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, shown(key.Value))
		j, ok := fields[key.Value]
		switch {
		case slices.Contains(seen, key.Value):
			f.bad(key, at, "is given twice", "keep one")
		case !ok:
			f.bad(key, at, "is not known", didYouMean(key.Value, fields))
		case !isNull(value): // a name without a value keeps the default
			f.fill(value, v.Field(j), at)
		}
		seen = append(seen, key.Value)
	}
}

func (f *filler) fillList(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		f.bad(n, path, "must be a list", "write [a, b] or one '- a' on each line")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		if isNull(c) {
			f.bad(c, at, "is empty", "remove it, or put it into quotes")
			continue
		}
		f.fill(c, v.Index(i), at)
	}
}

func (f *filler) fillScalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		f.bad(n, path, "must be a single value", "")
		return
	}
	problem, hint := setScalar(v, n.Value)
	if problem == "" {
		return
	}
	value := n.Value
	if v.Type() == reflect.TypeFor[Secret]() {
		value = ""
	}
	f.problems.add(path, n.Line, value, problem, hint)
}

// setScalar writes a value given as text; the problem is empty when it fits.
func setScalar(v reflect.Value, text string) (problem, hint string) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return "is not a length of time", "write it with its unit, such as 90s, 30m or 2h"
		}
		v.SetInt(int64(d))
		return "", ""
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return "is neither true nor false", ""
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v.OverflowInt(n) {
			return "is not a whole number", ""
		}
		v.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return "is not a number", ""
		}
		v.SetFloat(x)
	default: // a kind of field that no settings have; its test would fail
		return "cannot be read", ""
	}
	return "", ""
}

// fieldsOf gives the fields of a settings struct by their YAML names.
func fieldsOf(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			fields[name] = i
		}
	}
	return fields
}

// didYouMean names the known key that is most like the given one, or all of them.
func didYouMean(key string, fields map[string]int) string {
	names := []string{}
	for n := range fields {
		names = append(names, n)
		a, b := plainKey(key), plainKey(n)
		if a == b || len(a) > 3 && (strings.HasPrefix(b, a) || strings.HasPrefix(a, b)) {
			return "did you mean " + n + "?"
		}
	}
	slices.Sort(names)
	return "known here: " + strings.Join(names, ", ")
}

func plainKey(s string) string {
	return strings.TrimSuffix(strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s)), "s")
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
