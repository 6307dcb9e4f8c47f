package lookalike

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

func (w *world) graph(token, query string, vars map[string]any) answer {
	w.Helper()
	return w.ask(token, "POST", w.g.V4URL(), map[string]any{"query": query, "variables": vars})
}

func TestGraphPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	p := w.pull("x", "", map[string]string{"a": "a"})
	must(p.Review("eve", "REQUEST_CHANGES", "no"))(t)
	must(p.Review("grace", "APPROVE", "yes", LineComment{Path: "a", Line: 1, Body: "nit"}))(t)
	w.try(w.shop.SetCheck(w.pullState(p).HeadSHA, "ci", "build", "completed", "success", "", ""))
	w.shop.Protect("main", Protection{Checks: []string{"build"}})
	const query = `query($owner: String!, $name: String!, $n: Int!) {
		viewer { login }
		repository(owner: $owner, name: $name) { pullRequest(number: $n) {
			id number isDraft state headRefOid reviewDecision mergeable mergeStateStatus
			latestOpinionatedReviews(first: 10, writersOnly: true) { totalCount nodes { state author { login ... on User { databaseId } } commit { oid } } }
			reviewThreads(first: 1) { nodes { isResolved comments(first: 5) { nodes { body } } } pageInfo { hasNextPage endCursor } }
			statusCheckRollup { state contexts(first: 5) { nodes { __typename ... on CheckRun { name conclusion isRequired(pullRequestNumber: $n) } ... on StatusContext { context } } } }
		} } }`
	got := w.graph(token, query, map[string]any{"owner": "acme", "name": "shop", "n": p.Number})
	const pull = "data.repository.pullRequest."
	for path, want := range map[string]any{
		"data.viewer.login": "dozens[bot]", pull + "isDraft": false, pull + "state": "OPEN", pull + "headRefOid": w.pullState(p).HeadSHA,
		pull + "reviewDecision": "APPROVED", pull + "mergeable": "MERGEABLE", pull + "mergeStateStatus": "CLEAN",
		pull + "latestOpinionatedReviews.totalCount": 1.0, pull + "latestOpinionatedReviews.nodes.0.author.login": "grace",
		pull + "latestOpinionatedReviews.nodes.0.author.databaseId": float64(w.grace.ID), pull + "reviewThreads.nodes.0.isResolved": false,
		pull + "reviewThreads.nodes.0.comments.nodes.0.body": "nit", pull + "statusCheckRollup.state": "SUCCESS",
		pull + "statusCheckRollup.contexts.nodes.0.name": "build", pull + "statusCheckRollup.contexts.nodes.0.isRequired": true, "errors": nil,
	} {
		if v := got.at(path); v != want {
			t.Errorf("%s: got %v, want %v", path, v, want)
		}
	}
	if t.Failed() {
		t.Log(got.text)
	}
}

func TestGraphMutations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.shop.PushTo("x", "ada", map[string]string{"a": "a"}, "a"))(t)
	node := w.want(201, token, "POST", "/repos/acme/shop/pulls", map[string]any{"title": "t", "head": "x", "base": "main", "draft": true}).at("node_id")
	w.forget()
	ready := `mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id, clientMutationId: "m"}) { clientMutationId pullRequest { isDraft } } }`
	got := w.graph(token, ready, map[string]any{"id": node})
	if got.at("data.markPullRequestReadyForReview.pullRequest.isDraft") != false || got.at("data.markPullRequestReadyForReview.clientMutationId") != "m" || w.pullState(w.shop.Pull(1)).Draft {
		t.Errorf("ready: got %s", got.text)
	}
	w.graph(token, `mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { pullRequest { id } } }`, map[string]any{"id": node})
	if !w.pullState(w.shop.Pull(1)).Draft {
		t.Error("draft: still ready")
	}
	w.the("pull_request.ready_for_review")
	w.the("pull_request.converted_to_draft")
	for _, name := range []string{"enqueuePullRequest", "enablePullRequestAutoMerge", "disablePullRequestAutoMerge"} {
		got := w.graph(token, `mutation($id: ID!) { `+name+`(input: {pullRequestId: $id}) { clientMutationId } }`, map[string]any{"id": node})
		if got.at("errors.0.type") != "UNPROCESSABLE" || got.at("data."+name) != nil {
			t.Errorf("%s: got %s", name, got.text)
		}
	}
	merge := `mutation($id: ID!, $sha: GitObjectID) { mergePullRequest(input: {pullRequestId: $id, mergeMethod: SQUASH, expectedHeadOid: $sha}) { pullRequest { merged state } } }`
	if got := w.graph(token, merge, map[string]any{"id": node}); !strings.Contains(got.text, "still a draft") {
		t.Errorf("merge of a draft: got %s", got.text)
	}
	w.try(w.shop.Pull(1).SetDraft("ada", false))
	if got := w.graph(token, merge, map[string]any{"id": node, "sha": w.pullState(w.shop.Pull(1)).HeadSHA}); got.at("data.mergePullRequest.pullRequest.state") != "MERGED" {
		t.Errorf("merge: got %s", got.text)
	}
	weak := w.token(map[string]any{"permissions": map[string]string{"contents": "read"}})
	if got := w.graph(weak, ready, map[string]any{"id": node}); got.at("errors.0.type") != "FORBIDDEN" {
		t.Errorf("without permission: got %s", got.text)
	}
}

func TestGraphErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyTraffic)
	token := w.token(nil)
	must(w.shop.OpenIssue("ada", "t", "b"))(t)
	for name, tc := range map[string]struct{ query, path, want string }{
		"unknown field":  {`{ viewer { shoeSize } }`, "errors.0.message", `Cannot query field "shoeSize" on type "User".`},
		"unknown repo":   {`{ repository(owner: "a", name: "b") { id } }`, "errors.0.message", "Could not resolve to a Repository with the name 'a/b'."},
		"issue as pull":  {`{ repository(owner: "acme", name: "shop") { pullRequest(number: 1) { id } } }`, "errors.0.type", "NOT_FOUND"},
		"no page size":   {`{ repository(owner: "acme", name: "shop") { issues { totalCount } } }`, "errors.0.type", "MISSING_PAGINATION_BOUNDARIES"},
		"too many":       {`{ repository(owner: "acme", name: "shop") { issues(first: 101) { totalCount } } }`, "errors.0.type", "EXCESSIVE_PAGINATION"},
		"missing var":    {`query($n: Int!) { repository(owner: "acme", name: "shop") { issue(number: $n) { id } } }`, "errors.0.message", "input: variable.n must be defined"},
		"not a query":    {`{`, "data", ""},
		"no such node":   {`{ node(id: "I_x") { id } }`, "errors.0.type", "NOT_FOUND"},
		"where it stood": {`{ repository(owner: "acme", name: "shop") { issue(number: 7) { id } } }`, "errors.0.path.1", "issue"},
	} {
		got := w.graph(token, tc.query, nil)
		v, _ := got.at(tc.path).(string)
		if got.status != 200 || v != tc.want || got.at("errors") == nil {
			t.Errorf("%s: got %d %s, want %s at %s", name, got.status, got.text, tc.want, tc.path)
		}
	}
	if got := w.graph("", `{ viewer { login } }`, nil); got.status != 401 {
		t.Errorf("nobody: got %d", got.status)
	}
	if got := w.ask(token, "GET", w.g.V4URL(), nil); got.status != 404 {
		t.Errorf("GET: got %d", got.status)
	}
}

