package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"dozens/batch"
)

// payload is what we read of a webhook, tolerantly: unknown events and fields never fail a delivery. It is a
// hint to look; only the frozen text of a request is taken from it, because it is signed.
type payload struct {
	Action       string `json:"action"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
	Repository struct {
		ID    int64  `json:"id"`
		Name  string `json:"name"`
		Owner struct {
			Login string `json:"login"`
		} `json:"owner"`
	} `json:"repository"`
	Sender      account       `json:"sender"`
	Issue       *issuePayload `json:"issue"`
	PullRequest *struct {
		Number int `json:"number"`
	} `json:"pull_request"`
	Comment *struct {
		ID   int64   `json:"id"`
		Body string  `json:"body"`
		User account `json:"user"`
	} `json:"comment"`
	Label *struct {
		Name string `json:"name"`
	} `json:"label"`
	CheckRun    *commit `json:"check_run"`
	CheckSuite  *commit `json:"check_suite"`
	WorkflowRun *commit `json:"workflow_run"`
	SHA         string  `json:"sha"` // of a status
}

type account struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
	Type  string `json:"type"`
}

func (a account) person() batch.Person { return batch.Person{Login: a.Login, ID: a.ID, Type: a.Type} }

type commit struct {
	HeadSHA string `json:"head_sha"`
	App     struct {
		ID int64 `json:"id"`
	} `json:"app"`
}

type issuePayload struct {
	Number int     `json:"number"`
	Title  string  `json:"title"`
	User   account `json:"user"`
	Body   string  `json:"body"`
	State  string  `json:"state"`
	Labels []struct {
		Name string `json:"name"`
	} `json:"labels"`
	PullRequest *struct{} `json:"pull_request"`
	UpdatedAt   time.Time `json:"updated_at"`
}

func (p payload) repo() batch.Repo {
	return batch.Repo{ID: p.Repository.ID, Installation: p.Installation.ID, Owner: p.Repository.Owner.Login, Name: p.Repository.Name}
}

// sha is the commit that a check event speaks of.
func (p payload) sha() string {
	for _, c := range []*commit{p.CheckRun, p.CheckSuite, p.WorkflowRun} {
		if c != nil {
			return c.HeadSHA
		}
	}
	return p.SHA
}

func decode(d batch.Delivery) (payload, error) {
	var p payload
	if err := json.Unmarshal(d.Payload, &p); err != nil {
		return p, fmt.Errorf("decode %s: %w", d.Event, err)
	}
	return p, nil
}
