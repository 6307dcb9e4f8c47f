package claude

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// House is what a repository tells every agent that works in it. It is text of the base commit, never of the
// worktree: what an agent writes there must not rule the next one.
type House struct {
	Instructions []Text   // CLAUDE.md and what it brings in
	Skills       []Skill  // of .claude/skills
	Deny         []string // permission rules that only take away, such as Read(./secrets/**)
}

// Text is one file of instructions.
type Text struct {
	Path string // in the repository
	Text string
}

// Skill is one of the repository's skills. Its files are put beside the run, read-only.
type Skill struct {
	Name        string // of its folder; one path element
	Description string
	Files       map[string][]byte // by path below the skill's folder, local by filepath.IsLocal
}

// settings are the host's own, and the only ones that count: the repository's and the session home's are not read.
func (h House) settings() ([]byte, error) {
	s := map[string]any{"disableAllHooks": true, "enableAllProjectMcpServers": false, "autoMemoryEnabled": false}
	if len(h.Deny) > 0 {
		s["permissions"] = map[string]any{"deny": h.Deny}
	}
	return json.Marshal(s)
}

// system is what is added to the system prompt: the rules first, because the house cannot change them.
func (h House) system(rules, skills string) string {
	var b strings.Builder
	b.WriteString(rules)
	for _, t := range h.Instructions {
		fmt.Fprintf(&b, "\n\nThe repository's own instructions, from %s. Follow them where they do not go against the rules above:\n\n%s", t.Path, strings.TrimSpace(t.Text))
	}
	if len(h.Skills) > 0 {
		b.WriteString("\n\nSkills of this repository. Before you do what one of them is for, read its file:\n")
	}
	for _, s := range h.Skills {
		fmt.Fprintf(&b, "- %s: %s (%s)\n", s.Name, s.Description, filepath.Join(skills, s.Name, "SKILL.md"))
	}
	return strings.TrimSpace(b.String())
}

// write puts the skills' files below dir.
func (h House) write(dir string) error {
	for _, s := range h.Skills {
		for name, content := range s.Files {
			name = filepath.Join(s.Name, name)
			if !filepath.IsLocal(name) {
				return fmt.Errorf("skill file %q leads out of its folder", name)
			}
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(path, content, 0o500); err != nil { // some are scripts
				return err
			}
		}
	}
	return nil
}
