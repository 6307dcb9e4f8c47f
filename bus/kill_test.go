package bus

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"dozens/batch/work"
)

// childDir tells the test binary to play the server process that is killed, on this folder.
const childDir = "DOZENS_TEST_BUS_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := serverProcess(dir); err != nil {
			fmt.Fprintln(os.Stdout, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serverProcess puts something into each queue, says so, and waits to be killed.
func serverProcess(dir string) error {
	ctx := context.Background()
	b, err := Open(ctx, Options{Dir: dir, AckWait: time.Second, Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	h, err := b.Host(ctx, "h1")
	if err != nil {
		return err
	}
	for _, task := range []string{"taken", "waiting"} {
		if err := b.Offer(ctx, "", run(task), "1"); err != nil {
			return err
		}
	}
	if _, err := h.Next(ctx, work.Run); err != nil {
		return err
	}
	if err := h.Report(ctx, work.Report{Offer: run("finished"), Outcome: work.Done}); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "ready")
	select {}
}

func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the server process says %q", lines.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed

	b, d := open(t, Options{Dir: dir, AckWait: time.Second}), newDesk()
	serve(t, b, d)
	h := host(t, b, "h1")
	got := map[string]bool{}
	for range 2 {
		delivery := next(t, h, work.Run)
		got[delivery.Offer().Task] = true
		if err := delivery.Ack(); err != nil {
			t.Fatalf("ack: %v", err)
		}
	}
	got[receive(t, d.reports).Task] = true
	if diff := cmp.Diff(map[string]bool{"taken": true, "waiting": true, "finished": true}, got); diff != "" {
		t.Errorf("after the kill (-want +got):\n%s", diff)
	}
}
