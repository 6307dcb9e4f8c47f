package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// The samples are written in two halves, so that scanners of this repository find nothing in it.
func samples() map[string]string {
	letters, digits, hexes := strings.Repeat("aB3dE5gH", 16), strings.Repeat("0123456789", 4), strings.Repeat("0a1b2c3d", 8)
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))
	jwt := header + "." + letters[:40] + "." + letters[:43]
	pem := "-----BEGIN RSA " + "PRIVATE KEY-----\n" + letters[:64] + "\n" + letters[:64] + "\n" + letters[:20] + "==\n-----END RSA " + "PRIVATE KEY-----"
	return map[string]string{
		"ghp":           "ghp" + "_" + letters[:36],
		"gho":           "gho" + "_" + letters[:36],
		"ghu":           "ghu" + "_" + letters[:36],
		"ghs":           "ghs" + "_" + letters[:36],
		"ghs long":      "ghs" + "_123456_" + jwt,
		"ghr":           "ghr" + "_" + letters[:76],
		"github_pat":    "github" + "_pat_" + letters[:22] + "_" + letters[:59],
		"anthropic":     "sk-" + "ant-api03-" + letters[:93] + "AA",
		"anthropic two": "sk-" + "ant-oat01-" + letters[:40] + "-_" + letters[:20],
		"openai":        "sk" + "-" + letters[:48],
		"openai two":    "sk" + "-proj-" + letters[:60] + "_-" + letters[:20],
		"aws":           "AKIA" + "IOSFODNN7EXAMPLE",
		"aws two":       "ASIA" + "IOSFODNN7EXAMPLE",
		"google":        "AI" + "za" + letters[:35],
		"azure client":  "abc" + "8Q" + "~" + letters[:34],
		"slack":         "xox" + "b-123456789012-123456789012-" + letters[:24],
		"slack hook":    "https://hooks.slack" + ".com/services/T00000000/B00000000/" + letters[:24],
		"npm":           "npm" + "_" + letters[:36],
		"pypi":          "pypi" + "-AgEIcHlwaS5vcmc" + letters[:60],
		"gitlab":        "gl" + "pat-" + letters[:20],
		"stripe":        "sk" + "_live_" + letters[:24],
		"stripe two":    "rk" + "_live_" + letters[:24],
		"twilio":        "SK" + hexes[:32],
		"sendgrid":      "SG" + "." + letters[:22] + "." + letters[:43],
		"hugging face":  "hf" + "_" + letters[:34],
		"digitalocean":  "dop" + "_v1_" + hexes,
		"telegram":      digits[:9] + ":AA" + letters[:33],
		"discord":       "MT" + letters[:22] + "." + letters[:6] + "." + letters[:38],
		"vault":         "hvs" + "." + letters[:30],
		"jwt":           jwt,
		"pem":           pem,
		"pem in json":   strings.ReplaceAll(pem, "\n", `\n`),
		"pem cut off":   pem[:150],
	}
}

