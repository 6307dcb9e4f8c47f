package gate

import (
	"fmt"
	"slices"
	"strings"

	"dozens/batch/plan"
)

// protected wants a change of protected paths approved by a named person. That approval must count like any other,
// and is one of those that are needed anyway; it cannot be replaced by more of the others. Labels do not matter.
func (j *judge) protected() {
	if len(j.p.Protected) == 0 {
		return
	}
	if len(j.f.Files) == 0 {
		j.bad(CodeProtected, "GitHub lists no changed file, so nobody can say whether it touches protected paths.")
		return
	}
	j.v.Protected = plan.Protected(j.p.Protected, j.f.Files)
	if len(j.v.Protected) == 0 {
		j.good(CodeProtected, "It changes no protected path.")
		return
	}
	paths := listed(j.v.Protected, "and", 3)
	for _, r := range latest(j.f.Reviews) {
		if strings.EqualFold(r.State, "APPROVED") && j.discount(r) == "" && j.named(r) {
			j.good(CodeProtected, "%s, who may approve changes of protected paths, approved this commit (%s).", clean(r.By.Login), paths)
			j.at(r.Commit)
			return
		}
	}
	j.bad(CodeProtected, "This commit needs the approval of %s, because it changes protected paths (%s).", Named(j.p.Named), paths)
}

// named says that a reviewer is one of the people who may approve changes of protected paths.
func (j *judge) named(r Review) bool {
	if len(j.p.Named) == 0 {
		return r.Permission == "admin"
	}
	return slices.ContainsFunc(j.p.Named, func(login string) bool { return r.By.Login != "" && strings.EqualFold(login, r.By.Login) })
}

// Named says in words who may approve changes of protected paths, given their logins.
func Named(logins []string) string {
	if len(logins) == 0 {
		return "somebody with admin permission"
	}
	return listed(logins, "or", 5)
}

// listed writes foreign names as a list of at most so many.
func listed(names []string, last string, most int) string {
	shown := []string{}
	for _, n := range names[:min(len(names), most)] {
		shown = append(shown, clean(n))
	}
	if more := len(names) - most; more > 0 {
		return strings.Join(shown, ", ") + fmt.Sprintf(" %s %d more", last, more)
	}
	if n := len(shown) - 1; n > 0 {
		return strings.Join(shown[:n], ", ") + " " + last + " " + shown[n]
	}
	return strings.Join(shown, "")
}
