package scripted

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"dozens/batch/work"
)

// Migration is the demo's work: all calls of one function become calls of another, such as fetchUser(…) and
// userService.get(…).
type Migration struct {
	Old string // name of the function that is called now
	New string // name of the one to be called instead, perhaps with its object before a dot
}

// asked finds "replace old(…) by new(…)" in a text, however it is quoted.
var asked = regexp.MustCompile(`(?is)(?:replace|migrate|change)\s.{0,60}?([A-Za-z_$][\w$]*)\([^)\n]*\)\W{0,3}\s+(?:calls?\s+)?(?:by|with|to)\s+(?:calls? (?:of|to)\s+)?\W{0,2}([A-Za-z_$][\w$.]*[\w$])\(`)

// ParseMigration finds what a text asks to be replaced.
func ParseMigration(text string) (Migration, bool) {
	m := asked.FindStringSubmatch(text)
	if m == nil {
		return Migration{}, false
	}
	return Migration{Old: m[1], New: m[2]}, true
}

// String is the migration as a sentence that ParseMigration understands.
func (m Migration) String() string {
	return "Replace every call of `" + m.Old + "(…)` by `" + m.New + "(…)`"
}

// isSource knows the files that the demo's work is about by their endings.
func isSource(file string) bool {
	return slices.Contains([]string{".js", ".mjs", ".ts", ".jsx", ".tsx"}, path.Ext(file))
}

// Needed says whether a file is source code with calls to be replaced.
func (m Migration) Needed(file, content string) bool {
	return isSource(file) && slices.ContainsFunc(strings.Split(content, "\n"), m.calls)
}

// Concerned says whether a file is part of the work, be it still to do or done already.
func (m Migration) Concerned(file, content string) bool {
	done := Migration{Old: m.New, New: m.New}
	return m.Needed(file, content) || done.Needed(file, content)
}

// calls says whether a line calls the old function; one that defines or imports it does not.
func (m Migration) calls(line string) bool {
	at := strings.Index(line, m.Old+"(")
	if at < 0 || (at > 0 && strings.ContainsAny(line[at-1:at], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.")) {
		return false
	}
	before := strings.TrimSpace(line[:at])
	for _, word := range []string{"function", "def", "func", "//", "#", "*"} {
		if strings.HasSuffix(before, word) || (len(word) < 3 && strings.HasPrefix(before, word)) {
			return false
		}
	}
	return true
}

// Rewrite is the file's content with the calls replaced. files are all paths of the repository; withImport
// says whether the import that the new calls need is put in.
func (m Migration) Rewrite(file, content string, files []string, withImport bool) string {
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		if m.calls(line) {
			lines[i] = strings.Replace(line, m.Old+"(", m.New+"(", 1)
			for m.calls(lines[i]) {
				lines[i] = strings.Replace(lines[i], m.Old+"(", m.New+"(", 1)
			}
		}
	}
	rest := strings.Join(lines, "\n")
	object, _, dotted := strings.Cut(m.New, ".")
	if !withImport || !dotted || !strings.Contains(rest, m.New+"(") || imports(lines, object) {
		return rest
	}
	if line := importLine(file, content, object, files); line != "" {
		return withImportLine(lines, m.Old, line)
	}
	return rest
}

// imports says whether a name is imported, required or defined in the file.
func imports(lines []string, name string) bool {
	known := regexp.MustCompile(`\b(?:import|require|const|let|var|from)\b.*\b` + regexp.QuoteMeta(name) + `\b\s*(?:\}|,|=|from|$|;)`)
	return slices.ContainsFunc(lines, func(l string) bool { return known.MatchString(l) && !strings.Contains(l, name+".") })
}

// importLine is the line that brings the object into a file; empty when no file of the repository offers it.
func importLine(file, content, object string, files []string) string {
	at := slices.IndexFunc(files, func(f string) bool {
		return strings.TrimSuffix(path.Base(f), path.Ext(f)) == object && f != file
	})
	if at < 0 {
		return ""
	}
	module := relative(path.Dir(file), files[at])
	quote := `"`
	if strings.Contains(content, "from '") || strings.Contains(content, "require('") {
		quote = "'"
	}
	if ext := path.Ext(module); strings.HasPrefix(ext, ".ts") {
		module = strings.TrimSuffix(module, ext)
	}
	if strings.Contains(content, "require(") {
		return "const { " + object + " } = require(" + quote + module + quote + ");"
	}
	return "import { " + object + " } from " + quote + module + quote + ";"
}

