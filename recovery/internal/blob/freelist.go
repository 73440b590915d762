package blob

import (
	"encoding/binary"
	"hash/fnv"
	"os"
)

// etcd has bbolt keep no list of free pages in the file, so bbolt walks all pages to make one when it opens the file for writing,
// and notes each of them: 15 MiB for each GiB. Who only wants to change a few pages can do with an empty list: what is written goes
// behind the end, and the free pages stay unused until the next one who opens the file makes the whole list again.

// LendFreeList commits an empty list of free pages to a database that has none. It is gone again with the first transaction of a
// bbolt that keeps none (tx.go, Commit). A database that has a list is left alone.
func LendFreeList(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // a lost write shows when the database is read back
	info, err := file.Stat()
	if err != nil {
		return err
	}
	meta, _, err := readMeta(file, info.Size())
	if err != nil || meta.freeList != boltNoFreeList {
		return err
	}
	list := make([]byte, meta.pageSize)
	binary.LittleEndian.PutUint64(list, uint64(meta.highWater)) // the page's number; how many pages are free stays 0
	binary.LittleEndian.PutUint16(list[8:], boltFreeListPage)
	if _, err := file.WriteAt(list, meta.imageBytes()); err != nil {
		return err
	}
	next, slot := meta.afterFreeList()
	_, err = file.WriteAt(next, int64(slot)*meta.pageSize)
	return err
}

// afterFreeList is the meta page of the next commit, whose list of free pages is the page at the end, and which of the two it
// becomes (internal/common/meta.go, Write).
func (m boltMeta) afterFreeList() (page []byte, slot uint64) {
	page, slot = m.bytes[:], (m.txid+1)%2
	binary.LittleEndian.PutUint64(page, slot)
	field := page[BoltHeaderBytes:]
	binary.LittleEndian.PutUint64(field[32:], uint64(m.highWater))
	binary.LittleEndian.PutUint64(field[40:], uint64(m.highWater)+1)
	binary.LittleEndian.PutUint64(field[48:], m.txid+1)
	sum := fnv.New64a()
	sum.Write(page[BoltHeaderBytes:boltSumAt]) // never fails, see hash.Hash
	binary.LittleEndian.PutUint64(page[boltSumAt:], sum.Sum64())
	return page, slot
}
