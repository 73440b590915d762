package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Stored tells what Save or Copy wrote.
type Stored struct {
	Path      string `json:"path"`
	SizeBytes int64  `json:"sizeBytes"`
	SHA256    string `json:"sha256"` // of the whole file, in hexadecimal
	// ServerVersion is the storage version that the server announced; empty for a Copy and for servers before 3.6.
	ServerVersion string `json:"serverVersion,omitempty"`
}

// FetchOption changes how Save and Copy work.
type FetchOption func(*fetchOptions)

type fetchOptions struct {
	progress func(bytes int64)
	stall    time.Duration
	rate     int64 // bytes per second; 0 for no bound
}

// WithProgress has the function called with the number of bytes written so far, from the goroutine of the caller, after
// every write.
func WithProgress(progress func(bytes int64)) FetchOption {
	return func(o *fetchOptions) { o.progress = progress }
}

// partFile is a file that comes into being under another name and gets its own only when it is complete and on disk.
type partFile struct {
	path string
	file *os.File
	body *trailingHash
	size int64
	fetchOptions
}

// createPart opens PATH.part. It refuses a path that is taken: a backup is never overwritten.
func createPart(path string, opts []FetchOption) (*partFile, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create %s: %w; choose another path or remove the file", path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p := &partFile{path: path, body: newTrailingHash()}
	for _, opt := range opts {
		opt(&p.fetchOptions)
	}
	file, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	p.file = file
	return p, err
}

// Write implements io.Writer.
func (p *partFile) Write(data []byte) (int, error) {
	n, err := p.file.Write(data)
	p.body.Write(data[:n]) //nolint:errcheck // it only computes, see hash.Hash
	p.size += int64(n)
	if p.progress != nil {
		p.progress(p.size)
	}
	return n, err
}

// commit gives the file its name, after its content and before its directory entry are on disk.
func (p *partFile) commit() (Stored, error) {
	if err := p.file.Sync(); err != nil {
		return Stored{}, err
	}
	if err := p.file.Close(); err != nil {
		return Stored{}, err
	}
	if err := os.Rename(p.file.Name(), p.path); err != nil {
		return Stored{}, err
	}
	if err := syncDir(filepath.Dir(p.path)); err != nil {
		return Stored{}, errors.Join(err, os.Remove(p.path))
	}
	return Stored{Path: p.path, SizeBytes: p.size, SHA256: p.body.whole()}, nil
}

// discard removes the unfinished file. After a commit it does nothing.
func (p *partFile) discard() error {
	_ = p.file.Close() // closed already after a commit; its content is worthless otherwise
	if err := os.Remove(p.file.Name()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

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

// syncDir puts the entries of a directory on disk.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
