package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Bounds of what is accepted from a repository.
const (
	maxRules = 200
	maxEntry = 300 // bytes of an entry; a host name has at most 253
)

const defaultPort = 443

// Rules say which hosts and ports may be reached. The zero value allows none. They do not change once they are parsed.
type Rules struct{ list []rule }

type rule struct {
	name  string // in normal form, without the star
	below bool   // names below name, not name itself
	port  uint16
}

// Parse reads the entries of the setting egress: "registry.npmjs.org" is port 443 of that host, "example.com:8443"
// another port, "*.example.com" every name below example.com but not itself. Upper case, a trailing dot and
// letters outside of ASCII are brought into the form that is used on the wire. The error lists every entry that is
// not accepted, each with its reason.
func Parse(hosts []string) (Rules, error) {
	if len(hosts) > maxRules {
		return Rules{}, fmt.Errorf("egress has %d entries; at most %d are allowed", len(hosts), maxRules)
	}
	var rules Rules
	var problems []error
	for _, entry := range hosts {
		r, err := parseRule(entry)
		if err != nil {
			problems = append(problems, fmt.Errorf("egress entry %s %w", strconv.QuoteToASCII(shorten(entry, 100)), err))
			continue
		}
		rules.list = append(rules.list, r)
	}
	if len(problems) > 0 {
		return Rules{}, errors.Join(problems...)
	}
	return rules, nil
}

// parseRule reads one entry. The errors go on after the entry itself.
func parseRule(entry string) (rule, error) {
	if err := checkShape(entry); err != nil {
		return rule{}, err
	}
	name, port, hasPort := strings.Cut(entry, ":")
	r := rule{port: defaultPort}
	if hasPort {
		var err error
		if r.port, err = parsePort(port); err != nil {
			return rule{}, err
		}
	}
	name, r.below = strings.CutPrefix(name, "*.")
	if strings.Contains(name, "*") {
		return rule{}, errors.New("has a * that is not its first label; only names such as *.example.com may have one")
	}
	var err error
	if r.name, err = normal(name); err != nil {
		return rule{}, err
	}
	return r, nil
}

// checkShape finds what people write instead of a host, to tell them so.
func checkShape(entry string) error {
	host := strings.Trim(entry, "[]")
	if h, _, found := strings.Cut(entry, "]:"); found {
		host = strings.TrimPrefix(h, "[")
	}
	_, notAddress := netip.ParseAddr(host)
	switch {
	case entry == "":
		return errors.New("is empty")
	case len(entry) > maxEntry:
		return errors.New("is too long for a host name")
	case strings.ContainsFunc(entry, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("has a space or a control character; write one host per entry")
	case strings.Contains(entry, "://"):
		return errors.New("has a scheme; write only the host, such as registry.npmjs.org")
	case strings.ContainsAny(entry, `/\?#`):
		return errors.New("has a path; a rule is for a whole host")
	case strings.Contains(entry, "@"):
		return errors.New("has a user; write only the host")
	case entry == "*" || strings.HasPrefix(entry, "*:"):
		return errors.New("would allow every host; name those that are needed")
	case notAddress == nil:
		return errors.New("is an address; only names are allowed")
	case strings.Count(entry, ":") > 1:
		return errors.New("has more than one colon; write HOST or HOST:PORT")
	}
	return nil
}

// parsePort reads a port in plain decimal.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("has the port %s, which is not a number from 1 to 65535", strconv.QuoteToASCII(shorten(s, 20)))
	}
	return uint16(n), nil
}

// normal brings a full host name into the one form in which names are compared: lower case, without a trailing
// dot, other letters than ASCII's as UTS 46 maps them. Addresses, also as people hide them (0x7f.1), are no names.
// The errors go on after the name itself.
func normal(name string) (string, error) {
	if !utf8.ValidString(name) {
		return "", errors.New("is not a host name")
	}
	// Three and four hyphens in a row are in use, r3---sn-4g5e.example.com.
	form := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.CheckHyphens(false))
	ascii, err := form.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("is not a host name (%w)", err)
	}
	ascii = strings.TrimSuffix(ascii, ".")
	labels := strings.Split(ascii, ".")
	if len(ascii) > 253 {
		return "", errors.New("is too long for a host name")
	}
	for _, label := range labels {
		if !plainLabel(label) {
			return "", errors.New("is not a host name")
		}
	}
	if last := labels[len(labels)-1]; last[0] < 'a' || last[0] > 'z' {
		return "", errors.New("ends in a number, as addresses do; only names are allowed")
	}
	if len(labels) < 2 {
		return "", errors.New("is not a full host name, which has a dot in it")
	}
	return ascii, nil
}

// plainLabel holds letters, digits and inner hyphens only (RFC 1123, 2.1).
func plainLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// allow says whether a host, in normal form, may be reached at this port.
func (r Rules) allow(host string, port uint16) bool {
	for _, rule := range r.list {
		named := host == rule.name
		if rule.below {
			named = strings.HasSuffix(host, "."+rule.name)
		}
		if named && port == rule.port {
			return true
		}
	}
	return false
}
