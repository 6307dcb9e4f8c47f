package worktree

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// signs maps words of git, libcurl and GitHub to the errors that callers tell apart. Git has no codes for them.
// The first match wins.
func signs() []struct {
	words string
	kind  error
} {
	return []struct {
		words string
		kind  error
	}{
		{"No space left on device", ErrDisk},
		{"Disk quota exceeded", ErrDisk},
		{"Authentication failed", ErrAuth},
		{"could not read Username", ErrAuth},
		{"could not read Password", ErrAuth},
		{"returned error: 401", ErrAuth},
		{"returned error: 403", ErrAuth},
		{"Invalid username or password", ErrAuth},
		{"Invalid username or token", ErrAuth},
		{"Repository not found", ErrGone},
		{"not our ref", ErrGone},
		{"unadvertised object", ErrGone},
		{"couldn't find remote ref", ErrGone},
		{"does not appear to be a git repository", ErrGone},
		{"returned error: 404", ErrGone},
		{"returned error: 410", ErrGone},
	}
}

// explain gives a failure of git its kind and takes any trace of the credential out of its words.
func explain(err error, c Credential) error {
	var f *fault
	if !errors.As(err, &f) || errors.Is(err, ErrUnsafe) || errors.Is(err, ErrTooBig) || errors.Is(err, ErrForeign) {
		return err // what git says of an agent's objects has its kind already
	}
	safe := *f
	safe.words = redact(f.words, c)
	for _, s := range signs() {
		if strings.Contains(f.words, s.words) {
			return fmt.Errorf("%w: %w", s.kind, &safe)
		}
	}
	// git's own sentence for a 404: repository 'URL' not found
	if strings.Contains(f.words, "repository '") && strings.Contains(f.words, "' not found") {
		return fmt.Errorf("%w: %w", ErrGone, &safe)
	}
	for _, code := range []string{"301", "302", "303", "307", "308"} {
		if strings.Contains(f.words, "returned error: "+code) {
			return fmt.Errorf("the clone URL leads elsewhere, and redirects are not followed: %w", &safe)
		}
	}
	return &safe
}

// redact is the last wall: git does not show a credential that came from a helper.
func redact(words string, c Credential) string {
	if c.none() {
		return words
	}
	token := string(c.Password)
	basic := base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + token))
	return strings.NewReplacer(token, "***", basic, "***").Replace(words)
}
