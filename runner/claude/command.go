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

// files are what a run is given beside its arguments. They lie outside of the worktree and the session home, in a
// folder that Reap finds by the run's id. The paths are as the agent sees them.
type files struct {
	dir      string // on the host
	seen     string // the same folder as the agent sees it
	tmp      string // for temporary files
	settings string
	system   string // empty: none
}

// inBox is where a run's files are in its box.
const inBox = "/run/agent"

// tmpInBox is where its temporary files are: on disk. The box's own /tmp is small, in memory, and for sockets.
const tmpInBox = "/run/tmp"

// folderOf is the folder of a run's files. A sandbox takes no path through a link.
func folderOf(runID string) string {
	temp := os.TempDir()
	if real, err := filepath.EvalSymlinks(temp); err == nil {
		temp = real
	}
	return filepath.Join(temp, "dozens-run-"+runID)
}

// writeFiles makes the folder. What a killed run has left of it goes first.
func writeFiles(s Session, boxed bool) (files, error) {
	dir := folderOf(s.RunID)
	f := files{dir: dir, seen: dir, tmp: filepath.Join(dir, "tmp")}
	if boxed {
		f.seen, f.tmp = inBox, tmpInBox
	}
	f.settings = filepath.Join(f.seen, "settings.json")
	f.remove()
	if err := f.write(s); err != nil {
		f.remove()
		return files{}, fmt.Errorf("write the run's files: %w", err)
	}
	return f, nil
}

func (f *files) write(s Session) error {
	// A folder that somebody else has put there instead makes this an error, not a trap.
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(f.dir, "tmp"), 0o700); err != nil {
		return err
	}
	text, err := s.House.settings()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.dir, "settings.json"), text, 0o400); err != nil {
		return err
	}
	if err := s.House.write(filepath.Join(f.dir, "skills")); err != nil {
		return err
	}
	system := s.House.system(rules(s.Order), filepath.Join(f.seen, "skills"))
	if system == "" {
		return nil
	}
	f.system = filepath.Join(f.seen, "system.md")
	return os.WriteFile(filepath.Join(f.dir, "system.md"), []byte(system), 0o400)
}

// rules are the order's, and what the sandbox lets through: a client often hides a proxy's words.
func rules(o work.Order) string {
	if len(o.Egress) == 0 {
		return o.System
	}
	return o.System + "\n\nThese hosts can be reached over HTTPS, by the proxy in the environment, and no others: " + strings.Join(o.Egress, ", ") + "."
}

// sockets is where the program may put its own sockets, whose paths must be short.
func (f files) sockets() string {
	if f.tmp == tmpInBox {
		return "/tmp"
	}
	return f.tmp
}

func (f files) remove() { _ = os.RemoveAll(f.dir) } // a leftover in the temp folder harms nobody

// arguments are claude's for one run. Nothing of them comes from an issue or a repository but the model's name,
// which is checked; texts go by stdin and files.
func arguments(o work.Order, f files, resume, boxed bool) []string {
	args := []string{
		"-p", "--output-format", "stream-json", "--verbose",
		"--setting-sources", "", "--settings", f.settings, "--strict-mcp-config", "--disable-slash-commands",
	}
	if resume {
		args = append(args, "--resume", o.Session)
	} else {
		args = append(args, "--session-id", o.Session)
	}
	switch {
	case o.ReadOnly:
		// Without a word it may read below its folder only; the skills are beside it.
		args = append(args, "--tools", "Read,Grep,Glob", "--allowedTools", "Read(/"+filepath.Join(f.seen, "skills")+"/**)")
	case boxed:
		// The box decides what the agent may do. The program's own questions would only be denied: nobody answers them.
		args = append(args, "--permission-mode", "bypassPermissions")
	default:
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
