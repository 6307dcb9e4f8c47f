package lookalike

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"dozens/internal/lookalike/graphql"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// graphSchema is GitHub's schema, cut to what graphql_nodes.go resolves.
type graphSchema struct{ ast *ast.Schema }

func loadSchema() (*graphSchema, error) {
	s, err := graphql.Schema()
	return &graphSchema{ast: s}, err
}

// lazy is a field that is worked out only when asked for.
type lazy func(args obj) (any, error)

// connection is a list with GitHub's way of paging; kind is the type of its nodes' edge.
type connection struct {
	kind  string // name without "Connection": "Issue", "PullRequestReview"
	nodes []any
}

// graphRun is one GraphQL request.
type graphRun struct {
	c      *call
	schema *ast.Schema
	vars   map[string]any
	errs   []any
}

// graphError is an error with GitHub's type word.
type graphError struct{ kind, text string }

func (e *graphError) Error() string { return e.text }

func (g *GitHub) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	c := &call{g: g, r: r, started: g.now()}
	var in struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	var err error
	if c.body, err = readAll(w, r); err != nil {
		return // the client went away
	}
	g.answer(w, c, "graphql", r.URL.Path, func() (reply, error) {
		if r.Method != http.MethodPost {
			return reply{}, notFound()
		}
		if c.by, err = g.identify(r); err != nil {
			return reply{}, err
		}
		if c.by.user == nil {
			return reply{}, no(http.StatusUnauthorized, "This endpoint requires you to be authenticated.")
		}
		if c.by.install != nil {
			if err := g.working(c.by.install); err != nil {
				return reply{}, err
			}
		}
		if err := c.read(&in); err != nil {
			return reply{}, err
		}
		return ok(c.graph(in.Query, in.OperationName, in.Variables))
	})
}

// graph validates and runs one request.
func (c *call) graph(query, name string, vars map[string]any) obj {
	schema := c.g.schema.ast
	doc, list := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules())
	if list != nil {
		c.graphViolation(list.Error())
		return obj{"errors": validationErrors(list)}
	}
	op := doc.Operations.ForName(name)
	if op == nil {
		return obj{"errors": []any{obj{"message": "No operation named \"" + name + "\""}}}
	}
	values, err := validator.VariableValues(schema, op, vars)
	if err != nil {
		c.graphViolation(err.Error())
		return obj{"errors": []any{obj{"message": err.Error()}}}
	}
	run := &graphRun{c: c, schema: schema, vars: values}
	root, kind := c.g.queryRoot(c), "Query"
	if op.Operation == ast.Mutation {
		root, kind = c.g.mutationRoot(c), "Mutation"
	}
	data := run.object(kind, with(root, obj{"__typename": kind}), op.SelectionSet, nil)
	out := obj{"data": data}
	if len(run.errs) > 0 {
		out["errors"] = run.errs
	}
	return out
}

func (c *call) graphViolation(text string) {
	if c.g.spec == nil {
		return
	}
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.g.violations = append(c.g.violations, "graphql: "+text)
}

func validationErrors(list gqlerror.List) []any {
	var out []any
	for _, e := range list {
		where := []any{}
		for _, l := range e.Locations {
			where = append(where, obj{"line": l.Line, "column": l.Column})
		}
		out = append(out, obj{"message": e.Message, "locations": where, "extensions": obj{"code": e.Rule}})
	}
	return out
}

// object answers a selection of fields of an object.
func (x *graphRun) object(kind string, from obj, set ast.SelectionSet, path []any) obj {
	out := obj{}
	for _, field := range x.collect(kind, set) {
		key := field.Alias
		at := append(slices.Clone(path), key)
		value, err := x.field(from, field, at)
		if err != nil {
			x.fail(err, field, at)
			value = nil
		}
		if old, twice := out[key].(obj); twice {
			if more, both := value.(obj); both {
				value = with(old, more)
			}
		}
		out[key] = value
	}
	return out
}

