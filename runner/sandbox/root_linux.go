package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// etc is what a box sees of the host's /etc: nothing that names users, hosts or secrets. Of the certificates it sees
// the public ones; their folder also holds the host's own keys.
func etc() []string {
	return []string{
		"alternatives", "fonts", "java-*", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types",
		"os-release", "pki/ca-trust", "pki/java", "pki/tls/certs", "protocols", "python3*", "services", "ssl/cert.pem",
		"ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
	}
}

// hostRoot is the part of every box that comes from the host, read-only, as bubblewrap's arguments.
func hostRoot() ([]string, error) {
	args := []string{"--ro-bind", "/usr", "/usr"}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("look at %s: %w", dir, err)
		case info.Mode()&os.ModeSymlink == 0:
			args = append(args, "--ro-bind", dir, dir)
		default: // it leads to a folder of the same name in /usr
			to, err := os.Readlink(dir)
			if err != nil {
				return nil, fmt.Errorf("look at %s: %w", dir, err)
			}
			args = append(args, "--symlink", to, dir)
		}
	}
	for _, dir := range []string{"/etc", "/etc/ssl", "/etc/pki", "/etc/pki/tls", "/run", ourDir, "/var"} {
		args = append(args, "--perms", "0755", "--dir", dir)
	}
	for _, pattern := range etc() {
		paths, _ := filepath.Glob("/etc/" + pattern) // a fixed pattern
		for _, path := range paths {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				args = append(args, "--ro-bind", real, path)
			}
		}
	}
	return args, nil
}

// toolBinds shows more of the host, read-only, as bubblewrap's arguments.
func toolBinds(paths []string) ([]string, error) {
	var args []string
	for _, path := range paths {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, fmt.Errorf("show %s in every box: %w", path, err)
		}
		b := Bind{From: real, To: filepath.Clean(path)}
		if err := b.check(); err != nil {
			return nil, fmt.Errorf("show %s in every box: %w", path, err)
		}
		args = append(args, "--ro-bind", b.From, b.To)
	}
	return args, nil
}

// file is one that is made up for every box.
type file struct{ path, text string }

// files let programs find a user, a host and a way to look names up.
func files() []file {
	return []file{
		{"/etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n" +
			"agent:x:1000:1000:agent:/tmp:/bin/sh\n" +
			"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
		{"/etc/group", "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"},
		{"/etc/hosts", "127.0.0.1 localhost box\n::1 localhost box\n"},
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
	}
}
