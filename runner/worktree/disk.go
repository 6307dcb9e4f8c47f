package worktree

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strconv"
	"syscall"
)

// size is what a commit's files need on disk.
type size struct {
	bytes  uint64
	inodes uint64
}

const (
	sizesKept  = 256      // commits whose size is remembered
	blockSize  = 4096     // files take whole blocks
	spareBytes = 64 << 20 // what must stay free beside the tree: the agent's edits, our index
	spareNodes = 1000
	listLimit  = 512 << 20
)

// room refuses to begin a checkout that the disk cannot hold.
func (p *seat) room(ctx context.Context, commit string) error {
	need, err := p.mirror.size(ctx, commit)
	if err != nil {
		return err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(p.t.dir, &fs); err != nil {
		return fmt.Errorf("measure free disk space: %w", err)
	}
	return enough(need, fs.Bavail*uint64(fs.Bsize), fs.Ffree, fs.Files > 0)
}

// enough compares; file systems without a fixed number of inodes are not counted.
func enough(need size, freeBytes, freeNodes uint64, countsNodes bool) error {
	bytes, nodes := need.bytes+need.bytes/10+spareBytes, need.inodes+need.inodes/10+spareNodes
	if freeBytes < bytes {
		return fmt.Errorf("%w: a worktree needs %d MB, %d MB are free", ErrDisk, bytes>>20, freeBytes>>20)
	}
	if countsNodes && freeNodes < nodes {
		return fmt.Errorf("%w: a worktree needs %d inodes, %d are free", ErrDisk, nodes, freeNodes)
	}
	return nil
}

// size adds up the commit's files.
func (m *mirror) size(ctx context.Context, commit string) (size, error) {
	m.mu.Lock()
	sum, ok := m.sizes[commit]
	m.mu.Unlock()
	if ok {
		return sum, nil
	}
	s, err := m.git(ctx, call{args: []string{"ls-tree", "-r", "-z", "--long", "--full-tree", commit}, limit: listLimit})
	if err != nil {
		return size{}, fmt.Errorf("measure commit %s: %w", commit, err)
	}
	sum = measure(s.out)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sizes) >= sizesKept {
		clear(m.sizes)
	}
	m.sizes[commit] = sum
	return sum, nil
}

// measure reads records of "mode type object size<TAB>path".
func measure(listing []byte) size {
	var sum size
	folder := ""
	for record := range bytes.SplitSeq(listing, []byte{0}) {
		meta, name, ok := bytes.Cut(record, []byte{'\t'})
		if !ok {
			continue
		}
		fields := bytes.Fields(meta)
		n, _ := strconv.ParseUint(string(fields[len(fields)-1]), 10, 64) // "-" of a submodule counts as nothing
		sum.bytes += (n + blockSize - 1) / blockSize * blockSize
		sum.inodes++
		if dir := path.Dir(string(name)); dir != folder {
			folder = dir
			sum.inodes++
		}
	}
	return sum
}
