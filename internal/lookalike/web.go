package lookalike

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

//go:embed pages/*.html
var pageFiles embed.FS

// pages are the templates of the web pages, which only show.
type pages struct {
	templates *template.Template
	markdown  goldmark.Markdown
	routes    []pageRoute
}

type pageRoute struct {
	path *regexp.Regexp
	show func(*GitHub, *repository, string) (name string, data any, err error)
}

func loadPages() (*pages, error) {
	all, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("load pages: %w", err)
	}
	return &pages{templates: all, markdown: goldmark.New(goldmark.WithExtensions(extension.GFM)), routes: []pageRoute{
		{regexp.MustCompile(`^/([^/]+)/([^/]+)/?$`), showRepo},
		{regexp.MustCompile(`^/([^/]+)/([^/]+)/(issues|pulls)/?$`), showRepo},
		{regexp.MustCompile(`^/([^/]+)/([^/]+)/(?:issues|pull)/(\d+)$`), showIssue},
		{regexp.MustCompile(`^/([^/]+)/([^/]+)/commits/(.+)$`), showCommits},
		{regexp.MustCompile(`^/([^/]+)/([^/]+)/commit/([0-9a-f]{40})$`), showCommits},
	}}, nil
}

// servePage shows a page. Everybody sees every repository here: the pages are for looking at a demo on one's
// own machine.
func (g *GitHub) servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "only looking is possible here", http.StatusMethodNotAllowed)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/avatars/") {
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#8c959f"/></svg>`))
		return
	}
	name, data, err := g.page(r.URL.Path)
	var refused *apiError
	if errors.As(err, &refused) {
		http.Error(w, refused.message, refused.status)
		return
	}
	var out bytes.Buffer
	if err == nil {
		err = g.pages.templates.ExecuteTemplate(&out, name, data)
	}
	if err != nil {
		g.log.Error().Err(err).Str("path", r.URL.Path).Msg("look-alike: page")
		http.Error(w, "Server Error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w) // the reader may have gone
}

// frame is what every page has.
type frame struct {
	Title  string
	Repo   string
	Branch string
}

func (g *GitHub) page(path string) (string, any, error) {
	if path == "/" {
		g.mu.Lock()
		defer g.mu.Unlock()
		var names []string
		for _, key := range sortedKeys(g.repos) {
			names = append(names, g.repos[key].full())
		}
		return "index.html", struct {
			frame
			Repos []string
		}{frame{Title: "Look-alike GitHub"}, names}, nil
	}
	for _, route := range g.pages.routes {
		found := route.path.FindStringSubmatch(path)
		if found == nil {
			continue
		}
		g.mu.Lock()
		full := strings.ToLower(found[1] + "/" + found[2])
		r := g.repos[full]
		if r == nil {
			r = g.repoByID(g.moved[full])
		}
		g.mu.Unlock()
		if r == nil {
			return "", nil, notFound()
		}
		rest := ""
		if len(found) > 3 {
			rest = found[3]
		}
		return route.show(g, r, rest)
	}
	return "", nil, notFound()
}

// html renders Markdown. Raw HTML in it is left out, and links only go where links may.
func (g *GitHub) html(text string) template.HTML {
	var out bytes.Buffer
	if err := g.pages.markdown.Convert([]byte(text), &out); err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>")
	}
	return template.HTML(out.String()) //nolint:gosec // goldmark without "unsafe" writes no HTML of its input
}

func (g *GitHub) frame(r *repository, title string) frame {
	return frame{Title: title, Repo: r.full(), Branch: r.branch}
}

type pageItem struct {
	Number            int
	Title, State, URL string
	Author, Note      string
	Labels            []string
}

type pageList struct {
	Name  string
	Items []pageItem
}

func (g *GitHub) item(r *repository, i *issue) pageItem {
	item := pageItem{Number: i.number, Title: i.title, State: strings.ToLower(graphState(i)), Author: login(i.user),
		URL: fmt.Sprintf("/%s/issues/%d", r.full(), i.number)}
	for _, l := range i.labels {
		item.Labels = append(item.Labels, l.name)
	}
	if i.pull != nil {
		item.URL = fmt.Sprintf("/%s/pull/%d", r.full(), i.number)
		item.Note = i.pull.head
		if i.pull.draft {
			item.Note += ", draft"
		}
	}
	return item
}

func showRepo(g *GitHub, r *repository, only string) (string, any, error) {
	tip, err := r.tip(g.ctx, r.branch)
	if err != nil {
		return "", nil, err
	}
	var files []string
	if tip != "" && only == "" {
		list, err := r.dir.list(g.ctx, tip, "", false)
		if err != nil {
			return "", nil, err
		}
		for _, e := range list {
			files = append(files, e.path+map[bool]string{true: "/"}[e.kind == "tree"])
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	issues, pulls := pageList{Name: "Issues"}, pageList{Name: "Pull requests"}
	numbers := sortedKeys(r.issues)
	for n := len(numbers) - 1; n >= 0; n-- {
		if i := r.issues[numbers[n]]; i.pull != nil {
			pulls.Items = append(pulls.Items, g.item(r, i))
		} else {
			issues.Items = append(issues.Items, g.item(r, i))
		}
	}
	lists := map[string][]pageList{"": {issues, pulls}, "issues": {issues}, "pulls": {pulls}}[only]
	return "repo.html", struct {
		frame
		Lists []pageList
		Files []string
	}{g.frame(r, r.full()), lists, files}, nil
}

type pageCommit struct {
	SHA, Subject, Author, When, Body string
}

func pageCommits(list []gitCommit) []pageCommit {
	var out []pageCommit
	for _, c := range list {
		out = append(out, pageCommit{SHA: c.sha[:9], Subject: c.subject(), Author: c.author.Name, When: c.committer.Time.Format(time.DateTime), Body: c.body()})
	}
	return out
}

func showCommits(g *GitHub, r *repository, ref string) (string, any, error) {
	sha, err := r.dir.resolve(g.ctx, ref)
	if err != nil {
		return "", nil, err
	}
	if sha == "" {
		return "", nil, notFound()
	}
	list, err := r.dir.log(g.ctx, 200, sha, "--")
	if err != nil {
		return "", nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	data := struct {
		frame
		Commits []pageCommit
	}{g.frame(r, "Commits of "+r.full()), pageCommits(list)}
	data.Branch = ref
	return "commits.html", data, nil
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
