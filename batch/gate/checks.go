package gate

import (
	"slices"
	"strings"
)

// result is what one check means to the gate.
type result int

const (
	running result = iota
	success
	indifferent // done, stands in nobody's way, proves nothing
	failed
	personal // a person has to do something before it goes on
	strange  // done, with a result that is not known
)

// Rerunnable says that the check failed without a word about the code, so that it should be run once more before
// anybody changes anything.
func (c Check) Rerunnable() bool {
	switch strings.ToLower(c.Conclusion) {
	case "cancelled", "stale", "startup_failure":
		return c.result() == failed
	}
	return false
}

func (c Check) result() result {
	if !strings.EqualFold(c.Status, "completed") {
		return running
	}
	switch strings.ToLower(c.Conclusion) {
	case "":
		return running
	case "success":
		return success
	case "neutral", "skipped":
		return indifferent
	case "failure", "error", "timed_out", "cancelled", "stale", "startup_failure":
		return failed
	case "action_required":
		return personal
	}
	return strange
}

// checks wants every check done and good, and at least one that says success.
func (j *judge) checks() {
	count := map[result]int{}
	ignored := 0
	for _, c := range j.f.Checks {
		if c.Name == CheckName {
			continue
		}
		if slices.Contains(j.p.Ignore, c.Name) {
			ignored++
			continue
		}
		r := c.result()
		count[r]++
		j.check(c, r)
	}
	if ignored > 0 {
		j.good(CodeChecks, "%d %s ignored, as the repository's settings say.", ignored, plural(ignored, "check is", "checks are"))
	}
	switch {
	case count[failed] > 0:
		j.v.Checks = Red
		j.settled = count[running] == 0 || j.waitedEnough()
	case count[running]+count[personal]+count[strange] > 0:
		j.v.Checks = Pending
	case count[success] > 0:
		j.v.Checks = Green
		j.good(CodeChecks, "All checks are done and good.")
	case j.p.AllowNoChecks:
		j.v.Checks = Green
		j.good(CodeChecks, "No check says success, which the repository's settings allow.")
	default:
		j.v.Checks = None
		j.bad(CodeChecks, "No check has said success for this commit yet; a commit without checks is not green.")
	}
	if count[failed] > 0 && !j.settled {
		j.bad(CodeChecks, "Checks have failed; those that still run are waited for a while, so that all is mended in one go.")
	}
}

// check says what one check means.
func (j *judge) check(c Check, r result) {
	name := clean(c.Name)
	switch r {
	case running:
		j.bad(CodeChecks, "Check %s is not done.", name)
	case success, indifferent:
		j.good(CodeChecks, "Check %s ended with %s.", name, clean(strings.ToLower(c.Conclusion)))
	case failed:
		j.v.Fix = append(j.v.Fix, c)
		if c.Rerunnable() {
			j.bad(CodeChecks, "Check %s ended with %s; run it again.", name, clean(strings.ToLower(c.Conclusion)))
			return
		}
		j.bad(CodeChecks, "Check %s failed.", name)
	case personal:
		j.ask = true
		j.bad(CodeChecks, "Check %s waits for a person to act.", name)
	case strange:
		j.ask = true
		j.bad(CodeChecks, "Check %s ended with %s, which is not known here.", name, clean(c.Conclusion))
	}
}

// waitedEnough says that the first failure is old enough not to wait for the checks that still run.
func (j *judge) waitedEnough() bool {
	return slices.ContainsFunc(j.v.Fix, func(c Check) bool { return j.now.Sub(c.EndedAt) >= settle })
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
