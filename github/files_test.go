package github

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"dozens/batch/gate"
)

// filesOf reads the facts of a pull request that claims so many changed files and lists these.
func filesOf(t *testing.T, claimed int, files []obj) gate.Facts {
	t.Helper()
	p := factPull(sha1)
	p["changed_files"] = claimed
	return readFacts(t, &subject{pulls: []obj{p}, files: files})
}

func TestChangedFiles(t *testing.T) {
	t.Parallel()
	renamed := changed("docs/owners.md", sha1)
	renamed["status"], renamed["previous_filename"] = "renamed", "CODEOWNERS"
	removed := changed(".mcp.json", sha2)
	removed["status"] = "removed"
	f := filesOf(t, 3, []obj{renamed, removed, changed("a.go", sha1)})
	if want := []string{".mcp.json", "CODEOWNERS", "a.go", "docs/owners.md"}; !slices.Equal(f.Files, want) || len(f.Unread) != 0 {
		t.Errorf("got %q, unread %q; want %q, none", f.Files, f.Unread, want)
	}
	many := []obj{}
	for i := range 250 {
		many = append(many, changed(fmt.Sprintf("f%d", i), sha1))
	}
	many[249]["filename"] = ".github/workflows/ci.yml"
	if f := filesOf(t, 250, many); len(f.Files) != 250 || f.Files[0] != ".github/workflows/ci.yml" || len(f.Unread) != 0 {
		t.Errorf("got %d files from %q, unread %q; want all pages", len(f.Files), f.Files[0], f.Unread)
	}
}

// What is not surely the whole list of the head commit's changes blocks, with words.
func TestChangedFilesThatAreNotAll(t *testing.T) {
	t.Parallel()
	three := make([]obj, maxPRFiles)
	for i := range three {
		three[i] = changed(fmt.Sprintf("f%d", i), sha1)
	}
	late := slices.Concat(three[:150:150], []obj{changed("late", sha2)})
	for name, c := range map[string]struct {
		claimed int
		files   []obj
		says    string
	}{
		"fewer than it says": {2, []obj{changed("a", sha1)}, "changed files: 1 of 2"},
		"none of some":       {1, []obj{}, "changed files: 0 of 1"},
		"of another commit":  {1, []obj{changed("a", sha2)}, "the list is of 22222222"},
		"a page of another":  {151, late, "the list is of 22222222"},
		"more than GitHub's": {maxPRFiles + 1, three, "lists no more than 3000 of 3001"},
	} {
		if f := filesOf(t, c.claimed, c.files); len(f.Unread) != 1 || !strings.Contains(f.Unread[0], c.says) {
			t.Errorf("%s: got unread %q, want %q", name, f.Unread, c.says)
		}
	}
}
