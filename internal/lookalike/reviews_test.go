package lookalike

import (
	"fmt"
	"slices"
	"testing"
)

func TestReviews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	must(w.shop.PushTo("x", "ada", map[string]string{"a": "a"}, "a"))(t)
	w.want(201, token, "POST", "/repos/acme/shop/pulls", map[string]any{"title": "t", "head": "x", "base": "main"})
	p := w.shop.Pull(1)
	head := w.pullState(p).HeadSHA
	w.forget()
	const reviews = "/repos/acme/shop/pulls/1/reviews"
	own := w.rest(token, "POST", reviews, map[string]any{"event": "APPROVE"})
	if own.status != 422 || own.at("errors.0") != "Can not approve your own pull request" {
		t.Errorf("own approval: got %d %s", own.status, own.text)
	}
	w.want(422, w.grace.Token, "POST", reviews, map[string]any{"event": "REQUEST_CHANGES"})
	asked := w.want(200, w.grace.Token, "POST", reviews, map[string]any{"event": "REQUEST_CHANGES", "body": "hm", "comments": []any{
		map[string]any{"path": "a", "line": 1, "body": "why?"}}})
	if asked.at("state") != "CHANGES_REQUESTED" || asked.at("commit_id") != head {
		t.Errorf("review: got %s", asked.text)
	}
	one := fmt.Sprintf("%s/%d", reviews, int64(asked.at("id").(float64)))
	line := w.want(200, token, "GET", one+"/comments", nil)
	if line.at("0.body") != "why?" || line.at("0.path") != "a" {
		t.Errorf("line: got %s", line.text)
	}
	id := int64(line.at("0.id").(float64))
	w.want(201, token, "POST", fmt.Sprintf("/repos/acme/shop/pulls/1/comments/%d/replies", id), map[string]any{"body": "because"})
	w.want(201, token, "POST", fmt.Sprintf("/repos/acme/shop/pulls/comments/%d/reactions", id), map[string]any{"content": "eyes"})
	w.want(200, token, "GET", fmt.Sprintf("/repos/acme/shop/pulls/comments/%d", id), nil)
	if got := w.want(200, token, "GET", "/repos/acme/shop/pulls/1/comments", nil).at("1.in_reply_to_id"); got != float64(id) {
		t.Errorf("reply to: got %v, want %d", got, id)
	}
	w.want(201, w.eve.Token, "POST", "/repos/acme/shop/pulls/1/comments", map[string]any{"body": "me too", "path": "a", "line": 1, "commit_id": head})
	w.try(p.Resolve("ada", id, true))
	w.want(200, w.ada.Token, "PUT", one+"/dismissals", map[string]any{"message": "settled"})
	w.want(422, w.ada.Token, "PUT", one+"/dismissals", map[string]any{"message": "again"})
	if got := w.want(200, token, "GET", one, nil).at("state"); got != "DISMISSED" {
		t.Errorf("state: got %v", got)
	}
	must(p.Review("grace", "APPROVE", "ok"))(t)
	if got := len(w.want(200, token, "GET", reviews, nil).list()); got != 3 {
		t.Errorf("reviews: got %d, want 3", got)
	}
	want := []string{"pull_request_review.submitted", "pull_request_review_comment.created", "pull_request_review_comment.created",
		"pull_request_review.submitted", "pull_request_review_comment.created", "pull_request_review_thread.resolved",
		"pull_request_review.dismissed", "pull_request_review.submitted"}
	if got := w.names(); !slices.Equal(got, want) {
		t.Errorf("events:\n got %v\nwant %v", got, want)
	}
	if e := w.events()[7].payload; dig(e, "review.state") != "approved" || dig(e, "review.user.login") != "grace" || dig(e, "review.commit_id") != head {
		t.Errorf("approved: got %v", e)
	}
	if got := w.pullState(p).Lines[0]; !got.Resolved || got.Author != "grace" {
		t.Errorf("line: got %+v", got)
	}
}

func TestRequestedReviewers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	p := w.pull("x", "", map[string]string{"a": "a"})
	const path = "/repos/acme/shop/pulls/1/requested_reviewers"
	must(w.g.AddPerson("mallory", "User"))(t)
	w.want(201, token, "POST", path, map[string]any{"reviewers": []string{"grace", "eve"}})
	w.want(422, token, "POST", path, map[string]any{"reviewers": []string{"ada"}})
	w.want(422, token, "POST", path, map[string]any{"reviewers": []string{"mallory"}})
	w.want(422, token, "POST", path, map[string]any{"team_reviewers": []string{"all"}})
	w.want(200, token, "DELETE", path, map[string]any{"reviewers": []string{"eve"}})
	if got := w.want(200, token, "GET", path, nil); got.at("users.0.login") != "grace" || got.at("users.1") != nil {
		t.Errorf("requested: got %s", got.text)
	}
	must(p.Review("grace", "APPROVE", ""))(t)
	if got := w.pullState(p).Requested; len(got) != 0 {
		t.Errorf("after the review: got %v", got)
	}
}
