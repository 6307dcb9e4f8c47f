package sandbox

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestBoxEnvironmentIsItsOwn(t *testing.T) {
	t.Setenv("DOZENS_TEST_SECRET", "host-secret") // and so not in parallel
	out, err := shell(t, Box{Env: []string{"A=b c=\n", "LD_PRELOAD=/nonexistent", "HTTP_PROXY=http://elsewhere", searchPath}}, "env -0 | tr '\\0' '|'; cat /proc/1/environ")
	if err != nil {
		t.Fatal(err)
	}
	// The loader of each program complains about LD_PRELOAD, which shows that it only acts inside.
	_, vars, _ := strings.Cut(out, "A=b")
	got := strings.Split(strings.Trim("A=b"+vars, "|\n"), "|")
	for _, v := range got {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains([]string{"A", "LD_PRELOAD", "PATH", "PWD", "SHLVL", "_"}, name) && !strings.HasPrefix(v, "ERROR: ld.so") {
			t.Errorf("the box has %q in its environment", v)
		}
	}
	if !slices.Contains(got, "A=b c=\n") || strings.Contains(out, "host-secret") || strings.Contains(out, "elsewhere") {
		t.Errorf("environment is %q", out)
	}
}

func TestBoxSeesNothingOfTheHost(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	mine, other := filepath.Join(dir, "mine"), filepath.Join(dir, "other")
	for _, d := range []string{mine, other} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(d, "text"), "in "+filepath.Base(d))
	}
	out, err := shell(t, Box{Dir: mine, Binds: []Bind{{From: mine}}}, `
		cat text ../other/text
		ls ..
		for p in "`+other+`" /root /home /etc/shadow /etc/ssh /etc/ssl/private /etc/hostname /etc/machine-id /var/lib /var/run /sys /boot /mnt /srv /run/docker.sock /run/systemd; do
			test -e "$p" && echo "SEEN $p"
		done
		ls -A /run /run/dozens
		cat /etc/passwd; hostname
		exit 0`)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "in mine") {
		t.Errorf("the box does not see what was bound: %s", out)
	}
	for _, bad := range []string{"SEEN", "in other", "daemon"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q in what the box sees:\n%s", bad, out)
		}
	}
	if host, _ := os.Hostname(); strings.Contains(out, host+"\n") && host != "box" {
		t.Errorf("the box knows the host's name: %s", out)
	}
}

func TestBoxSeesOnlyItsOwnProcesses(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	out, err := shell(t, Box{Dir: dir, Binds: []Bind{{From: dir, To: "/work"}, {From: dir}}}, `ls /proc | grep '^[0-9]' | wc -l
		kill -0 `+strconv.Itoa(os.Getpid())+` 2>/dev/null && echo "REACH"ED
		cat /proc/1/cmdline /proc/1/environ | tr '\0' ' '
		ls -l /proc/self/fd | wc -l`)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out, "\n")
	if n, _ := strconv.Atoi(lines[0]); n < 2 || n > 6 {
		t.Errorf("the box sees %d processes, want its own few", n)
	}
	if strings.Contains(out, "REACHED") || strings.Contains(out, dir) {
		t.Errorf("the box learns of the host:\n%s", out)
	}
}

// A file that we inherited ourselves, from whoever started us, must not reach a box.
func TestBoxInheritsNoFiles(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open(put(t, filepath.Join(folder(t), "secret"), "secret"), unix.O_RDONLY, 0) // no O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer shut(fd)
	s := open(t, Options{}) // from here on
	c, err := s.Command(t.Context(), Box{Dir: "/tmp", Env: []string{searchPath}}, "/bin/ls", "/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Output()
	if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, []string{"0", "1", "2", "3"}) { // 3 is the folder itself
		t.Errorf("the box has files %q, %v, want its three and ls's own", got, err)
	}
}

