//go:build unix

package meter

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// realBody is a request of the size of Claude Code's first one: 50 kB with twelve tools.
func realBody() string {
	tool := `{"name":"Tool","description":"` + strings.Repeat("It does this and that. ", 100) + `","input_schema":{"type":"object","properties":{"a":{"type":"string","description":"` + strings.Repeat("words ", 200) + `"}}}},`
	return `{"model":"claude-opus-5-5","max_tokens":32000,"stream":true,"tools":[` + strings.TrimSuffix(strings.Repeat(tool, 12), ",") +
		`],"messages":[{"role":"user","content":"` + strings.Repeat("a line of a file\\n", 300) + `"}]}`
}

// BenchmarkFirstByte compares the time to the first byte of an answer through the meter with the same without it.
func BenchmarkFirstByte(b *testing.B) {
	first := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		event(w, "message_start", started)
		event(w, "message_delta", ended)
	}
	body := realBody()
	measure := func(b *testing.B, client *http.Client, url, token string) {
		var sum time.Duration
		for b.Loop() {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/v1/messages", strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("X-Api-Key", token)
			began := time.Now()
			resp, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			var one [1]byte
			if _, err := io.ReadFull(resp.Body, one[:]); err != nil {
				b.Fatal(err)
			}
			sum += time.Since(began)
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
		}
		b.ReportMetric(float64(sum.Microseconds())/float64(b.N)/1000, "ms/first-byte")
	}
	w := newWorld(b, 0, first, nil)
	b.Run("direct", func(b *testing.B) { measure(b, http.DefaultClient, w.up.URL, "") })
	b.Run("metered", func(b *testing.B) { measure(b, w.client, "http://model", w.session.Token()) })
}

// BenchmarkStreams has fifty sessions stream at 35 events a second each, and reports the CPU that the meter takes for one
// of them, as a share of a core. The model's side and the agents run in the same process, so what they take without a
// meter between them is measured first, and taken off.
func BenchmarkStreams(b *testing.B) {
	const sessions, perSecond = 50, 35
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		event(w, "message_start", started)
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				event(w, "content_block_delta", piece)
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer up.Close()
	direct := cpuOf(b, sessions, func() (*http.Client, string, string) { return up.Client(), up.URL, "" })
	w := &world{said: &lines{}, logged: &lines{}}
	m, err := New(Options{BaseURL: up.URL, APIKey: realKey, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	w.meter = m
	metered := cpuOf(b, sessions, func() (*http.Client, string, string) {
		s, socket := w.open(b, 0)
		return unixClient(b, socket), "http://model", s.Token()
	})
	b.ReportMetric(100*(metered-direct)/sessions, "%core/session")
	b.ReportMetric(100*direct/sessions, "%core/session-of-the-benchmark-itself")
}

// cpuOf returns how many cores the process takes while so many streams run.
func cpuOf(b *testing.B, sessions int, open func() (*http.Client, string, string)) float64 {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	got := make(chan int, 1000)
	for range sessions {
		client, url, token := open()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/messages", strings.NewReader(message(opus)))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("X-Api-Key", token)
		go drain(client, r, got)
	}
	for range sessions * 5 {
		<-got // all of them are on their way
	}
	cpu, began := cpuTime(b), time.Now()
	for time.Since(began) < 5*time.Second {
		<-got
	}
	return (cpuTime(b) - cpu).Seconds() / time.Since(began).Seconds()
}

func drain(client *http.Client, r *http.Request, got chan<- int) {
	resp, err := client.Do(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buffer)
		if err != nil {
			return
		}
		select {
		case got <- n:
		case <-r.Context().Done():
			return
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCheck reads a request of 50 kB and one of 4 MB, a conversation near the end of its context.
func BenchmarkCheck(b *testing.B) {
	for name, body := range map[string]string{
		"50kB": realBody(),
		"4MB":  strings.Replace(realBody(), "a line", strings.Repeat(`a line \"of\" code\n`, 220_000), 1),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			text := []byte(body)
			for b.Loop() {
				if _, err := checkBody(text, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
