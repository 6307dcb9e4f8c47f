package fakemodel

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"dozens/batch/work"
)

// ask sends a request as a client would and returns status and body.
func ask(ctx context.Context, t *testing.T, s *Server, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/v1/messages?beta=true", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Claude-Code-Session-Id", "s1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

const hello = `{"model":"m","system":[{"type":"text","text":"rules"}],"messages":[{"role":"user","content":"hello"}]}`

func TestAnswersAsJSON(t *testing.T) {
	t.Parallel()
	s := Start(Conversation(Reply{Text: "I look.", Tools: []Call{{"Bash", map[string]string{"command": "ls"}}}}, Say("done")))
	t.Cleanup(s.Close)
	_, body := ask(t.Context(), t, s, hello)
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if *m.StopReason != "tool_use" || len(m.Content) != 2 || m.Content[1].Name != "Bash" || string(m.Content[1].Input) != `{"command":"ls"}` || m.Usage.OutputTokens != 100 {
		t.Errorf("message = %+v", m)
	}
	next := `{"model":"m","messages":[{"role":"user","content":"hello"},{"role":"assistant","content":[{"type":"text","text":"I look."}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1_1","content":[{"type":"text","text":"a.txt"}],"is_error":true}]}]}`
	if _, body = ask(t.Context(), t, s, next); !strings.Contains(body, "done") {
		t.Errorf("second answer = %s, want done", body)
	}
	reqs := s.Requests()
	if len(reqs) != 2 || reqs[0].System != "rules\n" || reqs[0].Asked() != "hello\n" || reqs[0].Session != "s1" {
		t.Errorf("requests = %+v", reqs)
	}
	if got := reqs[1].Results(); len(got) != 1 || got[0].Text != "a.txt" || !got[0].IsError || got[0].ToolUseID != "toolu_1_1" {
		t.Errorf("results = %+v", got)
	}
}

func TestAnswersAsStream(t *testing.T) {
	t.Parallel()
	s := Start(Conversation(Reply{Text: "hi", Tools: []Call{{"T", map[string]int{"n": 1}}}, Usage: Usage{InputTokens: 3, OutputTokens: 4}}))
	t.Cleanup(s.Close)
	_, body := ask(t.Context(), t, s, strings.Replace(hello, "{", `{"stream":true,`, 1))
	var events []string
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			events = append(events, strings.TrimPrefix(name, "content_"))
		}
	}
	want := "message_start block_start block_delta block_stop block_start block_delta block_stop message_delta message_stop"
	if got := strings.Join(events, " "); got != want {
		t.Errorf("events = %s\nwant     %s", got, want)
	}
	for _, part := range []string{`"text":"hi"`, `"partial_json":"{\"n\":1}"`, `"stop_reason":"tool_use"`, `"output_tokens":4`} {
		if !strings.Contains(body, part) {
			t.Errorf("stream lacks %s:\n%s", part, body)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := Start(func(Request) Reply {
		return Reply{Status: 429, Message: "slow down", Header: http.Header{"Retry-After": {"2"}}}
	})
	t.Cleanup(s.Close)
	resp, body := ask(t.Context(), t, s, hello)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "2" || !strings.Contains(body, `"rate_limit_error"`) {
		t.Errorf("answer = %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if resp, body = ask(t.Context(), t, s, "{"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("half a request: %d %s, want 400", resp.StatusCode, body)
	}
}

// Close ends an answer that hangs, and Changed tells of the request before it is answered.
func TestHangEndsWithTheServer(t *testing.T) {
	t.Parallel()
	s := Start(func(Request) Reply { return Reply{Hang: true} })
	arrived, ended := s.Changed(), make(chan error)
	go func() {
		resp, err := http.Post(s.URL()+"/v1/messages", "application/json", strings.NewReader(hello))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		ended <- err
	}()
	<-arrived
	s.Close()
	<-ended
	if got := len(s.Requests()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestMigrateActorRepeatsItself(t *testing.T) {
	t.Parallel()
	schema, err := json.Marshal([]Tool{{Name: "StructuredOutput", InputSchema: work.PlanSchema()}})
	if err != nil {
		t.Fatal(err)
	}
	req := Request{Session: "s", Messages: []Message{{Role: "user", Content: []Block{{Type: "text", Text: "Replace old(x) by new.get(x)"}}}}}
	if err := json.Unmarshal(schema, &req.Tools); err != nil {
		t.Fatal(err)
	}
	actor := MigrateActor()
	for range 2 {
		if got := actor(req); len(got.Tools) != 1 || got.Tools[0].Name != "Grep" {
			t.Fatalf("first answer = %+v, want a Grep", got)
		}
	}
	req.Messages = append(req.Messages, Message{Role: "assistant"}, Message{Role: "user", Content: []Block{{Type: "tool_result", Text: "src/a.js:3:old(1)\nREADME.md:1:old(1)\nsrc/b.js:1:function old(x) {}"}}})
	got := actor(req)
	plan, ok := got.Tools[0].Input.(work.PlanOutput)
	if !ok || len(plan.Units) != 1 || len(plan.Units[0].OwnedPaths) != 1 || plan.Units[0].OwnedPaths[0] != "src/a.js" {
		t.Errorf("second answer = %+v, want a plan for src/a.js", got)
	}
}
