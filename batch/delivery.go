package batch

import "time"

// Delivery is one webhook as it arrived. It is stored before the webhook is answered and worked on afterwards.
type Delivery struct {
	ID     string // X-GitHub-Delivery: the same for every attempt to deliver one event
	Event  string // X-GitHub-Event, such as "issue_comment"
	Action string // of the payload, such as "created"; many events have none

	// Lane orders deliveries: those of one lane are worked on one after the other, those of different lanes at
	// the same time. It is "<repository id>/<issue or pull request number>", "<repository id>/sha/<commit>" for
	// results of checks, "<repository id>", "inst/<installation id>", or "" when nothing is known.
	Lane string

	Installation int64  // GitHub App installation; 0 when the payload names none
	Payload      []byte // the JSON as it was signed, or what came instead of JSON
	Note         string // why it will not be worked on; "" means that it will be
	At           time.Time
}
