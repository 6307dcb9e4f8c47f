package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dozens/internal/demo"
	"dozens/internal/lookalike"
	"dozens/internal/scripted"
	"dozens/internal/testenv"
)

// Words that stand in every title and body of the test below. A label, and with it a branch and a folder, may have the
// title's word in lower case; as it was written it may be nowhere.
const (
	titleWord = "ZqTitle7"
	bodyWord  = "ZqBody7"
)

// shellWords are texts that would do something if they were taken for more than text; fired is a file that none may make.
func shellWords(fired string) []string {
	return []string{
		"--help " + titleWord,
		"--upload-pack=touch${IFS}" + fired + " " + titleWord,
		"$(touch " + fired + ") `touch " + fired + "` " + titleWord,
		"\"; touch " + fired + "; '; touch " + fired + "; rm -rf ~/" + titleWord,
		"| tee " + fired + " & " + titleWord + " > " + fired,
		"@/etc/passwd " + titleWord,
		titleWord + "\n--force\ntouch " + fired + "\n" + titleWord,
		"../../../" + titleWord + "/../.git/hooks/post-checkout",
		"refs/heads/main:refs/heads/" + titleWord + "@{-1}^{commit}..HEAD",
		strings.Repeat(titleWord+" ", 28),
	}
}

// spied puts programs before git and bubblewrap that write down with which words and variables they were called.
func spied(t *testing.T) (path, spies string) {
	t.Helper()
	path, spies = t.TempDir(), t.TempDir()
	for _, name := range []string{"git", "bwrap"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("#!/bin/sh\n/bin/cat /proc/$$/cmdline /proc/$$/environ >> '%s/%s'.$$\nexec '%s' \"$@\"\n", spies, name, real)
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	return path + ":" + os.Getenv("PATH"), spies
}

// TestTextIsNeverACommand: titles and texts of authorised people, however they are written and whatever they hide, are in
// no command line, variable, file name or branch, neither on the host nor in the agent's box, and nothing of them runs.
func TestTextIsNeverACommand(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	fired := filepath.Join(t.TempDir(), "fired")
	path, spies := spied(t)
	look := `for p in /proc/[0-9]*; do tr '\0' '\n' < $p/cmdline; tr '\0' '\n' < $p/environ; done > ~/seen 2>/dev/null; ps axww >> ~/seen
		find / -not -path '/proc/*' -not -path '/usr/*' -not -path '/sys/*' >> ~/seen 2>/dev/null; git for-each-ref >> ~/seen; git config --list >> ~/seen
		echo better > "src/$(basename "$PWD")"; echo seen > ~/here`
	w := newWorld(t, options{settings: "limits: {parallel: 20, open_pull_requests: 20}\n", env: []string{"PATH=" + path, "DOZENS_SLOTS=20"}, script: code(
		scripted.Step{Do: scripted.Shell, Text: look}, scripted.Step{Do: scripted.WaitFor, Path: goOn}, allDone)})
	var issues []*lookalike.Issue
	for _, words := range shellWords(fired) {
		body := strings.ReplaceAll(words, titleWord, bodyWord)
		body += "\n<!-- " + body + " -->\n\n" + strings.Repeat(bodyWord+"; touch "+fired+" ", 10_000/len(bodyWord))
		issues = append(issues, w.issue(words, body, "claude"))
	}
	commanded := w.issue("Plain", "")
	w.comment(commanded, demo.Requester, "/claude Do it\n$(touch "+fired+") --help "+bodyWord)
	issues = append(issues, commanded)
	w.eventually("all agents have looked", func() bool { return len(w.marks(here)) == len(issues) })
	seen := map[string]string{"an agent": strings.Join(w.marks("seen"), "\n"), "names of files": w.names(t, "data")}
	w.mark(goOn)
	w.eventually("all are published", func() bool { return len(w.Repo.Pulls()) == len(issues) })
	seen["the host"] = contents(t, spies)
	for _, p := range w.Repo.Pulls() {
		seen["branches"] += p.Head + "\n"
		if !regexp.MustCompile(`^dozens/[a-z0-9][a-z0-9._-]*$`).MatchString(p.Head) {
			t.Errorf("branch %q", p.Head)
		}
	}
	for where, text := range seen {
		for _, bad := range []string{titleWord, bodyWord, strings.ToLower(bodyWord), "touch " + fired, ".git/hooks/post-checkout", "IFS"} {
			if at := strings.Index(text, bad); at >= 0 {
				t.Errorf("%s: %q is in\n%q", where, bad, text[max(0, at-300):min(len(text), at+100)])
			}
		}
	}
	if exists(fired) {
		t.Error("something of a text ran")
	}
	for where, control := range map[string]string{"an agent": "--session-id", "names of files": "trees", "the host": "--no-pager", "branches": "dozens/"} {
		if !strings.Contains(seen[where], control) {
			t.Errorf("%s: no %s: the test has not looked at it", where, control)
		}
	}
}

// names lists what lies below a folder of the world.
func (w *world) names(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(filepath.Join(w.dir, folder), func(path string, _ fs.DirEntry, err error) error {
		b.WriteString(path + "\n")
		if os.IsNotExist(err) { // gone meanwhile
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// contents is what stands in the files of a folder.
func contents(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f) //nolint:gosec // a file of ours
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}
