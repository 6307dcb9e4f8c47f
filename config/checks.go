package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// checks looks at values that have the right type. A value that could not be read keeps its default, which
// passes, so that nothing is reported twice.
type checks struct {
	problems *problems
	lines    map[string]int
}

func (c *checks) bad(path string, value any, problem, hint string) {
	c.problems.add(path, c.lines[path], fmt.Sprint(value), problem, hint)
}

func (c *checks) repository(r Repository) {
	c.label("labels.claude", r.Labels.Claude)
	c.label("labels.batch", r.Labels.Batch)
	if strings.EqualFold(r.Labels.Claude, r.Labels.Batch) {
		c.bad("labels.batch", r.Labels.Batch, "is the same label as labels.claude", "give them different names")
	}
	c.protectedLabel(r)
	c.oneOf("commands.permission", string(r.Commands.Permission), "read", "triage", "write", "maintain", "admin")
	each(r.Commands.Users, "commands.users", c.login)
	c.oneOf("commands.read", r.Commands.Read, "commanders", Everyone)
	each(r.Base, "base", c.branchGlob)
	c.text("setup", r.Setup, 2_000)
	c.text("verify", r.Verify, 2_000)
	c.text("instructions", r.Instructions, 20_000)
	c.egress(r.Egress)
	each(r.Paths.Protected, "paths.protected", c.protectedGlob)
	each(r.Paths.Shared, "paths.shared", c.pathGlob)
	c.limits(r.Limits)
	c.model("models.plan", r.Models.Plan)
	c.model("models.work", r.Models.Work)
	each(r.Reviewers, "reviewers", c.reviewer)
	c.merge(r.Merge)
}

func (c *checks) limits(l Limits) {
	between(c, "limits.parallel", l.Parallel, 1, 100)
	between(c, "limits.open_pull_requests", l.OpenPullRequests, 1, 100)
	between(c, "limits.units", l.Units, 1, 100)
	between(c, "limits.start", l.Start, 0, 100)
	between(c, "limits.rounds", l.Rounds, 0, 20)
	between(c, "limits.run_time", l.RunTime, time.Minute, 24*time.Hour)
	between(c, "limits.turns", l.Turns, 1, 10_000)
	between(c, "limits.task_usd", l.TaskUSD, 0.01, 100_000)
	between(c, "limits.batch_usd", l.BatchUSD, 0.01, 100_000)
	if l.TaskUSD > l.BatchUSD {
		c.bad("limits.task_usd", l.TaskUSD, fmt.Sprintf("is more than limits.batch_usd (%v)", l.BatchUSD), "lower it, or raise the other")
	}
}

func (c *checks) merge(m Merge) {
	c.oneOf("merge.mode", string(m.Mode), "auto", "shadow", "off")
	c.oneOf("merge.method", m.Method, "squash")
	between(c, "merge.approvals", m.Approvals, 1, 10)
	each(m.ProtectedApprovers, "merge.protected_approvers", c.approver)
	c.oneOf("merge.checks", m.Checks, "all", "none")
	each(m.IgnoreChecks, "merge.ignore_checks", func(path, value string) {
		if strings.TrimSpace(value) == "" {
			c.bad(path, value, "is empty", "write the check's name as GitHub shows it")
		}
		c.text(path, value, 200)
	})
	each(m.HoldLabels, "merge.hold_labels", c.label)
	between(c, "merge.checks_deadline", m.ChecksDeadline, time.Minute, 7*24*time.Hour)
}

// each looks at every element of a list by its own path.
func each(list []string, path string, check func(path, value string)) {
	for i, v := range list {
		check(fmt.Sprintf("%s[%d]", path, i), v)
	}
}

func between[T cmp.Ordered](c *checks, path string, value, low, high T) {
	if value < low || value > high {
		c.bad(path, value, fmt.Sprintf("is not within %v and %v", low, high), "")
	}
}

func (c *checks) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.bad(path, value, "is not possible here", "choose "+strings.Join(allowed, ", "))
	}
}

func (c *checks) label(path, value string) {
	switch {
	case strings.TrimSpace(value) == "" || strings.TrimSpace(value) != value:
		c.bad(path, value, "is empty or begins or ends with a space", "write the label's name as GitHub shows it")
	case utf8.RuneCountInString(value) > 50:
		c.bad(path, value, "is longer than 50 characters, more than GitHub allows", "")
	case strings.ContainsFunc(value, unicode.IsControl):
		c.bad(path, value, "holds a control character", "")
	}
}

// login checks the name of an account, a bot's with [bot] at its end.
func (c *checks) login(path, value string) {
	name := strings.TrimSuffix(value, "[bot]")
	if !isName(name, "-_") || len(name) > 39 {
		c.bad(path, value, "is not the name of an account", "write the login without @, a bot's as name[bot]")
	}
}

func (c *checks) reviewer(path, value string) {
	org, team, isTeam := strings.Cut(value, "/")
	if !isName(org, "-_") || isTeam && !isName(team, "-_.") || len(value) > 140 {
		c.bad(path, value, "is neither a person nor a team", "write login, or organisation/team, without @")
	}
}

// isName accepts ASCII letters and digits, and within the name also the signs.
func isName(s, signs string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune(signs, r)) {
			return false
		}
	}
	return s != ""
}

func (c *checks) model(path, value string) {
	if value != "" && (!isName(value, "-_.:/@[]") || len(value) > 200) {
		c.bad(path, value, "is not the name of a model", "write it as claude --model takes it")
	}
}

func (c *checks) text(path, value string, most int) {
	switch {
	case len(value) > most:
		c.bad(path, value, fmt.Sprintf("is %d bytes long", len(value)), fmt.Sprintf("at most %d are possible", most))
	case !utf8.ValidString(value), strings.ContainsFunc(value, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t'
	}):
		c.bad(path, value, "holds a control character", "")
	}
}

func (c *checks) branchGlob(path, value string) {
	forbidden := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r) || strings.ContainsRune(`~^:\`, r)
	}
	if value == "" || strings.HasPrefix(value, "-") || strings.HasPrefix(value, "refs/") || strings.HasPrefix(value, "/") ||
		strings.Contains(value, "..") || strings.ContainsFunc(value, forbidden) || !doublestar.ValidatePattern(value) {
		c.bad(path, value, "is not the name of a branch, nor a glob of names", "write main or release/*")
	}
}

func (c *checks) pathGlob(path, value string) {
	switch {
	case strings.TrimSpace(value) == "" || strings.HasPrefix(value, "/") || slices.Contains(strings.Split(value, "/"), ".."):
		c.bad(path, value, "is not a path within the repository", "write it from the top folder on, without a leading slash")
	case strings.ContainsFunc(value, unicode.IsControl) || !doublestar.ValidatePattern(value):
		c.bad(path, value, "is not a valid glob", "write src/** or docs/*.md")
	}
}
