package plan

import (
	"os/exec"
	"strings"
	"testing"
)

func TestCheckLabel(t *testing.T) {
	t.Parallel()
	for label, ok := range map[string]bool{
		"a": true, "0": true, "auth-api": true, "v1.2_x": true, strings.Repeat("a", 39): true, "failed-2": true, "a.lock.b": true,
		"": false, strings.Repeat("a", 40): false, "-a": false, ".a": false, "_a": false, "A": false, "a b": false,
		"a/b": false, "a..b": false, "a.": false, "a.lock": false, "../x": false, "ä": false, "a\n": false,
		"a\u200b": false, "--yes": false, "failed": false, "a\x00": false, "$(x)": false,
	} {
		if err := CheckLabel(label); (err == nil) != ok {
			t.Errorf("CheckLabel(%q): got error %v, want ok %v", label, err, ok)
		}
	}
}

func TestMakeLabel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ title, fallback, want string }{
		{"Fix the login page", "", "fix-the-login-page"},
		{"  [auth] Überprüfe die Größe!! ", "", "auth-ueberpruefe-die-groesse"},
		{"Upgrade to v1.2 of snake_case", "", "upgrade-to-v1.2-of-snake_case"},
		{"../../etc/passwd", "", "etc-passwd"},
		{"index.lock", "", "index-lock"},
		{"failed", "", "failed-task"},
		{"a..b", "", "a-b"},
		{"修正", "issue-12", "issue-12"},
		{"", "", "task"},
		{"!!!", "???", "task"},
		{"Replace the deprecated fetchUser calls by userService", "", "replace-the-deprecated-fetchuser-calls"},
		{strings.Repeat("x", 100), "", strings.Repeat("x", 39)},
	} {
		if got := MakeLabel(c.title, c.fallback); got != c.want {
			t.Errorf("MakeLabel(%q, %q): got %q, want %q", c.title, c.fallback, got, c.want)
		}
	}
}

func FuzzMakeLabel(f *testing.F) {
	for _, s := range []string{"", "a.lock", "failed", "...", "x.lock.lock", strings.Repeat("a.lock-", 9), "É\xff\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, title string) {
		if got := MakeLabel(title); CheckLabel(got) != nil {
			t.Errorf("MakeLabel(%q): got %q, which is refused: %v", title, got, CheckLabel(got))
		}
	})
}

// git itself says what a branch may be called; ours must be a part of that.
func TestCheckBranchAgainstGit(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"main": true, "release/1.2": true, "feature/a-b_c": true, "a@b": true, "größe": true, "x.locked": true,
		"": false, "-x": false, "--upload-pack=x": false, "a b": false, "a..b": false, "a.": false, "a/": false, "/a": false, "a//b": false,
		".a": false, "a/.b": false, "a.lock": false, "a.lock/b": false, "a~1": false, "a^": false, "a:b": false, "a?": false,
		"a*": false, "a[": false, `a\b`: false, "@": false, "a@{1": false, "HEAD": false, "a\tb": false, "a\x7f": false,
		"refs/heads/main": false, "a\u200bb": false, "a\u202eb": false, "a\u00a0b": false, strings.Repeat("a", 201): false, "a\xff": false,
	} {
		err := CheckBranch(name)
		if (err == nil) != ok {
			t.Errorf("CheckBranch(%q): got error %v, want ok %v", name, err, ok)
		}
		if err != nil {
			continue
		}
		if out, err := exec.CommandContext(t.Context(), "git", "check-ref-format", "refs/heads/"+name).CombinedOutput(); err != nil {
			t.Errorf("git check-ref-format refs/heads/%s: got %v %s, want it accepted", name, err, out)
		}
	}
}
