package lookalike

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"
)

// obj is a JSON object.
type obj = map[string]any

// account is a person, a bot or an organization.
type account struct {
	id      int64
	login   string
	kind    string // User, Bot, Organization
	name    string
	email   string
	secret  string // a person's token; works for REST and git
	created time.Time
}

// application is a GitHub App: ours, or one that only reports checks.
type application struct {
	id      int64
	slug    string
	name    string
	owner   *account
	bot     *account
	created time.Time
}

// installation is our App on one owner's repositories.
type installation struct {
	id        int64
	owner     *account
	created   time.Time
	suspended time.Time // zero: it works
	by        *account  // who suspended it
}

type label struct {
	id          int64
	name, color string
	description string
}

type reaction struct {
	id      int64
	content string
	user    *account
	created time.Time
}

type comment struct {
	id        int64
	user      *account
	app       *application // when an App wrote it
	body      string
	created   time.Time
	updated   time.Time
	reactions []*reaction
}

// issue is an issue or, with pull set, a pull request: on GitHub both share numbers, labels and comments.
type issue struct {
	id        int64
	number    int
	title     string
	body      string
	user      *account
	app       *application
	open      bool
	reason    string // of the state: completed, not_planned, reopened, duplicate
	created   time.Time
	updated   time.Time
	closed    time.Time
	closedBy  *account
	labels    []*label
	assignees []*account
	comments  []*comment
	reactions []*reaction
	locked    bool
	pull      *pull
}

type pull struct {
	id        int64
	base      string // branch
	head      string // branch
	baseSHA   string // base branch's commit when the pull request was opened or last pushed to
	headSHA   string
	headGone  bool // the head branch was deleted
	draft     bool
	merged    bool
	mergedAt  time.Time
	mergedBy  *account
	mergeSHA  string // the merge, or the test merge of an open one
	diffBase  string // commit to show the difference from, once merged
	requested []*account
	reviews   []*review
	comments  []*lineComment
	mergeKey  string // base and head commit that mergeability was asked for
	nullLeft  int    // reads that still answer null for mergeKey
	stats     pullStats
}

type review struct {
	id      int64
	user    *account
	app     *application
	state   string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING
	body    string
	commit  string
	at      time.Time
	comment []*lineComment
}

// lineComment is a review comment on a line of the difference. A thread is its first comment.
type lineComment struct {
	id        int64
	review    int64
	replyTo   int64
	user      *account
	app       *application
	body      string
	path      string
	line      int
	side      string
	hunk      string
	commit    string
	original  string
	resolved  bool // of the thread, kept at its first comment
	created   time.Time
	updated   time.Time
	reactions []*reaction
}

type suite struct {
	id      int64
	app     *application
	branch  string
	before  string
	sha     string
	created time.Time
	updated time.Time
	status  string
	result  string
	head    gitCommit
}

type checkRun struct {
	id          int64
	app         *application
	suite       *suite
	name        string
	sha         string
	externalID  string
	detailsURL  string
	status      string
	conclusion  string
	title       *string
	summary     *string
	text        *string
	annotations []any
	actions     []any
	started     time.Time
	completed   time.Time
}

type status struct {
	id          int64
	sha         string
	context     string
	state       string
	description string
	target      string
	user        *account
	created     time.Time
}

// repository is one repository's state. The fields are guarded by GitHub.mu; git holds changes of refs.
type repository struct {
	id          int64
	owner       *account
	name        string
	private     bool
	branch      string // default branch
	dir         gitDir
	created     time.Time
	pushed      time.Time
	installed   bool
	lastNumber  int
	issues      map[int]*issue
	labels      []*label
	grants      map[string]string
	suites      []*suite
	runs        []*checkRun
	statuses    []*status
	protections map[string]Protection
	rules       map[string][]any
	methods     map[string]bool // merge methods that are allowed
	autoDelete  bool            // delete the head branch at merge
	nullReads   int
	merges      map[string]mergeTry
	ci          CI
	reviewer    Reviewer

	git sync.Mutex // held while refs change, taken before GitHub.mu
}

func (r *repository) full() string { return r.owner.login + "/" + r.name }

// nodeID is the opaque id that GraphQL knows a thing by.
func nodeID(kind string, id int64) string {
	return kind + "_" + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf("%s:%d", kind, id)))
}

// fromNode is the id of a nodeID of that kind, or 0.
func fromNode(kind, node string) int64 {
	rest, ok := strings.CutPrefix(node, kind+"_")
	if !ok {
		return 0
	}
	raw, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil {
		return 0
	}
	var id int64
	if _, err := fmt.Sscanf(string(raw), kind+":%d", &id); err != nil {
		return 0
	}
	return id
}
