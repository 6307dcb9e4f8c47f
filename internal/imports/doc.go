// Package imports holds the rules about who may import what, as a test. It has no code: only its test matters.
//
// The same rules stand in .golangci.yml for editors and reviews; this test needs nothing but Go.
package imports
