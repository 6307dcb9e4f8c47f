package secret

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// rule is one shape. The credential is the pattern's first group that took part, or all of it. A pattern that begins
// with fixed letters is searched for fast; any other has hints, in lower case, and is tried only on a text that holds
// one of them. Check looks at what a pattern cannot say.
type rule struct {
	kind    string
	pattern *regexp.Regexp
	hints   []string
	check   func(string) bool
	inside  bool // may begin within a word: its letters are like no word's
}

// shape is a rule whose letters may stand anywhere, name one whose letters begin a word.
func shape(kind, pattern string) rule {
	return rule{kind: kind, pattern: regexp.MustCompile(pattern), inside: true}
}

func name(kind, pattern string) rule { return rule{kind: kind, pattern: regexp.MustCompile(pattern)} }

// named is a value that is a credential because of the name before it.
func named(kind, names, value string, check func(string) bool, hints ...string) rule {
	return rule{kind: kind, pattern: regexp.MustCompile(`(?i)(?:` + names + `)["']?\s{0,4}(?:=>|[:=,])\s{0,4}["']?` + value), hints: hints, check: check, inside: true}
}

// The shapes are those that their makers document, or that public scanners (gitleaks, GitHub's own) agree on.
var rules = []rule{
	shape("GitHub token", `ghp_[A-Za-z0-9]{36,}`),
	shape("GitHub token", `gho_[A-Za-z0-9]{36,}`),
	shape("GitHub token", `ghu_[A-Za-z0-9]{36,}`),
	shape("GitHub token", `ghr_[A-Za-z0-9]{36,}`),
	shape("GitHub token", `ghs_(?:[0-9]{1,12}_[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*|[A-Za-z0-9]{36,})`),
	shape("GitHub token", `github_pat_[A-Za-z0-9_]{40,}`),
	shape("Anthropic key", `sk-ant-[A-Za-z0-9_-]{20,}`),
	name("OpenAI key", `sk-(?:(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})`),
	name("AWS access key id", `AKIA[A-Z2-7]{16}\b`),
	name("AWS access key id", `ASIA[A-Z2-7]{16}\b`),
	named("AWS secret key", `secret[_-]?access[_-]?key|aws[_-]?secret(?:[_-]?key)?`, `([A-Za-z0-9/+]{40,})`, nil,
		"secretaccesskey", "secret_access_key", "secret-access-key", "awssecret", "aws_secret", "aws-secret"),
	named("AWS session token", `session[_-]?token`, `([A-Za-z0-9/+]{100,}={0,2})`, nil, "sessiontoken", "session_token", "session-token"),
	shape("Google key", `AIza[0-9A-Za-z_-]{35}`),
	shape("Google client secret", `GOCSPX-[A-Za-z0-9_-]{28}`),
	name("Google token", `ya29\.[0-9A-Za-z_-]{20,}`),
	named("Azure key", `account[_-]?key|storage[_-]?key|shared[_-]?access[_-]?key`, `([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)`, nil,
		"accountkey", "account_key", "account-key", "storagekey", "storage_key", "storage-key", "sharedaccesskey", "shared_access_key", "shared-access-key"),
	{kind: "Azure signature", pattern: regexp.MustCompile(`[?&;]sig=([A-Za-z0-9+/]{43}=)`), hints: []string{"sig="}, inside: true},
	{kind: "Azure secret", pattern: regexp.MustCompile(`[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}`), hints: []string{"q~"}},
	shape("Slack token", `xox[a-z](?:\.xox[a-z])?-[0-9A-Za-z-]{20,}`),
	shape("Slack token", `xapp-[0-9]-[A-Z0-9]{8,}-[0-9]{8,}-[a-f0-9]{32,}`),
	shape("Slack webhook", `hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/]{20,})`),
	shape("npm token", `npm_[A-Za-z0-9]{36,}`),
	shape("PyPI token", `pypi-AgE[A-Za-z0-9_-]{40,}`),
	{kind: "GitLab token", pattern: regexp.MustCompile(`gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*`),
		hints: []string{"glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-", "glffct-"}},
	name("Stripe key", `sk_(?:live|test|prod)_[A-Za-z0-9]{20,}`),
	name("Stripe key", `rk_(?:live|test|prod)_[A-Za-z0-9]{20,}`),
	name("webhook secret", `whsec_[A-Za-z0-9+/]{32,}={0,2}`),
	name("Twilio key", `SK[0-9a-f]{32}\b`),
	named("Twilio token", `twilio[a-z_-]{0,20}token`, `([0-9a-f]{32})`, nil, "twilio"),
	name("SendGrid key", `SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}`),
	name("Hugging Face token", `hf_[A-Za-z0-9]{34,}`),
	name("Hugging Face token", `api_org_[A-Za-z]{34,}`),
	{kind: "DigitalOcean token", pattern: regexp.MustCompile(`do[opr]_v1_[a-f0-9]{64}`), hints: []string{"doo_v1_", "dop_v1_", "dor_v1_"}, inside: true},
	{kind: "Telegram token", pattern: regexp.MustCompile(`[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34}`), hints: []string{":aa"}},
	discord(`MD`), discord(`MT`), discord(`Mj`), discord(`Mz`), discord(`ND`), discord(`NT`), discord(`Nj`), discord(`Nz`), discord(`OD`), discord(`OT`),
	shape("Discord webhook", `/api/webhooks/([0-9]{10,}/[A-Za-z0-9_-]{60,})`),
	name("Vault token", `hvs\.[A-Za-z0-9_-]{24,}`),
	name("Databricks token", `dapi[a-f0-9]{32}\b`),
	name("Grafana token", `glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}`),
	name("Linear key", `lin_api_[A-Za-z0-9]{40}`),
	name("Shopify token", `shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}`),
	name("Notion token", `ntn_[A-Za-z0-9]{40,}`),
	name("Docker token", `dckr_[po]at_[A-Za-z0-9_-]{27,}`),
	shape("Terraform token", `\.atlasv1\.[A-Za-z0-9_=-]{60,}`),
	name("RubyGems key", `rubygems_[a-f0-9]{48}`),
	shape("age key", `AGE-SECRET-KEY-1[0-9A-Z]{58}`),
	name("Sentry token", `sntry[su]_[A-Za-z0-9+/=_-]{40,}`),
	name("Postman key", `PMAK-[a-f0-9]{24}-[a-f0-9]{34}`),
	name("New Relic key", `NRAK-[A-Z0-9]{27}`),
	name("Groq key", `gsk_[A-Za-z0-9]{52}`),
	name("xAI key", `xai-[A-Za-z0-9]{80}`),
	name("Replicate token", `r8_[A-Za-z0-9]{37}`),
	name("PlanetScale token", `pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_.=-]{32,}`),
	name("Atlassian token", `ATATT3[A-Za-z0-9_=-]{100,}`),
	name("Bitbucket token", `ATBB[A-Za-z0-9]{28,}`),
	name("Square token", `sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}`),
	name("Doppler token", `dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{40,}`),
	{kind: "Mailchimp key", pattern: regexp.MustCompile(`[a-f0-9]{32}-us[0-9]{1,2}\b`), hints: []string{"-us1", "-us2", "-us3", "-us4", "-us5", "-us6", "-us7", "-us8", "-us9"}},
	token(`eyJ`), token(`eyA`), token(`ewo`), token(`ewk`), token(`ew0`),
	{kind: "password in a URL", pattern: regexp.MustCompile("://[^\\s/?#:@'\"<>\\[\\]`\\\\]*:([^\\s/?#@'\"<>\\[\\]`\\\\]+)@"), check: notPlaceholder, inside: true},
	{kind: "token in a URL", pattern: regexp.MustCompile(`://([A-Za-z0-9_~.-]{20,})@`), check: mixed, inside: true},
	named("authorization header", `authorization`, `(?:bearer|token|apikey)\s{1,3}([A-Za-z0-9._~+/=-]{16,})`, mixed, "authorization"),
	named("authorization header", `authorization`, `basic\s{1,3}([A-Za-z0-9+/_-]{8,}={0,2})`, isBasic, "authorization"),
	named("key in a header", `x-api-key|api-key|x-goog-api-key|x-auth-token|private-token`, `([A-Za-z0-9._~+/=-]{16,})`, mixed, "api-key", "auth-token", "private-token"),
}