func (x *graphRun) fail(err error, field *ast.Field, path []any) {
	one := obj{"message": err.Error(), "path": path}
	if field.Position != nil {
		one["locations"] = []any{obj{"line": field.Position.Line, "column": field.Position.Column}}
	}
	var g *graphError
	var a *apiError
	switch {
	case errors.As(err, &g):
		one["type"] = g.kind
	case errors.As(err, &a):
		one["message"] = a.message
		one["type"] = map[int]string{403: "FORBIDDEN", 404: "NOT_FOUND"}[a.status]
		if one["type"] == "" {
			one["type"] = "UNPROCESSABLE"
		}
	}
	x.errs = append(x.errs, one)
}

// collect flattens fragments that fit the type, and drops what @skip and @include drop.
func (x *graphRun) collect(kind string, set ast.SelectionSet) []*ast.Field {
	var out []*ast.Field
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if x.wanted(s.Directives) {
				out = append(out, s)
			}
		case *ast.InlineFragment:
			if x.wanted(s.Directives) && x.fits(kind, s.TypeCondition) {
				out = append(out, x.collect(kind, s.SelectionSet)...)
			}
		case *ast.FragmentSpread:
			if x.wanted(s.Directives) && x.fits(kind, s.Definition.TypeCondition) {
				out = append(out, x.collect(kind, s.Definition.SelectionSet)...)
			}
		}
	}
	return out
}

func (x *graphRun) fits(kind, condition string) bool {
	if condition == "" || condition == kind {
		return true
	}
	for _, def := range x.schema.GetPossibleTypes(x.schema.Types[condition]) {
		if def.Name == kind {
			return true
		}
	}
	return false
}

func (x *graphRun) wanted(list ast.DirectiveList) bool {
	for _, d := range list {
		on, _ := d.ArgumentMap(x.vars)["if"].(bool)
		if d.Name == "skip" && on || d.Name == "include" && !on {
			return false
		}
	}
	return true
}

func (x *graphRun) field(from obj, field *ast.Field, path []any) (any, error) {
	args := field.ArgumentMap(x.vars)
	if field.Name == "__typename" {
		return from["__typename"], nil
	}
	if field.Name == "__type" || field.Name == "__schema" {
		return x.describe(field, args, path)
	}
	value, known := from[field.Name]
	if !known {
		return nil, fmt.Errorf("%v.%s is not supported by this look-alike", from["__typename"], field.Name)
	}
	if f, isLazy := value.(lazy); isLazy {
		var err error
		if value, err = f(args); err != nil {
			return nil, err
		}
	}
	if text := x.misfit(field.Definition.Type, value); text != "" {
		x.c.graphViolation(fmt.Sprintf("%v.%s: %s", from["__typename"], field.Name, text))
	}
	return x.complete(value, field, args, path)
}

// misfit says how a value does not fit the type that the schema gives the field, "" when it does.
func (x *graphRun) misfit(want *ast.Type, value any) string {
	def := x.schema.Types[want.Name()]
	if value == nil {
		if want.NonNull {
			return "null where the schema has none"
		}
		return ""
	}
	if want.Elem != nil || !def.IsLeafType() {
		return ""
	}
	fits := false
	switch value := value.(type) {
	case bool:
		fits = def.Name == "Boolean"
	case int, int64:
		fits = def.Name == "Int"
	case string:
		fits = def.Kind == ast.Scalar && def.Name != "Int" && def.Name != "Boolean" || def.EnumValues.ForName(value) != nil
	}
	if !fits {
		return fmt.Sprintf("%v (%T) is no %s", value, value, def.Name)
	}
	return ""
}

// complete turns a value into what is answered for it.
func (x *graphRun) complete(value any, field *ast.Field, args obj, path []any) (any, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case connection:
		return x.paged(v, field, args, path)
	case obj:
		if v == nil {
			return nil, nil
		}
		kind, _ := v["__typename"].(string)
		return x.object(kind, v, field.SelectionSet, path), nil
	case []any:
		if field.SelectionSet == nil {
			return v, nil
		}
		out := []any{}
		for n, one := range v {
			done, err := x.complete(one, field, args, append(slices.Clone(path), n))
			if err != nil {
				return nil, err
			}
			out = append(out, done)
		}
		return out, nil
	}
	return value, nil
}

