// Package secret finds credentials in text by their known shapes, and takes them out before the text goes where people
// can read it: comments, pull requests, commit messages, logs, the web page.
//
// The shapes are strict (prefix, alphabet, length), so that commit names, checksums, lock files and ordinary code stay
// as they are. This is the last net, not the wall: an agent holds no credential to begin with, and whoever wants to
// smuggle one out can write it in a way that no shape knows.
//
// It is pure, and its time grows with the length of the text alone. It imports nothing of ours.
package secret
