package meter

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// with puts fields into a plain request, as text.
func with(fields string) string {
	return `{"model":"claude-opus-5-5","max_tokens":100,"messages":[{"role":"user","content":"hi"}],` + fields + `}`
}

// content puts one block into a user's message.
func content(block string) string {
	return `{"model":"claude-opus-5-5","messages":[{"role":"user","content":[` + block + `]}]}`
}

func TestRequestsThatPass(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"plain":                    message(opus),
		"white space":              " {\n\t\"model\" : \"claude-opus-5-5\" ,\r\n \"messages\" : [ ] } ",
		"no tools":                 with(`"tools":null`),
		"tools of the client":      with(`"tools":[{"name":"Bash","input_schema":{"type":"object"}},{"type":"custom","name":"x"},{"type":null,"name":"y"},{"type":"bash_20250124","name":"bash"},{"type":"text_editor_20250728"},{"type":"computer_20251124"},{"type":"memory_20250818"},{"type":"tool_search_tool_bm25_20251119"}]`),
		"empty servers":            with(`"mcp_servers":[ ],"container":null`),
		"standard speed":           with(`"speed":"standard","service_tier":"standard_only"`),
		"image in the message":     content(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}`),
		"text about a URL":         content(`{"type":"text","text":"{\"type\":\"url\",\"url\":\"https://x\"}"}`),
		"tool call about a URL":    content(`{"type":"tool_use","id":"t","name":"fetch","input":{"source":{"type":"url","url":"https://x"},"type":"url","file_id":"f","Name":1,"name":2}}`),
		"schema with odd names":    with(`"tools":[{"name":"x","input_schema":{"type":"object","properties":{"file_id":{},"FILE_ID":{},"type":{"enum":["url"]}}}}]`),
		"fallbacks":                with(`"fallbacks":[{"model":"claude-opus-4-8"}]`),
		"default fallbacks":        with(`"fallbacks":"default"`),
		"search result":            content(`{"type":"search_result","source":"https://x","title":"t","content":[]}`),
		"new field":                with(`"something_new":{"a":[1,2.5e3,true,null,"x\\\"y"]}`),
		"half a surrogate":         content(`{"type":"text","text":"\ud83d"}`),
		"long text with backslash": content(`{"type":"text","text":"` + strings.Repeat(`\\\"`, 10_000) + `"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := checkBody([]byte(body), nil)
			if err != nil || r.model != opus || string(r.body) != body {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body  string
		words string
	}{
		"nothing":                  {``, "not valid JSON"},
		"no object":                {`[]`, "not a JSON object"},
		"two values":               {`{}{}`, "not valid JSON"},
		"not UTF-8":                {"{\"model\":\"\xff\"}", "not valid JSON"},
		"NUL":                      {"{\"model\":\"claude\x00\"}", "not valid JSON"},
		"byte order mark":          {"\ufeff" + message(opus), "not valid JSON"},
		"no model":                 {`{"messages":[]}`, "model"},
		"model is a number":        {`{"model":5}`, "model"},
		"model climbs":             {`{"model":"claude/../x"}`, "model"},
		"model with a line break":  {`{"model":"claude\nx"}`, "model"},
		"stream is a text":         {with(`"stream":"yes"`), "stream"},
		"max_tokens is a text":     {`{"model":"m","max_tokens":"5"}`, "max_tokens"},
		"same key twice":           {with(`"model":"claude-haiku-5-5"`), `"model" stands twice`},
		"same key in capitals":     {with(`"MODEL":"claude-haiku-5-5"`), `"model" stands twice`},
		"same key escaped":         {with(`"m\u006fdel":"claude-haiku-5-5"`), `"model" stands twice`},
		"same key with a long s":   {with(`"me\u017f\u017fages":[]`), `"messages" stands twice`},
		"same key deep":            {content(`{"type":"text","Type":"url"}`), `"type" stands twice`},
		"same key in a tool call":  {content(`{"type":"tool_use","input":{"a":1,"a":2}}`), `"a" stands twice`},
		"same key among many":      {with(`"x":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"i":2}`), `"i" stands twice`},
		"deep":                     {with(`"x":` + strings.Repeat("[", 300) + strings.Repeat("]", 300)), "nested"},
		"many fields":              {with(`"x":{` + manyFields(maxFields+1) + `}`), "more than"},
		"servers":                  {with(`"mcp_servers":[{"type":"url","url":"https://evil.example","name":"x"}]`), ""},
		"servers in capitals":      {with(`"MCP_Servers":[{"name":"x"}]`), "mcp_servers"},
		"servers escaped":          {with(`"mcp\u005fservers":[{"name":"x"}]`), "mcp_servers"},
		"servers as an object":     {with(`"mcp_servers":{"a":1}`), "mcp_servers"},
		"container":                {with(`"container":"c_1"`), "container"},
		"web search":               {with(`"tools":[{"name":"Bash"},{"type":"web_search_20250305","name":"web_search"}]`), "web_search"},
		"web fetch":                {with(`"tools":[{"type":"web_fetch_20260318"}]`), "web_fetch"},
		"code execution":           {with(`"tools":[{"type":"code_execution_20260521"}]`), "code_execution"},
		"MCP tools":                {with(`"tools":[{"type":"mcp_toolset"}]`), "mcp_toolset"},
		"adviser":                  {with(`"tools":[{"type":"advisor_20260301","model":"claude-fable-5-2"}]`), "advisor"},
		"a tool nobody knows":      {with(`"tools":[{"type":"teleport_2027"}]`), "teleport"},
		"tool's kind in capitals":  {with(`"tools":[{"TYPE":"web_search_20250305"}]`), "web_search"},
		"tools are no list":        {with(`"tools":{"type":"web_search_20250305"}`), "tools"},
		"tool's kind is a list":    {with(`"tools":[{"type":["web_search_20250305"]}]`), "tools"},
		"image from a URL":         {content(`{"type":"image","source":{"type":"url","url":"http://169.254.169.254/"}}`), "URL"},
		"document from a URL":      {content(`{"type":"tool_result","content":[{"type":"document","source":{"url":"https://x","type":"\u0075rl"}}]}`), "URL"},
		"source without a kind":    {content(`{"type":"image","source":{"url":"https://x"}}`), "URL"},
		"kind in capitals":         {content(`{"type":"image","source":{"type":"URL","x":1}}`), "URL"},
		"URL in the system prompt": {`{"model":"m","system":[{"type":"document","source":{"type":"url"}}],"messages":[]}`, "URL"},
		"file of the account":      {content(`{"type":"document","source":{"type":"file","file_id":"file_1"}}`), "file"},
		"file for a container":     {content(`{"type":"container_upload","file_id":"file_1"}`), "file"},
		"fast":                     {with(`"speed":"fast"`), "speed"},
		"speed is a list":          {with(`"speed":["fast"]`), "speed"},
		"priority":                 {with(`"service_tier":"priority"`), "service_tier"},
		"fast fallback":            {with(`"fallbacks":[{"model":"claude-opus-4-8","SPEED":"fast"}]`), "speed"},
		"fallback without a model": {with(`"fallbacks":[{}]`), "fallbacks"},
		"fallbacks as a number":    {with(`"fallbacks":7`), "fallbacks"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := checkBody([]byte(tt.body), nil)
			var r *refusal
			if !errors.As(err, &r) || r.status != http.StatusBadRequest || r.kind != "invalid_request_error" || !strings.Contains(r.text, tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
		})
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"k` + strings.Repeat("a", i%50) + string(rune('a'+i%26)) + jsonNumber(i) + `":1`)
	}
	return b.String()
}

func jsonNumber(i int) string {
	b, _ := json.Marshal(i)
	return string(b)
}

func TestOnlyAllowedModels(t *testing.T) {
	t.Parallel()
	globs := []string{"claude-opus-*", "anthropic/claude-haiku-5-5"}
	for body, ok := range map[string]bool{
		message("claude-opus-5-5"):                                             true,
		message("anthropic/claude-haiku-5-5"):                                  true,
		message("claude-haiku-5-5"):                                            false,
		message("x/claude-opus-5-5"):                                           false,
		with(`"fallbacks":[{"model":"claude-opus-4-8"}]`):                      true,
		with(`"fallbacks":[{"model":"claude-opus-4-8"},{"model":"claude-x"}]`): false,
		with(`"fallbacks":[{"Model":"claude-fable-5-2"}]`):                     false,
		with(`"fallbacks":"default"`):                                          false,
	} {
		if _, err := checkBody([]byte(body), globs); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// FuzzCheck holds the check against a second reader: what passes must be read by encoding/json as a request that asks
// for nothing that is refused, whichever case the keys have.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		message(opus), with(`"mcp_servers":[1]`), with(`"Tools":[{"type":"web_search_20250305"}]`), with(`"speed":"fast"`),
		content(`{"type":"image","source":{"type":"url","url":"x"}}`), `{"model":"m","model":"n"}`, `{"model":"m","x":"\\"}`,
		`{"model":"m","container":"c"}`, `{"model":"m","\ud800":1,"a":[{},[],"",0,-1e5]}`, ` { } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := checkBody(body, []string{"claude-*", "m"})
		if err != nil {
			var refused *refusal
			if !errors.As(err, &refused) {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		var got struct {
			Model      string
			Speed      *string
			Container  any
			MCPServers any `json:"mcp_servers"`
			Tools      []struct{ Type *string }
			Messages   any
		}
		if err := json.Unmarshal(body, &got); err != nil && !strings.Contains(err.Error(), "cannot unmarshal") {
			t.Fatalf("passed, but cannot be read: %v", err)
		}
		if got.Model != r.model || !strings.HasPrefix(r.model, "claude-") && r.model != "m" {
			t.Fatalf("model %q, checked %q", got.Model, r.model)
		}
		if got.Speed != nil && *got.Speed != "standard" {
			t.Fatalf("speed %q passed", *got.Speed)
		}
		for _, tool := range got.Tools {
			if tool.Type != nil && *tool.Type != "custom" && !isClientTool(*tool.Type) {
				t.Fatalf("tool %q passed", *tool.Type)
			}
		}
		if fetches(got.Messages) {
			t.Fatalf("content from outside passed: %s", body)
		}
	})
}

// fetches looks for content from outside, the slow way.
func fetches(v any) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if fetches(e) {
				return true
			}
		}
	case map[string]any:
		for key, e := range v {
			if isData(fold(key)) {
				continue
			}
			if s, ok := e.(string); ok && fold(key) == "type" && s == "url" || fold(key) == "file_id" || fetches(e) {
				return true
			}
		}
	}
	return false
}
