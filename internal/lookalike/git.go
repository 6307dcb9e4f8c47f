package lookalike

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// gitDir is the path of a bare repository.
type gitDir string

// gitError is git's own refusal.
type gitError struct {
	verb   string
	code   int
	stderr string
}

func (e *gitError) Error() string {
	return fmt.Sprintf("git %s: exit %d: %s", e.verb, e.code, strings.TrimSpace(e.stderr))
}

// gitEnv is the environment of every git here: nothing of the user's or the machine's settings.
func gitEnv(extra ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "TZ=UTC"}, extra...)
}

func (d gitDir) run(ctx context.Context, in io.Reader, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir", string(d)}, args...)...)
	cmd.Env = gitEnv(env...)
	cmd.Stdin = in
	cmd.WaitDelay = 2 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return out.Bytes(), &gitError{verb: args[0], code: exit.ExitCode(), stderr: errs.String()}
	}
	if err != nil {
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	return out.Bytes(), nil
}

func (d gitDir) text(ctx context.Context, args ...string) (string, error) {
	out, err := d.run(ctx, nil, nil, args...)
	return strings.TrimSpace(string(out)), err
}

// refused says that git ran and said no, with that exit code.
func refused(err error, code int) bool {
	var g *gitError
	return errors.As(err, &g) && g.code == code
}

func (d gitDir) init(ctx context.Context, branch string) error {
	if _, err := d.run(ctx, nil, nil, "init", "--quiet", "--bare", "--initial-branch="+branch, string(d)); err != nil {
		return err
	}
	config := "[http]\n\treceivepack = true\n\tuploadpack = true\n[receive]\n\thideRefs = refs/pull\n\tautogc = false\n" +
		"[gc]\n\tauto = 0\n[uploadpack]\n\tallowReachableSHA1InWant = true\n\tallowTipSHA1InWant = true\n[transfer]\n\thideRefs = refs/lookalike\n" +
		"[core]\n\tlogAllRefUpdates = false\n\tquotePath = false\n"
	file, err := os.OpenFile(string(d)+"/config", os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(config)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.MkdirAll(string(d)+"/hooks", 0o755); err != nil {
		return err
	}
	return os.WriteFile(string(d)+"/hooks/pre-receive", []byte(preReceive), 0o755)
}

// preReceive refuses what GitHub refuses: workflow files from an App without the permission for it, and
// changes of a protected branch. The two variables come from the request, see githttp.go.
const preReceive = `#!/bin/sh
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
	for closed in $LOOKALIKE_PROTECTED; do
		if [ "$ref" = "$closed" ]; then
			echo "error: GH006: Protected branch update failed for $ref." >&2
			echo "error: Changes must be made through a pull request." >&2
			exit 1
		fi
	done
	if [ -n "$LOOKALIKE_NO_WORKFLOWS" ] && [ "$new" != "$zero" ]; then
		file=$(git log --format= --name-only "$new" --not --all -- .github/workflows | head -n 1)
		if [ -n "$file" ]; then
			printf 'refusing to allow a GitHub App to create or update workflow \140%s\140 without \140workflows\140 permission\n' "$file" >&2
			exit 1
		fi
	fi
done
exit 0
`

const zeroSHA = "0000000000000000000000000000000000000000"

func isSHA(s string) bool {
	if len(s) != 40 {
		return false
	}
	for _, c := range s {
		if !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}

// validBranch says whether git would take the name for a branch.
func validBranch(name string) bool {
	if name == "" || name == "@" || len(name) > 240 || strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") {
		return false
	}
	if strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return strings.IndexFunc(name, func(r rune) bool { return r < 32 }) < 0
}

// refs are all refs by name, without the hidden ones.
func (d gitDir) refs(ctx context.Context, under ...string) (map[string]string, error) {
	out, err := d.text(ctx, append([]string{"for-each-ref", "--format=%(objectname) %(refname)", "--"}, under...)...)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if sha, name, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(name, "refs/lookalike/") {
			refs[name] = sha
		}
	}
	return refs, nil
}

