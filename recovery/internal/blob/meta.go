package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// boltMeta is what matters here of a bbolt meta page (internal/common/meta.go of go.etcd.io/bbolt).
type boltMeta struct {
	pageSize  int64
	highWater int64 // pages at or behind it do not belong to the database
	freeList  uint64
	txid      uint64
	bytes     [boltMetaBytes]byte // the page as it is
}

// The layout of a meta page: a page header, then little-endian fields (bbolt writes the host's order; etcd supports
// little-endian hosts), then an FNV-1a sum of them.
const (
	BoltHeaderBytes = 16
	BoltMagic       = 0xED0CDAED
	boltVersion     = 2
	boltSumAt       = BoltHeaderBytes + 56
	boltMetaBytes   = boltSumAt + 8
	// bbolt tries second meta pages at 1 KiB to 16 MiB (db.go, getPageSizeFromSecondMeta).
	BoltMinPage, boltMaxPage = 1 << 10, 1 << 24
	boltFreeListPage         = 0x10       // flag of a page (internal/common/page.go)
	boltNoFreeList           = ^uint64(0) // in place of a page's number (internal/common/types.go)
)

// errNoMeta means that there is no valid meta page at a place.
var errNoMeta = errors.New("no valid meta page")

func readMetaAt(file io.ReaderAt, offset int64) (boltMeta, error) {
	var page [boltMetaBytes]byte
	if _, err := file.ReadAt(page[:], offset); err != nil {
		if errors.Is(err, io.EOF) {
			return boltMeta{}, errNoMeta
		}
		return boltMeta{}, err
	}
	sum := fnv.New64a()
	sum.Write(page[BoltHeaderBytes:boltSumAt])
	field := page[BoltHeaderBytes:]
	if binary.LittleEndian.Uint32(field) != BoltMagic || binary.LittleEndian.Uint32(field[4:]) != boltVersion ||
		binary.LittleEndian.Uint64(page[boltSumAt:]) != sum.Sum64() {
		return boltMeta{}, errNoMeta
	}
	meta := boltMeta{
		pageSize: int64(binary.LittleEndian.Uint32(field[8:])),
		freeList: binary.LittleEndian.Uint64(field[32:]),
		txid:     binary.LittleEndian.Uint64(field[48:]),
		bytes:    page,
	}
	highWater := binary.LittleEndian.Uint64(field[40:])
	if meta.pageSize < BoltMinPage || meta.pageSize > boltMaxPage || highWater > math.MaxInt64/boltMaxPage {
		return boltMeta{}, errNoMeta
	}
	meta.highWater = int64(highWater)
	return meta, nil
}

// CheckExtent tells whether a bbolt file of this size is a whole number of pages and reaches as far as its meta pages say.
// bbolt itself does not look: it maps the file and is killed by SIGBUS when it touches what is missing.
func CheckExtent(file io.ReaderAt, size int64) (fault error, why string, warnings []string, err error) {
	meta, missing, err := readMeta(file, size)
	if errors.Is(err, errNoMeta) {
		return recovery.ErrNotBolt, "neither meta page is valid", nil, nil
	}
	if err != nil {
		return nil, "", nil, err
	}
	if missing >= 0 {
		warnings = append(warnings, fmt.Sprintf(
			"meta page %d is invalid; the file is read through the other one, which may be one commit older", missing))
	}
	if need := meta.imageBytes(); need > size {
		return recovery.ErrTruncated, fmt.Sprintf("its pages reach to byte %d, the file has %d", need, size), warnings, nil
	}
	if size%meta.pageSize != 0 {
		why = fmt.Sprintf("%d bytes, pages of %d", size, meta.pageSize)
		return recovery.ErrMisaligned, why, warnings, nil
	}
	return nil, "", warnings, nil
}

// ImageBytes is how far the pages of the database reach.
func (m boltMeta) imageBytes() int64 { return m.highWater * m.pageSize }

// readMeta returns the valid meta page of the newer commit, and which of the two is invalid, -1 for none. Where both are, the
// error is errNoMeta.
func readMeta(file io.ReaderAt, size int64) (meta boltMeta, missing int, err error) {
	meta, err = readMetaAt(file, 0)
	if err != nil && !errors.Is(err, errNoMeta) {
		return boltMeta{}, 0, err
	}
	missing = -1
	if err != nil {
		missing = 0
	}
	second, err := readSecondMeta(file, size, meta)
	switch {
	case err == nil && (missing == 0 || second.txid > meta.txid):
		return second, missing, nil
	case err == nil:
		return meta, missing, nil
	case !errors.Is(err, errNoMeta) || missing == 0:
		return boltMeta{}, 0, err
	default:
		return meta, 1, nil
	}
}

func readSecondMeta(file io.ReaderAt, size int64, first boltMeta) (boltMeta, error) {
	if first.pageSize > 0 {
		return readMetaAt(file, first.pageSize)
	}
	for offset := int64(BoltMinPage); offset <= boltMaxPage && offset < size; offset *= 2 {
		if meta, err := readMetaAt(file, offset); !errors.Is(err, errNoMeta) {
			return meta, err
		}
	}
	return boltMeta{}, errNoMeta
}
