package claude

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"dozens/batch/work"
)

func TestFromEnviron(t *testing.T) {
	t.Parallel()
	host := []string{
		"PATH=/bin", "LANG=C.UTF-8", "HOME=/root", "HTTPS_PROXY=http://p:1", "SSL_CERT_FILE=/c",
		"ANTHROPIC_API_KEY=k", "ANTHROPIC_BASE_URL=u", "ANTHROPIC_ADMIN_KEY=a", "CLAUDE_CONFIG_DIR=/x", "CLAUDE_CODE_MAX_RETRIES=9",
		"GITHUB_TOKEN=t", "GITHUB_APP_PRIVATE_KEY=p", "DOZENS_DATABASE_URL=d", "DOZENS_RUN=r", "SSH_AUTH_SOCK=/s", "AWS_SECRET_ACCESS_KEY=s",
		"GOOGLE_APPLICATION_CREDENTIALS=/g", "LD_PRELOAD=/evil.so", "NODE_OPTIONS=--require=/evil.js", "broken",
	}
	base := []string{"PATH=/bin", "LANG=C.UTF-8", "HTTPS_PROXY=http://p:1", "SSL_CERT_FILE=/c", "ANTHROPIC_API_KEY=k", "ANTHROPIC_BASE_URL=u"}
	tests := map[string]struct {
		extra string
		want  []string
	}{
		"plain":           {"X=", base},
		"bedrock":         {"CLAUDE_CODE_USE_BEDROCK=1", append(slices.Clone(base), "AWS_SECRET_ACCESS_KEY=s", "CLAUDE_CODE_USE_BEDROCK=1")},
		"bedrock off":     {"CLAUDE_CODE_USE_BEDROCK=0", append(slices.Clone(base), "CLAUDE_CODE_USE_BEDROCK=0")},
		"vertex":          {"CLAUDE_CODE_USE_VERTEX=1", append(slices.Clone(base), "GOOGLE_APPLICATION_CREDENTIALS=/g", "CLAUDE_CODE_USE_VERTEX=1")},
		"something alike": {"CLAUDE_CODE_USE_BEDROCK_NOT=1", append(slices.Clone(base), "CLAUDE_CODE_USE_BEDROCK_NOT=1")},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.want, FromEnviron(append(slices.Clone(host), test.extra))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRedactor(t *testing.T) {
	t.Parallel()
	hide := redactor(secretValues([]string{"ANTHROPIC_API_KEY=abc-0123456789", `ANTHROPIC_CUSTOM_HEADERS=X: "quoted" value`, "ANTHROPIC_AUTH_TOKEN=short", "PATH=/usr/bin:/bin", "https_proxy=http://user:pw@p:1"}))
	s := &stream{hide: hide}
	line := `{"a":"abc-0123456789","b":"X: \"quoted\" value","c":"short","d":"/usr/bin:/bin","e":"http://user:pw@p:1","f":"ghp_` + strings.Repeat("a1B2", 9) + `"}`
	got := string(s.redact([]byte(line)))
	for _, secret := range []string{"abc-0123456789", "quoted", "user:pw", "ghp_"} {
		if strings.Contains(got, secret) {
			t.Errorf("redacted = %s, it shows %s", got, secret)
		}
	}
	if !json.Valid([]byte(got)) || !strings.Contains(got, `"c":"short","d":"/usr/bin:/bin"`) {
		t.Errorf("redacted = %s, want the rest as it was", got)
	}
	// A value that reaches over the end of a string would take the quote with it.
	s.hide = redactor([]string{`one","b":"two`})
	if got := string(s.redact([]byte(`{"a":"one","b":"two"}`))); !json.Valid([]byte(got)) {
		t.Errorf("redacted = %s, want JSON", got)
	}
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine+10)
	var got []string
	readLines(strings.NewReader("a\n\nb\r\n"+long+"\nc"), func(l line) {
		got = append(got, fmt.Sprintf("%d/%d %.3s", len(l.text), l.size, l.text))
	})
	want := []string{"1/1 a", "0/0 ", "2/2 b\r", fmt.Sprintf("%d/%d xxx", maxLine, maxLine+10), "1/1 c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text  string
		limit int
		want  string
	}{
		{"short", 10, "short"}, {"äöü", 3, "ä"}, {"äöü", 4, "äö"}, {"a\x00b", 10, "a\uFFFDb"}, {"a\xffb", 10, "a\uFFFDb"},
		{"\x80\x80\x80\x80\x80\x80", 5, "\uFFFD"}, {"", 0, ""}, {"€", 1, ""},
	}
	for _, test := range tests {
		if got := cut(test.text, test.limit); got != test.want || len(got) > test.limit || !utf8.ValidString(got) {
			t.Errorf("cut(%q, %d) = %q, want %q", test.text, test.limit, got, test.want)
		}
	}
}

// FuzzStream feeds whatever a program may print to the parser: the log's lines stay valid and bounded.
func FuzzStream(f *testing.F) {
	f.Add([]byte(`{"type":"result","is_error":false,"structured_output":{"status":"done"}}`))
	f.Add([]byte("{\"type\":\"assistant\",\"error\":{}}\n\xff\x00"))
	f.Add([]byte(`{"type":"result","model_usage_since_last_result":{"m":{"costUSD":-1e308}},"total_cost_usd":1e308}`))
	f.Fuzz(func(t *testing.T, output []byte) {
		s := &stream{hide: redactor(nil), log: &journal{emit: func(l work.Line) {
			if _, err := json.Marshal(l); err != nil {
				t.Errorf("line %+v: %v", l, err)
			}
			if !utf8.ValidString(l.Text) || !utf8.Valid(l.Data) || len(l.Text)+len(l.Data) > 2*maxLogged {
				t.Errorf("bad line %+v", l)
			}
		}}}
		readLines(strings.NewReader(string(output)), s.stdout)
		readLines(strings.NewReader(string(output)), s.stderr)
		e := &ending{stream: s}
		if cost := e.cost(0); cost < 0 {
			t.Errorf("cost = %d", cost)
		}
	})
}

func TestCost(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines  []string
		booked int64
		want   int64
	}{
		"since the last result": {[]string{`"total_cost_usd":0.03,"model_usage_since_last_result":{"a":{"costUSD":0.01},"b":{"costUSD":0.005}}`}, 15_000, 15_000},
		"several results":       {[]string{`"total_cost_usd":0.01,"model_usage_since_last_result":{"a":{"costUSD":0.01}}`, `"total_cost_usd":0.03,"model_usage_since_last_result":{"a":{"costUSD":0.02}}`}, 0, 30_000},
		"a stopped run before":  {[]string{`"total_cost_usd":0.03,"model_usage_since_last_result":{"a":{"costUSD":0.01}}`}, 5_000, 25_000},
		"only a total":          {[]string{`"total_cost_usd":0.03`}, 20_000, 10_000},
		"no cost":               {[]string{`"total_cost_usd":0`}, 20_000, 0},
		"nonsense":              {[]string{`"total_cost_usd":-5`}, 0, 0},
		"no result":             {nil, 20_000, 0},
	}
	for name, test := range tests {
		for version, want := range map[string]int64{"2.1.330": test.want, "2.1.197": -1, "": test.want} {
			if version == "2.1.197" {
				if name != "only a total" {
					continue
				}
				want = 30_000 // there the total is the run's
			}
			s := &stream{hide: redactor(nil), log: &journal{emit: func(work.Line) {}}}
			s.stdout(whole(`{"type":"system","subtype":"init","claude_code_version":"` + version + `"}`))
			for _, l := range test.lines {
				s.stdout(whole(`{"type":"result","subtype":"success",` + l + `}`))
			}
			if got := (&ending{stream: s}).cost(test.booked); got != want {
				t.Errorf("%s, version %q: cost = %d, want %d", name, version, got, want)
			}
		}
	}
}

