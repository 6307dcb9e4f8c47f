package meter

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestPriceOfAModelByAnyName(t *testing.T) {
	t.Parallel()
	prices := Builtin()
	for name, input := range map[string]int64{
		"claude-opus-5-5":                             4000,
		"Claude-Opus-5-5":                             4000,
		"claude-opus-5-5-20260901":                    4000,
		"claude-opus-5-5@20260901":                    4000,
		"claude-opus-5-5[1m]":                         4000,
		"claude-opus-5-5-latest":                      4000,
		"anthropic/claude-sonnet-5-5":                 2000,
		"us.anthropic.claude-haiku-5-5-20260901-v1:0": 500,
		"global.anthropic.claude-sonnet-4-5-v1:0":     3000,
		"vertex_ai/claude-fable-5-2@20260801":         8000,
		"claude-opus-4-8":                             5000,
		"claude-opus-5":                               0,
		"claude-opus-5-50":                            0,
		"claude-opus-5-5-fast":                        0,
		"claude-opus-5-5-1":                           0,
		"claude-opus-5-5-202609011":                   0,
		"myclaude-opus-5-5x":                          0,
		"gpt-9":                                       0,
		"":                                            0,
	} {
		r, known := prices.find(name)
		if known != (input > 0) || r.input != input {
			t.Errorf("%q: %+v, %t; want %d", name, r, known, input)
		}
	}
	if d := prices.dearest(); d != (rate{8000, 40000}) {
		t.Errorf("dearest %+v", d)
	}
}

func TestPricesDateIsADay(t *testing.T) {
	t.Parallel()
	if _, err := time.Parse(time.DateOnly, PricesDate); err != nil {
		t.Error(err)
	}
}

func TestParsePrices(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"claude-opus-5-5: {input: 5, output: 25}\nmy-model: {input: 0.25, output: 1}\n",
		`{"claude-opus-5-5":{"input":5,"output":25},"my-model":{"input":0.25,"output":1}}`,
	} {
		prices, err := ParsePrices([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if prices[opus] != (Price{5, 25}) || prices["my-model"] != (Price{0.25, 1}) || len(prices) != len(Builtin())+1 {
			t.Errorf("got %v", prices)
		}
	}
	if prices, err := ParsePrices(nil); err != nil || len(prices) != len(Builtin()) {
		t.Errorf("nothing: %v, %v", prices, err)
	}
}

func TestParsePricesReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := ParsePrices([]byte("a: {input: 1}\nb: {input: -1, output: x}\nc: 5\n'd e': {input: 1, output: 1}\nf: {input: 1, output: 2, cache: 3}\nh: {input: .nan, output: 1e9}\na: {input: 1, output: 1}\n"))
	if err == nil {
		t.Fatal("passed")
	}
	for _, words := range []string{`line 1, "a": has no output`, "input must be a number", "output must be a number",
		`line 3, "c"`, "is not a model's name", `does not know "cache"`, `line 7, "a": stands there twice`, `line 6, "h"`} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q is missing in: %v", words, err)
		}
	}
	for _, text := range []string{"- a", "a: [", "a: {input: 1, output: 1}\n---\nb: {}", "x"} {
		if _, err := ParsePrices([]byte(text)); err == nil {
			t.Errorf("%q passed", text)
		}
	}
}

// The dearest imaginable block cannot overflow.
func TestBillsDoNotOverflow(t *testing.T) {
	t.Parallel()
	b := block{Input: math.MaxInt64, Output: math.MaxInt64, CacheCreation: math.MaxInt64, CacheRead: math.MaxInt64, Region: "us"}
	b.Written.FiveMinutes, b.Written.OneHour, b.ServerTools.Searches = math.MaxInt64, math.MaxInt64, math.MaxInt64
	for range 2 * maxIterations {
		b.Iterations = append(b.Iterations, iteration{block: b})
	}
	top := Price{maxPrice, maxPrice}.rate()
	if got := b.total("m", true, func(string) rate { return top }); got.nano <= 0 || got.input <= 0 || got.output <= 0 {
		t.Errorf("got %+v", got)
	}
}
