package handlers

import (
	"errors"
	"net/http"
)

// refusal is an answer to a webhook that is not stored.
type refusal struct {
	status int
	why    string // one word for the metric
	text   string // for the sender; says nothing about secrets or internals
}

func unsigned() *refusal {
	return &refusal{http.StatusUnauthorized, "signature", "X-Hub-Signature-256 is missing or wrong"}
}

func tooLarge() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "size", "the payload is larger than 25 MB"}
}

// readRefusal is the answer when the body could not be read.
func readRefusal(err error) *refusal {
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return tooLarge()
	case errors.Is(err, errNoRoom):
		return &refusal{http.StatusServiceUnavailable, "busy", "too many webhooks at once, deliver it again later"}
	default:
		return &refusal{http.StatusBadRequest, "body", "the body could not be read"}
	}
}

// refuse answers without storing. Of a refused request nothing more is read: the connection is closed.
func (h *webhook) refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	h.scheduler.metrics.delivery(r.Header.Get("X-GitHub-Event"), "refused: "+why.why)
	// The headers are not logged: nothing says yet that they come from GitHub.
	h.refusals.Warn().Int("status", why.status).Str("remote", r.RemoteAddr).Msg("webhook refused: " + why.text)
	if why.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.Header().Set("Connection", "close")
	http.Error(w, why.text, why.status)
}

// fail answers a webhook that is genuine and could not be stored: GitHub keeps it as failed, and it is fetched from
// there later.
func (h *webhook) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.log.Error().Err(err).Str("delivery", r.Header.Get("X-GitHub-Delivery")).
		Str("event", r.Header.Get("X-GitHub-Event")).Msg("webhook not stored")
	http.Error(w, "the delivery could not be stored, deliver it again later", http.StatusServiceUnavailable)
}
