package egress

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// inBox runs the test binary as something else where there is no network but loopback.
func inBox(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bwrap", append([]string{"--dev-bind", "/", "/", "--unshare-all", "--die-with-parent", os.Args[0]}, args...)...)
	cmd.Env = append(os.Environ(), "HTTPS_PROXY=http://"+Address)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return err.Error()
	}
	return string(out)
}

// needsBoxes skips the test where there are none.
func needsBoxes(t *testing.T) {
	t.Helper()
	trouble := inBox(t, "exit", "0")
	if trouble == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("bubblewrap (bwrap) does not work here: %s", trouble)
	}
	t.Skipf("bubblewrap (bwrap) does not work here: %s", trouble)
}

// The whole way: a program without any network reaches what is allowed through the usual variable, and nothing else.
func TestWayOutOfABox(t *testing.T) {
	t.Parallel()
	needsBoxes(t)
	server := newServer(t, "hello from outside")
	r := newRig(t, server.Listener.Addr().String(), setup{})
	there := func(args ...string) string {
		return inBox(t, append([]string{"real", r.socket, "--", os.Args[0]}, args...)...)
	}
	if out := there("fetch", "https://example.com/"); out != "hello from outside" {
		t.Errorf("got %q", out)
	}
	if out := there("fetch", "https://evil.example/"); !strings.Contains(out, "Forbidden") {
		t.Errorf("got %q, want the proxy's refusal", out)
	}
	// Without the proxy, not even the host's loopback.
	if out := there("fetch-bare", server.URL); !strings.Contains(out, "connection refused") {
		t.Errorf("got %q, want no way to the host", out)
	}
	if out := there("fetch-bare", "https://"+somewhere+"/"); !strings.Contains(out, "network is unreachable") {
		t.Errorf("got %q, want no way to the internet", out)
	}
	lines := r.waitLines(3)
	if !strings.HasPrefix(lines[0], "egress: allowed example.com:443") || !strings.HasPrefix(lines[2], "egress: refused evil.example:443") {
		t.Errorf("got the lines %q", lines)
	}
}

// A program in the box that takes the port keeps the forwarder from starting, which is said.
func TestForwarderNeedsItsPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", Address)
	if err == nil {
		defer l.Close() // otherwise somebody else has it, which does as well
	}
	var said strings.Builder
	if code := ForwardMain([]string{"/none", "--", "true"}, &said); code != exitTrouble || !strings.Contains(said.String(), Address) {
		t.Errorf("got %d, %q, want %d and the address", code, said.String(), exitTrouble)
	}
}
