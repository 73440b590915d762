package load

import (
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A range asks for so many keys as are about pageBytes, by the keys that came before: a value can be more than a megabyte, and both
// sides hold a whole page in memory.
const (
	pageBytes     = 2 << 20
	firstPageKeys = 64
	maxPageKeys   = 4000
	pageGrowth    = 64 // a page has at most so many times the keys of the one before
)

// tileKeys is how many keys a tile may still hold before a smaller one is laid into it. To count them takes etcd a millisecond.
const tileKeys = 16_000

// pages turns the pages of a keyspace in the order of the keys.
//
// For every page etcd counts all keys of the range that was asked for, whatever its limit (server/storage/mvcc/index.go,
// Revisions), so that reading on to the end of the keyspace again and again takes a time that grows with the square of its size.
// Ranges are therefore tiles: each ends a few pages ahead, at a guess that is made from the keys of the page before and mended by
// the counts that come with the pages. A bad guess costs a question more; tiles lie side by side without a gap, so it costs no key.
type pages struct {
	from  string // where the next page begins
	limit int64
	tiles []tile // each within the one before; the first holds all that is left
	depth int    // which byte of a key tells tiles apart, from 1
	step  int    // by how much tiles differ there
}

// tile is a range that begins where the next page does.
type tile struct {
	end     string // fromKey where there is none
	left    int64  // keys that it still holds
	counted bool   // left is known
}

// fromKey is etcd's end of a range that has none.
const fromKey = "\x00"

func newPages() *pages {
	return &pages{from: "\x00", limit: firstPageKeys, tiles: []tile{{end: fromKey}}, step: 1}
}

// next returns the range to ask for.
func (p *pages) next() (from, end string, limit int64) {
	top := p.tiles[len(p.tiles)-1]
	if top.counted && top.left > tileKeys {
		if end := p.within(top.end); end != "" {
			top = tile{end: end}
			p.tiles = append(p.tiles, top)
		}
	}
	return p.from, top.end, p.limit
}

// within returns the end of a tile that begins where the next page does and ends before this end; empty if there is none. What was
// learned of the width of tiles holds for the byte in which they differ, and no other.
func (p *pages) within(end string) string {
	depth := max(min(p.depth, len(p.from)), 1)
	raised := raise(p.from, depth, p.stepAt(depth))
	for raised == "" && depth > 1 { // carry
		depth--
		raised = raise(p.from, depth, p.stepAt(depth))
	}
	for raised == "" || end != fromKey && raised >= end { // as much has been counted already
		if depth++; depth > len(p.from) {
			return ""
		}
		raised = raise(p.from, depth, p.stepAt(depth))
	}
	p.depth, p.step = depth, p.stepAt(depth)
	return raised
}

func (p *pages) stepAt(depth int) int {
	if depth == p.depth {
		return p.step
	}
	return 1
}

// raise cuts a key off behind a byte and adds to that; empty if it does not hold so much.
func raise(key string, depth, step int) string {
	last := int(key[depth-1]) + step
	if last > 0xff {
		return ""
	}
	return key[:depth-1] + string([]byte{byte(last)})
}

// turn takes note of a page. It returns false if it was the last one, and an error if the member contradicts itself.
func (p *pages) turn(resp *clientv3.GetResponse) (bool, error) {
	got := len(resp.Kvs)
	if resp.More && got == 0 {
		return false, errors.New("the member announces more keys and sends none")
	}
	top := len(p.tiles) - 1
	if !p.tiles[top].counted {
		p.tiles[top].left, p.tiles[top].counted = resp.Count, true
		p.fit(resp.Count)
	}
	for i := range p.tiles {
		p.tiles[i].left -= int64(got)
	}
	if got > 0 {
		p.learn(resp)
	}
	if resp.More {
		p.from = string(resp.Kvs[got-1].Key) + "\x00"
		return true, nil
	}
	p.from = p.tiles[top].end
	p.tiles = p.tiles[:top]
	return top > 0, nil
}

// fit makes the next tile wider or narrower by what this one held.
func (p *pages) fit(count int64) {
	switch {
	case count < p.limit/2:
		p.step = min(2*p.step, 0x80)
	case count > tileKeys:
		p.step = max(p.step/4, 1)
	}
}

// learn sizes the next page, and finds the byte in which keys that are about a page apart differ.
func (p *pages) learn(resp *clientv3.GetResponse) {
	got, bytes := len(resp.Kvs), 0
	for _, kv := range resp.Kvs {
		bytes += len(kv.Key) + len(kv.Value)
	}
	fitting := int64(min(max(pageBytes*got/max(bytes, 1), 1), maxPageKeys))
	if int64(got) < p.limit { // the tile ended
		p.limit = min(p.limit, fitting)
		return
	}
	p.limit = min(fitting, pageGrowth*p.limit)
	first, last := resp.Kvs[0].Key, resp.Kvs[got-1].Key
	depth := 0
	for depth < min(len(first), len(last)) && first[depth] == last[depth] {
		depth++
	}
	if depth+1 != p.depth {
		p.depth, p.step = depth+1, 1
	}
}
