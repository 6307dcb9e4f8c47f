package meter

import (
	"strings"
	"testing"
)

// readEvents runs a stream through the reader in pieces of a size, and returns the sums.
func readEvents(stream string, size int) (model string, sum block, last bool, output int64) {
	e := &events{
		usage: func(m string, b block, l bool) {
			if m != "" {
				model = m
			}
			sum.merge(b)
			last = last || l
		},
		output: func(n int64) { output += n },
	}
	for len(stream) > 0 {
		n := min(size, len(stream))
		_, _ = e.Write([]byte(stream[:n]))
		stream = stream[n:]
	}
	_ = e.Close()
	return model, sum, last, output
}

func TestEventsInPiecesOfAnySizeAndWithAnyLineEnd(t *testing.T) {
	t.Parallel()
	plain := "event: message_start\ndata: " + started + "\n\n: a comment\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\ndata:" + piece +
		"\n\nevent: message_delta\ndata: " + ended + "\n\ndata: " + finished + "\n\n"
	streams := map[string]string{
		"newline":            plain,
		"both":               strings.ReplaceAll(plain, "\n", "\r\n"),
		"return":             strings.ReplaceAll(plain, "\n", "\r"),
		"in two lines":       strings.Replace(plain, `"usage":{"output_tokens":100}`, "\"usage\":\ndata: {\"output_tokens\":100}", 1),
		"both, in two lines": strings.ReplaceAll(strings.Replace(plain, `"usage":{"output_tokens":100}`, "\"usage\":\ndata: {\"output_tokens\":100}", 1), "\n", "\r\n"),
		"without an end":     strings.TrimRight(strings.TrimSuffix(plain, "data: "+finished+"\n\n"), "\n"),
	}
	for name, stream := range streams {
		for size := 1; size < 200; size++ {
			model, sum, last, output := readEvents(stream, size)
			if model != opus || sum.Input != 1000 || sum.Output != 100 || !last || output == 0 {
				t.Fatalf("%s in pieces of %d: %q %+v %t %d", name, size, model, sum, last, output)
			}
		}
	}
}

// What a model writes cannot be taken for the API's own words.
func TestUsageInTheModelsTextIsNotCounted(t *testing.T) {
	t.Parallel()
	said := `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5},\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: x"}}`
	tool := `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","input":{"type":"message_delta","usage":{"output_tokens":7}}}}`
	_, sum, last, _ := readEvents("data: "+said+"\n\ndata: "+tool+"\n\n", 50)
	if sum.Output != 0 || last {
		t.Errorf("got %+v, %t", sum, last)
	}
}

func TestEndlessEventKeepsNothing(t *testing.T) {
	t.Parallel()
	e := &events{usage: func(string, block, bool) {}, output: func(int64) {}}
	chunk := []byte(strings.Repeat("x", 64<<10))
	_, _ = e.Write([]byte("data: "))
	for range 100 {
		_, _ = e.Write(chunk)
		if held := cap(e.line) + cap(e.data); held > 4*maxEvent {
			t.Fatalf("%d bytes held", held)
		}
	}
	// What comes after it is read again.
	var got int64
	e.usage = func(_ string, b block, _ bool) { got = b.Output }
	_, _ = e.Write([]byte("\n\ndata: " + ended + "\n\n"))
	if got != 100 {
		t.Errorf("after an endless event: %d", got)
	}
}

// FuzzEvents: however a stream is cut into pieces, it comes to the same, and nothing is negative.
func FuzzEvents(f *testing.F) {
	f.Add("data: "+started+"\n\ndata: "+ended+"\n\n", uint8(3))
	f.Add("data: "+ended+"\r\rdata", uint8(1))
	f.Add("data: {\"usage\"\r\ndata: :", uint8(2))
	f.Fuzz(func(t *testing.T, stream string, size uint8) {
		model, sum, last, output := readEvents(stream, len(stream)+1)
		m, s, l, o := readEvents(stream, int(size)+1)
		r := func(string) rate { return rate{4000, 20000} }
		whole, cut := sum.total("", false, r), s.total("", false, r)
		if m != model || l != last || o != output || whole != cut {
			t.Fatalf("whole: %q %+v %t %d; cut: %q %+v %t %d", model, whole, last, output, m, cut, l, o)
		}
		if whole.nano < 0 || whole.input < 0 || whole.output < 0 {
			t.Fatalf("negative: %+v", whole)
		}
	})
}
