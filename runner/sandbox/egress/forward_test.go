package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plays are what the test binary can be started as.
func plays() map[string]func(args []string) int {
	return map[string]func([]string) int{
		"forwarder":  playForwarder,
		"real":       func(args []string) int { return ForwardMain(args, os.Stderr) },
		"exit":       func(args []string) int { n, _ := strconv.Atoi(args[0]); return n },
		"suicide":    func([]string) int { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
		"signals":    playSignals,
		"echo":       playEcho,
		"fetch":      playFetch,
		"fetch-bare": func(args []string) int { return fetch(args[0], nil) },
	}
}

// playForwarder is ForwardMain on a free port, which the program finds in its environment.
func playForwarder(args []string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return trouble(os.Stderr, err)
	}
	os.Setenv("HTTPS_PROXY", "http://"+l.Addr().String())
	return forward(context.Background(), []net.Listener{l}, args[0], args[2:], os.Stderr)
}

// playSignals says that it is there, then each signal, and ends after as many as are asked for.
func playSignals(args []string) int {
	got := make(chan os.Signal, 8)
	signal.Notify(got, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	fmt.Fprintln(os.Stdout, "ready", os.Getpid(), syscall.Getpgrp())
	most, _ := strconv.Atoi(args[0])
	for range most {
		fmt.Fprintln(os.Stdout, <-got)
	}
	return 40 + most
}

// playEcho repeats its arguments, a variable, its input and something on stderr.
func playEcho(args []string) int {
	in, _ := io.ReadAll(os.Stdin)
	fmt.Fprintf(os.Stdout, "%q %s %s %s", args, os.Getenv("SAID"), os.Getenv("HTTPS_PROXY"), in)
	fmt.Fprint(os.Stderr, "to stderr")
	return 0
}

func playFetch(args []string) int {
	proxy, err := url.Parse(os.Getenv("HTTPS_PROXY"))
	if err != nil {
		return 2
	}
	return fetch(args[0], http.ProxyURL(proxy))
}

// fetch prints what a URL holds, or why it cannot be read.
func fetch(from string, proxy func(*http.Request) (*url.URL, error)) int {
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: proxy, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := c.Get(from)
	if err != nil {
		fmt.Fprint(os.Stdout, "error: ", err)
		return 1
	}
	defer resp.Body.Close()
	_, _ = io.Copy(os.Stdout, resp.Body)
	return 0
}

// child starts the test binary as something else. It is gone when the test ends.
func child(t *testing.T, args ...string) (cmd *exec.Cmd, stdout *bufio.Reader) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

// run runs the test binary as something else to its end.
func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append(os.Environ(), "SAID=in the environment")
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestForwarderReachesTheProxy(t *testing.T) {
	t.Parallel()
	server := newServer(t, "hello from outside")
	r := newRig(t, server.Listener.Addr().String(), setup{})
	out, errs, code := run(t, "", "forwarder", r.socket, "--", os.Args[0], "fetch", "https://example.com/")
	if out != "hello from outside" || code != 0 {
		t.Errorf("got %q, %q, code %d", out, errs, code)
	}
	r.wantLines("egress: allowed example.com:443", "egress: closed example.com:443 (*")
	out, _, code = run(t, "", "forwarder", r.socket, "--", os.Args[0], "fetch", "https://evil.example/")
	if !strings.Contains(out, "Forbidden") || code != 1 {
		t.Errorf("got %q, code %d, want the proxy's refusal", out, code)
	}
	if line := r.waitLines(3)[2]; !strings.HasPrefix(line, "egress: refused evil.example:443 (") {
		t.Errorf("got %q", line)
	}
}

func TestForwarderWithoutItsProxy(t *testing.T) {
	t.Parallel()
	nowhere := filepath.Join(t.TempDir(), "none.sock")
	out, _, code := run(t, "", "forwarder", nowhere, "--", os.Args[0], "fetch", "https://example.com/")
	if !strings.Contains(out, "Bad Gateway") || code != 1 {
		t.Errorf("got %q, code %d, want 502", out, code)
	}
}

func TestForwarderPassesInputOutputAndEnvironment(t *testing.T) {
	t.Parallel()
	out, errs, code := run(t, "from stdin", "forwarder", "/none", "--", os.Args[0], "echo", "a b", "--", "", "c")
	if want := `["a b" "--" "" "c"] in the environment http://127.0.0.1:`; !strings.HasPrefix(out, want) || !strings.HasSuffix(out, " from stdin") {
		t.Errorf("got %q, want %q and the input", out, want)
	}
	if errs != "to stderr" || code != 0 {
		t.Errorf("got %q, code %d", errs, code)
	}
}

func TestForwarderReturnsTheExitCode(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, tt := range []struct {
		name, words string
		want        int
		args        []string
	}{
		{"success", "", 0, []string{"forwarder", "/none", "--", os.Args[0], "exit", "0"}},
		{"a code", "", 37, []string{"forwarder", "/none", "--", os.Args[0], "exit", "37"}},
		{"killed", "", 128 + 9, []string{"forwarder", "/none", "--", os.Args[0], "suicide"}},
		{"no such file", "no such file", 127, []string{"forwarder", "/none", "--", filepath.Join(folder, "none")}},
		{"not in the path", "not found", 127, []string{"forwarder", "/none", "--", "no-such-program-here"}},
		{"not a program", "permission denied", 126, []string{"forwarder", "/none", "--", folder}},
		{"no arguments", "SOCKET -- PROGRAM", 125, []string{"real"}},
		{"no program", "SOCKET -- PROGRAM", 125, []string{"real", "/none", "--"}},
		{"no dashes", "SOCKET -- PROGRAM", 125, []string{"real", "/none", os.Args[0], "exit"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, errs, code := run(t, "", tt.args...)
			if code != tt.want || (tt.words == "") != (errs == "") || !strings.Contains(errs, tt.words) {
				t.Errorf("got %d, %q, want %d, %q", code, errs, tt.want, tt.words)
			}
		})
	}
}

func TestForwarderPassesSignalsOn(t *testing.T) {
	t.Parallel()
	cmd, out := child(t, "forwarder", "/none", "--", os.Args[0], "signals", "3")
	ready, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	// The program leads a group of its own: a signal to the forwarder's group reaches it once, through the forwarder.
	if f := strings.Fields(ready); len(f) != 3 || f[1] != f[2] || f[1] == strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("got %q, want a process that leads its own group", ready)
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := syscall.Kill(-cmd.Process.Pid, s); err != nil {
			t.Fatal(err)
		}
		if got, err := out.ReadString('\n'); err != nil || strings.TrimSpace(got) != s.String() {
			t.Fatalf("got %q, %v, want %v", got, err, s)
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 43 {
		t.Errorf("got %d, want the program's own code 43", code)
	}
}

// A program that does not handle the signal is ended by it, and the code says so.
func TestForwarderReportsTheSignalThatEndedTheProgram(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Fatal(err)
	}
	cmd, out := child(t, "forwarder", "/none", "--", "sh", "-c", "echo ready; exec sleep 60")
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("got %d, want 143", code)
	}
}

// The program holds the pipe: it ends only when the program is gone too.
func TestProgramDoesNotOutliveTheForwarder(t *testing.T) {
	t.Parallel()
	cmd, out := child(t, "forwarder", "/none", "--", os.Args[0], "signals", "1")
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, out)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the program is still there")
	}
	_ = cmd.Wait()
}
