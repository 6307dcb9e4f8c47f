package lookalike

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"sort"
	"strings"
)

// Deleted as a file's content in PushTo, PushAs or CreateRepo means: no such file any more.
const Deleted = "\x00deleted"

// commitFiles writes a commit that changes files on top of parent ("" for none) and returns its id. A file
// that begins with "#!" is executable. No branch moves.
func (d gitDir) commitFiles(ctx context.Context, parent string, files map[string]string, by signature, message, id string) (string, error) {
	var in bytes.Buffer
	tmp := "refs/lookalike/new-" + id
	fmt.Fprintf(&in, "feature done\ncommit %s\nmark :1\nauthor %s\ncommitter %s\ndata %d\n%s\n", tmp, by.line(), by.line(), len(message), message)
	if parent != "" {
		fmt.Fprintf(&in, "from %s\n", parent)
	}
	if err := importFiles(&in, files); err != nil {
		return "", err
	}
	in.WriteString("\nget-mark :1\ndone\n")
	out, err := d.run(ctx, &in, nil, "fast-import", "--quiet", "--force", "--date-format=raw")
	if err != nil {
		return "", err
	}
	sha := strings.TrimSpace(string(out))
	if !isSHA(sha) {
		return "", fmt.Errorf("git fast-import: no commit: %q", sha)
	}
	// The temporary ref goes; the objects stay, because nothing collects them here.
	return sha, d.setRef(ctx, tmp, zeroSHA, sha)
}

func (s signature) line() string {
	clean := strings.NewReplacer("<", "", ">", "", "\n", " ")
	return fmt.Sprintf("%s <%s> %d +0000", clean.Replace(s.Name), clean.Replace(s.Email), s.Time.Unix())
}

func importFiles(in *bytes.Buffer, files map[string]string) error {
	names := make([]string, 0, len(files))
	for name := range files {
		if name == "" || path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "../") || strings.ContainsAny(name, "\n\x00") {
			return fmt.Errorf("write %q: not a path inside the repository", name)
		}
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		content := files[name]
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
		if content == Deleted {
			fmt.Fprintf(in, "D %s\n", quoted)
			continue
		}
		mode := "100644"
		if strings.HasPrefix(content, "#!") {
			mode = "100755"
		}
		fmt.Fprintf(in, "M %s inline %s\ndata %d\n%s\n", mode, quoted, len(content), content)
	}
	return nil
}
