package scripted

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// session is the conversation so far, as the file that claude would keep.
type session struct {
	path   string
	first  string // prompt of the first run
	runs   int    // begun before this one
	cost   int64  // of earlier runs, millionths of a US dollar
	exists bool
}

// entry is one line of the file.
type entry struct {
	Type         string `json:"type"` // user: a run's prompt; cost: what a run cost
	Prompt       string `json:"prompt,omitempty"`
	CostMicroUSD int64  `json:"cost_micro_usd,omitempty"`
}

// openSession reads the conversation, if there is one in this session's home.
func openSession(home, dir, id string) (*session, error) {
	projects := filepath.Join(home, ".claude", "projects")
	folder := strings.NewReplacer("/", "-", ".", "-").Replace(dir)
	s := &session{path: filepath.Join(projects, folder, id+".jsonl")}
	if found, _ := filepath.Glob(filepath.Join(projects, "*", id+".jsonl")); len(found) > 0 {
		s.path = found[0]
	}
	f, err := os.Open(s.path)
	if os.IsNotExist(err) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open conversation: %w", err)
	}
	defer f.Close()
	s.exists = true
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // half a line, from a run that was killed
		}
		s.cost += e.CostMicroUSD
		if e.Type != "user" {
			continue
		}
		if s.runs == 0 {
			s.first = e.Prompt
		}
		s.runs++
	}
	return s, lines.Err()
}

// add writes one line to the conversation.
func (s *session) add(e entry) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("make folder for the conversation: %w", err)
	}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open conversation: %w", err)
	}
	text, err := json.Marshal(e)
	if err == nil {
		_, err = f.Write(append(text, '\n'))
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
