package handlers

import (
	"encoding/json"
	"strconv"
	"strings"

	"dozens/batch"
)

// envelope is the little that is read of a payload on arrival: enough to put the delivery into its lane. It is our
// own, because go-github refuses events and time formats it does not know, and a delivery must never fail for that.
type envelope struct {
	Action       string `json:"action"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
	Repository struct {
		ID int64 `json:"id"`
	} `json:"repository"`
	Issue       numbered `json:"issue"`
	PullRequest numbered `json:"pull_request"`
	CheckRun    headed   `json:"check_run"`
	CheckSuite  headed   `json:"check_suite"`
	WorkflowRun headed   `json:"workflow_run"`
	SHA         string   `json:"sha"` // of a status event
}

type numbered struct {
	Number int64 `json:"number"`
}

type headed struct {
	HeadSHA string `json:"head_sha"`
}

// The notes on deliveries that are kept but not worked on.
const (
	noteUnused  = "event not used"
	noteNotJSON = "payload is not JSON"
	noteShape   = "payload has an unknown shape"
	noteNowhere = "payload names no repository"
	noteNoInst  = "payload names no installation"
	noteBadForm = "form without a readable payload field"
)

// describe fills in what the payload says about the delivery: action, installation, lane; and a note when the payload
// cannot be worked on. A note that is there already stays.
func describe(d *batch.Delivery) {
	var e envelope
	note := ""
	switch err := json.Unmarshal(d.Payload, &e); {
	case err == nil:
		d.Lane, note = e.lane(d.Event)
		d.Action, d.Installation = bounded(e.Action), e.Installation.ID
	case json.Valid(d.Payload):
		note = noteShape
	default:
		note = noteNotJSON
	}
	if d.Note == "" {
		d.Note = note
	}
}

// lane names the lane of a delivery of that event, and what is wrong when it cannot.
func (e *envelope) lane(event string) (lane, note string) {
	if strings.HasPrefix(event, "installation") {
		if e.Installation.ID <= 0 {
			return "", noteNoInst
		}
		return "inst/" + strconv.FormatInt(e.Installation.ID, 10), ""
	}
	if e.Repository.ID <= 0 {
		return "", noteNowhere
	}
	repo := strconv.FormatInt(e.Repository.ID, 10)
	if sha := e.commit(event); sha != "" {
		return repo + "/sha/" + sha, ""
	}
	if n := e.number(event); n > 0 {
		return repo + "/" + strconv.FormatInt(n, 10), ""
	}
	return repo, ""
}

// number is the issue or pull request the event is about. A comment on a pull request arrives as issue_comment and
// names it as an issue, with the same number: both share a lane.
func (e *envelope) number(event string) int64 {
	switch {
	case event == "issues", event == "issue_comment":
		return e.Issue.Number
	case strings.HasPrefix(event, "pull_request"):
		return e.PullRequest.Number
	}
	return 0
}

// commit is what a check result speaks of. The payload's list of pull requests is no better key: it is empty for
// forks, and several pull requests can have one head.
func (e *envelope) commit(event string) string {
	sha := ""
	switch event {
	case "check_run":
		sha = e.CheckRun.HeadSHA
	case "check_suite":
		sha = e.CheckSuite.HeadSHA
	case "workflow_run":
		sha = e.WorkflowRun.HeadSHA
	case "status":
		sha = e.SHA
	}
	if !isSHA(sha) {
		return ""
	}
	return sha
}

// isSHA says whether s is a full commit id, SHA-1 or SHA-256.
func isSHA(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// bounded keeps a word of the payload short enough for a column and a log line, and free of surprises.
func bounded(s string) string {
	if len(s) > maxHeader || !isWord(s) {
		return ""
	}
	return s
}
