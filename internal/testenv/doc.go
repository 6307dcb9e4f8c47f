// Package testenv finds or makes what tests need from the machine they run on. It must not be imported outside of tests.
package testenv