// within are samples with what must stand around them; between the bars is the credential.
func within() map[string]string {
	letters, hexes := strings.Repeat("aB3dE5gH", 16), strings.Repeat("0a1b2c3d", 8)
	return map[string]string{
		"aws secret":      `aws_secret_access_key = |` + letters[:38] + `/+|`,
		"aws secret json": `{"SecretAccessKey": "|` + letters[:40] + `|"}`,
		"azure storage":   `DefaultEndpointsProtocol=https;AccountName=x;AccountKey=|` + letters[:86] + `==|;EndpointSuffix=core.windows.net`,
		"azure signature": `https://x.blob.core.windows.net/c?sv=2022&sig=|` + letters[:43] + `%3D|&se=1`,
		"twilio":          `TWILIO_AUTH_TOKEN=|` + hexes[:32] + `|`,
		"url":             `git clone https://user:|s3cr3tPassw0rd|@github.example/a/b.git`,
		"url of postgres": `postgres://app:|hunter2|@db:5432/app?sslmode=disable`,
		"url with token":  `https://|` + letters[:40] + `|@github.example/a/b`,
		"bearer":          `Authorization: Bearer |` + letters[:30] + `|`,
		"bearer in code":  `"Authorization", "Bearer |` + letters[:30] + `|"`,
		"basic":           `authorization: Basic |` + base64.StdEncoding.EncodeToString([]byte("user:pass")) + `|`,
		"api key":         `-H 'x-api-key: |` + letters[:30] + `|'`,
		"in a sentence":   `The key is |ghp` + `_` + letters[:36] + `|, do not tell.`,
		"after a letter":  `tokenis|ghp` + `_` + letters[:36] + `|`,
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for name, s := range samples() {
		text := "before " + s + " after"
		got := Redact(text)
		if strings.Contains(got, s[len(s)-12:]) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, "[redacted: ") {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for name, text := range within() {
		parts := strings.Split(text, "|")
		got, want := Redact(strings.Join(parts, "")), parts[0]+"[redacted: "
		if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "]"+parts[2]) || strings.Contains(got, parts[1]) {
			t.Errorf("%s: got %q, want %q…%q", name, got, want, "]"+parts[2])
		}
	}
}

// TestHiddenShapes: invisible characters and escapes do not help.
func TestHiddenShapes(t *testing.T) {
	t.Parallel()
	for name, s := range samples() {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(string(quoted))
		if err != nil {
			t.Fatal(err)
		}
		for how, text := range map[string]string{
			"zero width": s[:5] + "\u200b" + s[5:9] + "\u2060\u200d" + s[9:], "bidi": "\u202e" + s[:8] + "\u202c" + s[8:],
			"tags": s[:6] + "\U000e0041" + s[6:], "json": string(quoted), "json in json": string(again),
			"unicode escapes": `\u00` + hex.EncodeToString([]byte(s[:1])) + s[1:], "percent": url.QueryEscape(s),
			"entity": s[:1] + "&#x" + hex.EncodeToString([]byte(s[1:2])) + ";" + s[2:],
		} {
			if strings.HasPrefix(s, "-----") && how == "percent" {
				continue // its spaces become plus signs
			}
			if got := Redact(text); strings.Contains(got, s[len(s)-12:]) || !strings.Contains(got, "[redacted: ") {
				t.Errorf("%s, %s: got %q", name, how, got)
			}
		}
	}
}

// TestOrdinaryTextStays: what is no credential is not touched.
func TestOrdinaryTextStays(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "plain words", "commit 4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"id: 123e4567-e89b-12d3-a456-426614174000", "md5 d41d8cd98f00b204e9800998ecf8427e",
		`"integrity": "sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg=="`,
		"golang.org/x/text v0.14.0 h1:ScX5w1eTa3QqT8oi6+ziP7dTV1S2+ALU0bI+0zXKWiQ=", `checksum = "e3fc4d08b5b8b2ce8a1d0b8b1a2b2b9d58e1d6f8bb6c9d3bdb3d2f8b3e4c7a1f"`,
		"![x](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==)",
		"npm_config_registry=https://registry.npmjs.org", "git@github.com:acme/shop.git", "https://github.com/acme/shop/issues/12", "http://host:8080/a@b", "ssh://git@host:22/x",
		"postgres://user:password@localhost/db", "https://user:$TOKEN@host", "https://${USER}:${PASS}@host/", "https://x:%s@host", "redis://:***@host", "http://user:{password}@host",
		`req.Header.Set("Authorization", "Bearer "+token)`, "Authorization: Bearer <token>", "Authorization: Bearer YOUR_ACCESS_TOKEN", "authorization: basic principles",
		`const begin = "-----BEGIN ` + `PRIVATE KEY-----"`, "-----BEGIN " + "PRIVATE KEY-----\n...\n-----END " + "PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
		"sk-learn, sk-container-id-1, sk-estimator-doc-link", "a.b.c, x.y.Z, org.apache.commons.lang3.StringUtils", "eyes.are.everywhere", "ghp_short, gho_test", "AKIA is a prefix", "ASIA", "hf_hub_download(repo_id)",
		"SG.mail.send", "secret_access_key: ${{ secrets.AWS_SECRET_ACCESS_KEY }}", "AccountKey=<key>", "x-api-key: ${API_KEY}", "glpat-", "12:30:00:AAxx", "sq0 dp.pt. xox-",
		"[redacted: GitHub token]", "f(\\n, \\u0041, %20, &amp; &#65;)", strings.Repeat("a", 5000), strings.Repeat("A1", 3000), strings.Repeat("eyJ.", 3000),
		"keys.isPrivate.toString().padStart(2)", "window.localStorage.getItem", "MyVeryLongClassNameForTests.method.anotherVeryLongMethodNameThatGoesOn",
	} {
		if got := Redact(text); got != text {
			t.Errorf("got %q, want %q as it was (%v)", got, text, Find(text))
		}
	}
}

