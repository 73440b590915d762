package spoil

import (
	"encoding/binary"
	"errors"
)

// The layout of a bbolt file (internal/common of go.etcd.io/bbolt: page.go, meta.go, bucket.go), as far as the recipes need it.
const (
	pageBytes     = 4096
	headerBytes   = 16
	elementBytes  = 16
	flagsAt       = 8 // of a page: what kind it is
	countAt       = 10
	branchFlag    = 1
	leafFlag      = 2
	metaRootAt    = headerBytes + 16 // of a meta page: the page of the root bucket
	metaTxidAt    = headerBytes + 48
	revisionBytes = 8 // of a key in the bucket "key": its main revision
)

// zeroInnerPage clears the header of the branch page of the "key" bucket.
func zeroInnerPage(d []byte) ([]byte, error) {
	branch, err := keyBranch(d)
	if err != nil {
		return nil, err
	}
	clear(branch[:headerBytes])
	return d, nil
}

// misleadInnerPage makes a branch page point behind the end of the database.
func misleadInnerPage(d []byte) ([]byte, error) {
	branch, err := keyBranch(d)
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint64(branch[headerBytes+8:], 1<<30)
	return d, nil
}

// misleadLeaf moves the first key of a leaf far outside of the file: whoever reads it touches memory that is not there.
func misleadLeaf(d []byte) ([]byte, error) {
	leaf, err := firstLeaf(d)
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(leaf[headerBytes+4:], 0x7ffffff0)
	return d, nil
}

// misplaceKey makes the second key of a leaf the lowest of all: its revision is then 0.
func misplaceKey(d []byte) ([]byte, error) {
	leaf, err := firstLeaf(d)
	if err != nil {
		return nil, err
	}
	second, _, _ := element(leaf, 1)
	clear(leaf[second : second+revisionBytes])
	return d, nil
}

// flipValue changes one byte in the middle of the longest value of a leaf, which no check of the structure can see.
func flipValue(d []byte) ([]byte, error) {
	leaf, err := firstLeaf(d)
	if err != nil {
		return nil, err
	}
	at, longest := 0, 0
	for i := range int(binary.LittleEndian.Uint16(leaf[countAt:])) {
		start, keySize, size := element(leaf, i)
		if size > longest && start+keySize+size <= len(leaf) {
			at, longest = start+keySize+size/2, size
		}
	}
	if longest < 100 { // less would be more key than value
		return nil, errTooSmall
	}
	leaf[at] ^= 0x20
	return d, nil
}

// keyBranch returns the root page of the bucket "key", which must be a branch.
func keyBranch(d []byte) ([]byte, error) {
	if len(d) < 2*pageBytes {
		return nil, errTooSmall
	}
	meta := d[:pageBytes]
	if second := d[pageBytes : 2*pageBytes]; binary.LittleEndian.Uint64(second[metaTxidAt:]) > binary.LittleEndian.Uint64(meta[metaTxidAt:]) {
		meta = second
	}
	root, err := page(d, binary.LittleEndian.Uint64(meta[metaRootAt:]), leafFlag)
	if err != nil {
		return nil, err
	}
	for i := range int(binary.LittleEndian.Uint16(root[countAt:])) {
		start, keySize, _ := element(root, i)
		if string(root[start:start+keySize]) == "key" {
			return page(d, binary.LittleEndian.Uint64(root[start+keySize:]), branchFlag)
		}
	}
	return nil, errors.New("the source has no bucket \"key\"")
}

// firstLeaf is the first leaf below keyBranch.
func firstLeaf(d []byte) ([]byte, error) {
	branch, err := keyBranch(d)
	if err != nil {
		return nil, err
	}
	return page(d, binary.LittleEndian.Uint64(branch[headerBytes+8:]), leafFlag)
}

func page(d []byte, id uint64, kind uint16) ([]byte, error) {
	if id >= uint64(len(d)/pageBytes) {
		return nil, errTooSmall
	}
	p := d[id*pageBytes : (id+1)*pageBytes]
	if binary.LittleEndian.Uint16(p[flagsAt:]) != kind {
		return nil, errTooSmall
	}
	return p, nil
}

// element returns where the key of a leaf's element begins, and the sizes of key and value, which follow each other.
func element(leaf []byte, i int) (start, keySize, valueSize int) {
	at := headerBytes + i*elementBytes
	field := func(n int) int { return int(binary.LittleEndian.Uint32(leaf[at+4*n:])) }
	return at + field(1), field(2), field(3)
}
