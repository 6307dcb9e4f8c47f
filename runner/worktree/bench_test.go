package worktree

import (
	"path/filepath"
	"strconv"
	"testing"
)

// BenchmarkPrepare compares a warm Prepare with what it stands for, one plain `git worktree add`.
func BenchmarkPrepare(b *testing.B) {
	w := newWorld(b)
	w.base = w.commit("main", files(5000))
	w.prepare("warm")
	b.Run("Prepare", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s := w.spec("n" + strconv.Itoa(i) + "-" + strconv.Itoa(b.N))
			if _, err := w.trees.Prepare(b.Context(), s, cred()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := w.trees.Remove(b.Context(), s, false); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("git", func(b *testing.B) {
		dir := b.TempDir()
		for i := 0; b.Loop(); i++ {
			path := filepath.Join(dir, strconv.Itoa(i))
			run(b, w.mirror(), "git", "worktree", "add", "--no-track", "-B", "x"+strconv.Itoa(i), path, w.base)
			b.StopTimer()
			run(b, w.mirror(), "git", "worktree", "remove", "--force", path)
			b.StartTimer()
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			w.prepare("warm")
		}
	})
}

// BenchmarkLook takes one commit and one edit, and then looks again where nothing happened since, with a sandbox and
// without.
func BenchmarkLook(b *testing.B) {
	for _, mode := range modes {
		w := newWorldIn(b, mode)
		w.base = w.commit("main", files(5000))
		tree := w.prepare("warm")
		b.Run(mode+"/work", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w.prepare("warm")
				w.agent(tree, "echo x >> x; git add x; git commit -qm x; echo y >> many/d1/f1.txt")
				b.StartTimer()
				w.look(tree)
			}
		})
		b.Run(mode+"/nothing", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w.prepare("warm")
				b.StartTimer()
				w.look(tree)
			}
		})
	}
}
