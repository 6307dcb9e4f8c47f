package egress

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseBringsNamesIntoOneForm(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]rule{
		"registry.npmjs.org":           {"registry.npmjs.org", false, 443},
		"Registry.NPMjs.ORG.":          {"registry.npmjs.org", false, 443},
		"example.com:8443":             {"example.com", false, 8443},
		"example.com.:8443":            {"example.com", false, 8443},
		"*.example.com":                {"example.com", true, 443},
		"*.Example.com:65535":          {"example.com", true, 65535},
		"bücher.example":               {"xn--bcher-kva.example", false, 443},
		"BÜCHER.example":               {"xn--bcher-kva.example", false, 443},
		"xn--bcher-kva.example":        {"xn--bcher-kva.example", false, 443},
		"straße.example":               {"xn--strae-oqa.example", false, 443}, // not strasse.example
		"example。com":                  {"example.com", false, 443},
		"r3---sn-4g5e.example.com":     {"r3---sn-4g5e.example.com", false, 443},
		"1.0.0.127.in-addr.arpa":       {"1.0.0.127.in-addr.arpa", false, 443},
		"3com.example":                 {"3com.example", false, 443},
		strings.Repeat("a", 63) + ".b": {strings.Repeat("a", 63) + ".b", false, 443},
	} {
		got, err := Parse([]string{entry})
		if err != nil {
			t.Errorf("Parse(%q): %v", entry, err)
		} else if got.list[0] != want {
			t.Errorf("Parse(%q): got %+v, want %+v", entry, got.list[0], want)
		}
	}
}

func TestParseRefusesWithItsReason(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"":                              "is empty",
		" example.com":                  "space",
		"example.com registry.org":      "space",
		"example.com\n":                 "space or a control",
		"https://example.com":           "scheme",
		"example.com/path":              "path",
		"example.com?x":                 "path",
		`example.com\x`:                 "path",
		"me@example.com":                "user",
		"*":                             "every host",
		"*:443":                         "every host",
		"*.":                            "not a host name",
		"*.*":                           "not its first label",
		"*.com":                         "not a full host name",
		"a.*.example.com":               "not its first label",
		"a*.example.com":                "not its first label",
		"*example.com":                  "not its first label",
		"*.*.example.com":               "not its first label",
		"10.0.0.1":                      "is an address",
		"8.8.8.8":                       "is an address",
		"8.8.8.8:443":                   "a number",
		"::1":                           "is an address",
		"[::1]":                         "is an address",
		"[::1]:443":                     "is an address",
		"fe80::1%eth0":                  "is an address",
		"a:b:c":                         "more than one colon",
		"2130706433":                    "a number",
		"127.1":                         "a number",
		"0x7f.0.0.0x1":                  "a number",
		"１２７.０.０.１":                     "a number",
		"*.0.0.1":                       "a number",
		"localhost":                     "not a full host name",
		"registry":                      "not a full host name",
		"example.com:":                  "port",
		"example.com:0":                 "port",
		"example.com:65536":             "port",
		"example.com:0443":              "port",
		"example.com:+443":              "port",
		"example.com:https":             "port",
		"example.com:４４３":               "port",
		":443":                          "not a host name",
		".example.com":                  "not a host name",
		"example..com":                  "not a host name",
		"example.com..":                 "not a host name",
		"-a.example.com":                "not a host name",
		"a-.example.com":                "not a host name",
		"a_b.example.com":               "not a host name",
		"exa\u202emple.com":             "not a host name",
		"xn--a.example.com":             "not a host name",
		"a\xff.example.com":             "not a host name",
		strings.Repeat("a", 64) + ".b":  "not a host name",
		strings.Repeat("ab.", 90) + "b": "too long",
		strings.Repeat("a.", 200) + "b": "too long",
	} {
		_, err := Parse([]string{entry})
		if err == nil {
			t.Errorf("Parse(%q) is accepted, want %q", entry, want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): got %q, want %q in it", entry, err, want)
		}
	}
}

func TestParseTellsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Parse([]string{"*", "registry.npmjs.org", "https://example.com", "\x1b[31mred"})
	if err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], `"*"`) || !strings.Contains(lines[1], `"https://example.com"`) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %q, want a line for each of three entries and no escape code", err)
	}
	if _, err := Parse(make([]string, maxRules+1)); err == nil || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("got %v for too many entries, want one line", err)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	rules, err := Parse([]string{"registry.npmjs.org", "example.com:8443", "*.pkg.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host string
		port uint16
		want bool
	}{
		{"registry.npmjs.org", 443, true},
		{"registry.npmjs.org", 80, false},
		{"registry.npmjs.org", 8443, false},
		{"www.registry.npmjs.org", 443, false},
		{"npmjs.org", 443, false},
		{"evilregistry.npmjs.org", 443, false},
		{"registry.npmjs.org.evil.example", 443, false},
		{"example.com", 8443, true},
		{"example.com", 443, false},
		{"a.pkg.example", 443, true},
		{"a.b.pkg.example", 443, true},
		{"pkg.example", 443, false},
		{"evilpkg.example", 443, false},
		{"a.pkg.example.evil.example", 443, false},
		{"a.pkg.example", 22, false},
		{"", 443, false},
	} {
		if got := rules.allow(tt.host, tt.port); got != tt.want {
			t.Errorf("allow(%q, %d): got %t, want %t", tt.host, tt.port, got, tt.want)
		}
		if (Rules{}).allow(tt.host, tt.port) {
			t.Errorf("no rules allow %q", tt.host)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"registry.npmjs.org", "*.example.com:8443", "bücher.example.", "127.0.0.1", "[::1]:443", "１２７.1", "a。b", "xn--a.b", "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		rules, err := Parse([]string{entry})
		if err != nil {
			if text := err.Error(); clean(text, len(text)) != text && !strings.Contains(text, "idna") {
				t.Errorf("%q: the reason %q has odd characters", entry, text)
			}
			return
		}
		r := rules.list[0]
		if again, err := normal(r.name); err != nil || again != r.name {
			t.Errorf("%q: its form %q becomes %q, %v", entry, r.name, again, err)
		}
		if _, err := netip.ParseAddr(r.name); err == nil || !strings.Contains(r.name, ".") || clean(r.name, 253) != r.name || r.port == 0 {
			t.Errorf("%q became %+v", entry, r)
		}
		if rules.allow(r.name, r.port) == r.below || rules.allow("x."+r.name, r.port) != r.below {
			t.Errorf("%q: what %+v allows is the wrong way round", entry, r)
		}
	})
}
