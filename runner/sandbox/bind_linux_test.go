package sandbox

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestBindThatIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	dir := folder(t)
	put(t, dir+"/file", "")
	if err := errors.Join(os.Symlink("/etc", dir+"/link"), os.Mkdir(dir+"/real", 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, binds := range map[string][]Bind{
		"missing":               {{From: dir + "/missing"}},
		"relative from":         {{From: "file"}},
		"relative to":           {{From: dir, To: "x"}},
		"link":                  {{From: dir + "/link"}},
		"through a link":        {{From: dir + "/link/ssl"}},
		"over the root":         {{From: dir, To: "/"}},
		"over proc":             {{From: dir, To: "/proc"}},
		"into proc":             {{From: dir, To: "/proc/1"}},
		"over dev":              {{From: dir, To: "/dev"}},
		"over usr":              {{From: dir, To: "/usr"}},
		"into usr, unclean":     {{From: dir, To: "/tmp/../usr/bin"}},
		"over our sockets":      {{From: dir, To: "/run"}},
		"the host's processes":  {{From: "/proc", To: "/p"}},
		"the host's root":       {{From: "/", To: "/host"}},
		"onto a link of a bind": {{From: dir, To: "/w", Write: true}, {From: dir + "/real", To: "/w/link/x"}},
		"under a file":          {{From: dir, To: "/w", Write: true}, {From: dir + "/real", To: "/w/file/x"}},
		"no place, read-only":   {{From: dir, To: "/w"}, {From: dir + "/real", To: "/w/none"}},
		"with NUL":              {{From: dir + "\x00"}},
	} {
		_, err := s.Command(t.Context(), Box{Dir: "/", Binds: binds}, "/bin/true")
		if err == nil || !strings.Contains(err.Error(), "bind") {
			t.Errorf("%s: got %v, want an error about the bind", name, err)
		}
	}
}

func TestBindLaterOverEarlier(t *testing.T) {
	t.Parallel()
	a, b := folder(t), folder(t)
	put(t, a+"/file", "a")
	put(t, b+"/file", "b")
	out, err := shell(t, Box{Binds: []Bind{{From: a, To: "/w"}, {From: b, To: "/w"}, {From: a + "/file", To: "/w/file"}}}, "cat /w/file")
	if err != nil || out != "a" {
		t.Errorf("got %q, %v, want a", out, err)
	}
	out, err = shell(t, Box{Binds: []Bind{{From: a + "/file", To: "/w/file"}, {From: b, To: "/w"}}}, "cat /w/file")
	if err != nil || out != "b" {
		t.Errorf("got %q, %v, want b", out, err)
	}
}

// Between our look at a path and bubblewrap's, whoever may write above it could put something else there.
func TestBindExchangedMeanwhileIsNoticed(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, d := range []string{"/shown", "/secret"} {
		if err := os.Mkdir(dir+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Options{})
	c, err := s.Command(t.Context(), Box{Dir: "/", Binds: []Bind{{From: dir + "/shown", To: "/w"}}}, "/bin/ls", "/w")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, dir+"/shown", unix.AT_FDCWD, dir+"/secret", unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
	if err := c.launch(); err != nil {
		t.Fatal(err)
	}
	err = c.release()
	if err == nil || !strings.Contains(err.Error(), "not what was to be there") {
		t.Errorf("release: got %v, want it refused", err)
	}
	c.pipes.close()
	_ = c.Kill()
	_ = c.Wait()
}
