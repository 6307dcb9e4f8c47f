package claude

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"dozens/batch/work"
)

// goOn is what a session is told that goes on without anything new.
const goOn = "Go on with the task."

// settings are the host's own, and the only ones that count: the repository's and the session home's are not read.
const settings = `{"disableAllHooks": true, "enableAllProjectMcpServers": false}`

// files are what a run is given beside its arguments, and its temp folder. They lie outside of the worktree and the
// session home, in a folder that Reap finds by the run's id.
type files struct {
	dir      string
	tmp      string
	settings string
	system   string // empty: none
}

// folderOf is the folder of a run's files.
func folderOf(runID string) string { return filepath.Join(os.TempDir(), "dozens-run-"+runID) }

func writeFiles(runID string, o work.Order) (files, error) {
	dir := folderOf(runID)
	f := files{dir: dir, tmp: filepath.Join(dir, "tmp"), settings: filepath.Join(dir, "settings.json")}
	f.remove() // of the same run before a crash
	// A folder that somebody else has put there instead makes this an error, not a trap.
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = os.Mkdir(f.tmp, 0o700)
	}
	if err == nil {
		err = os.WriteFile(f.settings, []byte(settings), 0o400)
	}
	if err == nil && o.System != "" {
		f.system = filepath.Join(dir, "system.md")
		err = os.WriteFile(f.system, []byte(o.System), 0o400)
	}
	if err != nil {
		f.remove()
		return files{}, fmt.Errorf("write the run's files: %w", err)
	}
	return f, nil
}

func (f files) remove() { _ = os.RemoveAll(f.dir) } // a leftover in the temp folder harms nobody

// arguments are claude's for one run. Nothing of them comes from an issue or a repository but the model's name,
// which is checked; texts go by stdin and files.
func arguments(o work.Order, f files, resume bool) []string {
	args := []string{
		"-p", "--output-format", "stream-json", "--verbose",
		"--setting-sources", "", "--settings", f.settings, "--strict-mcp-config", "--disable-slash-commands",
	}
	if resume {
		args = append(args, "--resume", o.Session)
	} else {
		args = append(args, "--session-id", o.Session)
	}
	if o.ReadOnly {
		args = append(args, "--tools", "Read,Grep,Glob")
	} else {
		// Bash may do everything; file tools may write in the worktree. This works for every user, root included.
		args = append(args, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
	}
	if f.system != "" {
		args = append(args, "--append-system-prompt-file", f.system)
	}
	if len(o.Schema) > 0 {
		args = append(args, "--json-schema", string(o.Schema))
	}
	if o.Limits.Turns > 0 {
		args = append(args, "--max-turns", strconv.Itoa(o.Limits.Turns))
	}
	if o.Limits.CostMicroUSD > 0 {
		args = append(args, "--max-budget-usd", dollars(o.Limits.CostMicroUSD))
	}
	if o.Model != "" {
		args = append(args, "--model", o.Model)
	}
	return args
}

// prompt is what the agent is told on its stdin.
func prompt(o work.Order, resume bool) string {
	text := o.Brief
	switch {
	case resume && o.Prompt == "":
		text = goOn
	case resume:
		text = o.Prompt
	case o.Prompt != "":
		text += "\n\n" + o.Prompt
	}
	// A text that begins with a slash would be taken for a command of the program instead of one for the model.
	first, _ := utf8.DecodeRuneInString(strings.TrimSpace(text))
	if !unicode.IsLetter(first) {
		text = "Task:\n\n" + text
	}
	return text
}
