package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
)

// Address is where the forwarder listens inside the box: the value of the proxy variables, after http://.
const Address = "127.0.0.1:3128"

// addressIPv6 is listened on as well where there is IPv6, for clients that take localhost for ::1.
const addressIPv6 = "[::1]:3128"

// Exit codes of the forwarder itself, as those of env and timeout.
const (
	exitTrouble  = 125 // the forwarder could not do its work
	exitNoStart  = 126 // the program could not be started
	exitNotFound = 127 // there is no such program
	exitSignal   = 128 // plus the number of the signal that ended the program
)

// ForwardMain runs inside the box, as a verb of this program: SOCKET -- PROGRAM ARGS... It leads connections to
// Address to the proxy's socket while the program runs, with our own environment, input and output. It passes SIGTERM,
// SIGINT and SIGHUP on to the program and returns its exit code, or 128 and the signal that ended it. It decides
// nothing: it is as untrusted as the program.
func ForwardMain(args []string, stderr io.Writer) int {
	if len(args) < 3 || args[1] != "--" {
		return trouble(stderr, errors.New("its arguments are SOCKET -- PROGRAM and what PROGRAM gets"))
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", Address)
	if err != nil {
		return trouble(stderr, err)
	}
	listeners := []net.Listener{l}
	if l, err = lc.Listen(ctx, "tcp6", addressIPv6); err == nil {
		listeners = append(listeners, l)
	}
	return forward(ctx, listeners, args[0], args[2:], stderr)
}

func trouble(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintf(stderr, "egress forwarder: %v\n", err)
	return exitTrouble
}

// forward leads what the listeners accept to the socket until the program has ended.
func forward(ctx context.Context, listeners []net.Listener, socket string, program []string, stderr io.Writer) int {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, l := range listeners {
		running.Go(func() { lead(ctx, l, socket, &running) })
	}
	code := runProgram(ctx, program, stderr)
	stop()
	for _, l := range listeners {
		l.Close()
	}
	running.Wait()
	return code
}

// lead takes connections until the listener is closed.
func lead(ctx context.Context, l net.Listener, socket string, running *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err == nil {
			running.Go(func() { leadOne(ctx, c, socket) })
		} else if !again(ctx, err) {
			return
		}
	}
}

func leadOne(ctx context.Context, c net.Conn, socket string) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	var d net.Dialer
	proxy, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		reply(c, http.StatusBadGateway, "The egress proxy of this sandbox cannot be reached.")
		return
	}
	defer proxy.Close()
	defer context.AfterFunc(ctx, func() { proxy.Close() })()
	join(endOf(c), endOf(proxy), 0) // the proxy ends what is idle
}

// runProgram runs the program to its end and returns its exit code.
func runProgram(ctx context.Context, program []string, stderr io.Writer) int {
	// The kernel kills the program when the thread that started it dies: the thread stays ours until the end.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	cmd := exec.CommandContext(context.WithoutCancel(ctx), program[0], program[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	separate(cmd)
	if err := cmd.Start(); err != nil {
		trouble(stderr, err)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return exitNotFound
		}
		return exitNoStart
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in the state
		close(ended)
	}()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // an error says that it has ended, which we are about to hear
		case <-ended:
			return exitCode(cmd.ProcessState)
		}
	}
}

func exitCode(state *os.ProcessState) int {
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return exitSignal + int(s.Signal())
	}
	return state.ExitCode()
}
