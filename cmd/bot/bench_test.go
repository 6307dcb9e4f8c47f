package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/palantir/go-githubapp/githubapp"
	"github.com/riverqueue/river"

	"dozens/handlers"
	"dozens/store"
)

const benchSecret = "benchmark"

// commentPayload is a webhook of the usual size, about 12 kB.
func commentPayload(n int64) []byte {
	return fmt.Appendf(nil, `{"action":"created","issue":{"number":%d,"title":"x","body":%q},"comment":{"id":%d,"body":"hello","user":{"login":"ada","id":1,"type":"User"}},"repository":{"id":7,"name":"shop","owner":{"login":"acme"}},"sender":{"login":"ada","id":1,"type":"User"},"installation":{"id":3}}`,
		n%50+1, strings.Repeat("lorem ipsum ", 1000), n)
}

type benchJob struct {
	Lane string `json:"lane"`
}

func (benchJob) Kind() string { return "bench" }

// BenchmarkWebhook delivers signed webhooks from 16 senders over real HTTP. "store" is what bot serve does:
// answered when the delivery is flushed to disk, its job with it. "memory" is go-githubapp's own queue in the
// same run, which loses what it holds when the process ends.
func BenchmarkWebhook(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		st, err := store.Open(b.Context(), store.Options{Path: filepath.Join(b.TempDir(), "dozens.db")})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = st.Close() })
		workers := river.NewWorkers()
		river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[benchJob]) error { return nil }))
		if _, err := st.Jobs(&river.Config{Workers: workers}, func(lane string) river.JobArgs { return benchJob{Lane: lane} }); err != nil {
			b.Fatal(err)
		}
		h, err := handlers.Webhook(handlers.WebhookOptions{Secrets: []string{benchSecret}, Inbox: st})
		if err != nil {
			b.Fatal(err)
		}
		deliver(b, h)
	})
	b.Run("memory", func(b *testing.B) {
		deliver(b, githubapp.NewEventDispatcher([]githubapp.EventHandler{nothing{}}, benchSecret,
			githubapp.WithScheduler(githubapp.QueueAsyncScheduler(1<<20, 2))))
	})
}

type nothing struct{}

func (nothing) Handles() []string                                    { return []string{"issue_comment"} }
func (nothing) Handle(context.Context, string, string, []byte) error { return nil }

func deliver(b *testing.B, h http.Handler) {
	b.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var n atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var mine []time.Duration
		for pb.Next() {
			start := time.Now()
			post(b, client, srv.URL+handlers.HookPath, n.Add(1))
			mine = append(mine, time.Since(start))
		}
		mu.Lock()
		all = append(all, mine...)
		mu.Unlock()
	})
	b.StopTimer()
	slices.Sort(all)
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

func post(b *testing.B, client *http.Client, url string, n int64) {
	body := commentPayload(n)
	mac := hmac.New(sha256.New, []byte(benchSecret))
	mac.Write(body)
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "issue_comment")
	req.Header.Set("X-GitHub-Delivery", fmt.Sprintf("d-%d", n))
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		b.Errorf("got status %d", resp.StatusCode)
	}
}
