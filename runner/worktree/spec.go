package worktree

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	labelShape  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,38}$`)
	taskShape   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	branchShape = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+@=#-]{0,199}$`)
	shaShape    = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	urlShape    = regexp.MustCompile(`^[!#-\[\]-~]+$`) // printable ASCII without quotes and backslashes
)

// check refuses what must not become a path, a ref or an argument.
func (s Spec) check() error {
	if s.Repo.ID <= 0 {
		return fmt.Errorf("%w: repository id %d", ErrSpec, s.Repo.ID)
	}
	if err := checkName(s.Label, s.Task); err != nil {
		return err
	}
	if err := checkBranch(s.Branch); err != nil {
		return err
	}
	if s.BaseSHA == "" {
		if err := checkBaseBranch(s.Base); err != nil {
			return err
		}
	} else if !shaShape.MatchString(s.BaseSHA) {
		return fmt.Errorf("%w: base commit %q", ErrSpec, s.BaseSHA)
	}
	if s.Pushed != "" && !shaShape.MatchString(s.Pushed) {
		return fmt.Errorf("%w: pushed commit %q", ErrSpec, s.Pushed)
	}
	_, err := checkURL(s.CloneURL)
	return err
}

func checkName(label, task string) error {
	if !labelShape.MatchString(label) || strings.Contains(label, "..") || strings.HasSuffix(label, ".lock") {
		return fmt.Errorf("%w: label %q", ErrSpec, label)
	}
	if !taskShape.MatchString(task) {
		return fmt.Errorf("%w: task %q", ErrSpec, task)
	}
	return nil
}

// checkBranch is stricter than git: the branches are our own, so no exotic name is needed.
func checkBranch(name string) error {
	if !branchShape.MatchString(name) || !gitAllows(name) || name == "HEAD" {
		return fmt.Errorf("%w: branch %q", ErrSpec, name)
	}
	return nil
}

// checkBaseBranch follows git's own rules, because people chose this name.
func checkBaseBranch(name string) error {
	if len(name) > 250 || !gitAllows(name) {
		return fmt.Errorf("%w: base branch %q", ErrSpec, name)
	}
	return nil
}

// gitAllows follows git check-ref-format for a branch name.
func gitAllows(name string) bool {
	if name == "@" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || strings.ContainsRune("~^:?*[\\\x7f", r) }) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// checkURL accepts a clone URL as GitHub gives it. The errors do not repeat it, as it might hold a credential.
func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || !urlShape.MatchString(raw):
		return nil, fmt.Errorf("%w: clone URL cannot be read", ErrSpec)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return nil, fmt.Errorf("%w: clone URL with more than scheme, host and path", ErrSpec)
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
	case (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && !strings.HasPrefix(u.Host, "-"):
	default:
		return nil, fmt.Errorf("%w: clone URL of scheme %q", ErrSpec, u.Scheme)
	}
	return u, nil
}

// name is the basename of the task's folders and the id of its worktree in the mirror.
func (s Spec) name() string { return s.Label + "-" + s.Task }

func (s Spec) ref() string { return "refs/heads/" + s.Branch }

func (s Spec) kept() string { return "refs/dozens/kept/" + s.Task }
