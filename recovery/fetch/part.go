package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// Stored tells what Save or Copy wrote.
type Stored struct {
	Path      string `json:"path"`
	SizeBytes int64  `json:"sizeBytes"`
	SHA256    string `json:"sha256"` // of the whole file, in hexadecimal
	// ServerVersion is the storage version that the server announced; empty for a Copy and for servers before 3.6.
	ServerVersion string `json:"serverVersion,omitempty"`
}

// Option changes how Save and Copy work.
type Option func(*fetchOptions)

type fetchOptions struct {
	progress func(bytes int64)
	stall    time.Duration
	rate     int64 // bytes per second; 0 for no bound
}

// WithProgress has the function called with the number of bytes written so far, from the goroutine of the caller, after
// every write.
func WithProgress(progress func(bytes int64)) Option {
	return func(o *fetchOptions) { o.progress = progress }
}

// partFile is a file that comes into being under another name and gets its own only when it is complete and on disk.
type partFile struct {
	path string
	file *os.File
	body *blob.TrailingHash
	size int64
	fetchOptions
}

// createPart opens PATH.part. It refuses a path that is taken: a backup is never overwritten.
func createPart(path string, opts []Option) (*partFile, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create %s: %w; choose another path or remove the file", path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p := &partFile{path: path, body: blob.NewTrailingHash()}
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
	if err := blob.SyncDir(filepath.Dir(p.path)); err != nil {
		return Stored{}, errors.Join(err, os.Remove(p.path))
	}
	return Stored{Path: p.path, SizeBytes: p.size, SHA256: p.body.Whole()}, nil
}

// discard removes the unfinished file. After a commit it does nothing.
func (p *partFile) discard() error {
	_ = p.file.Close() // closed already after a commit; its content is worthless otherwise
	if err := os.Remove(p.file.Name()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
