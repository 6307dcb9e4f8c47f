package worktree

import (
	"strings"
	"testing"
)

// What an agent commits in somebody's name, or with words that act, is published by our identity and without them.
func TestLookRewritesCommits(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, w *world) {
		w.commit("main", map[string]string{"other.txt": "x\n"})
		tree := w.prepare("auth")
		theirs := w.commit("main", map[string]string{"more.txt": "theirs\n"})
		if _, err := w.trees.Prepare(t.Context(), Spec{Repo: tree.Repo, CloneURL: tree.CloneURL, Task: "second", Label: "second", Branch: "dozens/second", Base: "main", BaseSHA: theirs}, cred()); err != nil {
			t.Fatal(err) // brings the server's new commit into the mirror
		}
		w.agent(tree, `echo a > a; git add a; GIT_AUTHOR_NAME='Linus <x' GIT_AUTHOR_EMAIL=linus@example.com GIT_AUTHOR_DATE='1700000000 +0100' git commit -qm 'Add a, fixes #1

cc @admin'
git merge -q --no-edit `+theirs+`
echo b > b; git add b; git commit -qm 'Add b'`)
		clean := func(message string) string { return strings.NewReplacer("fixes #1", "", "@admin", "").Replace(message) }
		o := CommitOptions{Name: "Bot", Email: "bot@example.com", Clean: clean}
		look, err := w.trees.Look(t.Context(), tree, o)
		if err != nil {
			t.Fatal(err)
		}
		log := run(t, w.mirror(), "git", "log", "--format=%H %an %ae %cn %at %B", look.Head, "^"+tree.BaseSHA)
		for _, bad := range []string{"Linus", "fixes #1", "@admin"} {
			if strings.Contains(log, bad) {
				t.Errorf("%q is published:\n%s", bad, log)
			}
		}
		if !strings.Contains(log, theirs) || !strings.Contains(log, "Bot bot@example.com Bot 1700000000") || strings.Count(log, "Bot bot@example.com") != 3 {
			t.Errorf("want our identity on three commits, and the server's commit %s as it is:\n%s", theirs, log)
		}
		if head := w.agent(tree, "git rev-parse HEAD; git status --porcelain"); strings.TrimSpace(head) != look.Head {
			t.Errorf("the agent goes on at %q, want %s and a clean worktree", head, look.Head)
		}
		w.agent(tree, "echo c > c; git add c; git commit -qm 'Add c'")
		again, err := w.trees.Look(t.Context(), tree, o)
		if err != nil {
			t.Fatal(err)
		}
		if parent := strings.TrimSpace(run(t, w.mirror(), "git", "rev-parse", again.Head+"^")); parent != look.Head {
			t.Errorf("the second look rewrote what the first had taken: parent %s, want %s", parent, look.Head)
		}
		if err := w.trees.Push(t.Context(), tree, again.Head, "", cred()); err != nil {
			t.Error(err)
		}
	})
}
