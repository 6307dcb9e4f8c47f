package runner

import (
	"context"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"dozens/runner/claude"
	"dozens/runner/worktree"
)

// Bounds of what a repository tells every agent.
const (
	instructionLimit = 64 << 10 // bytes of one file
	instructionFiles = 20
	importDepth      = 5   // as Claude Code follows imports
	importLimit      = 200 // looked for in one file
	skillLimit       = 256 << 10
	skillFiles       = 200
	denyRules        = 100
	descriptionLimit = 500
)

// imported is how instructions bring in another file: "@docs/style.md", at the beginning of a word.
var imported = regexp.MustCompile(`(?m)(?:^|\s)@([A-Za-z0-9_./-]+)`)

var skillName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// reader reads files of the base commit.
type reader struct {
	trees Trees
	ctx   context.Context
	spec  worktree.Spec
}

func (r reader) file(name string, limit int64) ([]byte, error) {
	found, err := r.trees.Files(r.ctx, r.spec, r.spec.BaseSHA, []string{name}, limit)
	return found[name], err
}

// house reads what the repository tells every agent, from the base commit: the worktree's own files may be an agent's.
func (a act) house(spec worktree.Spec) (claude.House, error) {
	r := reader{trees: a.host.opts.Trees, ctx: a.ctx, spec: spec}
	var h claude.House
	if err := r.instructions(&h, []string{"CLAUDE.md", ".claude/CLAUDE.md"}, 0); err != nil {
		return claude.House{}, err
	}
	if err := r.skills(&h); err != nil {
		return claude.House{}, err
	}
	text, err := r.file(".claude/settings.json", instructionLimit)
	h.Deny = denied(text)
	return h, err
}

// instructions adds files and what they import. All that one file imports is asked for at once: much of what looks like an
// import names a package or a person.
func (r reader) instructions(h *claude.House, names []string, depth int) error {
	if depth > importDepth || len(names) == 0 || len(h.Instructions) == instructionFiles {
		return nil
	}
	files, err := r.trees.Files(r.ctx, r.spec, r.spec.BaseSHA, names, instructionLimit)
	if err != nil {
		return err
	}
	for _, name := range names {
		text := files[name]
		if len(text) == 0 || len(h.Instructions) == instructionFiles ||
			slices.ContainsFunc(h.Instructions, func(t claude.Text) bool { return t.Path == name }) {
			continue
		}
		h.Instructions = append(h.Instructions, claude.Text{Path: name, Text: strings.ToValidUTF8(string(text), "")})
		if err := r.instructions(h, imports(name, text), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// imports are the files of the repository that a file of instructions may mean to bring in.
func imports(name string, text []byte) []string {
	var names []string
	for _, m := range imported.FindAllSubmatch(text, importLimit) {
		to := strings.TrimRight(string(m[1]), ".")
		if to = path.Join(path.Dir(name), to); !strings.HasPrefix(to, "../") && !path.IsAbs(string(m[1])) {
			names = append(names, to)
		}
	}
	return names
}

const skillsFolder = ".claude/skills/"

// skills reads the repository's skills with all of their files.
func (r reader) skills(h *claude.House) error {
	names, err := r.trees.ListFiles(r.ctx, r.spec, r.spec.BaseSHA, skillsFolder)
	if err != nil || len(names) == 0 {
		return err
	}
	names = names[:min(len(names), skillFiles)]
	files, err := r.trees.Files(r.ctx, r.spec, r.spec.BaseSHA, names, skillLimit)
	if err != nil {
		return err
	}
	byName := map[string]*claude.Skill{}
	for _, full := range names {
		folder, name, ok := strings.Cut(strings.TrimPrefix(full, skillsFolder), "/")
		if !ok || !skillName.MatchString(folder) || files[full] == nil {
			continue
		}
		s := byName[folder]
		if s == nil {
			s = &claude.Skill{Name: folder, Files: map[string][]byte{}}
			byName[folder] = s
		}
		s.Files[name] = files[full]
	}
	for _, s := range byName {
		if text, ok := s.Files["SKILL.md"]; ok {
			s.Description = described(text)
			h.Skills = append(h.Skills, *s)
		}
	}
	slices.SortFunc(h.Skills, func(a, b claude.Skill) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// described is the description in a skill's front matter, on one line.
func described(text []byte) string {
	rest, ok := strings.CutPrefix(string(text), "---\n")
	front, _, closed := strings.Cut(rest, "\n---")
	var meta struct {
		Description string `yaml:"description"`
	}
	if !ok || !closed || yaml.Unmarshal([]byte(front), &meta) != nil {
		return ""
	}
	return cut(strings.Join(strings.Fields(meta.Description), " "), descriptionLimit)
}

// denied are the permission rules of the repository's settings that only take away. Everything else there is not read:
// hooks, servers, helpers and URLs would act for whoever wrote them.
func denied(text []byte) []string {
	var s struct {
		Permissions struct {
			Deny []string `json:"deny"`
		} `json:"permissions"`
	}
	if len(text) == 0 || json.Unmarshal(text, &s) != nil {
		return nil
	}
	var rules []string
	for _, rule := range s.Permissions.Deny {
		if len(rules) < denyRules && rule != "" && len(rule) <= 200 && !strings.ContainsFunc(rule, func(r rune) bool { return r < ' ' }) {
			rules = append(rules, rule)
		}
	}
	return rules
}
