package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"dozens/internal/demo"
	"dozens/internal/fakemodel"
	"dozens/internal/scripted"
	"dozens/internal/testenv"
)

// island is set for the test binary that runs in a network of its own.
const island = "DOZENS_TEST_ISLAND"

// A public address that exists on the island only, and other addresses that its one interface has.
const (
	publicAddress = "93.184.216.34"
	metadata      = "169.254.169.254"
	private       = "10.1.2.3"
)

// islandHosts are its names.
const islandHosts = "127.0.0.1 localhost sly.example\n" +
	publicAddress + " open.example closed.example sub.wild.example wild.example down.example mixed.example\n" +
	metadata + " metadata.example\n" + private + " private.example mixed.example\n"

// onIsland runs the test that calls it once more, in new namespaces, where it owns the network and the names. It
// returns true there, and false where the test has nothing more to do.
func onIsland(t *testing.T) bool {
	t.Helper()
	if os.Getenv(island) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), island+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
	return false
}

// settle gives the island its names and addresses.
func settle(t *testing.T) {
	t.Helper()
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte(islandHosts), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(hosts, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mount the names: %v", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for name, address := range map[string]string{"lo": "127.0.0.1", "lo:1": publicAddress, "lo:2": metadata, "lo:3": private} {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = r.SetInet4Addr(net.ParseIP(address).To4())
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, unix.SIOCSIFADDR, r)
		}
		r.SetUint16(unix.IFF_UP)
		if err = errors.Join(err, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)); err != nil {
			t.Fatalf("give %s to %s: %v", address, name, err)
		}
	}
}

// outside is a server that can be reached by all the island's addresses and at several ports, and keeps for whom it was asked.
type outside struct {
	mu    sync.Mutex
	asked []string
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{}
	for port, secure := range map[string]bool{"443": true, "8443": true, "80": false} {
		ln, err := net.Listen("tcp4", ":"+port)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(o)
		s.Listener = ln
		if secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
	}
	return o
}

func (o *outside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r.Host)
	_, _ = io.WriteString(w, "hello from outside\n")
}

// attempt is one try of an agent to reach something.
type attempt struct {
	name, command string
	gets          string // what it reads
	log           string // a line of the run's log
}

const unlisted = "(not in the repository's egress list)"

// attempts are what an agent tries that may reach open.example, down.example, *.wild.example and names of private addresses.
func attempts() []attempt {
	ask := func(request string) string {
		return `timeout 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && printf "` + request + `" >&3 && cat <&3'`
	}
	connect := func(to string) string { return ask(`CONNECT ` + to + ` HTTP/1.1\r\n\r\n`) }
	curl := "curl -sSk --max-time 20 "
	return []attempt{
		{"named", curl + "https://open.example/", "hello from outside", "egress: allowed open.example:443"},
		{"below-a-star", curl + "https://sub.wild.example/", "hello from outside", "egress: allowed sub.wild.example:443"},
		{"the-star-itself", curl + "https://wild.example/", "403", "egress: refused wild.example:443 " + unlisted},
		{"not-named", curl + "https://closed.example/", "403", "egress: refused closed.example:443 " + unlisted},
		{"not-named-words", connect("closed.example:443"), "closed.example:443 is not in this repository's egress list. Maintainers can add it", "egress: refused closed.example:443 " + unlisted},
		{"other-header", ask(`CONNECT closed.example:443 HTTP/1.1\r\nHost: open.example:443\r\n\r\n`), "403 Forbidden", ""},
		{"other-port", curl + "https://open.example:8443/", "403", "egress: refused open.example:8443 " + unlisted},
		{"other-name-inside", "openssl s_client -proxy 127.0.0.1:3128 -connect open.example:443 -servername closed.example < /dev/null", "alert access denied", "egress: refused open.example:443 (TLS for another host, closed.example)"},
		{"no-tls-inside", ask(`CONNECT open.example:443 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: open.example\r\n\r\n`), "200 Connection established", "egress: refused open.example:443 (not TLS"},
		{"plain-http", curl + "http://open.example/", "only tunnels HTTPS", "egress: refused open.example (only HTTPS is tunnelled)"},
		{"public-address", curl + "https://" + publicAddress + "/", "403", "egress: refused " + publicAddress + ":443 " + unlisted},
		{"metadata-address", curl + "https://" + metadata + "/ ; " + curl + "http://" + metadata + "/latest/meta-data/", "403", "egress: refused " + metadata + ":443 " + unlisted},
		{"metadata-name", connect("metadata.example:443"), "leads to an address that is not public", "egress: refused metadata.example:443 (its address"},
		{"loopback-address", curl + "--noproxy '' https://127.0.0.1/ ; " + connect("127.0.0.1:443") + "; " + connect("[::1]:443") + "; " + connect("0x7f000001:443") + "; " + connect("2130706433:443"), "403 Forbidden", "egress: refused 127.0.0.1:443 " + unlisted},
		{"loopback-bare-name", connect("localhost:443"), "403 Forbidden", "egress: refused localhost:443 " + unlisted},
		{"loopback-name", connect("sly.example:443"), "leads to an address that is not public", "egress: refused sly.example:443 (its address"},
		{"private-name", connect("private.example:443"), "leads to an address that is not public", "egress: refused private.example:443 (its address"},
		{"public-and-private-name", connect("mixed.example:443"), "leads to an address that is not public", "egress: refused mixed.example:443 (its address"},
		{"nobody-there", connect("down.example:444"), "down.example:444 is allowed, but could not be reached", "egress: failed down.example:444"},
		{"no-such-name", connect("gone.example:443"), "gone.example:443 is allowed, but could not be reached", "egress: failed gone.example:443"},
		{"past-the-proxy", curl + "--noproxy '*' https://" + publicAddress + "/", "curl: (7)", ""},
		{"past-the-proxy-by-name", curl + "--noproxy '*' https://open.example/", "curl: (", ""},
	}
}

