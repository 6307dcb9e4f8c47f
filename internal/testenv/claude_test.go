package testenv

import "testing"

func TestClaudeIsThePinnedVersion(t *testing.T) {
	t.Parallel()
	if err := checkClaude(Claude(t)); err != nil {
		t.Error(err)
	}
}

func TestClaudeIsNotFoundInAnEmptyFolder(t *testing.T) {
	t.Parallel()
	if path, err := installedClaude(t.TempDir()); err == nil {
		t.Errorf("found %s in an empty folder", path)
	}
}
