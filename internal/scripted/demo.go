package scripted

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dozens/batch/work"
)

// demo does the demo's work: it plans or carries out a migration; a task that asks for something else gets a note
// in a file, so that there is something to look at.
func (a *agent) demo(ctx context.Context) error {
	files, err := a.files(ctx)
	if err != nil {
		return err
	}
	text := a.session.first + "\n" + a.prompt
	migration, ok := ParseMigration(text)
	switch {
	case a.kind == "plan" && ok:
		return a.demoPlan(ctx, migration, files)
	case a.kind == "plan":
		return a.returns(work.PlanOutput{Units: []work.Unit{{
			Label: "change", Title: a.subject(), Brief: a.prompt, OwnedPaths: []string{"**"}, Size: "small",
		}}})
	case ok:
		return a.demoMigrate(ctx, migration, files, text)
	default:
		return a.demoNote(ctx)
	}
}

// files are the paths of the worktree that git knows.
func (a *agent) files(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z")
	cmd.Dir = a.dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}

// read is a file's content; empty when it is no plain file.
func (a *agent) read(file string) string {
	if info, err := os.Lstat(a.path(file)); err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
		return ""
	}
	content, err := os.ReadFile(a.path(file))
	if err != nil {
		return ""
	}
	return string(content)
}

// concerned are the files that the whole migration is about.
func (a *agent) concerned(m Migration, files []string) []string {
	return slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !m.Concerned(f, a.read(f)) })
}

func (a *agent) demoPlan(ctx context.Context, m Migration, files []string) error {
	pace := a.script.pace()
	a.say("I look for the calls of " + m.Old + ".")
	if err := sleep(ctx, pace); err != nil {
		return err
	}
	hits := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !m.Needed(f, a.read(f)) })
	a.use("Grep", map[string]any{"pattern": m.Old + `\(`, "output_mode": "files_with_matches"}, strings.Join(hits, "\n"), false)
	if err := sleep(ctx, pace); err != nil {
		return err
	}
	units := m.Plan(hits)
	a.say(fmt.Sprintf("%d files call it, in %d folders: one unit for each folder.", len(hits), len(units)))
	if err := sleep(ctx, pace); err != nil {
		return err
	}
	return a.returns(work.PlanOutput{Units: units, Notes: fmt.Sprintf("%d files call %s.", len(hits), m.Old)})
}

// demoMigrate carries out one unit of the migration. The unit with the mistake forgets an import on its first run;
// a later run of the session mends what is left to mend.
func (a *agent) demoMigrate(ctx context.Context, m Migration, files []string, text string) error {
	if err := a.mergeWhenAsked(ctx); err != nil {
		return err
	}
	all := a.concerned(m, files)
	own := slices.DeleteFunc(OwnedFiles(text, all), func(f string) bool { return strings.HasPrefix(path.Base(f), ".") })
	mistake := ""
	if a.session.runs == 0 && a.hasMistake(m, all, own) {
		mistake = own[len(own)-1]
	}
	a.say(fmt.Sprintf("My files are %s.", strings.Join(own, ", ")))
	changed, err := a.rewrite(ctx, m, own, files, mistake)
	if err != nil {
		return err
	}
	if changed == 0 && a.session.runs > 0 && strings.Contains(a.prompt, "review") {
		if changed, err = a.touchUp(ctx, m, own); err != nil {
			return err
		}
	}
	verified := "Read through the changed files."
	if mistake == "" {
		if verified, err = a.verify(ctx); err != nil {
			return err
		}
	}
	return a.returns(work.Result{
		Status: work.Done, Verified: verified, Title: fmt.Sprintf("Replace %s by %s in %s", m.Old, m.New, where(own)),
		Summary: fmt.Sprintf("%d of %d files now call `%s` instead of `%s`.", changed, len(own), m.New, m.Old),
	})
}

// hasMistake says whether this unit is the one with the mistake.
func (a *agent) hasMistake(m Migration, all, own []string) bool {
	units := m.Plan(all)
	if a.script.Mistake == "-" || len(units) < 2 || len(own) == 0 {
		return false
	}
	wanted := units[len(units)-1]
	for _, u := range units {
		if u.Label == a.script.Mistake {
			wanted = u
		}
	}
	return slices.Contains(wanted.OwnedPaths, own[0])
}

// rewrite migrates the files and commits, in two commits where there is enough to do. It returns how many changed.
func (a *agent) rewrite(ctx context.Context, m Migration, own, files []string, mistake string) (int, error) {
	changed := 0
	for i, f := range own {
		before := a.read(f)
		after := m.Rewrite(f, before, files, f != mistake)
		if after == before {
			continue
		}
		if err := sleep(ctx, a.script.pace()); err != nil {
			return changed, err
		}
		if err := a.file(Step{Do: Write, Path: f, Text: after}); err != nil {
			return changed, fmt.Errorf("write %s: %w", f, err)
		}
		changed++
		if i == len(own)/2-1 {
			if err := a.commit(ctx, "Call "+m.New+" in the first files of "+where(own)); err != nil {
				return changed, err
			}
		}
	}
	if changed == 0 {
		return 0, nil
	}
	message := "Call " + m.New + " instead of " + m.Old + " in " + where(own)
	if a.session.runs > 0 {
		message = "Add the missing import in " + where(own)
	}
	return changed, a.commit(ctx, message)
}