func TestFindSays(t *testing.T) {
	t.Parallel()
	token := "ghp" + "_" + strings.Repeat("aB3dE5gH", 5)
	got := Find("x " + token + " y")
	if len(got) != 1 || got[0] != (Match{"GitHub token", 2, 2 + len(token)}) {
		t.Errorf("got %v", got)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	const value = `p4ss/w"ord+<&>`
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	v := Known(value, "short", "", "first line of it is long enough\nsecond line of it is long enough\n")
	backwards := []byte(value)
	for i, j := 0, len(backwards)-1; i < j; i, j = i+1, j-1 {
		backwards[i], backwards[j] = backwards[j], backwards[i]
	}
	for how, text := range map[string]string{
		"plain": value, "upper": strings.ToUpper(value), "json": string(quoted), "query": url.QueryEscape(value), "path": url.PathEscape(value),
		"hex": hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))), "backwards": string(backwards),
		"base64": base64.StdEncoding.EncodeToString([]byte(value)), "base64 url": base64.URLEncoding.EncodeToString([]byte("x" + value + "yz")),
		"base64 of more": base64.StdEncoding.EncodeToString([]byte("ab" + value + "c")), "zero width": value[:4] + "\u200b" + value[4:],
		"a line": "second line of it is long enough", "percent": "%70%34%73%73%2F%77%22%6F%72%64%2B%3C%26%3E",
	} {
		got := v.Redact("<<" + text + ">>")
		if !strings.Contains(got, "[redacted: known value]") || len(got) > len("<<[redacted: known value]>>")+8 {
			t.Errorf("%s: got %q from %q", how, got, text)
		}
	}
	if got := v.Redact("short words stay"); got != "short words stay" {
		t.Errorf("got %q", got)
	}
	if got := (Values{}).Redact("x"); got != "x" {
		t.Errorf("no values: got %q", got)
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range samples() {
		f.Add(s)
		f.Add(s + s)
		f.Add(`{"a":"` + s + `","b":"\n"}`)
	}
	for _, s := range within() {
		f.Add(strings.ReplaceAll(s, "|", ""))
		f.Add(strings.ReplaceAll(s, "|", "\u200b"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Redact(text)
		if found := Find(got); len(found) > 0 {
			t.Errorf("%q became %q, in which there is %v", text, got, found)
		}
		if again := Redact(got); again != got {
			t.Errorf("%q became %q and then %q", text, got, again)
		}
		last := 0
		for _, m := range Find(text) {
			if m.Start < last || m.End <= m.Start || m.End > len(text) {
				t.Errorf("%q: matches %v", text, Find(text))
			}
			last = m.End
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	code := strings.Repeat("func (f *Flow) keys(ctx context.Context) error { return f.sk.global(\"a.b.c\", key) } // eyes, https://x.y/z\n", 150)
	blob := strings.Repeat("iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB", 500)
	for name, text := range map[string]string{"code": code, "blob": blob, "escapes": strings.ReplaceAll(code, "\n", `\n`)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Redact(text)
			}
		})
	}
}
