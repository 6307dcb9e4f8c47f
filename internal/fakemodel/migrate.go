package fakemodel

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"

	"dozens/batch/work"
	"dozens/internal/scripted"
)

// MigrateActor plays a model that plans and carries out the demo's migration with the program's own tools: a planner
// greps and returns units; a coder lists, reads, writes, commits and returns. It remembers where each session
// stands, and gives a repeated request the same answer.
func MigrateActor() Actor {
	m := &migrator{sessions: map[string]*progress{}}
	return m.reply
}

type migrator struct {
	mu       sync.Mutex
	sessions map[string]*progress
}

// progress is where the run of one session stands.
type progress struct {
	step     int
	messages int   // length of the conversation that was answered last
	last     Reply // the answer to it
	files    []string
	own      []string
}

func (m *migrator) reply(r Request) Reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.sessions[r.Session]
	if p == nil {
		p = &progress{}
		m.sessions[r.Session] = p
	}
	if p.messages == len(r.Messages) {
		return p.last
	}
	p.messages = len(r.Messages)
	migration, ok := scripted.ParseMigration(r.Asked())
	switch {
	case !ok:
		p.last = Return(work.Result{Status: work.Blocked, Summary: "I do not understand what is to be replaced."})
	case r.plans():
		p.last = p.plan(r, migration)
	default:
		p.last = p.code(r, migration)
	}
	p.step++
	if len(p.last.Tools) == 1 && p.last.Tools[0].Name == "StructuredOutput" {
		p.step = 0
	}
	return p.last
}

// plans says whether the structured result asked for is a plan.
func (r Request) plans() bool {
	i := slices.IndexFunc(r.Tools, func(t Tool) bool { return t.Name == "StructuredOutput" })
	if i < 0 {
		return false
	}
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	_ = json.Unmarshal(r.Tools[i].InputSchema, &schema) // what cannot be read asks for no plan
	_, planned := schema.Properties["units"]
	return planned
}

func (p *progress) plan(r Request, m scripted.Migration) Reply {
	if p.step == 0 {
		return Use("Grep", map[string]any{"pattern": regexp.QuoteMeta(m.Old + "("), "output_mode": "content", "-n": true})
	}
	hits := callers(latest(r, 1), m)
	return Return(work.PlanOutput{Units: m.Plan(hits), Notes: "One unit for each folder."})
}

func (p *progress) code(r Request, m scripted.Migration) Reply {
	switch p.step {
	case 0:
		return Bash("git ls-files && echo --- && git grep -n -F '" + m.Old + "('")
	case 1:
		listing, found, _ := strings.Cut(latest(r, 1), "---\n")
		p.files = strings.Fields(listing)
		p.own = scripted.OwnedFiles(r.Asked(), callers(found, m))
		if len(p.own) == 0 {
			return Return(work.Result{Status: work.Done, Summary: "There is nothing left to replace."})
		}
		return each(p.own, "Read", func(f string) map[string]any { return map[string]any{"file_path": r.cwd() + "/" + f} })
	case 2:
		contents := r.Results()
		contents = contents[len(contents)-len(p.own):]
		return each(p.own, "Write", func(f string) map[string]any {
			before := unnumbered(contents[slices.Index(p.own, f)].Text)
			return map[string]any{"file_path": r.cwd() + "/" + f, "content": m.Rewrite(f, before, p.files, true)}
		})
	case 3:
		return Bash("git add -A && git commit -q -m 'Call " + m.New + " instead of " + m.Old + "' && git log -1 --format=%H")
	default:
		return Return(work.Result{
			Status: work.Done, Summary: m.String() + ": done.", Verified: "Read the files again.",
			Title: "Replace " + m.Old + " by " + m.New,
		})
	}
}

// each uses one tool for each file, all in one answer.
func each(files []string, tool string, input func(file string) map[string]any) Reply {
	var r Reply
	for _, f := range files {
		r.Tools = append(r.Tools, Call{Name: tool, Input: input(f)})
	}
	return r
}

// latest is the text of the last n results of tools.
func latest(r Request, n int) string {
	results := r.Results()
	var text strings.Builder
	for _, b := range results[max(0, len(results)-n):] {
		text.WriteString(b.Text)
	}
	return text.String()
}

// hit is one line of a search: file, number, content.
var hit = regexp.MustCompile(`(?m)^(?:\./)?([^:\n]+):\d+:(.*)$`)

// callers are the files of a search's lines that call the old function.
func callers(found string, m scripted.Migration) []string {
	var files []string
	for _, match := range hit.FindAllStringSubmatch(found, -1) {
		if m.Needed(match[1], match[2]) && !slices.Contains(files, match[1]) {
			files = append(files, match[1])
		}
	}
	return files
}

// numbered is the number that the Read tool puts before each line.
var numbered = regexp.MustCompile(`(?m)^ *\d+(?:\t|→)`)

func unnumbered(text string) string { return numbered.ReplaceAllString(text, "") }

// workingDir is where the program says that it works.
var workingDir = regexp.MustCompile(`(?i)working directory: (/[^\n]+)`)

// cwd is the program's working directory, as it told the model.
func (r Request) cwd() string {
	if m := workingDir.FindSubmatch([]byte(r.System)); m != nil {
		return strings.TrimSpace(string(m[1]))
	}
	for _, message := range r.Messages {
		for _, b := range message.Content {
			if m := workingDir.FindStringSubmatch(b.Text); m != nil {
				return strings.TrimSpace(m[1])
			}
		}
	}
	return ""
}
