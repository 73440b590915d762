package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// trailingHash hashes everything but the last 32 bytes written to it, which it keeps: the form of a SavedSnapshot.
type trailingHash struct {
	hash    hash.Hash
	trailer []byte
}

func newTrailingHash() *trailingHash { return &trailingHash{hash: sha256.New()} }

// Write implements io.Writer and never fails.
func (t *trailingHash) Write(data []byte) (int, error) {
	if len(data) >= sha256.Size {
		t.hash.Write(t.trailer)
		t.hash.Write(data[:len(data)-sha256.Size])
		t.trailer = append(t.trailer[:0], data[len(data)-sha256.Size:]...)
		return len(data), nil
	}
	t.trailer = append(t.trailer, data...)
	if surplus := len(t.trailer) - sha256.Size; surplus > 0 {
		t.hash.Write(t.trailer[:surplus])
		t.trailer = append(t.trailer[:0], t.trailer[surplus:]...)
	}
	return len(data), nil
}

// whole returns the digest of every byte that was written, in hexadecimal. It costs no second pass: to hash goes about as fast as
// a disk reads.
func (t *trailingHash) whole() string {
	all, err := t.hash.(hash.Cloner).Clone()
	if err != nil { // a hash of the standard library can be cloned
		panic(err)
	}
	all.Write(t.trailer)
	return hex.EncodeToString(all.Sum(nil))
}

// fault tells what is wrong with a SavedSnapshot of this size, as far as its hash goes; nil for nothing.
func (t *trailingHash) fault(size int64) (fault error, why string) { //nolint:staticcheck // a classification, not a failure
	if size == 0 {
		return ErrEmpty, ""
	}
	if size%512 != sha256.Size {
		return ErrNoHash, fmt.Sprintf("%d bytes are not a number of pages and %d bytes of hash", size, sha256.Size)
	}
	if sum := t.hash.Sum(nil); string(sum) != string(t.trailer) {
		return ErrBadHash, fmt.Sprintf("the trailer says %x, the content is %x", t.trailer, sum)
	}
	return nil, ""
}

// digests are what reading a file once yields.
type digests struct {
	whole     string // SHA-256 of every byte, in hexadecimal
	bodyFault error  // what is wrong with the hash of a SavedSnapshot
}

func digestFile(ctx context.Context, path string) (size int64, sums digests, err error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, digests{}, err
	}
	defer func() { _ = in.Close() }() // read only
	body := newTrailingHash()
	size, err = io.Copy(body, &markedReader{ctx: ctx, from: in})
	fault, _ := body.fault(size)
	return size, digests{whole: body.whole(), bodyFault: fault}, err
}

// kindOf tells a hashed snapshot from a bare database by nothing but its size, as etcdutl does (hasChecksum in
// etcdutl/snapshot/v3_snapshot.go).
func kindOf(size int64) Kind {
	if size%512 == sha256.Size {
		return SavedSnapshot
	}
	return DBCopy
}
