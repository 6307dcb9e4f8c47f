package handlers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/work"
)

func TestRender(t *testing.T) {
	t.Parallel()
	const at = "12:00:00"
	for _, tt := range []struct {
		name, data string
		want       []Entry
	}{
		{"start", `{"type":"system","subtype":"init","model":"claude-opus-5-5","tools":["Bash"]}`,
			[]Entry{{"system", at, "the agent starts, model claude-opus-5-5", ""}}},
		{"words and a command", `{"type":"assistant","message":{"content":[{"type":"text","text":"I look."},{"type":"tool_use","name":"Bash","input":{"command":"git status","description":"Look"}}]}}`,
			[]Entry{{"said", at, "", "I look."}, {"tool", at, "Bash", "git status"}}},
		{"a file", `{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Write","input":{"file_path":"a.go","content":"x"}}]}}`,
			[]Entry{{"tool", at, "Write", "a.go"}}},
		{"an unknown tool", `{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Odd","input":{"n": 1}}]}}`,
			[]Entry{{"tool", at, "Odd", `{"n":1}`}}},
		{"an answer", `{"type":"user","message":{"role":"user","content":[{"type":"tool_result","content":"8ea5192 add hello","is_error":false}]}}`,
			[]Entry{{"result", at, "", "8ea5192 add hello"}}},
		{"a failure in blocks", `{"type":"user","message":{"content":[{"type":"tool_result","is_error":true,"content":[{"type":"text","text":"exit 1"},{"type":"image"}]}]}}`,
			[]Entry{{"error", at, "the tool failed", "exit 1"}}},
		{"a subagent", `{"type":"assistant","parent_tool_use_id":"t1","message":{"content":[{"type":"text","text":"hi"}]}}`,
			[]Entry{{"said", at, "subagent", "hi"}}},
		{"a prompt", `{"type":"user","message":{"role":"user","content":"do it"}}`, []Entry{{"said", at, "", "do it"}}},
		{"a retry", `{"type":"system","subtype":"api_retry","attempt":2,"max_retries":10,"error_status":529}`,
			[]Entry{{"error", at, "the model answered 529, attempt 2 of 10", ""}}},
		{"the end", `{"type":"result","subtype":"success","is_error":false,"num_turns":4,"result":"Done.","total_cost_usd":0.0616}`,
			[]Entry{{"end", at, "finished: 4 turns, $0.06", "Done."}}},
		{"a bad end", `{"type":"result","subtype":"error_max_turns","is_error":true,"num_turns":4}`,
			[]Entry{{"error", at, "ended with an error (error_max_turns): 4 turns, $0.00", ""}}},
		{"an unknown type", `{"type":"control_response","response":{}}`, nil},
		{"an unknown subtype", `{"type":"system","subtype":"hook_started"}`, nil},
		{"no words", `{"type":"assistant","message":{"content":[{"type":"text","text":"\n"}]}}`, nil},
		{"a line that is no object", `"text"`, []Entry{{"system", at, "", `"text"`}}},
	} {
		got := Render(work.Line{At: testNow, Kind: "claude", Data: []byte(tt.data)})
		if diff := cmp.Diff(tt.want, got, cmp.Transformer("empty", func(e []Entry) string { return fmt.Sprint(e) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestRenderTakesOutWhatMisleads(t *testing.T) {
	t.Parallel()
	line := work.Line{At: testNow.In(time.FixedZone("", 3600)), Kind: "stderr", Text: "\x1b[31mred\x1b[0m \u202etxt\u200b\x07\x9b \xff\ttab\n"}
	want := Entry{Kind: "stderr", At: "12:00:00", Text: "red txt\uFFFD \uFFFD\ttab"}
	if got := Render(line); len(got) != 1 || got[0] != want {
		t.Errorf("got %+q, want %+q", got, want)
	}
}

// TestRenderTakesOutCredentials: a log and a page are no place for a key that an agent has printed.
func TestRenderTakesOutCredentials(t *testing.T) {
	t.Parallel()
	token := "ghp" + "_" + strings.Repeat("aB3dE5gH", 5)
	for _, text := range []string{"token " + token, "token " + token[:9] + "\u200b" + token[9:], strings.Repeat("x ", maxText/2-10) + token} {
		got := Render(work.Line{Kind: "host", Text: text})
		if strings.Contains(got[0].Text, token[20:]) || strings.Contains(got[0].Text, token[:12]) {
			t.Errorf("got %q", got[0].Text)
		}
	}
	b := BatchPage{BatchRow: BatchRow{Title: token, Detail: token}, Tasks: []TaskRow{{Title: token, Detail: token, Checks: token}}}
	b.clean()
	for _, s := range []string{b.Title, b.Detail, b.Tasks[0].Title, b.Tasks[0].Detail, b.Tasks[0].Checks} {
		if s != "[redacted: GitHub token]" {
			t.Errorf("on the page: %q", s)
		}
	}
}

func TestRenderBoundsLongText(t *testing.T) {
	t.Parallel()
	got := Render(work.Line{Kind: "host", Text: strings.Repeat("é", maxText)})
	if n := len(got[0].Text); n > maxText+40 || !strings.HasSuffix(got[0].Text, "é\n… 16384 more bytes") {
		t.Errorf("%d bytes ending in %q", n, got[0].Text[n-40:])
	}
}

func FuzzRender(f *testing.F) {
	f.Add("claude", []byte(`{"type":"assistant","message":{"content":[{"type":"text","text":"x"}]}}`))
	f.Add("host", []byte("\x1b]0;title\x07"))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		for _, e := range Render(work.Line{Kind: kind, Text: string(data), Data: data}) {
			if strings.ContainsAny(e.Head+e.Text, "\x1b\x00\r\u202e") {
				t.Errorf("entry %+q", e)
			}
		}
	})
}

func TestWords(t *testing.T) {
	t.Parallel()
	for micro, want := range map[int64]string{0: "$0.00", 1: "<$0.01", 5000: "$0.01", 1_230_000: "$1.23"} {
		if got := money(micro); got != want {
			t.Errorf("money(%d) = %q, want %q", micro, got, want)
		}
	}
	from := testNow
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 01 s", 25 * time.Hour: "25 h 00 min", 49 * time.Hour: "2 days",
	} {
		if got := elapsed(from, time.Time{}, from.Add(d)); got != want {
			t.Errorf("elapsed of %s is %q, want %q", d, got, want)
		}
	}
	if got := elapsed(time.Time{}, time.Time{}, from); got != "" {
		t.Errorf("elapsed of what has not begun is %q", got)
	}
}
