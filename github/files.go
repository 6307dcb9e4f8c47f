package github

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	gh "github.com/google/go-github/v62/github"
)

// maxPRFiles is how many changed files GitHub lists of a pull request; there may be more.
// https://docs.github.com/rest/pulls/pulls#list-pull-requests-files
const maxPRFiles = 3000

// readFiles lists the changed paths, of a rename both sides. A list that may lack some, or that is of another commit
// than the head, is noted as unread.
func (f *reading) readFiles(ctx context.Context) error {
	owner, repo := f.repo.at()
	list, complete, err := pages(factPages, func(opts gh.ListOptions) ([]*gh.CommitFile, *gh.Response, error) {
		return f.repo.in.rest.PullRequests.ListFiles(ctx, owner, repo, f.facts.Number, &opts)
	})
	if err != nil {
		return f.note("changed files", explain("list", err))
	}
	all := max(f.pull.GetChangedFiles(), len(list))
	switch {
	case !complete || len(list) >= maxPRFiles:
		f.unread("changed files: GitHub lists no more than %d of %d; a person has to merge it, or split it", len(list), all)
	case len(list) < all:
		f.unread("changed files: %d of %d", len(list), all)
	}
	for _, file := range list {
		if at := commitOf(file); at != "" && at != f.facts.Head {
			f.unread("changed files at the head commit: the list is of %s", oneLine(at, 10))
			break
		}
	}
	for _, file := range list {
		f.facts.Files = append(f.facts.Files, file.GetFilename())
		if old := file.GetPreviousFilename(); old != "" {
			f.facts.Files = append(f.facts.Files, old)
		}
	}
	slices.Sort(f.facts.Files)
	f.facts.Files = slices.Compact(f.facts.Files)
	return nil
}

func (f *reading) unread(format string, args ...any) {
	f.facts.Unread = append(f.facts.Unread, fmt.Sprintf(format, args...))
}

// commitOf is the commit that an entry of the list speaks of, by the address of its content; "" when it does not say.
// A removed file's content is in an older commit.
func commitOf(file *gh.CommitFile) string {
	u, err := url.Parse(file.GetContentsURL())
	if err != nil || file.GetStatus() == "removed" {
		return ""
	}
	if ref := u.Query().Get("ref"); validSHA(ref) {
		return ref
	}
	return ""
}
