package worktree

import (
	"errors"
	"strings"
	"testing"

	"dozens/batch"
)

func TestSpecCheck(t *testing.T) {
	t.Parallel()
	good := Spec{Repo: batch.Repo{ID: 1}, CloneURL: "https://github.com/o/r.git", Task: "abcd2345", Label: "api-v1.2", Branch: "dozens/api", Base: "main",
		BaseSHA: strings.Repeat("0a", 20)}
	if err := good.check(); err != nil {
		t.Fatalf("good spec refused: %v", err)
	}
	ghes := good
	ghes.CloneURL, ghes.Base, ghes.BaseSHA = "http://ghe.example.com:8443/o/r.git", "release/ü+1", ""
	if err := ghes.check(); err != nil {
		t.Fatalf("good spec refused: %v", err)
	}
	bad := map[string]func(*Spec){
		"label ../":         func(s *Spec) { s.Label = "../x" },
		"label ..":          func(s *Spec) { s.Label = "a..b" },
		"label slash":       func(s *Spec) { s.Label = "a/b" },
		"label dash":        func(s *Spec) { s.Label = "-a" },
		"label dot":         func(s *Spec) { s.Label = ".a" },
		"label lock":        func(s *Spec) { s.Label = "a.lock" },
		"label empty":       func(s *Spec) { s.Label = "" },
		"label long":        func(s *Spec) { s.Label = strings.Repeat("a", 40) },
		"label newline":     func(s *Spec) { s.Label = "a\n" },
		"task ../":          func(s *Spec) { s.Task = "../x" },
		"task empty":        func(s *Spec) { s.Task = "" },
		"task dot":          func(s *Spec) { s.Task = "a.lock" },
		"branch option":     func(s *Spec) { s.Branch = "--upload-pack=x" },
		"branch ..":         func(s *Spec) { s.Branch = "a/../b" },
		"branch colon":      func(s *Spec) { s.Branch = "a:b" },
		"branch plus first": func(s *Spec) { s.Branch = "+a" },
		"branch star":       func(s *Spec) { s.Branch = "a*" },
		"branch lock":       func(s *Spec) { s.Branch = "a.lock/b" },
		"branch HEAD":       func(s *Spec) { s.Branch = "HEAD" },
		"branch reflog":     func(s *Spec) { s.Branch = "a@{1}" },
		"base option":       func(s *Spec) { s.Base, s.BaseSHA = "-x", "" },
		"base empty":        func(s *Spec) { s.Base, s.BaseSHA = "", "" },
		"base sha":          func(s *Spec) { s.BaseSHA = "HEAD" },
		"base sha upper":    func(s *Spec) { s.BaseSHA = strings.Repeat("0A", 20) },
		"pushed":            func(s *Spec) { s.Pushed = "main" },
		"repo":              func(s *Spec) { s.Repo.ID = 0 },
		"url ext":           func(s *Spec) { s.CloneURL = "ext::sh -c date" },
		"url ssh":           func(s *Spec) { s.CloneURL = "ssh://git@github.com/o/r" },
		"url option":        func(s *Spec) { s.CloneURL = "--upload-pack=x" },
		"url scp":           func(s *Spec) { s.CloneURL = "git@github.com:o/r" },
		"url token":         func(s *Spec) { s.CloneURL = "https://x:secret@github.com/o/r" },
		"url quote":         func(s *Spec) { s.CloneURL = `https://github.com/o/"r` },
		"url newline":       func(s *Spec) { s.CloneURL = "https://github.com/o/r\n[core]" },
		"url query":         func(s *Spec) { s.CloneURL = "https://github.com/o/r?token=secret" },
		"url path":          func(s *Spec) { s.CloneURL = "/etc" },
		"url no host":       func(s *Spec) { s.CloneURL = "https:///o/r" },
	}
	for name, change := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good
			change(&s)
			err := s.check()
			if !errors.Is(err, ErrSpec) {
				t.Errorf("check = %v, want ErrSpec", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the credential: %v", err)
			}
		})
	}
}

func TestEnough(t *testing.T) {
	t.Parallel()
	need := size{bytes: 1 << 30, inodes: 10_000}
	tests := []struct {
		name         string
		bytes, nodes uint64
		counts       bool
		want         string // "" fits
	}{
		{"plenty", 10 << 30, 1 << 20, true, ""},
		{"bytes", 1 << 30, 1 << 20, true, "1190 MB, 1024 MB are free"},
		{"inodes", 10 << 30, 10_000, true, "12000 inodes, 10000 are free"},
		{"inodes are not counted", 10 << 30, 0, false, ""},
	}
	for _, tt := range tests {
		err := enough(need, tt.bytes, tt.nodes, tt.counts)
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrDisk) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
