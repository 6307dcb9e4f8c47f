// Package demo is the world that `bot demo` and the end-to-end tests show Dozens: a sample repository whose
// files use an old call, people, a CI that really looks at the files, and reviewers who approve.
package demo

import (
	"fmt"
	"slices"
	"strings"
)

// Request is what the demo's issue asks for.
const Request = "replace fetchUser(id) by userService.get(id)"

// Folders of the sample repository, each with its files that use the old call.
func folders() map[string][]string {
	return map[string][]string{
		"account":  {"title", "avatar", "settings", "badge"},
		"billing":  {"invoice", "address", "reminder", "refund"},
		"catalog":  {"owner", "watchers", "ratings"},
		"orders":   {"summary", "receipt", "tracking", "returns"},
		"profile":  {"card", "header", "timeline", "friends"},
		"reports":  {"daily", "weekly", "export"},
		"support":  {"ticket", "greeting", "escalation", "survey"},
		"warnings": {"limits", "security", "quota"},
	}
}

// Files is the sample repository: a few dozen files that use fetchUser(id).
func Files() map[string]string {
	files := map[string]string{
		"README.md":    "# Shop\n\nA small shop. `fetchUser(id)` is old; use `userService.get(id)`.\n",
		"package.json": "{\n  \"name\": \"shop\",\n  \"type\": \"module\",\n  \"private\": true\n}\n",
		"src/services/user.js": "// Old. Use userService.get(id) of userService.js.\n" +
			"export async function fetchUser(id) {\n  const answer = await fetch(`/api/users/${id}`);\n  return answer.json();\n}\n",
		"src/services/userService.js": "const known = new Map();\n\nexport const userService = {\n  async get(id) {\n" +
			"    if (!known.has(id)) known.set(id, await (await fetch(`/api/users/${id}`)).json());\n    return known.get(id);\n  },\n};\n",
		".github/dozens.yml": "# Settings of Dozens for this repository.\nlimits:\n  parallel: 10\n  start: 1\n",
	}
	for folder, names := range folders() {
		for _, name := range names {
			files["src/"+folder+"/"+name+".js"] = sample(folder, name)
		}
	}
	return files
}

func sample(folder, name string) string {
	title := strings.ToUpper(name[:1]) + name[1:]
	return fmt.Sprintf(`import { fetchUser } from "../services/user.js";

// %s of %s.
export async function %s%s(id) {
  const user = await fetchUser(id);
  return { id, name: user.name, kind: %q };
}
`, title, folder, folder, title, name)
}

// Problems is what the sample's CI finds wrong with a commit's files: each file that uses the new service must
// import it, and no file may use both.
func Problems(files map[string]string) []string {
	var found []string
	for path, text := range files {
		if !strings.HasPrefix(path, "src/") || strings.HasPrefix(path, "src/services/") {
			continue
		}
		uses := strings.Contains(text, "userService.get(")
		if uses && !strings.Contains(text, "import { userService }") {
			found = append(found, path+": userService is used but not imported")
		}
		if uses && strings.Contains(text, "fetchUser(") {
			found = append(found, path+": still calls fetchUser")
		}
	}
	slices.Sort(found)
	return found
}
