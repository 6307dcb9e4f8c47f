package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// signatureHeader carries the HMAC of the raw body. The older X-Hub-Signature, SHA-1, is not looked at.
const signatureHeader = "X-Hub-Signature-256"

const signaturePrefix = "sha256="

// signatureShape says whether there is exactly one signature that could be right, without reading the body.
func signatureShape(values []string) bool {
	if len(values) != 1 {
		return false
	}
	digits, ok := strings.CutPrefix(values[0], signaturePrefix)
	_, err := hex.DecodeString(digits)
	return ok && err == nil && len(digits) == 2*sha256.Size
}

// signedBy is the index of the secret that signed the body, or -1. All secrets are tried, in the same time whichever
// matches.
func signedBy(secrets []string, header string, body []byte) int {
	got, err := hex.DecodeString(strings.TrimPrefix(header, signaturePrefix))
	if err != nil {
		return -1
	}
	found := -1
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body) // a hash never returns an error
		if hmac.Equal(mac.Sum(nil), got) && found < 0 {
			found = i
		}
	}
	return found
}
