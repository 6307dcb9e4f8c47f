// Package fakemodel is a stand-in for Anthropic's Messages API that the real claude program talks to in tests
// and demos: one HTTP server whose answers a Go function decides.
//
// It knows only as much of the API as the program needs; it is a test double and must not be imported outside of
// tests, internal/ and the demo.
package fakemodel
