package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dozens/internal/demo"
	"dozens/internal/scripted"
)

// BenchmarkStart measures from the webhook that GitHub sends to the agent's first act, mirror warm, and beside
// it the one part that has to be: git worktree add of the same repository.
func BenchmarkStart(b *testing.B) {
	b.Run("delivery to agent", benchmarkDelivery)
	b.Run("git worktree add", benchmarkAdd)
}

func benchmarkDelivery(b *testing.B) {
	started := scripted.Step{Do: scripted.Shell, Text: "date +%s.%N > " + here}
	asks := scripted.Step{Do: scripted.Result, Output: json.RawMessage(`{"status":"done","summary":"x"}`)}
	w := newWorld(b, options{noCI: true, script: scripted.Script{Rules: []scripted.Rule{{Runs: []scripted.Run{{Steps: []scripted.Step{started, better, asks}}}}}}, settings: "limits: {parallel: 50}\n"})
	warm := w.issue("Warm up", "", "claude")
	w.eventually("warm", func() bool { return len(w.marks(here)) == 1 && w.said(warm, "dozens:status:") == 1 })
	var all []time.Duration
	n := 1
	for b.Loop() {
		w.eventually("the last one is quiet", func() bool { return len(w.Repo.Pulls()) == n && w.shown(n) })
		i := w.issue("Make a better", "")
		sent := time.Now()
		w.comment(i, demo.Requester, "/claude make it better")
		n++
		w.eventually("the agent acts", func() bool { return len(w.marks(here)) >= n })
		all = append(all, latest(b, w.marks(here)).Sub(sent))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(all[len(all)*9/10].Milliseconds()), "p90-ms")
}

// shown says whether the verdict on every pull request is out, so that the server is at rest.
func (w *world) shown(n int) bool {
	for _, p := range w.Repo.Pulls() {
		for _, c := range w.Repo.Checks(p.HeadSHA) {
			if c.Name == "dozens/gate" {
				n--
			}
		}
	}
	return n == 0
}

// latest is the last of these times.
func latest(b *testing.B, times []string) (last time.Time) {
	b.Helper()
	for _, text := range times {
		if t := at(b, strings.TrimSpace(text)); t.After(last) {
			last = t
		}
	}
	return last
}

func at(b *testing.B, text string) time.Time {
	b.Helper()
	seconds, nanos, ok := strings.Cut(text, ".")
	whole, err := time.ParseDuration(seconds + "s")
	if err != nil || !ok {
		b.Fatalf("not a time: %q", text)
	}
	part, err := time.ParseDuration(nanos + "ns")
	if err != nil {
		b.Fatal(err)
	}
	return time.Unix(0, 0).Add(whole + part)
}

func benchmarkAdd(b *testing.B) {
	w := newWorld(b, options{})
	mirror := filepath.Join(b.TempDir(), "mirror.git")
	git := func(args ...string) {
		b.Helper()
		if out, err := exec.CommandContext(context.Background(), "git", args...).CombinedOutput(); err != nil { //nolint:gosec // our arguments
			b.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	source, err := filepath.Glob(filepath.Join(w.dir, "github", "*"))
	if err != nil || len(source) == 0 {
		b.Fatalf("no repository: %v", err)
	}
	git("clone", "-q", "--bare", source[0], mirror)
	trees := b.TempDir()
	n := 0
	for b.Loop() {
		n++
		git("-C", mirror, "worktree", "add", "-q", "--detach", filepath.Join(trees, time.Now().Format("150405.000000000")), "main")
	}
}