// paged cuts a connection by first, last, after and before. Cursors are positions.
func (x *graphRun) paged(list connection, field *ast.Field, args obj, path []any) (any, error) {
	from, to := 0, len(list.nodes)
	if n, ok := cursor(args["after"]); ok {
		from = min(n+1, to)
	}
	if n, ok := cursor(args["before"]); ok {
		to = max(min(n, to), from)
	}
	first, hasFirst := number(args["first"])
	last, hasLast := number(args["last"])
	switch {
	case !hasFirst && !hasLast:
		return nil, &graphError{"MISSING_PAGINATION_BOUNDARIES", fmt.Sprintf("You must provide a `first` or `last` value to properly paginate the `%s` connection.", field.Name)}
	case max(first, last) > 100:
		return nil, &graphError{"EXCESSIVE_PAGINATION", fmt.Sprintf("Requesting %d records on the `%s` connection exceeds the `first` limit of 100 records.", max(first, last), field.Name)}
	case hasFirst:
		to = min(from+first, to)
	case hasLast:
		from = max(to-last, from)
	}
	edges := []any{}
	for n := from; n < to; n++ {
		edges = append(edges, obj{"__typename": list.kind + "Edge", "cursor": strconv.Itoa(n), "node": list.nodes[n]})
	}
	info := obj{"__typename": "PageInfo", "hasNextPage": to < len(list.nodes), "hasPreviousPage": from > 0, "startCursor": nil, "endCursor": nil}
	if to > from {
		info["startCursor"], info["endCursor"] = strconv.Itoa(from), strconv.Itoa(to-1)
	}
	value := obj{"__typename": list.kind + "Connection", "nodes": list.nodes[from:to], "edges": edges, "totalCount": len(list.nodes), "pageInfo": info}
	return x.object(list.kind+"Connection", value, field.SelectionSet, path), nil
}

func cursor(v any) (int, bool) {
	text, isText := v.(string)
	n, err := strconv.Atoi(text)
	return n, isText && err == nil && n >= 0
}

func number(v any) (int, bool) {
	switch n := v.(type) {
	case int64:
		return int(n), true
	case int:
		return n, true
	case float64:
		return int(n), true
	case json.Number:
		i, err := n.Int64()
		return int(i), err == nil
	}
	return 0, false
}

// describe answers __type and __schema as far as clients look to find out what a server knows.
func (x *graphRun) describe(field *ast.Field, args obj, path []any) (any, error) {
	if field.Name == "__schema" {
		types := []any{}
		for _, name := range sortedKeys(x.schema.Types) {
			types = append(types, describeType(x.schema.Types[name]))
		}
		return x.complete(obj{"__typename": "__Schema", "types": types, "queryType": describeType(x.schema.Query),
			"mutationType": describeType(x.schema.Mutation), "subscriptionType": nil, "directives": []any{}}, field, args, path)
	}
	name, _ := args["name"].(string)
	def := x.schema.Types[name]
	if def == nil {
		return nil, nil
	}
	return x.complete(describeType(def), field, args, path)
}

func describeType(def *ast.Definition) obj {
	out := obj{"__typename": "__Type", "kind": string(def.Kind), "name": def.Name, "description": nil, "fields": nil, "inputFields": nil,
		"enumValues": nil, "interfaces": nil, "possibleTypes": nil, "ofType": nil}
	fields := []any{}
	for _, f := range def.Fields {
		if !strings.HasPrefix(f.Name, "__") {
			fields = append(fields, obj{"__typename": "__Field", "name": f.Name, "description": nil, "isDeprecated": false, "deprecationReason": nil, "args": []any{}})
		}
	}
	values := []any{}
	for _, v := range def.EnumValues {
		values = append(values, obj{"__typename": "__EnumValue", "name": v.Name, "description": nil, "isDeprecated": false, "deprecationReason": nil})
	}
	switch def.Kind {
	case ast.InputObject:
		out["inputFields"] = fields
	case ast.Enum:
		out["enumValues"] = values
	case ast.Object, ast.Interface:
		out["fields"] = fields
	case ast.Scalar, ast.Union: // neither has fields or values
	}
	return out
}
