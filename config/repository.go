package config

import (
	"reflect"
	"time"
)

// Repository is what a repository says in its .github/dozens.yml, read from the base branch.
type Repository struct {
	// Names of the labels that start work when somebody who may command puts them on an issue.
	Labels Labels `yaml:"labels"`
	// Who may command.
	Commands Commands `yaml:"commands"`
	// Branches that pull requests may go to, as globs such as release/*. Empty: only the default branch.
	Base []string `yaml:"base"`
	// Shell command that makes a fresh checkout ready for work, such as npm ci. Read and checked, not used yet.
	Setup string `yaml:"setup"`
	// Shell command that tests a change, such as make test. The agent is told to run it before it ends.
	Verify string `yaml:"verify"`
	// Rules of the house that every agent is told.
	Instructions string `yaml:"instructions"`
	// Hosts that agents may reach, beside the model: registry.npmjs.org, proxy.example.com:8443 or *.example.com, at most
	// 50. Port 443 where none is named. Empty: none.
	Egress []string `yaml:"egress"`
	// Paths with rules of their own.
	Paths Paths `yaml:"paths"`
	// How much may be done and spent.
	Limits Limits `yaml:"limits"`
	// Models of the agents.
	Models Models `yaml:"models"`
	// People (login) and teams (organisation/team) who are asked to review. Empty: nobody is asked.
	Reviewers []string `yaml:"reviewers"`
	// When and how pull requests are merged.
	Merge Merge `yaml:"merge"`
}

// Labels names the labels that start work, and the one that marks it.
type Labels struct {
	// The label that has an issue done as one task.
	Claude string `yaml:"claude"`
	// The label that has an issue planned and done by many agents.
	Batch string `yaml:"batch"`
	// The label on pull requests that change protected paths. It is for people: taking it off changes nothing.
	Protected string `yaml:"protected"`
}

// Commands says who may command.
type Commands struct {
	// Lowest permission on the repository that may command: read, triage, write, maintain or admin.
	Permission Permission `yaml:"permission"`
	// Logins that may command whatever their permission is; bots (such as renovate[bot]) only this way.
	Users []string `yaml:"users"`
	// Whose issues agents may read: commanders, the issues of those who may command, or everyone. Who may not command
	// cannot start work in either case.
	Read string `yaml:"read"`
}

// Everyone is the value of commands.read with which agents read issues of people who may not command.
const Everyone = "everyone"

// Permission is a level of access to a repository, in GitHub's words.
type Permission string

// Rank orders permissions: none and unknown words 0, then read 1, triage 2, write 3, maintain 4, admin 5.
func (p Permission) Rank() int {
	switch p {
	case "read":
		return 1
	case "triage":
		return 2
	case "write":
		return 3
	case "maintain":
		return 4
	case "admin":
		return 5
	}
	return 0
}

// Paths are globs of paths with rules of their own.
type Paths struct {
	// Paths whose change needs the approval of a named person (merge.protected_approvers) beyond what every pull request
	// needs, whatever their case. This file always belongs to them. A list replaces the default, so repeat what should
	// stay; lock and CI files are worth adding, such as **/package-lock.json, **/go.sum, **/Cargo.lock, **/poetry.lock,
	// .gitlab-ci.yml, .circleci/**, **/Jenkinsfile, **/Dockerfile, Makefile.
	Protected []string `yaml:"protected"`
	// Paths that several tasks need, such as a changelog; no task owns them. Read and checked, not used yet.
	Shared []string `yaml:"shared"`
}

// Limits bound the work of one batch and the repository's open pull requests.
type Limits struct {
	// Tasks of a batch that run at the same time, 1 to 100.
	Parallel int `yaml:"parallel"`
	// Pull requests of Dozens that may be open at the same time, 1 to 100. Read and checked, not held yet.
	OpenPullRequests int `yaml:"open_pull_requests"`
	// Units of a plan, 1 to 100.
	Units int `yaml:"units"`
	// Plans with up to so many units start without /go, 0 to 100.
	Start int `yaml:"start"`
	// Times that a task is sent back for red checks, reviews and conflicts before a person is asked, 0 to 20.
	Rounds int `yaml:"rounds"`
	// Length of one run of an agent, 1m to 24h.
	RunTime time.Duration `yaml:"run_time"`
	// Turns of the model in one run, 1 to 10000.
	Turns int `yaml:"turns"`
	// Most that a task may cost, in US dollars, 0.01 to 100000.
	TaskUSD float64 `yaml:"task_usd"`
	// Most that a batch may cost, in US dollars, 0.01 to 100000.
	BatchUSD float64 `yaml:"batch_usd"`
}

