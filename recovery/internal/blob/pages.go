package blob

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// bbolt can check a database (tx_check.go), but it does so in a goroutine of its own, where a fault of what is damaged ends the
// process, and it notes every page twice over, once to find the free ones. Here pages are read and not mapped, every number is
// held against the file before it is used, and there is a bit for each page.

// The layout of pages (internal/common of go.etcd.io/bbolt: page.go, bucket.go, meta.go).
const (
	boltBranchPage, boltLeafPage        = 0x01, 0x02
	boltElementBytes                    = 16 // of a branch and of a leaf alike
	boltBucketEntry                     = 0x01
	boltBucketBytes                     = 16 // root page and sequence, before an inline page
	boltRootAt                          = BoltHeaderBytes + 16
	boltCountIsLarge                    = 0xFFFF // of a list of free pages: the first number is the count
	boltListStride                      = 1 << 13
	pagesPerLook                 uint64 = 1024
)

// maxPageFaults bounds how many faults of pages an error lists; the others are counted.
const maxPageFaults = 3

// CheckPages looks at every page of a database that reaches as far as its meta pages say: that it is where it says it is, belongs to
// one place of the tree, and that all keys lie in it and in order.
func CheckPages(ctx context.Context, path string) error { return ReadPages(ctx, path, Visitor{}) }

// ReadPages is CheckPages that shows what it finds until it finds a fault.
func ReadPages(ctx context.Context, path string, visitor Visitor) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only
	info, err := file.Stat()
	if err != nil {
		return err
	}
	meta, _, err := readMeta(file, info.Size())
	if errors.Is(err, errNoMeta) {
		return fmt.Errorf("%w: %w", recovery.ErrBadStructure, err)
	}
	if err != nil {
		return err
	}
	if meta.imageBytes() > info.Size() {
		return fmt.Errorf("%w: its pages reach to byte %d, the file has %d", recovery.ErrBadStructure, meta.imageBytes(), info.Size())
	}
	w := &pageWalk{ctx: ctx, file: file, meta: meta, visitor: visitor, claimed: make([]uint64, meta.highWater/64+1)}
	w.claim(0, 0) // the meta pages
	w.claim(1, 0)
	if err := w.tree(binary.LittleEndian.Uint64(meta.bytes[boltRootAt:]), nil, nil); err != nil {
		return err
	}
	if err := w.freeList(); err != nil {
		return err
	}
	if w.count == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d faults in its pages, first: %w", recovery.ErrBadStructure, w.count, errors.Join(w.faults...))
}

// pageWalk is one look at all pages. Faults are collected; an error ends it.
type pageWalk struct {
	ctx     context.Context
	file    io.ReaderAt
	meta    boltMeta
	visitor Visitor
	name    []byte   // of the bucket at the top
	depth   int      // how many buckets deep
	claimed []uint64 // a bit for each page that was met
	met     uint64
	count   int
	faults  []error
	spare   [][]byte // buffers of pages
}

func (w *pageWalk) fault(format string, args ...any) {
	if w.count++; w.count <= maxPageFaults {
		w.faults = append(w.faults, fmt.Errorf(format, args...))
	}
}

// claim notes that a page and those it overflows into have been met. It reports false if they cannot be used.
func (w *pageWalk) claim(id, overflow uint64) bool {
	if limit := uint64(w.meta.highWater); id >= limit || overflow >= limit-id {
		w.fault("page %d: with %d more it lies behind the end at %d", id, overflow, limit)
		return false
	}
	for page := id; page <= id+overflow; page++ {
		if w.isClaimed(page) {
			w.fault("page %d: it has more than one place", page)
			return false
		}
		w.claimed[page/64] |= 1 << (page % 64)
	}
	return true
}

func (w *pageWalk) isClaimed(page uint64) bool { return w.claimed[page/64]&(1<<(page%64)) != 0 }

// area is where a page lies, with those it overflows into; an inline page lies in another one's value.
type area struct {
	id    uint64 // of the page; of an inline one that in which it lies
	at    int64  // in the file
	bytes int64
	head  []byte // its beginning, a page at most
}

// read returns some bytes of the area.
func (w *pageWalk) read(a area, from, n int64) ([]byte, error) {
	if from+n <= int64(len(a.head)) {
		return a.head[from : from+n], nil
	}
	out := make([]byte, n)
	_, err := w.file.ReadAt(out, a.at+from)
	return out, err
}

// tree looks at a page and all below it, whose keys must be at least low and less than high; nil for no bound.
func (w *pageWalk) tree(id uint64, low, high []byte) error {
	if w.met++; w.met%pagesPerLook == 0 && w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if id >= uint64(w.meta.highWater) {
		w.fault("page %d: it lies behind the end at %d", id, w.meta.highWater)
		return nil
	}
	a := area{id: id, at: int64(id) * w.meta.pageSize, head: w.buffer()}
	defer func() { w.spare = append(w.spare, a.head) }()
	if _, err := w.file.ReadAt(a.head, a.at); err != nil {
		return err
	}
	if is := binary.LittleEndian.Uint64(a.head); is != id {
		w.fault("page %d: it says that it is page %d", id, is)
		return nil
	}
	overflow := uint64(binary.LittleEndian.Uint32(a.head[12:]))
	if !w.claim(id, overflow) {
		return nil
	}
	a.bytes = int64(overflow+1) * w.meta.pageSize
	return w.elements(a, low, high)
}

func (w *pageWalk) buffer() []byte {
	if last := len(w.spare) - 1; last >= 0 {
		head := w.spare[last]
		w.spare = w.spare[:last]
		return head
	}
	return make([]byte, w.meta.pageSize)
}

