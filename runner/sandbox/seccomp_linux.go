package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
)

// What a filter answers (linux/seccomp.h).
const (
	answerAllow = 0x7fff0000
	answerError = 0x00050000
)

// filter is the program for the kernel that every call in a box passes. On a machine whose calls we do not know it
// lets all pass: bubblewrap needs one, and the namespaces hold without it.
func filter() ([]byte, error) {
	raw, err := bpf.Assemble(append(calls(), bpf.RetConstant{Val: answerAllow}))
	if err != nil {
		return nil, fmt.Errorf("assemble the filter for system calls: %w", err)
	}
	var out bytes.Buffer
	for _, in := range raw { // struct sock_filter (linux/filter.h)
		_ = binary.Write(&out, binary.NativeEndian, in) // into memory
	}
	return out.Bytes(), nil
}