// Bubblewrap closes its door to the host's /proc only after it has started the program. A small program that looks at
// once found it open about once in a hundred times before programs were held back for so long.
func TestBoxFindsNoDoorInTheFirstProcess(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	for range 100 {
		c, err := s.Command(t.Context(), Box{Dir: "/"}, "/bin/sh", "-c", `
			for i in 1 2 3; do for fd in 3 4 5 6 7 8 9 10 11 12; do
				[ -d /proc/1/fd/$fd ] && echo "door $fd" && exit
			done; done`)
		if err != nil {
			t.Fatal(err)
		}
		if out, _ := c.CombinedOutput(); len(out) > 0 {
			t.Fatalf("the first process of the box still had an open %s", out)
		}
	}
}

func TestBoxHasNoNetwork(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	abstract, err := net.Listen("unix", "@dozens-test-"+strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	for _, to := range [][2]string{
		{"tcp", l.Addr().String()}, {"unix", abstract.Addr().String()},
		{"tcp", "169.254.169.254:80"}, {"tcp", "192.0.2.1:443"}, {"tcp", "1.1.1.1:443"}, {"tcp", "[2606:4700::1111]:443"},
	} {
		if got := act(t, Box{}, "dial", to[0], to[1]); !strings.HasPrefix(got, "no: ") {
			t.Errorf("dial %s from a box: %s", to, got)
		}
	}
	if c, err := net.Dial("unix", abstract.Addr().String()); err != nil { // the same from here works
		t.Error(err)
	} else {
		c.Close()
	}
}

func TestBoxSocketsAreOfKnownFamilies(t *testing.T) {
	t.Parallel()
	skipWithoutFilter(t)
	want := []string{"1 open", "2 open", "10 open", "40 EAFNOSUPPORT", "38 EAFNOSUPPORT", "17 EAFNOSUPPORT", "31 EAFNOSUPPORT", "29 EAFNOSUPPORT"}
	var families []string
	for _, w := range want {
		number, _, _ := strings.Cut(w, " ")
		families = append(families, number) // unix, inet, inet6, vsock, alg, packet, bluetooth, can
	}
	if got := strings.Split(act(t, Box{}, "socket", families...), "\n"); !slices.Equal(got, want) {
		t.Errorf("sockets in a box: got %q, want %q", got, want)
	}
}

func TestBoxCallsAreRefused(t *testing.T) {
	t.Parallel()
	skipWithoutFilter(t)
	for line := range strings.Lines(act(t, Box{}, "call")) {
		name, got, _ := strings.Cut(strings.TrimSpace(line), " ")
		want := map[string]string{"clone3": "ENOSYS", "unshare-files": ""}
		if w, ok := want[name]; !ok && got != "EPERM" || ok && got != w {
			t.Errorf("%s in a box: got %q", name, got)
		}
	}
}

func skipWithoutFilter(t *testing.T) {
	t.Helper()
	if calls() == nil {
		t.Skip("no filter for this machine")
	}
}

func TestBoxIsReadOnlyWhereItShouldBe(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.Mkdir(dir+"/in", 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/in/file", "old")
	b := Box{Dir: dir, Binds: []Bind{{From: dir, Write: true}, {From: dir + "/in"}}}
	out, err := shell(t, b, `
		echo new > made && echo made
		for f in in/file in/x /x /dev/x /run/x /run/dozens/x /etc/x /etc/passwd /usr/x /bin/sh /var/x /proc/sys/kernel/hostname /proc/sys/kernel/domainname /proc/self/oom_score_adj; do
			(echo bad > $f) 2>/dev/null && echo "WROTE $f"
		done
		chmod 600 /dev/null /dev/zero /dev/tty /dev/urandom 2>/dev/null && echo CHANGED
		for f in /proc/keys /proc/timer_list; do test -n "$(cat $f 2>/dev/null)" && echo "READ $f"; done
		find /proc -xdev -type f -writable 2>/dev/null | grep -vE '^/proc/(key|timer_list|kcore|sched_debug|latency)' | head -3
		echo kept > /dev/null
		mount -o remount,rw / 2>/dev/null && echo REMOUNTED
		mount -t tmpfs x /tmp 2>/dev/null && echo MOUNTED
		umount "`+dir+`/in" 2>/dev/null && echo UMOUNTED
		unshare -Urm true 2>/dev/null && echo UNSHARED
		grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status | tr -s '\t\n' '  '
		rm in/file 2>/dev/null; mv in out 2>/dev/null && echo MOVED
		exit 0`)
	if err != nil {
		t.Fatal(err)
	}
	none := strings.Repeat("0", 16)
	want := "made\nCapInh: " + none + " CapPrm: " + none + " CapEff: " + none + " CapBnd: " + none + " CapAmb: " + none + " NoNewPrivs: 1 "
	if out != want {
		t.Errorf("got  %q\nwant %q", out, want)
	}
	if text, err := os.ReadFile(dir + "/in/file"); err != nil || string(text) != "old" {
		t.Errorf("the file bound read-only is %q, %v", text, err)
	}
}

// A program whose file says that it runs as its owner does not, even where the file is ours.
func TestBoxIgnoresSetuid(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	path := dir + "/id"
	if err := copyFile("/usr/bin/id", path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o6755|os.ModeSetuid|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	out, err := shell(t, Box{Dir: dir, Binds: []Bind{{From: dir, Write: true}}}, "./id -u; su -c id root </dev/null >/dev/null 2>&1 && echo ROOT; exit 0")
	if err != nil || out != "1000\n" {
		t.Errorf("got %q, %v, want the box's user", out, err)
	}
}

func TestBoxWritesBelongToTheHost(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if out, err := shell(t, Box{Dir: dir, Binds: []Bind{{From: dir, Write: true}}}, "echo hello > file"); err != nil {
		t.Fatal(err, out)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir+"/file", &st); err != nil || int(st.Uid) != os.Geteuid() {
		t.Errorf("the file belongs to %d, %v, want %d", st.Uid, err, os.Geteuid())
	}
}

func TestBoxNamesAreData(t *testing.T) {
	t.Parallel()
	odd := filepath.Join(folder(t), "a b\n--bind $x'\";\xff")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, odd+"/-rf", "found")
	s := open(t, Options{})
	c, err := s.Command(t.Context(), Box{Dir: odd, Env: []string{searchPath, "X=--bind"}, Binds: []Bind{{From: odd}}}, "/bin/cat", "--", "-rf")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.CombinedOutput(); err != nil || string(out) != "found" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestBoxReadsToolsOfTheHost(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	put(t, dir+"/tool", "tool")
	if err := os.Symlink(dir, dir+"-link"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir + "-link") })
	c, err := open(t, Options{Read: []string{dir + "-link"}}).Command(t.Context(), Box{Dir: "/"}, "/bin/cat", dir+"-link/tool")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.CombinedOutput(); err != nil || string(out) != "tool" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestBoxWithEgressStartsTheForwarder(t *testing.T) {
	t.Parallel()
	sock := folder(t) + "/e.sock"
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := open(t, Options{Forwarder: []string{self(t), "x-forward"}})
	c, err := s.Command(t.Context(), Box{Dir: "/tmp", Env: []string{searchPath, role + "=forward"}, Egress: sock}, "/bin/sh", "-c", `echo "$https_proxy $NO_PROXY"; test -S /run/dozens/egress.sock && echo socket`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.CombinedOutput()
	want := "forward x-forward /run/dozens/egress.sock --\nhttp://127.0.0.1:3128 localhost,127.0.0.1\nsocket\n"
	if err != nil || string(out) != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
}

func TestBoxThatCannotBe(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	for name, b := range map[string]Box{
		"relative folder":     {Dir: "tmp"},
		"variable":            {Dir: "/", Env: []string{"NAME"}},
		"variable with NUL":   {Dir: "/", Env: []string{"A=b\x00c"}},
		"egress, none set up": {Dir: "/", Egress: "/tmp/x"},
		"negative":            {Dir: "/", Limits: Limits{Memory: -1}},
	} {
		if _, err := s.Command(t.Context(), b, "/bin/true"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
