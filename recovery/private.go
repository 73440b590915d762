package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	warnings  []string
}

// copySource copies a source to a place that is the worker's alone and judges what can be judged without opening it as a
// database. Digest and verdict are those of the bytes in the copy. A SavedSnapshot keeps its trailer, because etcdutl wants
// to verify it again; see asDatabase.
func copySource(ctx context.Context, task copyTask) (*privateCopy, error) {
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
	whole, body := sha256.New(), newTrailingHash()
	source := &markedReader{ctx: ctx, from: in}
	size, err := io.Copy(io.MultiWriter(out, whole, body), source)
	if source.err != nil {
		return nil, bad(ErrUnreadable, "", source.err)
	}
	if err != nil {
		return nil, err
	}
	c := &privateCopy{path: task.Copy, sizeBytes: size, sha256: hex.EncodeToString(whole.Sum(nil)), kind: task.Kind}
	if task.SHA256 != "" && c.sha256 != task.SHA256 {
		return nil, &changedError{path: task.Path, want: task.SHA256, found: c.sha256}
	}
	if size == 0 {
		return nil, bad(ErrEmpty, "", nil)
	}
	if fault, why := body.fault(size); fault != nil && task.Kind == SavedSnapshot && !task.SkipHashCheck {
		return nil, bad(fault, why, nil)
	}
	fault, why, warnings, err := checkExtent(out, c.databaseBytes())
	if err != nil {
		return nil, err
	}
	if fault != nil {
		return nil, bad(fault, why, nil)
	}
	c.warnings = warnings
	return c, nil
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