const egressSettings = `egress: [open.example, "*.wild.example", "down.example:444", gone.example, sly.example, metadata.example, private.example, mixed.example]` + "\n"

// tries are the steps of an agent that makes the attempts and keeps what each brought in its home.
func tries(all []attempt) (steps []scripted.Step) {
	for _, a := range all {
		steps = append(steps, scripted.Step{Do: scripted.Shell, Text: "( " + a.command + " ) > ~/" + a.name + " 2>&1; echo tried >> ~/" + a.name})
	}
	return steps
}

// TestEgress: an agent reaches the hosts that the settings of the base branch name, by TLS, and nothing else; each attempt
// stands in the run's log. The settings on its own branch change nothing.
func TestEgress(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	if !onIsland(t) {
		return
	}
	settle(t)
	server := newOutside(t)
	all := attempts()
	again := attempt{"own-settings", "curl -sSk --max-time 20 https://closed.example/", "403", ""}
	first := append(tries(all), better, writes(".github/dozens.yml", "egress: [closed.example]\n"), allDone)
	second := append(tries([]attempt{again}), scripted.Step{Do: scripted.Append, Path: "src/a.txt", Text: "twice\n"}, allDone)
	w := newWorld(t, options{settings: egressSettings, script: scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{{Steps: first}, {Steps: second}}}}}})
	i := w.issue("Make a better", "", "claude")
	p := w.inReview()
	if _, err := w.Repo.Pull(p.Number).Review(demo.Reviewer, "REQUEST_CHANGES", "Once more, please."); err != nil {
		t.Fatal(err)
	}
	w.eventually("it has tried with its own settings", func() bool { return w.pull().HeadSHA != p.HeadSHA })
	loot := map[string]string{}
	for _, a := range append(all, again) {
		loot[a.name] = strings.Join(w.marks(a.name), "")
	}
	w.comment(i, demo.Requester, "/stop")
	w.eventually("it is over", func() bool { return w.said(i, "dozens:final:") == 1 })
	log := w.runLog()
	for _, a := range append(all, again) {
		got := loot[a.name]
		if !strings.Contains(got, a.gets) || !strings.Contains(got, "tried") {
			t.Errorf("%s: got %q, want %q", a.name, got, a.gets)
		}
		if !strings.Contains(log, a.log) {
			t.Errorf("%s: %q is not in the run's log", a.name, a.log)
		}
	}
	if n := strings.Count(log, "egress: refused closed.example:443"); n != 4 {
		t.Errorf("%d refusals of closed.example in the log, want each of the four", n)
	}
	if want := []string{"open.example", "sub.wild.example"}; !slices.Equal(server.asked, want) {
		t.Errorf("the server was asked for %q, want %q", server.asked, want)
	}
	if t.Failed() {
		t.Log(log)
	}
}

