package imports

import (
	"cmp"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "dozens"

// rooms says which of our own packages each room may import. A room is a folder and all below it; the longest match
// counts, and what a folder holds may always import itself and below. A room that is not listed may import nothing.
var rooms = map[string][]string{
	"batch":    {},
	"config":   {"batch"},
	"store":    {"batch"},
	"github":   {"batch"},
	"bus":      {"batch"},
	"handlers": {"batch"},
	"runner":   {"batch"},
	// The corridor knows the batch and the two adapters it saves and acts through; the others come as interfaces.
	"flow": {"batch", "config", "store", "github"},
	// Wiring.
	"cmd": {"batch", "config", "store", "github", "bus", "handlers", "runner", "flow", "internal"},
	// The demo world and the tests' doubles stand beside the product. They know its words, not its workings.
	"internal": {"batch", "internal"},
}

// testsOnly may be imported by tests and by each other, and by the demo, which is cmd.
const testsOnly = "internal"

// libraries says which rooms may import a package from outside, or anything below it.
var libraries = map[string][]string{
	"github.com/google/go-github":              {"github"},
	"github.com/bradleyfalzon/ghinstallation":  {"github"},
	"github.com/shurcooL/githubv4":             {"github"},
	"github.com/palantir/go-githubapp":         {"github", "handlers", "config"}, // handlers: its dispatcher; config: its settings
	"github.com/nats-io":                       {"bus"},
	"github.com/riverqueue/river":              {"store", "flow"},
	"github.com/riverqueue/river/riverdriver":  {"store"},
	"github.com/riverqueue/river/rivermigrate": {"store"},
	"modernc.org/sqlite":                       {"store"},
	"database/sql":                             {"store", "flow"}, // flow: only as the name of River's transaction type
	"os/exec":                                  {"runner", "internal"},
	"net/http/cgi":                             {"internal"},
	"log/slog":                                 {"flow"},     // River's logger; zerolog elsewhere
	"testing":                                  {"internal"}, // no test hooks in the product
}

// inTests are libraries that every test may use.
var inTests = []string{"os/exec", "testing", "testing/iotest", "testing/synctest", "database/sql", "net/http/cgi"}

// exceptions are test files that put two rooms together on purpose.
var exceptions = map[string][]string{
	"runner/wire_test.go":   {"dozens/bus"},                                                                // the host is tested on the real wire
	"cmd/bot/bench_test.go": {"github.com/palantir/go-githubapp/githubapp", "github.com/riverqueue/river"}, // measures beside go-githubapp's own queue
}

// pure are packages of the standard library that batch must not use, because they reach outside.
var pure = []string{"os", "io/fs", "net", "net/http", "os/exec", "database/sql", "math/rand", "math/rand/v2", "crypto/rand", "log", "syscall", "embed"}

// source is one Go file and what it imports.
type source struct {
	file    string // relative to the module, slash-separated
	imports []string
}

func (s source) test() bool { return strings.HasSuffix(s.file, "_test.go") }

func TestEveryRoomImportsOnlyWhatItMay(t *testing.T) {
	t.Parallel()
	files := sources(t, filepath.Join("..", ".."))
	if len(files) < 20 {
		t.Fatalf("%d files seen: this is not the module", len(files))
	}
	for _, f := range files {
		for _, problem := range problems(f) {
			t.Error(problem)
		}
	}
}

// The rules are tried on what they forbid, so that a slip in them shows.
func TestRulesForbid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file, imports string
		ok            bool
	}{
		{"batch/task/next.go", "dozens/batch", true},
		{"batch/task/next.go", "dozens/store", false},
		{"batch/task/next.go", "net/http", false},
		{"batch/task/next.go", "time", true},
		{"batch/command/command_test.go", "os", true},
		{"store/tx.go", "dozens/github", false},
		{"store/tx.go", "modernc.org/sqlite", true},
		{"store/tx_test.go", "dozens/internal/testenv", true},
		{"store/tx.go", "dozens/internal/testenv", false},
		{"store/tx_test.go", "dozens/handlers", false},
		{"github/app.go", "github.com/google/go-github/v62/github", true},
		{"handlers/webhook.go", "github.com/google/go-github/v62/github", false},
		{"handlers/webhook.go", "github.com/palantir/go-githubapp/githubapp", true},
		{"flow/flow.go", "dozens/bus", false},
		{"flow/flow.go", "dozens/store", true},
		{"flow/jobs.go", "github.com/riverqueue/river", true},
		{"flow/jobs.go", "github.com/riverqueue/river/riverdriver/riversqlite", false},
		{"flow/merge.go", "os/exec", false},
		{"runner/claude/run.go", "os/exec", true},
		{"runner/claude/run.go", "dozens/runner/worktree", true},
		{"runner/claude/run.go", "dozens/bus", false},
		{"cmd/bot/main.go", "dozens/runner", true},
		{"cmd/bot/main.go", "os/exec", false},
		{"internal/lookalike/git.go", "dozens/github", false},
		{"internal/lookalike/git.go", "dozens/internal/testenv", true},
		{"newroom/x.go", "dozens/batch", false},
		{"config/load.go", "testing", false},
		{"config/load.go", "databases/sql", true},
	} {
		got := problems(source{tt.file, []string{tt.imports}})
		if (len(got) == 0) != tt.ok {
			t.Errorf("%s importing %s: problems %q, want allowed %t", tt.file, tt.imports, got, tt.ok)
		}
	}
}

// problems lists what a file imports and may not, as sentences.
func problems(f source) []string {
	var found []string
	room := roomOf(f.file)
	for _, imported := range f.imports {
		if slices.Contains(exceptions[f.file], imported) {
			continue
		}
		if own, ok := strings.CutPrefix(imported, module+"/"); ok || imported == module {
			if !mayImport(room, own, f.test()) {
				found = append(found, f.file+" imports "+imported+": the room "+room+" may not")
			}
			continue
		}
		if who, ruled := ruleFor(imported); ruled && !slices.Contains(who, room) && (!f.test() || !slices.Contains(inTests, imported)) {
			found = append(found, f.file+" imports "+imported+": who may is: "+cmp.Or(strings.Join(who, ", "), "nobody"))
		}
		if room == "batch" && !f.test() && slices.Contains(pure, imported) {
			found = append(found, f.file+" imports "+imported+": batch is pure")
		}
	}
	return found
}

func roomOf(file string) string {
	room, _, _ := strings.Cut(file, "/")
	return room
}

func mayImport(room, own string, test bool) bool {
	allowed, known := rooms[room]
	if !known {
		return false
	}
	target := roomOf(own)
	return target == room || slices.Contains(allowed, target) || test && target == testsOnly
}

// ruleFor finds the rule of the longest library path that the import is below.
func ruleFor(imported string) (who []string, ruled bool) {
	longest := ""
	for library, rule := range libraries {
		below := imported == library || strings.HasPrefix(imported, library+"/")
		if below && len(library) > len(longest) {
			longest, who, ruled = library, rule, true
		}
	}
	return who, ruled
}

func sources(t *testing.T, root string) []source {
	t.Helper()
	var files []source
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		f := source{file: name}
		for _, spec := range parsed.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, p)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
