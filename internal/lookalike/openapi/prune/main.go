// Command prune cuts GitHub's published OpenAPI documents down to what the look-alike serves and sends.
//
//	prune LIST DOCUMENT.JSON OUT.JSON.GZ
//
// Each line of the list is "METHOD /path" or, for a webhook, "EVENT event-action". It keeps what is listed, the
// components that it reaches, and nothing that only a reader needs (descriptions, examples, GitHub's own
// extensions). What is not in the document is an error. A webhook becomes POST /event-action.
package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// obj is a JSON object.
type obj = map[string]any

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: prune LIST DOCUMENT.JSON OUT.JSON.GZ")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "prune:", err)
		os.Exit(1)
	}
}

func run(operations, in, out string) error {
	list, err := os.ReadFile(operations)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	var doc obj
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("decode %s: %w", in, err)
	}
	pruned, err := prune(doc, strings.Fields(string(list)))
	if err != nil {
		return err
	}
	return write(out, pruned)
}

// prune builds a new document of the operations in words (method, path, method, path …).
func prune(doc obj, words []string) (obj, error) {
	if len(words)%2 != 0 {
		return nil, errors.New("the list of operations holds half a line")
	}
	paths := obj{}
	for i := 0; i < len(words); i += 2 {
		method, path, op := find(doc, words[i], words[i+1])
		if op == nil {
			return nil, fmt.Errorf("%s %s is not in the document", words[i], path)
		}
		kept, _ := paths[path].(obj)
		if kept == nil {
			kept = obj{}
		}
		kept[method] = op
		paths[path] = kept
	}
	components := obj{}
	clean(paths, false)
	reach(doc, paths, components)
	info, _ := doc["info"].(obj)
	return obj{"openapi": doc["openapi"], "info": obj{"title": info["title"], "version": info["version"],
		"license": info["license"]}, "paths": paths, "components": components}, nil
}

func find(doc obj, word, name string) (method, path string, op any) {
	method, path, group := strings.ToLower(word), name, "paths"
	if word == "EVENT" {
		method, path, group = "post", "/"+name, "webhooks"
	}
	all, _ := doc[group].(obj)
	item, _ := all[name].(obj)
	return method, path, item[method]
}

// reach copies every component that v refers to, and what those refer to.
func reach(doc obj, v any, components obj) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			reach(doc, e, components)
		}
	case obj:
		if ref, ok := v["$ref"].(string); ok {
			keep(doc, ref, components)
		}
		for _, e := range v {
			reach(doc, e, components)
		}
	}
}

func keep(doc obj, ref string, components obj) {
	parts := strings.Split(strings.TrimPrefix(ref, "#/components/"), "/")
	if len(parts) != 2 || parts[0] == "examples" {
		return
	}
	kind, _ := components[parts[0]].(obj)
	if kind == nil {
		kind = obj{}
		components[parts[0]] = kind
	}
	if _, done := kind[parts[1]]; done {
		return
	}
	all, _ := doc["components"].(obj)
	source, _ := all[parts[0]].(obj)
	kind[parts[1]] = source[parts[1]]
	clean(source[parts[1]], false)
	reach(doc, source[parts[1]], components)
}

// clean drops what only a reader needs. Inside "properties" every key is a field's name and stays.
func clean(v any, names bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			clean(e, false)
		}
	case obj:
		for key, e := range v {
			if _, text := e.(string); !names && text && key == "description" {
				v[key] = "" // a response must have one
				continue
			}
			if !names && readersOnly(key, e) {
				delete(v, key)
				continue
			}
			clean(e, key == "properties" && !names)
		}
	}
}

func readersOnly(key string, v any) bool {
	switch key {
	case "summary", "title":
		_, text := v.(string)
		return text
	case "example", "examples", "externalDocs", "tags", "x-github", "x-webhooks", "x-multi-segment":
		return true
	}
	return strings.HasPrefix(key, "x-")
}

func write(path string, doc obj) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	zip, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	err = json.NewEncoder(zip).Encode(doc)
	return errors.Join(err, zip.Close(), file.Close())
}
