package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dozens/batch/plan"
)

// protectedLabel keeps the label of protected changes from starting work and from holding the merge for ever.
func (c *checks) protectedLabel(r Repository) {
	const path = "labels.protected"
	name := r.Labels.Protected
	c.label(path, name)
	same := func(other string) bool { return strings.EqualFold(strings.TrimSpace(other), name) }
	switch {
	case same(r.Labels.Claude), same(r.Labels.Batch):
		c.bad(path, name, "is the same label as one that starts work", "give them different names")
	case slices.ContainsFunc(r.Merge.HoldLabels, same), strings.HasPrefix(strings.ToLower(name), "do-not-merge/"):
		c.bad(path, name, "is a label that keeps pull requests from being merged", "give it another name; the approval is asked for without it")
	}
}

// protectedGlob wants a glob that the gate can read: one that it could not would protect nothing.
func (c *checks) protectedGlob(path, value string) {
	before := len(*c.problems)
	c.pathGlob(path, value)
	if err := plan.CheckGlob(value); err != nil && len(*c.problems) == before {
		c.bad(path, value, "is not a valid glob: "+err.Error(), "write src/** or docs/*.md")
	}
}

// approver checks the login of a person. A bot approves nothing.
func (c *checks) approver(path, value string) {
	switch {
	case strings.Contains(value, "/"):
		c.bad(path, value, "is a team", "name its people: the App does not read who is in a team")
	case strings.HasSuffix(strings.ToLower(value), "[bot]"):
		c.bad(path, value, "is a bot", "name people")
	default:
		c.login(path, value)
	}
}

// egressMax bounds the hosts that a repository may ask for.
const egressMax = 50

func (c *checks) egress(hosts []string) {
	if len(hosts) > egressMax {
		c.bad("egress", len(hosts), "are too many hosts", fmt.Sprintf("at most %d are possible; *.example.com stands for many", egressMax))
		return
	}
	each(hosts, "egress", c.egressHost)
}

// egressHost checks one of host, host:port and *.host, by name only: an address would go around the check of where
// a name leads.
func (c *checks) egressHost(path, value string) {
	const how = "write registry.npmjs.org, proxy.example.com:8443 or *.example.com"
	host, port, hasPort := strings.Cut(value, ":")
	n, err := strconv.Atoi(port)
	switch {
	case strings.Contains(value, "://"), strings.Contains(value, "/"):
		c.bad(path, value, "is more than a host", how)
	case hasPort && (err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port):
		c.bad(path, value, "has no valid port", how)
	case !isHost(strings.TrimPrefix(host, "*.")):
		c.bad(path, value, "is not the full name of a host", how)
	}
}

// isHost accepts names of two labels and more whose last one is no number, so that no address passes for one.
func isHost(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if !isName(l, "-") || strings.HasSuffix(l, "-") || len(l) > 63 {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && len(s) <= 253 && (last[0] < '0' || last[0] > '9')
}