// relative is the path of a file seen from a folder, as imports write it.
func relative(from, to string) string {
	up := ""
	for from != "." && !strings.HasPrefix(to, from+"/") {
		up += "../"
		from = path.Dir(from)
	}
	if from != "." {
		to = strings.TrimPrefix(to, from+"/")
	}
	if up == "" {
		up = "./"
	}
	return up + to
}

// withImportLine puts an import in the place of the old function's, or else at the top.
func withImportLine(lines []string, old, line string) string {
	oldImport := regexp.MustCompile(`^\s*(?:import|const)\s*\{\s*` + regexp.QuoteMeta(old) + `\s*\}\s*(?:from|=)`)
	at := slices.IndexFunc(lines, oldImport.MatchString)
	if at >= 0 {
		lines[at] = line
	} else {
		top := 0
		if strings.HasPrefix(lines[0], "#!") || strings.HasPrefix(lines[0], `"use strict"`) || strings.HasPrefix(lines[0], `'use strict'`) {
			top = 1
		}
		lines = slices.Insert(lines, top, line)
	}
	return strings.Join(lines, "\n")
}

// Plan groups the files of the work by folder: one unit each, in the order of their labels.
func (m Migration) Plan(files []string) []work.Unit {
	byFolder := map[string][]string{}
	for _, f := range files {
		byFolder[path.Dir(f)] = append(byFolder[path.Dir(f)], f)
	}
	var units []work.Unit
	for folder, own := range byFolder {
		slices.Sort(own)
		label := label(folder, byFolder)
		size := "small"
		if len(own) > 4 {
			size = "medium"
		}
		units = append(units, work.Unit{
			Label: label, Title: "Replace " + m.Old + " by " + m.New + " in " + folderName(folder),
			Brief:      m.String() + " in the files of " + folderName(folder) + ", and add the import where it is missing. Change nothing else.",
			OwnedPaths: own, Size: size,
		})
	}
	slices.SortFunc(units, func(a, b work.Unit) int { return strings.Compare(a.Label, b.Label) })
	return units
}

// notLabel is what a label does not have.
var notLabel = regexp.MustCompile(`[^a-z0-9]+`)

// label names a folder's unit: by its last part, or by all of it where two folders end alike.
func label(folder string, all map[string][]string) string {
	if folder == "." {
		return "root"
	}
	name := path.Base(folder)
	for other := range all {
		if other != folder && path.Base(other) == name {
			name = folder
		}
	}
	name = strings.Trim(notLabel.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if name == "" {
		return "unit"
	}
	return name[:min(len(name), 38)]
}

func folderName(folder string) string {
	if folder == "." {
		return "the root folder"
	}
	return folder
}

// word is something in a text that could be a path or a glob.
var word = regexp.MustCompile("[^\\s`'\",;()<>]+")

// owned is the list of the paths that a prompt of Dozens gives to the agent.
var owned = regexp.MustCompile(`(?im)^paths you own:\n(?:- [^\n]*\n?)+`)

// section is where any other prompt says what may be changed, up to the next empty line.
var section = regexp.MustCompile(`(?is)\b(?:own(?:ed)?|may change|only change|allowed)\b[^\n]*(?:\n?[^\n]+)*`)

// OwnedFiles are the files among those of the repository that a prompt names as the ones to be changed: those in
// the passage that speaks of them, or else those named anywhere, or else all.
func OwnedFiles(prompt string, files []string) []string {
	texts := append(owned.FindAllString(prompt, -1), section.FindAllString(prompt, -1)...)
	for _, text := range append(texts, prompt) {
		if named := namedFiles(text, files); len(named) > 0 {
			return named
		}
	}
	return files
}

func namedFiles(text string, files []string) []string {
	patterns := word.FindAllString(text, -1)
	return slices.DeleteFunc(slices.Clone(files), func(f string) bool {
		return !slices.ContainsFunc(patterns, func(p string) bool {
			p = strings.TrimRight(strings.TrimPrefix(p, "./"), ".:")
			if p == "" || p == "." || !strings.ContainsAny(p, "/.*") {
				return false
			}
			ok, err := doublestar.Match(strings.TrimSuffix(p, "/"), f)
			return err == nil && ok || strings.HasSuffix(p, "/") && strings.HasPrefix(f, p)
		})
	})
}
