package sandbox

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onOwnThread runs do on a thread that ends with it, for what cannot be undone: another root, another priority. The main
// thread is never taken: it cannot end, and /proc/self speaks of it.
func onOwnThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never back, so that the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			done <- do()
			return
		}
		defer runtime.UnlockOSThread()
		done <- onOwnThread(do) // on another one: we keep this one meanwhile
	}()
	return <-done
}
