package fakemodel

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 20

// Actor decides the answer to one request. It is called from many goroutines at once.
type Actor func(Request) Reply

// Server is a running Messages API.
type Server struct {
	http  *httptest.Server
	actor Actor
	stop  chan struct{}

	mu       sync.Mutex
	requests []Request
	changed  chan struct{} // closed and replaced at each request
}

// Start serves on a loopback address until Close.
func Start(actor Actor) *Server {
	s := &Server{actor: actor, stop: make(chan struct{}), changed: make(chan struct{})}
	s.http = httptest.NewServer(s)
	return s
}

// URL is the base URL, for ANTHROPIC_BASE_URL.
func (s *Server) URL() string { return s.http.URL }

// Env is what a claude process needs in its environment to talk to this server.
func (s *Server) Env() []string {
	return []string{"ANTHROPIC_BASE_URL=" + s.URL(), "ANTHROPIC_API_KEY=sk-ant-fake-0123456789"}
}

// Close ends hanging answers and stops the server.
func (s *Server) Close() {
	close(s.stop)
	s.http.CloseClientConnections()
	s.http.Close()
}

// Requests returns the model requests so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Changed returns a channel that is closed when the next request arrives. Take it before looking at Requests.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// ServeHTTP answers POST …/v1/messages, and HEAD of anything with nothing.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/v1/messages") {
		fail(w, http.StatusNotFound, "not_found_error", "no such endpoint: "+r.Method+" "+r.URL.Path, nil)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "request_too_large", err.Error(), nil)
		return
	}
	req, err := parse(r, body)
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", err.Error(), nil)
		return
	}
	s.record(req)
	s.answer(w, r, req)
}

func (s *Server) record(req Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, req)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, req Request) {
	reply := s.actor(req)
	if !s.pause(r, reply) {
		return
	}
	if reply.Status >= 300 {
		fail(w, reply.Status, reply.errorType(), reply.Message, reply.Header)
		return
	}
	message := reply.message(req)
	if req.Stream {
		stream(w, message)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(message) // the client went away
}

// pause waits as long as the reply says, and tells whether anybody still wants it.
func (s *Server) pause(r *http.Request, reply Reply) bool {
	var over <-chan time.Time
	if !reply.Hang {
		over = time.After(reply.Delay)
	}
	select {
	case <-over:
		return true
	case <-r.Context().Done():
	case <-s.stop:
	}
	return false
}

// fail answers as the API does when it refuses.
func fail(w http.ResponseWriter, status int, kind, message string, header http.Header) {
	for name, values := range header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client went away
		"type": "error", "error": map[string]string{"type": kind, "message": message},
	})
}

// stream answers with the events of one message.
func stream(w http.ResponseWriter, m message) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	blocks := m.Content
	opened := m
	opened.Content = []Block{}
	opened.StopReason = nil
	opened.Usage.OutputTokens = 1
	event(w, "message_start", map[string]any{"message": opened})
	for i, b := range blocks {
		streamBlock(w, i, b)
	}
	event(w, "message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": m.StopReason, "stop_sequence": nil},
		"usage": m.Usage,
	})
	event(w, "message_stop", map[string]any{})
}

func streamBlock(w http.ResponseWriter, index int, b Block) {
	start := map[string]any{"type": "text", "text": ""}
	delta := map[string]any{"type": "text_delta", "text": b.Text}
	if b.Type == "tool_use" {
		start = map[string]any{"type": "tool_use", "id": b.ID, "name": b.Name, "input": map[string]any{}}
		delta = map[string]any{"type": "input_json_delta", "partial_json": string(b.Input)}
	}
	event(w, "content_block_start", map[string]any{"index": index, "content_block": start})
	event(w, "content_block_delta", map[string]any{"index": index, "delta": delta})
	event(w, "content_block_stop", map[string]any{"index": index})
}

// event writes one server-sent event.
func event(w http.ResponseWriter, kind string, data map[string]any) {
	data["type"] = kind
	text, err := json.Marshal(data)
	if err != nil {
		text = fmt.Appendf(nil, `{"type":"error","error":{"type":"api_error","message":%q}}`, err.Error())
	}
	_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, text) // the client went away
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}
