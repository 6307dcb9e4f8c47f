package lookalike

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

type pageComment struct {
	ID           int64
	Author, When string
	HTML         template.HTML
	Reactions    []string
}

// pageLine is one remark with a verdict: a review, a check or the start of a conversation.
type pageLine struct {
	Author, App, Name, Title, Word, Class, SHA, Where string
	Resolved                                          bool
	HTML                                              template.HTML
}

type diffLine struct{ Class, Text string }

type pageChange struct {
	Path     string
	Add, Del int
	Lines    []diffLine
}

type pagePull struct {
	Head, Base, SHA, Merge   string
	Reviews, Threads, Checks []pageLine
	Commits                  []pageCommit
	Changes                  []pageChange
}

type issuePage struct {
	frame
	Number   int
	State    string
	Draft    bool
	Labels   []string
	Comments []pageComment
	Pull     *pagePull
}

func showIssue(g *GitHub, r *repository, number string) (string, any, error) {
	g.mu.Lock()
	i, err := r.issue(atoi(number))
	g.mu.Unlock()
	if err != nil {
		return "", nil, err
	}
	data := issuePage{}
	if i.pull != nil {
		if data.Pull, err = g.pullPage(r, i); err != nil {
			return "", nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	item := g.item(r, i)
	data.frame, data.Number, data.State, data.Labels = g.frame(r, i.title), i.number, item.State, item.Labels
	data.Comments = append(data.Comments, pageComment{Author: login(i.user), When: i.created.Format(time.DateTime), HTML: g.html(i.body), Reactions: faces(i.reactions)})
	for _, c := range i.comments {
		data.Comments = append(data.Comments, pageComment{ID: c.id, Author: login(c.user), When: c.created.Format(time.DateTime), HTML: g.html(c.body), Reactions: faces(c.reactions)})
	}
	if i.pull != nil {
		data.Draft = i.pull.draft
		g.fillVerdicts(r, i, data.Pull)
	}
	return "issue.html", data, nil
}

func faces(list []*reaction) []string {
	known := map[string]string{"+1": "👍", "-1": "👎", "laugh": "😄", "hooray": "🎉", "confused": "😕", "heart": "❤️", "rocket": "🚀", "eyes": "👀"}
	var out []string
	for _, x := range list {
		out = append(out, known[x.content]+" "+login(x.user))
	}
	return out
}

// pullPage is what a pull request's page takes from git.
func (g *GitHub) pullPage(r *repository, i *issue) (*pagePull, error) {
	base, head, err := g.ends(g.ctx, r, i)
	if err != nil {
		return nil, err
	}
	commits, err := r.dir.log(g.ctx, 250, head, "^"+base, "--")
	if err != nil {
		return nil, err
	}
	slices.Reverse(commits)
	files, err := r.changes(g.ctx, base, head, true)
	if err != nil {
		return nil, err
	}
	p := &pagePull{SHA: head[:9], Commits: pageCommits(commits)}
	for _, f := range files {
		change := pageChange{Path: f.path, Add: f.add, Del: f.del}
		for _, line := range strings.Split(f.patch, "\n") {
			change.Lines = append(change.Lines, diffLine{Class: lineClass(line), Text: line})
		}
		p.Changes = append(p.Changes, change)
	}
	return p, nil
}

func lineClass(line string) string {
	if line == "" {
		return ""
	}
	return map[byte]string{'+': "add", '-': "del", '@': "at"}[line[0]]
}

// fillVerdicts is what it takes from state. g.mu is held.
func (g *GitHub) fillVerdicts(r *repository, i *issue, page *pagePull) {
	p := i.pull
	page.Head, page.Base, page.Merge = p.head, p.base, login(p.mergedBy)
	for _, v := range p.reviews {
		class := map[string]string{"APPROVED": "good", "CHANGES_REQUESTED": "bad"}[v.state]
		page.Reviews = append(page.Reviews, pageLine{Author: login(v.user), Word: strings.ToLower(strings.ReplaceAll(v.state, "_", " ")), Class: class,
			SHA: v.commit[:min(9, len(v.commit))], HTML: g.html(v.body)})
	}
	for _, l := range p.comments {
		page.Threads = append(page.Threads, pageLine{Author: login(l.user), Where: fmt.Sprintf("%s:%d", l.path, l.line), Resolved: l.resolved, HTML: g.html(l.body)})
	}
	for _, run := range r.latestRuns(p.headSHA) {
		line := pageLine{Name: run.name, App: run.app.slug, Word: run.status, Class: "wait"}
		if run.status == "completed" {
			line.Word, line.Class = run.conclusion, map[bool]string{true: "good", false: "bad"}[goodConclusion(run.conclusion)]
		}
		if run.title != nil {
			line.Title = *run.title
		}
		if run.summary != nil {
			line.HTML = g.html(*run.summary)
		}
		page.Checks = append(page.Checks, line)
	}
	for _, s := range r.latestStatuses(p.headSHA) {
		class := map[string]string{"success": "good", "pending": "wait"}[s.state]
		if class == "" {
			class = "bad"
		}
		page.Checks = append(page.Checks, pageLine{Name: s.context, Word: s.state, Class: class, Title: s.description})
	}
}
