package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/settings.md anew")

const reference = "../docs/settings.md"

// docs/settings.md is made of the comments on the settings' fields, so that it cannot say anything else than they do.
func TestReferenceIsCurrent(t *testing.T) {
	comments := fieldComments(t, "server.go", "repository.go")
	var b strings.Builder
	b.WriteString("# Settings\n\n<!-- Made from the comments in config/ by: go test ./config -run Reference -update -->\n\n")
	b.WriteString("Reading is strict: an unknown name or an odd value is an error, and all problems are reported together. Lengths of time are written like `90s`, `30m` or `2h`.\n\n")
	b.WriteString("## Server: `dozens.yml` and environment\n\nThe environment wins over the file. Secrets never show in logs or errors.\n\n")
	server := DefaultServer()
	server.GitHub.WebURL = "https://github.com"
	table(t, &b, reflect.ValueOf(server), "", comments)
	fmt.Fprintf(&b, "\n## Repository: `%s`\n\nRead from the base branch, never from a pull request. A list replaces its default.\n\n", FileName)
	table(t, &b, reflect.ValueOf(DefaultRepository()), "", comments)
	if *update {
		if err := os.WriteFile(reference, []byte(b.String()), 0o644); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if string(got) != b.String() {
		t.Errorf("%s is not current; run: go test ./config -run Reference -update", reference)
	}
}

// table writes a row for each setting below v.
func table(t *testing.T, b *strings.Builder, v reflect.Value, path string, comments map[string]string) {
	t.Helper()
	if path == "" {
		b.WriteString("| setting | default | means |\n|---|---|---|\n")
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		at := join(path, field.Tag.Get("yaml"))
		comment := comments[v.Type().Name()+"."+field.Name]
		if comment == "" || field.Tag.Get("yaml") == "" {
			t.Errorf("%s.%s has no comment or no yaml name", v.Type().Name(), field.Name)
		}
		if field.Type.Kind() == reflect.Struct {
			table(t, b, v.Field(i), at, comments)
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", at, defaultOf(v.Field(i)), strings.ReplaceAll(comment, "|", `\|`))
	}
}

func defaultOf(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case []string:
		parts := []string{}
		for _, s := range x {
			parts = append(parts, "`"+s+"`")
		}
		return strings.Join(parts, " ")
	case time.Duration:
		return "`" + strings.NewReplacer("m0s", "m", "h0m0s", "h").Replace(x.String()) + "`"
	}
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	return fmt.Sprintf("`%v`", v.Interface())
}

// fieldComments reads the comments above the fields of all structs of the files, by "Type.Field".
func fieldComments(t *testing.T, files ...string) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatalf("parse %s: %v", name, err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					for _, id := range field.Names {
						comments[spec.Name.Name+"."+id.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return comments
}
