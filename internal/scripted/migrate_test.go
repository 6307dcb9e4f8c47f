package scripted

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMigration(t *testing.T) {
	t.Parallel()
	want := Migration{Old: "fetchUser", New: "userService.get"}
	for _, text := range []string{
		"Replace `fetchUser(id)` by `userService.get(id)` everywhere.",
		"Please replace every call of fetchUser(id) with userService.get(id)",
		"replace all fetchUser(…) calls with userService.get(…)",
		"Migrate fetchUser(id) to userService.get(id).",
		"A long story.\n\nReplace\n`fetchUser(id, options)`\nby `userService.get(id, options)`",
		want.String(),
	} {
		if got, ok := ParseMigration(text); !ok || got != want {
			t.Errorf("ParseMigration(%q) = %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "Fix the typo in README.md", "Change the title to something nice", "call fetchUser(id)"} {
		if got, ok := ParseMigration(text); ok {
			t.Errorf("ParseMigration(%q) = %v, want none", text, got)
		}
	}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	m := Migration{Old: "fetchUser", New: "userService.get"}
	files := []string{"src/orders/cart.js", "src/services/userService.js", "main.js"}
	tests := map[string]struct {
		file, content, want string
		forget              bool
	}{
		"import put in place of the old one": {
			file:    "src/orders/cart.js",
			content: "import { fetchUser } from \"../api.js\";\n\nexport const a = (id) => fetchUser(id) + fetchUser(2);\n",
			want:    "import { userService } from \"../services/userService.js\";\n\nexport const a = (id) => userService.get(id) + userService.get(2);\n",
		},
		"import put at the top": {
			file: "main.js", content: "console.log(fetchUser(1));\n",
			want: "import { userService } from \"./src/services/userService.js\";\nconsole.log(userService.get(1));\n",
		},
		"require as the file does it": {
			file: "main.js", content: "'use strict'\nconst fs = require('fs')\nfetchUser(1)\n",
			want: "'use strict'\nconst { userService } = require('./src/services/userService.js');\nconst fs = require('fs')\nuserService.get(1)\n",
		},
		"import forgotten": {
			file: "main.js", content: "fetchUser(1)\n", want: "userService.get(1)\n", forget: true,
		},
		"forgotten import mended": {
			file: "main.js", content: "userService.get(1)\n",
			want: "import { userService } from \"./src/services/userService.js\";\nuserService.get(1)\n",
		},
		"imported already": {
			file: "main.js", content: "import { a, userService } from \"./x.js\";\nfetchUser(1)\n",
			want: "import { a, userService } from \"./x.js\";\nuserService.get(1)\n",
		},
		"other names and definitions stay": {
			file: "main.js", content: "function fetchUser(id) {}\nprefetchUser(1)\n// fetchUser(1)\nx.fetchUser(1)\n",
			want: "function fetchUser(id) {}\nprefetchUser(1)\n// fetchUser(1)\nx.fetchUser(1)\n",
		},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.want, m.Rewrite(test.file, test.content, files, !test.forget)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPlanIsOneUnitForEachFolder(t *testing.T) {
	t.Parallel()
	units := Migration{Old: "a", New: "b"}.Plan([]string{"src/users/x.js", "src/users/y.js", "lib/users/x.js", "src/Big Cart/c.js", "main.js"})
	var got []string
	for _, u := range units {
		got = append(got, u.Label)
	}
	want := []string{"big-cart", "lib-users", "root", "src-users"}
	if !slices.Equal(got, want) {
		t.Errorf("labels = %v, want %v", got, want)
	}
	if want := []string{"src/users/x.js", "src/users/y.js"}; !slices.Equal(units[3].OwnedPaths, want) {
		t.Errorf("owned paths = %v, want %v", units[3].OwnedPaths, want)
	}
}

func TestOwnedFiles(t *testing.T) {
	t.Parallel()
	files := []string{"src/a/x.js", "src/a/deep/y.js", "src/b/x.js", "main.js"}
	tests := map[string]struct {
		prompt string
		want   []string
	}{
		"list":        {"Unit in src/b/x.js.\n\nPaths you own:\n- src/a/**\n- main.js\n\nNot src/b/x.js.\n", []string{"src/a/x.js", "src/a/deep/y.js", "main.js"}},
		"sentence":    {"You may change only `src/b/*`.\n\nsrc/a/x.js is of somebody else.", []string{"src/b/x.js"}},
		"folder":      {"You own src/a/", []string{"src/a/x.js", "src/a/deep/y.js"}},
		"mentioned":   {"Look at src/a/x.js.", []string{"src/a/x.js"}},
		"nothing":     {"Do it everywhere.", files},
		"unknown own": {"Paths you own:\n- everything in the repository that the work needs\n", files},
	}
	for name, test := range tests {
		if got := OwnedFiles(test.prompt, files); !slices.Equal(got, test.want) {
			t.Errorf("%s: OwnedFiles = %v, want %v", name, got, test.want)
		}
	}
}
