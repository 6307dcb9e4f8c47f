package lookalike

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests of this file let clients that nobody here wrote read the look-alike: octokit, which is GitHub's
// own, and gh. They are installed once into the user's cache folder.

// missing skips because a tool cannot be had. With CI=true that is a failure.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// install runs a command that fetches a tool, in a folder of its own that it answers; once it worked it is kept.
func install(t *testing.T, name string, commands ...[]string) string {
	t.Helper()
	cache := must(os.UserCacheDir())(t)
	dir := filepath.Join(cache, "dozens-tests", name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		missing(t, "no cache folder for %s: %v", name, err)
	}
	work := must(os.MkdirTemp(filepath.Dir(dir), name+"-"))(t) //nolint:usetesting // it is renamed, so on the cache's file system
	t.Cleanup(func() { _ = os.RemoveAll(work) })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, args := range commands {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = work
		if out, err := cmd.CombinedOutput(); err != nil {
			missing(t, "%s cannot be had: %s: %v: %s", name, strings.Join(args, " "), err, out)
		}
	}
	if err := os.Rename(work, dir); err != nil && !errors.Is(err, os.ErrExist) {
		if _, there := os.Stat(dir); there != nil { // another test run was faster
			t.Fatal(err)
		}
	}
	return dir
}

func TestOctokit(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is needed to run octokit: %v", err)
	}
	dir := install(t, "octokit-5.0.5", []string{"npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", "octokit@5.0.5"})
	w := newWorld(t)
	for n := range 5 {
		must(w.shop.OpenIssue("ada", fmt.Sprint("issue ", n+1), "", "bug"))(t)
	}
	must(w.shop.PushTo("feature/x", "ada", map[string]string{"src/b.txt": "b\n"}, "Add b"))(t)
	former := must(w.g.CreateRepo("acme", "former", map[string]string{"a": "a"}))(t)
	must(former.OpenIssue("ada", "moved", ""))(t)
	w.try(former.Rename("shop2"))
	last := w.the("repository.renamed")
	seen := w.octokit(node, dir, last)
	want := map[string]any{"app": "dozens", "repos": []any{"acme/shop", "acme/shop2"}, "issues": []any{"issue 1", "issue 2", "issue 3", "issue 4", "issue 5"},
		"comment": []any{"dozens[bot]", "dozens"}, "file": "one\ntwo\nthree\n", "checks": []any{[]any{"gate", "success"}},
		"refused": []any{true, 409.0, "Head branch was modified. Review and try the merge again."}, "merged": true, "subject": "Squashed\n\nCo-authored-by: ada <" + w.ada.Email + ">",
		"closed": "closed", "redirected": true, "signature": true,
		"graph": map[string]any{"id": nodeID("PR", w.pullState(w.shop.Pull(6)).ID), "isDraft": true, "reviewDecision": nil, "reviewThreads": map[string]any{"nodes": []any{}}}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("what octokit saw (-want +got):\n%s", diff)
	}
	if got := must(w.shop.Issue(1).State())(t); got.Comments[0].Reactions[0].Content != "rocket" || len(got.Labels) != 2 {
		t.Errorf("what octokit did: got %+v", got)
	}
}

// octokit runs the script and answers what it saw.
func (w *world) octokit(node, dir string, last event) map[string]any {
	w.Helper()
	tmp := w.TempDir()
	w.try(os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(tmp, "node_modules")))
	w.try(os.WriteFile(filepath.Join(tmp, "octokit.mjs"), must(os.ReadFile("testdata/octokit.mjs"))(w), 0o600))
	app := w.g.App()
	var payload []byte
	for _, d := range w.g.Deliveries() {
		if d.GUID == last.guid {
			payload = d.Payload
		}
	}
	task := must(json.Marshal(map[string]any{"url": w.g.URL(), "appId": app.ID, "privateKey": app.PrivateKey, "secret": app.WebhookSecret,
		"installation": w.shop.InstallationID(), "delivery": map[string]any{"payload": string(payload), "signature": last.header.Get("X-Hub-Signature-256")}}))(w)
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "octokit.mjs")
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "LOOKALIKE="+string(task))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		w.Fatalf("octokit: %v: %s", err, errs.String())
	}
	var seen map[string]any
	w.try(json.Unmarshal(out.Bytes(), &seen))
	return seen
}

func TestGh(t *testing.T) {
	t.Parallel()
	gh, err := exec.LookPath("gh")
	if err != nil {
		gh = filepath.Join(install(t, "gh-debian", []string{"apt-get", "download", "gh"}, []string{"sh", "-c", "dpkg -x gh_*.deb ."}), "usr/bin/gh")
	}
	w := newWorld(t)
	must(w.shop.OpenIssue("ada", "It breaks", "", "bug"))(t)
	p := w.pull("x", "Closes #1", map[string]string{"a": "a"})
	must(p.Review("grace", "APPROVE", "fine"))(t)
	w.try(w.shop.SetCheck(w.pullState(p).HeadSHA, "ci", "build", "completed", "success", "", ""))
	run := w.gh(gh)
	if got := run("api", "repos/acme/shop", "--jq", ".full_name"); got != "acme/shop" {
		t.Errorf("gh api: got %s", got)
	}
	view := run("pr", "view", "2", "--json", "number,title,state,isDraft,headRefOid,reviewDecision,mergeable,author,statusCheckRollup,latestReviews")
	var pull map[string]any
	w.try(json.Unmarshal([]byte(view), &pull))
	for path, want := range map[string]any{"number": 2.0, "state": "OPEN", "isDraft": false, "headRefOid": w.pullState(p).HeadSHA, "reviewDecision": "APPROVED",
		"mergeable": "MERGEABLE", "author.login": "ada", "statusCheckRollup.0.conclusion": "SUCCESS", "latestReviews.0.author.login": "grace"} {
		if got := dig(pull, path); got != want {
			t.Errorf("gh pr view: %s: got %v, want %v", path, got, want)
		}
	}
	if got := run("issue", "list", "--json", "number,title", "--jq", ".[].title"); got != "It breaks" {
		t.Errorf("gh issue list: got %s", got)
	}
	run("pr", "merge", "2", "--squash")
	if s := w.pullState(p); !s.Merged || s.MergedBy != "ada" || must(w.shop.Issue(1).State())(t).Open {
		t.Errorf("gh pr merge: got %+v", s)
	}
}

// gh answers a function that runs gh as ada. gh wants https: a proxy with a certificate of its own gives it.
func (w *world) gh(path string) func(args ...string) string {
	proxy := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(must(url.Parse(w.g.URL()))(w)))
	w.Cleanup(proxy.Close)
	dir := w.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	w.try(os.WriteFile(filepath.Join(dir, "ca.pem"), cert, 0o600))
	host := strings.TrimPrefix(proxy.URL, "https://")
	return func(args ...string) string {
		w.Helper()
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GH_HOST=" + host, "GH_ENTERPRISE_TOKEN=" + w.ada.Token, "GH_REPO=" + host + "/acme/shop",
			"SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem"), "GH_PROMPT_DISABLED=1", "GH_NO_UPDATE_NOTIFIER=1", "NO_COLOR=1"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			w.Fatalf("gh %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
}
