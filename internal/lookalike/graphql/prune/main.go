// Command prune cuts GitHub's published GraphQL schema down to what the look-alike resolves.
//
//	prune KEEP SCHEMA.GRAPHQL OUT.GRAPHQL
//
// Each line of KEEP names a type and the fields of it that stay; a union has none. Arguments stay with their
// fields, and the input types, enums and scalars that are reached stay whole. What is not in the schema is an
// error, and so is a field whose type is not kept.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: prune KEEP SCHEMA.GRAPHQL OUT.GRAPHQL")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "prune:", err)
		os.Exit(1)
	}
}

func run(keep, in, out string) error {
	list, err := os.ReadFile(keep)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	doc, err := parser.ParseSchema(&ast.Source{Name: in, Input: string(raw)})
	if err != nil {
		return err
	}
	p := &pruner{from: doc.Definitions, keep: map[string][]string{}, done: map[string]bool{}}
	for _, line := range strings.Split(strings.TrimSpace(string(list)), "\n") {
		words := strings.Fields(line)
		p.keep[words[0]] = words[1:]
		p.order = append(p.order, words[0])
	}
	pruned, err := p.prune()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("# Cut by prune out of npm's @octokit/graphql-schema (MIT, see LICENSE.md). Not written by hand.\n\n")
	formatter.NewFormatter(&b).FormatSchemaDocument(pruned)
	return os.WriteFile(out, b.Bytes(), 0o644)
}

type pruner struct {
	from  ast.DefinitionList
	keep  map[string][]string
	order []string
	done  map[string]bool
	out   ast.SchemaDocument
	errs  []error
}

func (p *pruner) prune() (*ast.SchemaDocument, error) {
	for _, name := range p.order {
		p.take(name)
	}
	slices.SortFunc(p.out.Definitions, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	return &p.out, errors.Join(p.errs...)
}

// take copies one type, and what it reaches of the kinds that stay whole.
func (p *pruner) take(name string) {
	def := p.from.ForName(name)
	if p.done[name] || builtIn(name) {
		return
	}
	p.done[name] = true
	if def == nil {
		p.errs = append(p.errs, fmt.Errorf("no type %s", name))
		return
	}
	kept := *def
	kept.Description, kept.Directives = "", nil
	switch def.Kind {
	case ast.Object, ast.Interface:
		kept.Fields = p.fields(def)
		kept.Interfaces = p.only(def.Interfaces)
	case ast.Union:
		kept.Types = p.only(def.Types)
	case ast.InputObject:
		kept.Fields = p.inputs(def)
	case ast.Enum:
		kept.EnumValues = nil
		for _, v := range def.EnumValues {
			kept.EnumValues = append(kept.EnumValues, &ast.EnumValueDefinition{Name: v.Name})
		}
	case ast.Scalar: // a name is all that it has
	}
	p.out.Definitions = append(p.out.Definitions, &kept)
}

func builtIn(name string) bool {
	return slices.Contains([]string{"Int", "Float", "String", "Boolean", "ID"}, name)
}

// only keeps the names of types that are kept.
func (p *pruner) only(names []string) []string {
	var out []string
	for _, n := range names {
		if _, kept := p.keep[n]; kept {
			out = append(out, n)
		}
	}
	return out
}

func (p *pruner) fields(def *ast.Definition) ast.FieldList {
	var out ast.FieldList
	for _, name := range p.keep[def.Name] {
		field := def.Fields.ForName(name) // of two of one name, the first
		if field == nil {
			p.errs = append(p.errs, fmt.Errorf("no field %s.%s", def.Name, name))
			continue
		}
		kept := *field
		kept.Description, kept.Directives, kept.Arguments = "", nil, nil
		for _, a := range field.Arguments {
			arg := *a
			arg.Description, arg.Directives = "", nil
			kept.Arguments = append(kept.Arguments, &arg)
			p.take(a.Type.Name())
		}
		p.target(def.Name+"."+name, field.Type.Name())
		out = append(out, &kept)
	}
	return out
}

// target makes sure that a field's type stays.
func (p *pruner) target(field, name string) {
	def := p.from.ForName(name)
	if def != nil && (def.Kind == ast.Enum || def.Kind == ast.Scalar) {
		p.take(name)
		return
	}
	if _, kept := p.keep[name]; !kept && !builtIn(name) {
		p.errs = append(p.errs, fmt.Errorf("%s is a %s, which is not kept", field, name))
	}
}

func (p *pruner) inputs(def *ast.Definition) ast.FieldList {
	var out ast.FieldList
	for _, field := range def.Fields {
		kept := *field
		kept.Description, kept.Directives = "", nil
		p.take(field.Type.Name())
		out = append(out, &kept)
	}
	return out
}