// commit commits whatever has changed.
func (a *agent) commit(ctx context.Context, message string) error {
	if err := sleep(ctx, a.script.pace()); err != nil {
		return err
	}
	_, err := a.shell(ctx, commandOf(Step{Do: Commit, Text: message}))
	return err
}

// touchUp does something about a request for changes when nothing is wrong: it says in each file what it calls now.
func (a *agent) touchUp(ctx context.Context, m Migration, own []string) (int, error) {
	comment, changed := "// Users come from "+m.New+".", 0
	for _, f := range own {
		content := a.read(f)
		if strings.Contains(content, comment) || path.Ext(f) == ".md" {
			continue
		}
		lines := strings.Split(content, "\n")
		at := 1 + slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "import ") || strings.Contains(l, "require(") })
		content = strings.Join(slices.Insert(lines, at, comment), "\n")
		if err := a.file(Step{Do: Write, Path: f, Text: content}); err != nil {
			return changed, fmt.Errorf("write %s: %w", f, err)
		}
		changed++
	}
	return changed, a.commit(ctx, "Say where users come from, as asked in the review")
}

// baseRef is the commit or branch that a prompt about a conflict names.
var baseRef = regexp.MustCompile(`\b(?:[0-9a-f]{40}|(?:refs/remotes/)?origin/[A-Za-z0-9][\w./-]*\w)\b`)

// mergeWhenAsked merges the base branch when the run's prompt tells of a conflict; what both sides changed, it
// takes from the base and migrates again.
func (a *agent) mergeWhenAsked(ctx context.Context) error {
	if a.session.runs == 0 || !strings.Contains(strings.ToLower(a.prompt), "conflict") {
		return nil
	}
	ref := baseRef.FindString(a.prompt)
	if ref == "" {
		return nil
	}
	_, err := a.shell(ctx, "git merge -q --no-edit -X theirs "+ref)
	return err
}

// checkCommand is how a prompt names the command that checks the work.
var checkCommand = regexp.MustCompile("(?m)^How to verify: run `([^`\n]+)`")

// verify runs the check that the prompt names or the repository has, and says how it went.
func (a *agent) verify(ctx context.Context) (string, error) {
	command := ""
	if m := checkCommand.FindStringSubmatch(a.session.first + "\n" + a.prompt); m != nil {
		command = m[1]
	} else if a.read("check.sh") != "" {
		command = "sh check.sh"
	}
	if command == "" {
		return "Read through the changed files; the repository names no check.", nil
	}
	out, err := a.shell(ctx, command)
	last := bytes.TrimSpace([]byte(out))
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	return fmt.Sprintf("Ran `%s`: %s", command, last), err
}

// demoNote does any other task.
func (a *agent) demoNote(ctx context.Context) error {
	if err := sleep(ctx, a.script.pace()); err != nil {
		return err
	}
	line := a.subject()
	if err := a.file(Step{Do: Append, Path: "NOTES.md", Text: "- " + line + "\n"}); err != nil {
		return fmt.Errorf("write NOTES.md: %w", err)
	}
	if err := a.commit(ctx, "Note: "+line); err != nil {
		return err
	}
	return a.returns(work.Result{Status: work.Done, Summary: "Noted: " + line, Verified: "Read NOTES.md.", Title: line})
}

// returns ends the run with this result.
func (a *agent) returns(result any) error {
	output, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return a.finish(output)
}

// where names the folder of some files.
func where(files []string) string {
	if len(files) == 0 {
		return "no file"
	}
	return folderName(path.Dir(files[0]))
}

// issueTitle is how a prompt names the issue.
var issueTitle = regexp.MustCompile(`(?m)^<issue [^\n]*title=("(?:[^"\\]|\\.)*")`)

// subject says in a few words what the run is about: the issue's title, or the prompt's first line.
func (a *agent) subject() string {
	if m := issueTitle.FindStringSubmatch(a.prompt); m != nil {
		if title, err := strconv.Unquote(m[1]); err == nil && strings.TrimSpace(title) != "" {
			return firstLine(title)
		}
	}
	return firstLine(a.prompt)
}

// firstLine is the first line of a text that has words, at most 72 bytes of it.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		line = strings.Trim(strings.ToValidUTF8(line[:min(len(line), 72)], ""), " \t\r\n#*-")
		if line != "" && line != "Task:" {
			return line
		}
	}
	return "Change"
}