func whole(text string) line { return line{text: []byte(text), size: len(text)} }

func TestPrompt(t *testing.T) {
	t.Parallel()
	o := work.Order{Brief: "Brief.", Prompt: "More."}
	if got, want := prompt(o, false), "Brief.\n\nMore."; got != want {
		t.Errorf("fresh = %q, want %q", got, want)
	}
	if got, want := prompt(o, true), "More."; got != want {
		t.Errorf("resumed = %q, want %q", got, want)
	}
	o.Prompt = ""
	if got := prompt(o, true); got != goOn {
		t.Errorf("resumed without news = %q, want %q", got, goOn)
	}
	for _, text := range []string{"/cost", " \n/cost", "!ls", ""} {
		if got := prompt(work.Order{Brief: text}, false); !strings.HasPrefix(got, "Task:\n\n") || !strings.HasSuffix(got, text) {
			t.Errorf("prompt(%q) = %q, want it behind a first line of ours", text, got)
		}
	}
	if got := prompt(work.Order{Brief: "Ändere"}, false); got != "Ändere" {
		t.Errorf("prompt = %q, want Ändere", got)
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		schema json.RawMessage
		ok     []string
		bad    []string
	}{
		"result": {
			work.ResultSchema(),
			[]string{`{"status":"done","summary":"s"}`, `{"status":"question","summary":"s","question":"q","title":"t","verified":"v","more":1}`},
			[]string{`{}`, `{"status":"done"}`, `{"status":"maybe","summary":"s"}`, `{"status":"done","summary":""}`, `[]`},
		},
		"plan": {
			work.PlanSchema(),
			[]string{`{"units":[]}`, `{"units":[{"label":"a","title":"t","brief":"b","owned_paths":["x"],"size":"small"}],"notes":"n"}`},
			[]string{`{}`, `{"units":[{"label":"a","title":"t","brief":"b"}]}`, `{"units":[{"label":"a","title":"t","brief":"b","owned_paths":"x"}]}`},
		},
	}
	for name, test := range tests {
		schema, err := compile(test.schema)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fits := func(text string) bool {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			return schema.Validate(v) == nil
		}
		for _, text := range test.ok {
			if !fits(text) {
				t.Errorf("%s: %s does not fit", name, text)
			}
		}
		for _, text := range test.bad {
			if fits(text) {
				t.Errorf("%s: %s fits", name, text)
			}
		}
	}
}
