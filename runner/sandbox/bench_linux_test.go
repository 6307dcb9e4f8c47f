package sandbox

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart compares a box around /bin/true with /bin/true alone. cpu-ms is what both of us and the kernel spend.
func BenchmarkStart(b *testing.B) {
	s := open(b, Options{})
	dir := folder(b)
	box := Box{Dir: dir, Binds: []Bind{{From: dir, Write: true}}, Limits: Limits{Memory: 1 << 30, Processes: 100, FileSize: 1 << 30}}
	b.Run("box", func(b *testing.B) {
		measure(b, func() error {
			c, err := s.Command(b.Context(), box, "/bin/true")
			if err != nil {
				return err
			}
			return c.Run()
		})
	})
	b.Run("bare", func(b *testing.B) {
		measure(b, func() error { return exec.CommandContext(b.Context(), "/bin/true").Run() })
	})
}

// measure reports, beside the mean, the best time: on a busy machine it tells more.
func measure(b *testing.B, run func() error) {
	b.Helper()
	before, best := spent(b), time.Hour
	for b.Loop() {
		start := time.Now()
		if err := run(); err != nil {
			b.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best)/1e6, "best-ms")
	b.ReportMetric(float64(spent(b)-before)/1e6/float64(b.N), "cpu-ms/op")
}

// spent is the processor time of this process and of the children that it waited for.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// BenchmarkGuard is one look at a box with eight processes, and with the counts in between, and how much of a processor five of them cost a second.
func BenchmarkGuard(b *testing.B) {
	c, err := open(b, Options{}).Command(b.Context(), Box{Dir: "/", Env: []string{searchPath}, Limits: Limits{}},
		"/bin/sh", "-c", "for i in 1 2 3 4 5 6; do sleep 600 & done; wait")
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	p, err := c.processes()
	if err != nil {
		b.Fatal(err)
	}
	w := &memoryWatch{cage: c, limits: Limits{Memory: 1 << 40, Processes: 1 << 20}, processes: p}
	before := spent(b)
	for b.Loop() {
		for n := range lookEach {
			if reason := w.look(n == 0); reason != "" {
				b.Fatal(reason)
			}
		}
	}
	each := float64(spent(b)-before) / float64(b.N)
	b.ReportMetric(each*100/float64(lookEach*countEach), "%core")
	_ = c.Kill()
	_ = c.Wait()
}

// BenchmarkWalk is one walk through all files of /usr/share, for the disk limit.
func BenchmarkWalk(b *testing.B) {
	w := &diskWatch{cage: &Cage{}}
	bind := Bind{From: "/usr/share"}
	fd, err := bind.pin()
	if err != nil {
		b.Fatal(err)
	}
	w.roots = []int{fd}
	for b.Loop() {
		if n, _ := w.walk(time.Now()); n == 0 {
			b.Fatal("nothing counted")
		}
	}
}
