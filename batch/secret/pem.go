package secret

import "regexp"

var (
	keyBegin = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----`)
	keyEnd   = regexp.MustCompile(`-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----`)
	keyBody  = regexp.MustCompile(`[A-Za-z0-9+/]{30,}`)
	keyLines = regexp.MustCompile(`^[ \t]*[A-Za-z0-9+/=]*(?:[ \t"'>,\\]*\r?\n[ \t"'>]*(?:[A-Za-z-]{1,20}: [^\n]*|[A-Za-z0-9+/=]*))*`)
)

// keysIn finds private keys in PEM: the whole block, or what is left of one whose end is cut off. The two lines around
// nothing, as code that reads keys has them, are no key.
func keysIn(v view) []Match {
	begins := keyBegin.FindAllStringIndex(v.text, -1)
	if begins == nil {
		return nil
	}
	ends := keyEnd.FindAllStringIndex(v.text, -1)
	var out []Match
	for i, b := range begins {
		limit := len(v.text)
		if i+1 < len(begins) {
			limit = begins[i+1][0]
		}
		for len(ends) > 0 && ends[0][0] < b[1] {
			ends = ends[1:]
		}
		body := keyLines.FindString(v.text[b[1]:limit])
		end := b[1] + len(body)
		if len(ends) > 0 && ends[0][1] <= limit {
			end, body = ends[0][1], v.text[b[1]:ends[0][0]]
		}
		if keyBody.MatchString(body) {
			out = append(out, v.match("private key", b[0], end))
		}
	}
	return out
}
