package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// look is what Try runs in a box. Each line must hold; what does not is named on standard output.
const look = `
for key in CapEff CapPrm CapBnd; do grep -q "^$key:[[:space:]]*0*$" /proc/self/status || echo "it has capabilities"; done
grep -q "^NoNewPrivs:[[:space:]]*1$" /proc/self/status || echo "it may become another user"
grep -q "^Seccomp:[[:space:]]*2$" /proc/self/status || echo "its system calls are not filtered"
test "$(sed 1,2d /proc/net/dev | grep -cv '^ *lo:')" = 0 || echo "it has a network"
test "$(ls /proc | grep -c '^[0-9]')" -le 8 || echo "it sees other processes"
for file in /x /dev/x /etc/x /usr/x; do (: > $file) 2>/dev/null && echo "it can write $file"; done
(: > /tmp/x) 2>/dev/null || echo "it cannot write to /tmp"
test "$(env | cut -d= -f1 | grep -Evc '^(PATH|PWD|SHLVL|_)$')" = 0 || echo "it has an environment of the host"
for dir in /home /root /var/lib /boot /sys/kernel; do test -e $dir && echo "it sees $dir"; done
exit 0`

// Try starts a box and looks from inside whether it holds; for a check of the host. The error is a *Trouble, unless ctx
// ended.
func (s *Sandbox) Try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := s.Command(ctx, Box{
		Dir: "/tmp", Env: []string{"PATH=/usr/bin:/bin"}, Limits: Limits{Processes: 64, Memory: 64 << 20, FileSize: 1 << 20},
	}, "/bin/sh", "-c", look)
	if err != nil {
		return err
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err = c.Run()
	switch found := strings.TrimSpace(stdout.String()); {
	case ctx.Err() != nil:
		return fmt.Errorf("try a box: %w", ctx.Err())
	case errors.Is(err, ErrBox):
		return diagnose(err, stderr.String(), host())
	case err != nil:
		return &Trouble{What: "a box ended: " + oneLine(stderr.String()), Hint: "look whether /bin/sh and the tools of /usr/bin work here", Err: err}
	case found != "":
		return &Trouble{What: "a box does not hold: " + oneLine(found), Hint: "do not run agents here, and report this with the version of bubblewrap and of the kernel"}
	}
	return nil
}

// machine is what a host says about namespaces.
type machine struct {
	apparmor  string // kernel.apparmor_restrict_unprivileged_userns (Ubuntu 23.10 and later)
	clone     string // kernel.unprivileged_userns_clone (Debian 10 and before, Arch)
	most      string // user.max_user_namespaces
	container bool
	root      bool
}

func host() machine {
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(data))
	}
	m := machine{
		apparmor: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
		clone:    read("/proc/sys/kernel/unprivileged_userns_clone"),
		most:     read("/proc/sys/user/max_user_namespaces"),
		root:     os.Geteuid() == 0,
	}
	for _, path := range []string{"/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"} {
		_, err := os.Stat(path)
		m.container = m.container || err == nil
	}
	return m
}

// diagnose turns bubblewrap's complaint into what a person can do.
func diagnose(err error, said string, m machine) error {
	t := &Trouble{What: "bubblewrap cannot make a box: " + oneLine(said), Err: err}
	switch {
	case m.most == "0":
		t.Hint = "this machine allows no user namespaces; allow them: sysctl -w user.max_user_namespaces=10000"
	case m.clone == "0" && !m.root:
		t.Hint = "only root may make user namespaces here; allow others too: sysctl -w kernel.unprivileged_userns_clone=1"
	case m.apparmor == "1" && !m.root:
		t.Hint = "AppArmor keeps bubblewrap from making user namespaces (Ubuntu 23.10 and later). Allow this one program: write " +
			"'abi <abi/4.0>, profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }' to /etc/apparmor.d/bwrap and run " +
			"apparmor_parser -r /etc/apparmor.d/bwrap"
	case m.container && strings.Contains(said, "proc"):
		t.Hint = "this container hides parts of /proc, so that none can be mounted inside; start it with " +
			"--security-opt systempaths=unconfined --security-opt seccomp=unconfined --security-opt apparmor=unconfined " +
			"(Kubernetes: procMount: Unmasked and hostUsers: false)"
	case m.container:
		t.Hint = "this container may not make namespaces; start it with --security-opt seccomp=unconfined " +
			"--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
	case strings.Contains(said, "seccomp"):
		t.Hint = "use a kernel with CONFIG_SECCOMP_FILTER"
	default:
		t.Hint = "look whether 'unshare -Ur true' works for this user; a host needs user namespaces"
	}
	return t
}

// oneLine makes what a program said fit into a message.
func oneLine(text string) string {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	return line[:min(len(line), 300)]
}
