package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	restWindow = 10 * time.Second
	clockTick  = 10 * time.Millisecond // of /proc/PID/stat on Linux
)

// BenchmarkRest is a server with an embedded host that has nothing to do: memory, CPU and calls to GitHub.
func BenchmarkRest(b *testing.B) {
	w := newWorld(b, options{})
	w.eventually("the host takes work", func() bool { return strings.Contains(w.log.all(), "host takes work") })
	pid := w.cmd.Process.Pid
	for b.Loop() {
		calls, cpu := len(w.GitHub.Calls()), cpuOf(b, pid)
		timer := time.NewTimer(restWindow)
		<-timer.C
		b.ReportMetric(100*float64(cpuOf(b, pid)-cpu)/float64(restWindow), "%core")
		b.ReportMetric(float64(len(w.GitHub.Calls())-calls), "calls")
		b.ReportMetric(memoryOf(b, pid), "MB-resident")
	}
}

// cpuOf is the CPU time a process has used.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip("needs Linux: ", err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	ticks := 0
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// memoryOf is a process's resident memory in MB.
func memoryOf(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
