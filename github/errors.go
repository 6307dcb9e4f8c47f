package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// The kinds of error that callers branch on; compare with errors.Is. They are wrapped with what was attempted
// and with GitHub's own words.
var (
	ErrNotFound  = errors.New("not found on GitHub")                           // 404, 410
	ErrForbidden = errors.New("GitHub does not allow it")                      // 401, 403
	ErrSuspended = errors.New("the App's installation is suspended")           // until its owner lifts it
	ErrRefused   = errors.New("GitHub refused it")                             // 405, 409, 422: a retry changes nothing
	ErrTooLarge  = errors.New("too large")                                     // a file over 1 MB
	ErrHeadMoved = errors.New("the branch is not at the expected commit")      // nothing was done
	ErrBusy      = errors.New("the base branch is being changed")              // of Merge: nothing was done, try later
	ErrQueue     = errors.New("the branch takes changes by merge queue only")  // of Merge: nothing was done
	ErrUncertain = errors.New("no usable answer: it may have happened or not") // of Merge: look with MergedAs before anything else
)

var (
	errBadName     = errors.New("not a name that GitHub allows")
	errForeignHost = errors.New("address outside the GitHub API")
)

// LimitError says that GitHub wants no calls until a time. While it lasts, calls of the same installation
// return it without going out.
type LimitError struct {
	Until     time.Time
	Secondary bool // abuse protection, not the hourly allowance
}

// Error names the time in UTC.
func (e *LimitError) Error() string {
	kind := "hourly"
	if e.Secondary {
		kind = "secondary"
	}
	return fmt.Sprintf("GitHub's %s rate limit lasts until %s", kind, e.Until.UTC().Format(time.RFC3339))
}

// explain turns an error of the libraries into one of ours, with what was attempted in front.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	var limit *LimitError
	var primary *gh.RateLimitError
	var abuse *gh.AbuseRateLimitError
	var answer *gh.ErrorResponse
	switch {
	case errors.As(err, &limit):
		return fmt.Errorf("%s: %w", what, limit)
	case errors.As(err, &primary):
		return fmt.Errorf("%s: %w", what, &LimitError{Until: primary.Rate.Reset.Time})
	case errors.As(err, &abuse):
		return fmt.Errorf("%s: %w", what, &LimitError{Until: time.Now().Add(secondaryWait), Secondary: true})
	case errors.As(err, &answer):
		return fmt.Errorf("%s: %w", what, newAnswerError(answer.Response))
	}
	return fmt.Errorf("%s: %w", what, err)
}

// answerError is an answer of GitHub that is not a success.
type answerError struct {
	status int
	kind   error // a sentinel, or nil
	words  string
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("HTTP %d", e.status)
	if e.words != "" {
		text += ": " + e.words
	}
	if e.kind != nil {
		text = e.kind.Error() + " (" + text + ")"
	}
	return text
}

func (e *answerError) Unwrap() error { return e.kind }

// newAnswerError reads the status and the words of an answer. The answer's body stays readable.
func newAnswerError(resp *http.Response) *answerError {
	e := &answerError{status: resp.StatusCode, words: wordsOf(resp)}
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		e.kind = ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		e.kind = ErrForbidden
		if strings.Contains(strings.ToLower(e.words), "suspended") {
			e.kind = ErrSuspended
		}
	case http.StatusMethodNotAllowed, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusBadRequest,
		http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		e.kind = ErrRefused
	}
	return e
}

// wordsOf returns GitHub's message and the messages of its list of errors, in one bounded line. The list's
// form varies (objects, strings, one string), which makes go-github drop all of it; this does not.
func wordsOf(resp *http.Response) string {
	if resp.Body == nil {
		return ""
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	resp.Body = &answerBody{left: raw}
	if err != nil {
		return ""
	}
	var answer struct {
		Message string          `json:"message"`
		Errors  json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(raw, &answer) != nil {
		return "" // a proxy's HTML page says nothing useful
	}
	parts := append([]string{answer.Message}, errorList(answer.Errors)...)
	return oneLine(strings.Join(parts, "; "), 500)
}

func errorList(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	var out []string
	for _, item := range many {
		var text string
		var object struct{ Message, Resource, Field, Code string }
		switch {
		case json.Unmarshal(item, &text) == nil:
		case json.Unmarshal(item, &object) != nil:
			continue
		case object.Message != "":
			text = object.Message
		default:
			text = strings.TrimSpace(object.Resource + " " + object.Field + " " + object.Code)
		}
		if text != "" {
			out = append(out, text)
		}
	}
	return out
}

// status returns the HTTP status of an answer inside err, or 0.
func status(err error) int {
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.status
	}
	return 0
}

// said reports whether GitHub's words inside err contain one of the phrases, whatever their case.
func said(err error, phrases ...string) bool {
	var answer *answerError
	if !errors.As(err, &answer) {
		return false
	}
	words := strings.ToLower(answer.words)
	for _, phrase := range phrases {
		if strings.Contains(words, strings.ToLower(phrase)) {
			return true
		}
	}
	return false
}