// token is a JSON web token whose header begins in this way: an object, with or without a space or a line break.
func token(begin string) rule {
	r := shape("JSON web token", begin+`[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}`)
	r.check = hasJSONHeader
	return r
}

// discord is a bot's token: its first part is a number in base64, which begins with one of few pairs of letters.
func discord(begin string) rule {
	return name("Discord token", begin+`[A-Za-z0-9]{22,24}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}`)
}

// mixed wants letters and digits, as random words have them and names and placeholders seldom.
func mixed(s string) bool {
	return strings.ContainsFunc(s, unicode.IsDigit) && strings.ContainsFunc(s, unicode.IsLetter)
}

// hasJSONHeader says that the first part of a token is a JSON object.
func hasJSONHeader(s string) bool {
	first, _, _ := strings.Cut(s, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	var header map[string]any
	return err == nil && json.Unmarshal(b, &header) == nil && len(header) > 0
}

// isBasic says that a value of basic authorization holds name:password.
func isBasic(s string) bool {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(s)
	return err == nil && strings.Contains(string(b), ":")
}

// notPlaceholder says that what stands for a password in a URL may be one: documents and scripts write $PASSWORD,
// ${PASSWORD}, {password}, %s, *** or xxx there.
func notPlaceholder(s string) bool {
	if strings.ContainsAny(s[:1], "$%{*(") || strings.Trim(s, "xX.…") == "" {
		return false
	}
	switch strings.ToLower(s) {
	case "password", "passwd", "pass", "pw", "pwd", "secret", "token", "your_password", "your-password":
		return false
	}
	return true
}