// Models names models as the claude CLI knows them.
type Models struct {
	// Model that plans. Empty: the host's own.
	Plan string `yaml:"plan"`
	// Model that does the tasks. Empty: the host's own.
	Work string `yaml:"work"`
}

// MergeMode says whether pull requests are merged.
type MergeMode string

// The merge modes.
const (
	Auto   MergeMode = "auto"   // merged when the gate says so
	Shadow MergeMode = "shadow" // only said what would be done
	Off    MergeMode = "off"
)

// Merge says when and how pull requests are merged.
type Merge struct {
	// auto merges when everything is green and approved, shadow only says what it would do, off does neither.
	Mode MergeMode `yaml:"mode"`
	// How the commits are put on the base branch; only squash is there.
	Method string `yaml:"method"`
	// Approvals of the head commit that are needed, 1 to 10.
	Approvals int `yaml:"approvals"`
	// Whether the approval of the person who asked for the work counts; for repositories of one person.
	RequesterApproval bool `yaml:"requester_approval"`
	// Logins of the people one of whom must approve a change of protected paths; they need write access too. Teams cannot
	// be named: the App does not read who is in them. Empty: people with admin permission.
	ProtectedApprovers []string `yaml:"protected_approvers"`
	// all: every check must be good and there must be one. none: a commit without any check is green too.
	Checks string `yaml:"checks"`
	// Names of checks that do not count.
	IgnoreChecks []string `yaml:"ignore_checks"`
	// Labels that keep a pull request from being merged; do-not-merge/… always does.
	HoldLabels []string `yaml:"hold_labels"`
	// Whether the branch of a merged pull request is deleted.
	DeleteBranch bool `yaml:"delete_branch"`
	// How long checks are waited for before a person is told which is missing, 1m to 168h.
	ChecksDeadline time.Duration `yaml:"checks_deadline"`
}

// DefaultRepository is what holds where a repository says nothing.
func DefaultRepository() Repository {
	return Repository{
		Labels:   Labels{Claude: "claude", Batch: "batch", Protected: "dozens:protected"},
		Commands: Commands{Permission: "write", Read: "commanders"},
		Paths: Paths{Protected: []string{
			".github/**", "CODEOWNERS", "docs/CODEOWNERS", // who reviews, what CI does, and these settings
			"**/.claude/**", "**/.mcp.json", "**/CLAUDE.md", "**/AGENTS.md", // what later agents are told
			".gitmodules", "**/.gitattributes", // what git itself does
		}},
		Limits: Limits{
			Parallel: 3, OpenPullRequests: 5, Units: 30, Start: 1, Rounds: 3,
			RunTime: 30 * time.Minute, Turns: 200, TaskUSD: 5, BatchUSD: 50,
		},
		Merge: Merge{
			Mode: Auto, Method: "squash", Approvals: 1, Checks: "all",
			HoldLabels: []string{"hold", "do-not-merge"}, DeleteBranch: true, ChecksDeadline: 2 * time.Hour,
		},
	}
}

// ParseRepository reads a repository's settings over the defaults; nothing at all gives DefaultRepository. The
// error is an *Error with every problem. The settings are then not to be used.
func ParseRepository(b []byte) (Repository, error) {
	r := DefaultRepository()
	p := problems{}
	f := filler{problems: &p, lines: map[string]int{}}
	if n := parse(b, FileName, &p); n != nil {
		f.fill(n, reflect.ValueOf(&r).Elem(), "")
	}
	c := checks{problems: &p, lines: f.lines}
	c.repository(r)
	if err := p.err(); err != nil {
		return Repository{}, err
	}
	return r, nil
}
