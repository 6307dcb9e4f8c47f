package github

import (
	"strconv"
	"sync"

	"github.com/gregjones/httpcache"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	maxETagEntries = 4096
	maxETagBytes   = 64 << 20
	maxETagEntry   = 1 << 20
)

// etagCache keeps answers with an ETag, so that asking again for what has not changed costs nothing of the
// hourly allowance. It is bounded in entries and in bytes; the oldest go first.
type etagCache struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[string, []byte]
	bytes int
}

func newETagCache() *etagCache {
	c := &etagCache{}
	// The only error is a size that is not positive.
	c.lru, _ = simplelru.NewLRU(maxETagEntries, func(_ string, value []byte) { c.bytes -= len(value) })
	return c
}

// of returns the part of the cache that belongs to one installation: what one may read, another may not.
func (c *etagCache) of(installation int64) httpcache.Cache {
	return etagView{cache: c, prefix: strconv.FormatInt(installation, 10) + " "}
}

type etagView struct {
	cache  *etagCache
	prefix string
}

// Get returns a stored answer.
func (v etagView) Get(key string) ([]byte, bool) {
	v.cache.mu.Lock()
	defer v.cache.mu.Unlock()
	return v.cache.lru.Get(v.prefix + key)
}

// Set stores an answer unless it is very large.
func (v etagView) Set(key string, value []byte) {
	c := v.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(v.prefix + key)
	if len(value) > maxETagEntry {
		return
	}
	c.lru.Add(v.prefix+key, value)
	c.bytes += len(value)
	for c.bytes > maxETagBytes {
		c.lru.RemoveOldest()
	}
}

// Delete forgets an answer.
func (v etagView) Delete(key string) {
	v.cache.mu.Lock()
	defer v.cache.mu.Unlock()
	v.cache.lru.Remove(v.prefix + key)
}
