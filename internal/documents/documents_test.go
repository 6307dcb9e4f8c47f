// Package documents checks the texts of the repository: links lead somewhere, and tests that are named exist. It has no
// code, only these tests.
package documents

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	root := os.DirFS(filepath.Join("..", ".."))
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	seen := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*.md"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllStringSubmatch(string(text), -1) {
				target, _, _ := strings.Cut(m[1], "#")
				if target == "" || strings.Contains(target, "://") {
					continue
				}
				seen++
				if _, err := fs.Stat(root, path.Join(path.Dir(name), target)); err != nil {
					t.Errorf("%s links to %s, which is not there", name, m[1])
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d links seen: this is not the repository", seen)
	}
}

// TestThreatModelNamesRealTests: each test that the threat model names is there, and each row of its tables names one.
func TestThreatModelNamesRealTests(t *testing.T) {
	t.Parallel()
	root := os.DirFS(filepath.Join("..", ".."))
	text, err := fs.ReadFile(root, "docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, ok := strings.Cut(string(text), "\n## Published attacks")
	if !ok {
		t.Fatal("the chapter on published attacks is gone")
	}
	named := regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz|Benchmark)\\w+)`")
	rows := 0
	for line := range strings.Lines(tables) {
		found := named.FindAllStringSubmatch(line, -1)
		if strings.HasPrefix(line, "| ") && !strings.Contains(line, "| tests |") {
			rows++
			if len(found) == 0 {
				t.Errorf("no test in the row %.60s", line)
			}
		}
		for _, m := range found {
			if !hasTest(t, root, m[1], m[2]) {
				t.Errorf("there is no %s in %s", m[2], m[1])
			}
		}
		if rest := named.ReplaceAllString(line, ""); strings.Contains(rest, "`Test") || strings.Contains(rest, ".Test") {
			t.Errorf("a test is named in another form than `folder.TestName`: %s", rest)
		}
	}
	if rows < 40 {
		t.Errorf("%d rows seen: these are not the tables", rows)
	}
}

// hasTest looks for a test in a folder's test files.
func hasTest(t *testing.T, root fs.FS, folder, name string) bool {
	t.Helper()
	files, err := fs.Glob(root, folder+"/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := fs.ReadFile(root, f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