// element is an entry of a page.
type element struct {
	key     []byte
	valueAt int64 // in the area
	bytes   int64 // of the value
	bucket  bool
	child   uint64 // of a branch: the page below
}

// elements looks at what is on a page.
func (w *pageWalk) elements(a area, low, high []byte) error {
	flags, count := binary.LittleEndian.Uint16(a.head[8:]), int64(binary.LittleEndian.Uint16(a.head[10:]))
	if flags != boltBranchPage && flags != boltLeafPage {
		w.fault("page %d: it is neither a branch nor a leaf (flags %#x)", a.id, flags)
		return nil
	}
	if BoltHeaderBytes+count*boltElementBytes > a.bytes {
		w.fault("page %d: it has no room for its %d entries", a.id, count)
		return nil
	}
	branch := flags == boltBranchPage
	var last element
	for i := range count {
		e, err := w.element(a, branch, i)
		if err != nil {
			return err
		}
		if e.key == nil {
			w.fault("page %d: entry %d lies outside of it", a.id, i)
			return nil
		}
		if bytes.Compare(e.key, low) < 0 || i > 0 && bytes.Equal(e.key, low) || high != nil && bytes.Compare(e.key, high) >= 0 {
			w.fault("page %d: the key of entry %d is out of order", a.id, i)
		}
		low = e.key
		switch {
		case branch && i > 0: // only now the end of the one before is known
			if err := w.tree(last.child, last.key, e.key); err != nil {
				return err
			}
		case e.bucket:
			if err := w.bucket(a, e); err != nil {
				return err
			}
		case !branch:
			if err := w.show(a, e); err != nil {
				return err
			}
		}
		last = e
	}
	if branch && count > 0 {
		return w.tree(last.child, last.key, high)
	}
	return nil
}

// element reads an entry. Its key is nil if it does not lie in the area.
func (w *pageWalk) element(a area, branch bool, i int64) (element, error) {
	at := BoltHeaderBytes + i*boltElementBytes
	raw, err := w.read(a, at, boltElementBytes)
	if err != nil {
		return element{}, err
	}
	number := func(from int) int64 { return int64(binary.LittleEndian.Uint32(raw[from:])) }
	var e element
	pos, keyBytes := number(4), number(8)
	if branch {
		pos, keyBytes, e.child = number(0), number(4), binary.LittleEndian.Uint64(raw[8:])
	} else {
		e.bucket, e.bytes = number(0)&boltBucketEntry != 0, number(12)
	}
	e.valueAt = at + pos + keyBytes
	if e.valueAt+e.bytes > a.bytes {
		return element{}, nil
	}
	key, err := w.read(a, at+pos, keyBytes)
	if key == nil {
		key = []byte{}
	}
	e.key = key
	return e, err
}

// bucket looks at a bucket in a leaf.
func (w *pageWalk) bucket(a area, e element) error {
	defer func() { w.depth-- }()
	if err := w.enter(e.key); err != nil {
		return err
	}
	if e.bytes < boltBucketBytes {
		w.fault("page %d: bucket %q is cut off", a.id, e.key)
		return nil
	}
	header, err := w.read(a, e.valueAt, boltBucketBytes)
	if err != nil {
		return err
	}
	if root := binary.LittleEndian.Uint64(header); root != 0 {
		return w.tree(root, nil, nil)
	}
	inline := area{id: a.id, at: a.at + e.valueAt + boltBucketBytes, bytes: e.bytes - boltBucketBytes}
	if inline.bytes < BoltHeaderBytes {
		w.fault("page %d: bucket %q is cut off", a.id, e.key)
		return nil
	}
	if inline.head, err = w.read(a, e.valueAt+boltBucketBytes, min(inline.bytes, w.meta.pageSize)); err != nil {
		return err
	}
	return w.elements(inline, nil, nil)
}

// freeList looks at the list of free pages, if there is one: then every page is on it or was met, and none is both.
func (w *pageWalk) freeList() error {
	if w.meta.freeList == boltNoFreeList {
		return nil
	}
	id := w.meta.freeList
	if id >= uint64(w.meta.highWater) {
		w.fault("page %d: the list of free pages lies behind the end at %d", id, w.meta.highWater)
		return nil
	}
	a := area{id: id, at: int64(id) * w.meta.pageSize, head: w.buffer()}
	if _, err := w.file.ReadAt(a.head, a.at); err != nil {
		return err
	}
	overflow := uint64(binary.LittleEndian.Uint32(a.head[12:]))
	if flags := binary.LittleEndian.Uint16(a.head[8:]); flags != boltFreeListPage || !w.claim(id, overflow) {
		w.fault("page %d: it is no list of free pages (flags %#x)", id, flags)
		return nil
	}
	a.bytes = int64(overflow+1) * w.meta.pageSize
	from, count := int64(BoltHeaderBytes), uint64(binary.LittleEndian.Uint16(a.head[10:]))
	if count == boltCountIsLarge {
		from, count = from+8, binary.LittleEndian.Uint64(a.head[BoltHeaderBytes:])
	}
	if count > uint64(a.bytes-from)/8 {
		w.fault("page %d: it has no room for a list of %d pages", id, count)
		return nil
	}
	for done := uint64(0); done < count; done += boltListStride {
		part, err := w.read(a, from+int64(done)*8, int64(min(boltListStride, count-done))*8)
		if err != nil {
			return err
		}
		for ; len(part) > 0; part = part[8:] {
			w.claim(binary.LittleEndian.Uint64(part), 0)
		}
	}
	for page := range uint64(w.meta.highWater) {
		if !w.isClaimed(page) {
			w.fault("page %d: it is neither in use nor free", page)
		}
	}
	return nil
}