// ref is the object of a full ref name, "" when there is none.
func (d gitDir) ref(ctx context.Context, name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "refs/"); !ok || !validBranch(rest) {
		return "", nil
	}
	out, err := d.text(ctx, "rev-parse", "--verify", "--quiet", name)
	if refused(err, 1) {
		return "", nil
	}
	return out, err
}

func shortSHA() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{7,40}$`) }

// resolve is the commit that a branch, tag, full ref or (abbreviated) commit id names, "" when there is none.
func (d gitDir) resolve(ctx context.Context, name string) (string, error) {
	for _, ref := range []string{"refs/heads/" + name, "refs/tags/" + name, "refs/" + name, name} {
		sha, err := d.ref(ctx, ref)
		if err != nil || sha != "" {
			return d.peel(ctx, sha, err)
		}
	}
	if shortSHA().MatchString(name) {
		return d.peel(ctx, name, nil)
	}
	return "", nil
}

func (d gitDir) peel(ctx context.Context, sha string, err error) (string, error) {
	if err != nil || sha == "" {
		return "", err
	}
	out, err := d.text(ctx, "rev-parse", "--verify", "--quiet", sha+"^{commit}")
	if refused(err, 1) || refused(err, 128) {
		return "", nil
	}
	return out, err
}

// setRef moves a ref from old to sha; old zeroSHA means it must not exist, sha zeroSHA deletes it.
func (d gitDir) setRef(ctx context.Context, ref, sha, old string) error {
	if sha == zeroSHA {
		_, err := d.run(ctx, nil, nil, "update-ref", "-d", ref, old)
		return err
	}
	_, err := d.run(ctx, nil, nil, "update-ref", ref, sha, old)
	return err
}

func (d gitDir) isAncestor(ctx context.Context, a, b string) (bool, error) {
	_, err := d.run(ctx, nil, nil, "merge-base", "--is-ancestor", a, b)
	if refused(err, 1) {
		return false, nil
	}
	return err == nil, err
}

// mergeBase is the best common ancestor, "" when there is none.
func (d gitDir) mergeBase(ctx context.Context, a, b string) (string, error) {
	out, err := d.text(ctx, "merge-base", a, b)
	if refused(err, 1) {
		return "", nil
	}
	return out, err
}

// mergeTree merges two commits without a worktree. ok is false on conflict.
func (d gitDir) mergeTree(ctx context.Context, a, b string) (tree string, ok bool, err error) {
	out, err := d.text(ctx, "merge-tree", "--write-tree", "--no-messages", a, b)
	if refused(err, 1) {
		return "", false, nil
	}
	return out, err == nil, err
}

// pick is the tree of tip with what c changed against its only parent. ok is false on conflict.
func (d gitDir) pick(ctx context.Context, tip string, c gitCommit, by signature) (tree string, ok bool, err error) {
	// merge-tree finds the common commit itself: a commit with tip's files on top of c's parent makes it that parent.
	stand, err := d.commitTree(ctx, tip+"^{tree}", c.parents, by, by, "stand-in")
	if err != nil {
		return "", false, err
	}
	return d.mergeTree(ctx, stand, c.sha)
}

// commitTree writes a commit and returns its id.
func (d gitDir) commitTree(ctx context.Context, tree string, parents []string, author, committer signature, message string) (string, error) {
	args := []string{"commit-tree", tree, "-F", "-"}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	env := append(author.env("AUTHOR"), committer.env("COMMITTER")...)
	out, err := d.run(ctx, strings.NewReader(message), env, args...)
	return strings.TrimSpace(string(out)), err
}

// signature is who wrote or committed something, and when.
type signature struct {
	Name  string
	Email string
	Time  time.Time
}

func (s signature) env(role string) []string {
	return []string{"GIT_" + role + "_NAME=" + s.Name, "GIT_" + role + "_EMAIL=" + s.Email,
		"GIT_" + role + "_DATE=" + strconv.FormatInt(s.Time.Unix(), 10) + " +0000"}
}