// runLog is the log of the one task, as the page shows it once the task is over.
func (w *world) runLog() string {
	w.t.Helper()
	find := func(page, pattern string) string {
		m := regexp.MustCompile(pattern).FindString(page)
		if m == "" {
			w.t.Fatalf("no %s on the page %s", pattern, page)
		}
		return m
	}
	batch := find(w.page("/"), `/batches/[^"/]+`)
	return w.page(find(w.page(batch), `/tasks/[^"/]+/log`) + "/text")
}

// TestNoEgress: without the setting there is no proxy and no other way, whatever the agent's own branch says.
func TestNoEgress(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	look := `( env | grep -i proxy; find / -name '*egress*.sock' -not -path '/proc/*' 2>/dev/null; ps ax | grep egress-forwar[d]
		timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && echo REACHED'; curl -sSk --max-time 5 https://example.com/ && echo REACHED ) > ~/look 2>&1; echo tried >> ~/look`
	run := func(text string) scripted.Run {
		return scripted.Run{Steps: []scripted.Step{{Do: scripted.Shell, Text: look}, {Do: scripted.Append, Path: "src/a.txt", Text: text},
			writes(".github/dozens.yml", "egress: [example.com]\n"), allDone}}
	}
	w := newWorld(t, options{script: scripted.Script{Rules: []scripted.Rule{{Kind: "code", Runs: []scripted.Run{run("once\n"), run("twice\n")}}}}})
	i := w.issue("Make a better", "", "claude")
	p := w.inReview()
	once := strings.Join(w.marks("look"), "")
	if _, err := w.Repo.Pull(p.Number).Review(demo.Reviewer, "REQUEST_CHANGES", "Once more, please."); err != nil {
		t.Fatal(err)
	}
	w.eventually("it has looked twice", func() bool { return w.pull().HeadSHA != p.HeadSHA })
	for _, got := range []string{once, strings.Join(w.marks("look"), "")} {
		for _, bad := range []string{"REACHED", "egress", "PROXY", "http_proxy"} {
			if !strings.Contains(got, "tried") || strings.Contains(got, bad) {
				t.Errorf("the agent found %q: %q", bad, got)
			}
		}
		if !strings.Contains(got, "Connection refused") || !strings.Contains(got, "curl: (6)") {
			t.Errorf("it got %q, want nobody on the proxy's port and no name", got)
		}
	}
	w.comment(i, demo.Requester, "/stop")
	w.eventually("it is over", func() bool { return w.said(i, "dozens:final:") == 1 })
	if log := w.runLog(); strings.Contains(log, "egress: ") {
		t.Errorf("the log tells of a proxy:\n%s", log)
	}
}

// TestEgressWithRealClaude: the proxy of the setting egress does not stand in the real claude's way to its model, the model's
// tools meet it, and claude itself calls nobody by it.
func TestEgressWithRealClaude(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	binary := testenv.Claude(t)
	model := fakemodel.Start(func(r fakemodel.Request) fakemodel.Reply {
		if len(r.Results()) == 0 {
			return fakemodel.Bash("curl -sS --max-time 20 https://closed.example/; env | grep -i _proxy; echo better >> src/a.txt")
		}
		return fakemodel.Return(map[string]string{"status": "done", "summary": "Made it better."})
	})
	t.Cleanup(model.Close)
	w := newWorld(t, options{approves: true, agent: binary, env: model.Env(), settings: "egress: [registry.example]\n"})
	i := w.issue("Make a better", "", "claude")
	w.settled(i, 1)
	log := w.runLog()
	requests := model.Requests()
	if len(requests) < 2 || !strings.Contains(requests[0].System, "no others: registry.example.") {
		t.Fatalf("the model was asked %d times, or not told of the proxy", len(requests))
	}
	results := requests[len(requests)-1].Results()
	if len(results) == 0 || !strings.Contains(results[0].Text, "403") || !strings.Contains(results[0].Text, "127.0.0.1:3128") {
		t.Errorf("the tool got %+v, want the proxy's refusal", results)
	}
	if strings.Count(log, "egress: ") != 1 || !strings.Contains(log, "egress: refused closed.example:443 "+unlisted) {
		t.Errorf("want one attempt in the log, the tool's:\n%s", log)
	}
}
