package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	defaultTmp = 256 << 20

	// Inside of a box.
	ourDir       = "/run/dozens"
	egressSocket = ourDir + "/egress.sock"
	forwarderAt  = ourDir + "/forward"
	proxyURL     = "http://127.0.0.1:3128"
)

// complete fills in what a box leaves out, and says what is wrong with it.
func (b *Box) complete() error {
	if !filepath.IsAbs(b.Dir) || strings.ContainsRune(b.Dir, 0) {
		return fmt.Errorf("a box in %q: not an absolute path", b.Dir)
	}
	if b.Limits.Tmp == 0 {
		b.Limits.Tmp = defaultTmp
	}
	for _, n := range []int64{b.Limits.Memory, int64(b.Limits.Processes), b.Limits.FileSize, int64(b.Limits.OpenFiles), b.Limits.Disk, b.Limits.Tmp} {
		if n < 0 {
			return errors.New("a box with a limit below zero")
		}
	}
	b.Binds = slices.Clone(b.Binds)
	for i := range b.Binds {
		bind := &b.Binds[i]
		if bind.To == "" {
			bind.To = bind.From
		}
		bind.From, bind.To = filepath.Clean(bind.From), filepath.Clean(bind.To)
		if err := bind.check(); err != nil {
			return err
		}
	}
	for _, v := range b.Env {
		name, _, ok := strings.Cut(v, "=")
		if !ok || name == "" || strings.ContainsRune(v, 0) {
			return fmt.Errorf("a box with the variable %q: not NAME=VALUE", name)
		}
	}
	return checkPlaces(b.Binds)
}

// arguments are bubblewrap's for a complete box. The descriptors are where it finds the text of files.
func (s *Sandbox) arguments(b Box, descriptors map[string]int) []string {
	args := []string{
		"--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL",
		"--new-session", "--hostname", "box", "--clearenv",
	}
	if s.has["--disable-userns"] {
		args = append(args, "--disable-userns")
	}
	for _, v := range environ(b) {
		name, value, _ := strings.Cut(v, "=")
		args = append(args, "--setenv", name, value)
	}
	args = append(args, s.root...)
	for _, f := range files() {
		args = append(args, "--perms", "0644", "--ro-bind-data", strconv.Itoa(descriptors[f.path]), f.path)
	}
	args = append(args, "--proc", "/proc", "--dev", "/dev")
	for _, path := range hostSecrets() {
		args = append(args, "--ro-bind", "/dev/null", path)
	}
	size := strconv.FormatInt(b.Limits.Tmp, 10)
	args = append(args,
		"--perms", "1777", "--size", size, "--tmpfs", "/dev/shm",
		"--perms", "1777", "--size", size, "--tmpfs", "/tmp", "--symlink", "../tmp", "/var/tmp")
	args = append(args, s.tools...)
	for _, bind := range b.Binds {
		how := "--ro-bind"
		if bind.Write {
			how = "--bind"
		}
		args = append(args, how, bind.From, bind.To)
	}
	if b.Egress != "" {
		args = append(args, "--ro-bind", b.Egress, egressSocket, "--ro-bind", s.forwarder[0], forwarderAt)
	}
	return append(append(args, seal()...), "--chdir", b.Dir)
}

// seal makes read-only what bubblewrap leaves writable. The root and /dev are held in memory without a limit. And when
// the host runs as root, then for the kernel a box's user is root too, without its rights but as the owner of its files:
// it could write to /proc/sys, which changes the whole machine. For the devices see protectDevices.
func seal() []string {
	return []string{"--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"}
}

// hostSecrets are files in /proc that tell of the whole machine.
func hostSecrets() []string {
	var there []string
	for _, path := range []string{"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/latency_stats", "/proc/sched_debug", "/proc/timer_list"} {
		if _, err := os.Stat(path); err == nil {
			there = append(there, path)
		}
	}
	return there
}

// environ is the environment of a box: its own, with our proxy or without any.
func environ(b Box) []string {
	env := slices.DeleteFunc(slices.Clone(b.Env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"}, strings.ToLower(name))
	})
	if b.Egress == "" {
		return env
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		env = append(env, name+"="+proxyURL)
	}
	return append(env, "NO_PROXY=localhost,127.0.0.1", "no_proxy=localhost,127.0.0.1")
}
