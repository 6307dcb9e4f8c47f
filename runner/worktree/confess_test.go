package worktree

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A credential of the right shape, in two parts so that no scanner finds it here.
const (
	shapeA = "ghp_"
	shapeB = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
)

func TestLookFindsSecrets(t *testing.T) {
	t.Parallel()
	key := `printf -- '-----BEGIN %s PRIVATE KEY-----\n' RSA; for i in 1 2 3 4 5 6 7 8; do printf 'MIIEowIBAAKCAQEA7bq%08dk3J5c2v9Yx0ZrQeTuWlMnBpHsFdGaKjLzXcV\n' $i; done; printf -- '-----END %s PRIVATE KEY-----\n' RSA`
	tests := []struct{ name, script, says string }{
		{"left in a file", `echo "token: $K" > 'my settings.yml'`, `GitHub token in "my settings.yml"`},
		{"committed", `echo "token: $K" > a; git add a; git commit -qm a`, `GitHub token in "a"`},
		{"taken back", `echo "token: $K" > a; git add a; git commit -qm a; git rm -q a; git commit -qm b`, `GitHub token in "a"`},
		{"in a message", `git commit -q --allow-empty -m "use $K"`, "GitHub token in a commit's message"},
		{"in a long line", `head -c 200000 /dev/zero | tr '\0' ' ' > a; echo "$K" >> a`, `GitHub token in "a"`},
		{"after many lines", `seq 300000 > a; echo "$K" >> a`, `GitHub token in "a"`},
		{"in a file that is no text", `printf 'a\0b\n' > a; echo "$K" >> a`, `GitHub token in "a"`},
		{"hidden by attributes", `echo '* -diff' > .gitattributes; echo "$K" > a`, `GitHub token in "a"`},
		{"in a merge", `git switch -qc side; echo s > s; git add s; git commit -qm s; git switch -q dozens/one; git merge -q --no-commit --no-ff side; echo "$K" > a; git add a; git commit -qm m`, `GitHub token in "a"`},
		{"a private key", "(" + key + ") > key.pem", `in "key.pem"`},
		{"removed from the base commit", `git rm -q old.txt`, ""},
		{"moved from the base commit", `cp old.txt new.txt; git add new.txt; git rm -q --cached old.txt; git commit -qm "as in old.txt"`, ""},
		{"examples", `echo 'postgres://postgres:postgres@db/x AKIA''IOSFODNN7EXAMPLE' > compose.yml`, ""},
		{"a commit's name", `git rev-parse HEAD > a; git log > b`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachMode(t, func(t *testing.T, w *world) {
				w.base = w.commit("main", map[string]string{"old.txt": "sample: " + shapeA + strings.ToUpper(shapeB) + "\n"})
				tree := w.prepare("one")
				w.agent(tree, "K="+shapeA+shapeB+"; "+tt.script)
				_, err := w.trees.Look(t.Context(), tree, CommitOptions{})
				if tt.says == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if !errors.Is(err, ErrSecret) || !strings.Contains(fmt.Sprint(err), tt.says) {
					t.Errorf("Look: %v, want ErrSecret %q", err, tt.says)
				}
				if strings.Contains(fmt.Sprint(err), shapeB) || strings.Contains(fmt.Sprint(err), "MIIE") {
					t.Errorf("the error shows the secret: %v", err)
				}
				if got := run(t, w.mirror(), "git", "rev-parse", "dozens/one"); got != w.base && w.box != nil {
					t.Errorf("the branch moved to %s", got)
				}
			})
		})
	}
}

func TestReadPatches(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000)
	tests := []struct {
		name, patch string
		want        []string
	}{
		{"nothing", "", nil},
		{"one file", "diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n-old\n+new\n+more\n", []string{`"f": "new\nmore\n"`}},
		{"looks like a header", "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -0,0 +1,2 @@\n+++ b/g\n+@@ -1 +1 @@\n", []string{`"f": "++ b/g\n@@ -1 +1 @@\n"`}},
		{"two files", "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n+1\n@@ -8 +9 @@\n+2\n\\ No newline at end of file\ndiff --git a/g b/g\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n+3\n",
			[]string{`"f": "1\n2\n"`, `"g": "3\n"`}},
		{"two commits", strings.Repeat("ab", 20) + "\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n+1\n" + strings.Repeat("cd", 20) + "\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n+2\n",
			[]string{`"f": "1\n"`, `"f": "2\n"`}},
		{"merge", "diff --combined f\nindex 1,2..3\n--- a/f\n+++ b/f\n@@@ -1,1 -1,1 +1,3 @@@\n  both\n++neither\n +ours\n+ theirs\n -gone\n", []string{`"f": "neither\nours\ntheirs\n"`}},
		{"long line taken away", "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-" + long + "\n+new\n", []string{`"f": "new\n"`}},
		{"long line", "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n+" + long + "\n-old\n", []string{fmt.Sprintf("%q: %q", "f", long+"\n")}},
	}
	for _, tt := range tests {
		var got []string
		err := readPatches(strings.NewReader(tt.patch), func(where, text string) { got = append(got, fmt.Sprintf("%s: %q", where, text)) })
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, (-want +got):\n%s", tt.name, err, diff)
		}
	}
	var parts []string
	many := "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n" + strings.Repeat("+"+strings.Repeat("y", 999)+"\n", 3000)
	err := readPatches(strings.NewReader(many), func(_, text string) { parts = append(parts, text) })
	if err != nil || len(parts) < 3 || !strings.HasPrefix(parts[1], parts[0][len(parts[0])-overlap:]) {
		t.Errorf("a long file: %d parts, %v; want several that overlap", len(parts), err)
	}
}
