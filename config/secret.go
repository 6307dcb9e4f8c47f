package config

import (
	"fmt"
	"io"
)

// Secret is a value that never shows: not in formatted output, logs, JSON or YAML. Reveal gives it.
type Secret string

const stars = "***"

// Reveal gives the value itself, for the one call that needs it.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (Secret) String() string { return stars }

// Format hides the value whatever the verb is.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, stars) // fmt reports its own errors
}

// MarshalText hides the value in JSON, YAML and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte(stars), nil }
