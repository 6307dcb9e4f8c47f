package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A tree of any depth goes, closed folders too, and no link is followed.
func TestDeleteAll(t *testing.T) {
	t.Parallel()
	kept := t.TempDir()
	mine := filepath.Join(kept, "mine")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tree")
	script := `mkdir tree && cd tree && mkdir closed && echo x > closed/x && ln -s ` + kept + ` closed/link && ln -s ` + kept + ` link && mkfifo pipe && chmod 000 closed
perl -e 'for (1..3000) { mkdir "d" or die; chdir "d" or die } open my $f, ">", "x"; chmod 0, "."'`
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = filepath.Dir(dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := DeleteAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	if err := DeleteAll(dir); err != nil {
		t.Errorf("what is gone: %v", err)
	}
}