// TestGraphEveryField asks for every field that the schema keeps, so that none is there without an answer.
func TestGraphEveryField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.shop.OpenIssue("ada", "t", "b", "bug"))(t)
	must(w.shop.Issue(1).Comment("ada", "c"))(t)
	p := w.pull("x", "closes #1", map[string]string{"a": "a"})
	must(p.Review("grace", "APPROVE", "", LineComment{Path: "a", Line: 1, Body: "nit"}))(t)
	w.want(201, token, "POST", "/repos/acme/shop/pulls/2/requested_reviewers", map[string]any{"reviewers": []string{"eve"}})
	head := w.pullState(p).HeadSHA
	w.try(w.shop.SetCheck(head, "ci", "build", "completed", "success", "", ""))
	w.try(w.shop.SetStatus(head, "lint", "success", ""))
	args := map[string]string{"issue": "(number: 1)", "issueOrPullRequest": "(number: 2)", "pullRequest": "(number: 2)", "ref": `(qualifiedName: "main")`,
		"node": fmt.Sprintf("(id: %q)", nodeID("R", w.shop.ID())), "nodes": fmt.Sprintf("(ids: [%q])", nodeID("R", w.shop.ID())), "user": `(login: "ada")`, "isRequired": "(pullRequestNumber: 2)",
		"repository": `(owner: "acme", name: "shop")`}
	schema := must(loadSchema())(t).ast
	query := "{ " + selection(schema, schema.Query, args, 5) + " }"
	got := w.graph(token, query, nil)
	if got.status != 200 || got.at("errors") != nil {
		t.Errorf("got %d, errors %v", got.status, got.at("errors"))
	}
	if len(query) < 5000 || got.at("data.repository.pullRequest.reviewThreads.nodes.0.path") != "a" {
		t.Errorf("the query does not reach far: %d bytes: %s", len(query), got.text)
	}
}

// selection asks for all fields of a type, some levels deep.
func selection(schema *ast.Schema, def *ast.Definition, args map[string]string, depth int) string {
	var parts []string
	for _, possible := range schema.GetPossibleTypes(def) {
		if possible != def {
			parts = append(parts, fmt.Sprintf("... on %s { __typename %s }", possible.Name, fields(schema, possible, args, 0, possible.Name+"_")))
		}
	}
	return strings.Join(append(parts, fields(schema, def, args, depth, "")), " ")
}

// fields asks for a type's own fields. alias keeps those of several types apart that stand beside each other.
func fields(schema *ast.Schema, def *ast.Definition, args map[string]string, depth int, alias string) string {
	var parts []string
	for _, f := range def.Fields {
		target := schema.Types[f.Type.Name()]
		arg, name := args[f.Name], f.Name
		if len(f.Arguments) == 0 {
			arg = ""
		}
		if alias != "" {
			name = alias + name + ": " + name
		}
		if arg == "" && f.Arguments.ForName("first") != nil {
			arg = "(first: 3)"
		}
		switch {
		case strings.HasPrefix(f.Name, "__"):
		case target.IsLeafType():
			parts = append(parts, name+arg)
		case depth > 0 && target.Kind != ast.Union:
			parts = append(parts, fmt.Sprintf("%s%s { __typename %s }", name, arg, selection(schema, target, args, depth-1)))
		}
	}
	return strings.Join(parts, " ")
}

func TestGraphIntrospection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.graph(w.token(nil), `{ __type(name: "PullRequest") { name fields(includeDeprecated: true) { name } } __schema { queryType { name } types { name kind enumValues { name } } } }`, nil)
	if got.at("errors") != nil || !strings.Contains(got.text, `"reviewDecision"`) || !strings.Contains(got.text, `"SQUASH"`) {
		t.Errorf("got %.300s", got.text)
	}
}

func TestGraphMisfit(t *testing.T) {
	t.Parallel()
	x := &graphRun{schema: must(loadSchema())(t).ast}
	for name, tc := range map[string]struct {
		owner, field string
		value        any
		fits         bool
	}{
		"number":         {"PullRequest", "number", 1, true},
		"text as number": {"PullRequest", "number", "1", false},
		"null":           {"PullRequest", "mergedAt", nil, true},
		"no null":        {"PullRequest", "title", nil, false},
		"enum":           {"PullRequest", "state", "MERGED", true},
		"no such word":   {"PullRequest", "state", "merged", false},
		"big number":     {"PullRequest", "fullDatabaseId", int64(5), false},
		"bool":           {"PullRequest", "isDraft", true, true},
		"object":         {"PullRequest", "author", obj{}, true},
	} {
		field := x.schema.Types[tc.owner].Fields.ForName(tc.field)
		if got := x.misfit(field.Type, tc.value); (got == "") != tc.fits {
			t.Errorf("%s: got %q, want it to fit: %v", name, got, tc.fits)
		}
	}
}
