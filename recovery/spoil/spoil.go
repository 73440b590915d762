// Package spoil damages sources of a recovery, in the ways in which files are damaged in life: cut off, gone on, flipped,
// overwritten. Only tests import it.
//
// It works on the bytes of a saved snapshot or a db copy of a real etcd and knows nothing of what anybody makes of the result.
package spoil

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// Variant is one way to damage a source.
type Variant struct {
	Name string
	// Spoil returns the damaged bytes. It may change those that it is given. The error says that the source holds nothing to do
	// this to: the recipes want a few hundred keys.
	Spoil func(data []byte) ([]byte, error)
}

// The names of the variants, for tables of what must come of them.
const (
	Intact        = "intact"
	Empty         = "empty"
	Bytes20       = "20 bytes"
	Bytes100      = "100 bytes"
	Half          = "half"
	HalfHashed    = "half that looks hashed"
	NoTrailer     = "last 32 bytes cut"
	LastPageGone  = "last page missing, size kept as if hashed"
	OneByteMore   = "1 byte appended"
	Bytes512More  = "512 bytes appended"
	Zeros         = "zeros"
	Random        = "random"
	TrailerBit    = "last bit flipped"
	ValueByte     = "value byte flipped"
	OneMeta       = "one meta damaged"
	BothMetas     = "both metas damaged"
	PageZeroed    = "inner page zeroed"
	PageMisleads  = "inner page points nowhere"
	KeyOffTheFile = "leaf key outside of the file"
	KeyOutOfOrder = "leaf key out of order"
)

// Variants returns all of them, the intact one first.
func Variants() []Variant {
	return []Variant{
		{Intact, func(d []byte) ([]byte, error) { return d, nil }},
		{Empty, func([]byte) ([]byte, error) { return nil, nil }},
		{Bytes20, cut(func(int) int { return 20 })},
		{Bytes100, cut(func(int) int { return 100 })},
		{Half, cut(half)},
		{HalfHashed, cut(func(n int) int { return half(n) + hashBytes })},
		{NoTrailer, cut(func(n int) int { return n - hashBytes })},
		{LastPageGone, dropLastPage},
		{OneByteMore, add(1)},
		{Bytes512More, add(512)},
		{Zeros, func(d []byte) ([]byte, error) { return make([]byte, len(d)), nil }},
		{Random, func(d []byte) ([]byte, error) { _, err := rand.Read(d); return d, err }},
		{TrailerBit, flip(func(n int) int { return n - 1 })},
		{ValueByte, flipValue},
		{OneMeta, flip(func(int) int { return metaByte })},
		{BothMetas, spoilBothMetas},
		{PageZeroed, zeroInnerPage},
		{PageMisleads, misleadInnerPage},
		{KeyOffTheFile, misleadLeaf},
		{KeyOutOfOrder, misplaceKey},
	}
}

// Of returns the variant of this name, and panics if there is none: the names are constants.
func Of(name string) Variant {
	for _, v := range Variants() {
		if v.Name == name {
			return v
		}
	}
	panic("spoil: no variant " + name)
}

// CutAt returns the variant that keeps the first bytes only.
func CutAt(bytes int) Variant {
	return Variant{Name: fmt.Sprintf("first %d bytes", bytes), Spoil: cut(func(int) int { return bytes })}
}

// FlipAt returns the variant with one bit of this byte flipped.
func FlipAt(offset int) Variant {
	return Variant{Name: fmt.Sprintf("a bit of byte %d flipped", offset), Spoil: flip(func(int) int { return offset })}
}

const (
	hashBytes = 32 // behind a saved snapshot
	metaByte  = 20 // within the fields of a meta page that its sum covers
)

var errTooSmall = errors.New("the source is too small for this damage")

func half(n int) int { return n / 1024 * 512 }

func cut(to func(n int) int) func([]byte) ([]byte, error) {
	return func(d []byte) ([]byte, error) {
		if n := to(len(d)); n >= 0 && n < len(d) {
			return d[:n], nil
		}
		return nil, errTooSmall
	}
}

func add(n int) func([]byte) ([]byte, error) {
	return func(d []byte) ([]byte, error) { return append(d, make([]byte, n)...), nil }
}

func flip(at func(n int) int) func([]byte) ([]byte, error) {
	return func(d []byte) ([]byte, error) {
		i := at(len(d))
		if i < 0 || i >= len(d) {
			return nil, errTooSmall
		}
		d[i] ^= 1
		return d, nil
	}
}

// dropLastPage takes the last page out and leaves what follows it, so that the size still looks like that of a snapshot.
func dropLastPage(d []byte) ([]byte, error) {
	tail := len(d) % pageBytes
	end := len(d) - tail
	if end < pageBytes {
		return nil, errTooSmall
	}
	return append(d[:end-pageBytes], d[end:]...), nil
}

func spoilBothMetas(d []byte) ([]byte, error) {
	if len(d) < 2*pageBytes {
		return nil, errTooSmall
	}
	d[metaByte] ^= 1
	d[pageBytes+metaByte] ^= 1
	return d, nil
}
