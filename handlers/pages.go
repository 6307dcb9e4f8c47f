package handlers

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"
)

//go:embed web
var files embed.FS

// maxStreams bounds the live logs that are followed at once.
const maxStreams = 200

// policy lets a page load our own style and script and talk to ourselves, nothing else; so even text that slipped
// through escaping could not run or phone home.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pages is the web page: the list of batches, a batch, a task's log.
type pages struct {
	view        View
	unsandboxed bool
	now         func() time.Time
	templates   *template.Template
	streams     *semaphore.Weighted
	stopping    context.Context // ended when the server shuts down; live logs end with it
	stop        context.CancelFunc
}

// page is what the templates see.
type page struct {
	Title       string
	Refresh     int // seconds; 0: not by itself
	Unsandboxed bool
	Batches     []BatchRow
	Batch       *BatchPage
	Task        string
	Words       string
}

func newPages(opts ServerOptions) (*pages, error) {
	p := &pages{
		view: opts.View, unsandboxed: opts.Unsandboxed, now: opts.Now,
		streams: semaphore.NewWeighted(maxStreams),
	}
	var err error
	if p.templates, err = template.New("").Funcs(p.functions()).ParseFS(files, "web/*.html"); err != nil {
		return nil, fmt.Errorf("parse page templates: %w", err)
	}
	p.stopping, p.stop = context.WithCancel(context.Background())
	return p, nil
}

func (p *pages) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.list)
	mux.HandleFunc("GET /batches/{id}", p.batch)
	mux.HandleFunc("GET /tasks/{id}/log", p.log)
	mux.HandleFunc("GET /tasks/{id}/log/events", p.events)
	mux.HandleFunc("GET /tasks/{id}/log/text", p.text)
	mux.HandleFunc("GET /web/{file}", p.file)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { p.fail(w, r, ErrNotFound) })
	return mux
}

func (p *pages) list(w http.ResponseWriter, r *http.Request) {
	rows, err := p.view.Batches(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	for i := range rows {
		rows[i].clean()
	}
	p.render(w, r, http.StatusOK, "list.html", page{Title: "Batches", Refresh: 10, Batches: rows})
}

func (p *pages) batch(w http.ResponseWriter, r *http.Request) {
	if !isID(r.PathValue("id")) {
		p.fail(w, r, ErrNotFound)
		return
	}
	b, err := p.view.Batch(r.Context(), r.PathValue("id"))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	b.clean()
	refresh := 10
	if !b.Ended.IsZero() {
		refresh = 0
	}
	p.render(w, r, http.StatusOK, "batch.html", page{Title: b.Title, Refresh: refresh, Batch: &b})
}

func (p *pages) log(w http.ResponseWriter, r *http.Request) {
	if !isID(r.PathValue("id")) {
		p.fail(w, r, ErrNotFound)
		return
	}
	p.render(w, r, http.StatusOK, "log.html", page{Title: "Log of " + r.PathValue("id"), Task: r.PathValue("id")})
}

// file serves the style and the script; templates are not served as they are.
func (p *pages) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name != "page.css" && name != "log.js" {
		p.fail(w, r, ErrNotFound)
		return
	}
	headers(w)
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, files, "web/"+name)
}

// refused tells somebody why the page is not for them. It shows nothing else.
func (p *pages) refused(w http.ResponseWriter, r *http.Request, why string) {
	p.render(w, r, http.StatusForbidden, "words.html", page{Title: "Closed", Words: why})
}

// fail answers that something is not there, or went wrong; what went wrong is for the log.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		p.render(w, r, http.StatusNotFound, "words.html", page{Title: "Not found", Words: "There is nothing here by that name."})
	case r.Context().Err() != nil: // nobody is there any more
	default:
		zerolog.Ctx(r.Context()).Error().Err(err).Str("path", r.URL.Path).Msg("page not shown")
		p.render(w, r, http.StatusInternalServerError, "words.html",
			page{Title: "That went wrong", Words: "The page could not be read. The server's log says why."})
	}
}

// render writes a whole page or none: it is finished before the first byte goes out.
func (p *pages) render(w http.ResponseWriter, r *http.Request, status int, name string, data page) {
	data.Unsandboxed = p.unsandboxed
	var buf bytes.Buffer
	if err := p.templates.ExecuteTemplate(&buf, name, data); err != nil {
		zerolog.Ctx(r.Context()).Error().Err(err).Str("template", name).Msg("page not rendered")
		http.Error(w, "the page could not be rendered, see the log", http.StatusInternalServerError)
		return
	}
	headers(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = buf.WriteTo(w) // who hangs up does not want to know
}

func headers(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// isID says whether s can be the id of a batch or task. Views get nothing else from a URL.
func isID(s string) bool { return len(s) <= 64 && isWord(s) }
