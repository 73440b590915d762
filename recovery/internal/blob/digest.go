package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// TrailingHash hashes everything but the last 32 bytes written to it, which it keeps: the form of a recovery.SavedSnapshot.
type TrailingHash struct {
	hash    hash.Hash
	trailer []byte
}

// NewTrailingHash has seen nothing yet.
func NewTrailingHash() *TrailingHash { return &TrailingHash{hash: sha256.New()} }

// Write implements io.Writer and never fails.
func (t *TrailingHash) Write(data []byte) (int, error) {
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

// Whole returns the digest of every byte that was written, in hexadecimal. It costs no second pass: to hash goes about as fast as
// a disk reads.
func (t *TrailingHash) Whole() string {
	all, err := t.hash.(hash.Cloner).Clone()
	if err != nil { // a hash of the standard library can be cloned
		panic(err)
	}
	all.Write(t.trailer)
	return hex.EncodeToString(all.Sum(nil))
}

// Fault tells what is wrong with a recovery.SavedSnapshot of this size, as far as its hash goes; nil for nothing.
func (t *TrailingHash) Fault(size int64) (fault error, why string) { //nolint:staticcheck // a classification, not a failure
	if size == 0 {
		return recovery.ErrEmpty, ""
	}
	if size%512 != sha256.Size {
		return recovery.ErrNoHash, fmt.Sprintf("%d bytes are not a number of pages and %d bytes of hash", size, sha256.Size)
	}
	if sum := t.hash.Sum(nil); string(sum) != string(t.trailer) {
		return recovery.ErrBadHash, fmt.Sprintf("the trailer says %x, the content is %x", t.trailer, sum)
	}
	return nil, ""
}

// Digests are what reading a file once yields.
type Digests struct {
	Whole     string // SHA-256 of every byte, in hexadecimal
	BodyFault error  // what is wrong with the hash of a SavedSnapshot
}

// DigestFile reads a file once; size is that of what was read, in bytes.
func DigestFile(ctx context.Context, path string) (size int64, sums Digests, err error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, Digests{}, err
	}
	defer func() { _ = in.Close() }() // read only
	body := NewTrailingHash()
	size, err = io.Copy(body, &MarkedReader{Ctx: ctx, From: in})
	fault, _ := body.Fault(size)
	return size, Digests{Whole: body.Whole(), BodyFault: fault}, err
}

// KindOf tells a hashed snapshot from a bare database by nothing but its size, as etcdutl does (hasChecksum in
// etcdutl/snapshot/v3_snapshot.go).
func KindOf(size int64) recovery.Kind {
	if size%512 == sha256.Size {
		return recovery.SavedSnapshot
	}
	return recovery.DBCopy
}
