package recovery

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
)

// privateCopy is a worker's own copy of a source.
type privateCopy struct {
	path      string
	sizeBytes int64 // of the source
	sha256    string
	kind      Kind
	hashFault error // what is wrong with the hash of a SavedSnapshot; nil for nothing
	hashWhy   string
	warnings  []string
}

// copySource copies a source to a place that is the worker's alone and judges what can be judged without opening it as a
// database. Digest and verdict are those of the bytes in the copy. A SavedSnapshot keeps its trailer, because etcdutl wants
// to verify it again; see asDatabase.
func copySource(ctx context.Context, task copyTask) (*privateCopy, error) {
	c, err := takeCopy(ctx, task)
	if err != nil {
		return nil, err
	}
	if task.SHA256 != "" && c.sha256 != task.SHA256 {
		return nil, &changedError{path: task.Path, want: task.SHA256, found: c.sha256}
	}
	if c.sizeBytes > 0 && c.hashFault != nil && !task.SkipHashCheck {
		return nil, &SourceError{Path: task.Path, Fault: c.hashFault, Why: c.hashWhy}
	}
	if err := c.judgeExtent(task.Path); err != nil {
		return nil, err
	}
	return c, nil
}

// takeCopy copies a source as it is and hashes what it copied. Of a task without a kind, the size decides what the source
// is, as it does for etcd.
func takeCopy(ctx context.Context, task copyTask) (*privateCopy, error) {
	bad := func(fault error, why string, cause error) error {
		return &SourceError{Path: task.Path, Fault: fault, Why: why, Cause: cause}
	}
	in, err := os.Open(task.Path)
	if err != nil {
		return nil, bad(ErrUnreadable, "", err)
	}
	defer func() { _ = in.Close() }() // read only
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, bad(ErrUnreadable, "it is not a regular file", err)
	}
	out, err := os.OpenFile(task.Copy, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // a copy for this process only; a lost write shows as a wrong digest or structure
	body := newTrailingHash()
	source := &markedReader{ctx: ctx, from: in}
	size, err := io.Copy(io.MultiWriter(out, body), source)
	if source.err != nil {
		return nil, bad(ErrUnreadable, "", source.err)
	}
	if err != nil {
		return nil, err
	}
	c := &privateCopy{path: task.Copy, sizeBytes: size, sha256: body.whole(), kind: task.Kind}
	if c.kind == "" {
		c.kind = kindOf(size)
	}
	if c.kind == SavedSnapshot {
		c.hashFault, c.hashWhy = body.fault(size)
	}
	return c, nil
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

// judgeExtent tells whether the copy is a bbolt file that is all there.
func (c *privateCopy) judgeExtent(source string) error {
	if c.sizeBytes == 0 {
		return &SourceError{Path: source, Fault: ErrEmpty}
	}
	file, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only
	fault, why, warnings, err := checkExtent(file, c.databaseBytes())
	if err != nil {
		return err
	}
	if fault != nil {
		return &SourceError{Path: source, Fault: fault, Why: why}
	}
	c.warnings = warnings
	return nil
}

// imageBytes tells how far the pages of a database reach; 0 if that cannot be told.
func imageBytes(path string, size int64) int64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }() // read only
	meta, _, err := readMeta(file, size)
	if err != nil {
		return 0
	}
	return meta.imageBytes()
}

// databaseBytes is the size of the source without the hash behind it.
func (c *privateCopy) databaseBytes() int64 {
	if c.kind == SavedSnapshot && c.sizeBytes%512 == sha256.Size {
		return c.sizeBytes - sha256.Size
	}
	return c.sizeBytes
}

// asDatabase cuts the hash off, which leaves a plain bbolt file.
func (c *privateCopy) asDatabase() (string, error) {
	return c.path, os.Truncate(c.path, c.databaseBytes())
}

// markedReader remembers its own errors, so that they are not mistaken for those of the writer; it ends with the context.
type markedReader struct {
	ctx  context.Context
	from io.Reader
	err  error
}

// Read implements io.Reader.
func (r *markedReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
