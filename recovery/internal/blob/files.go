// Package blob knows sources as files, without opening them as databases: how they are copied and hashed, and how far their pages
// reach.
package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// DBFile is where a member keeps its backend, relative to its data directory.
const DBFile = "member/snap/db"

// JoinCleanup adds the error of a cleanup to the one that made it necessary.
func JoinCleanup(err, cleanup error) error {
	if cleanup == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("clean up: %w", cleanup))
}

// SyncDir puts the entries of a directory on disk.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// OpenSource opens a source for reading, if it is a file.
func OpenSource(path string) (*os.File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, &recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Cause: err}
	}
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(&recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Why: "it is not a regular file",
			Cause: err}, in.Close())
	}
	return in, nil
}

// ReadError is an error of what was read, and not of what was written to.
type ReadError struct{ Cause error }

// Error is what the cause says.
func (e *ReadError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Cause }

// Retrace copies once more, through this process, to see which file it is that fails.
func Retrace(ctx context.Context, out, in *os.File) error {
	for _, file := range []*os.File{in, out} {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	source := &MarkedReader{Ctx: ctx, From: in}
	_, err := io.Copy(struct{ io.Writer }{out}, source)
	if source.Err != nil {
		return &ReadError{source.Err}
	}
	return err
}

// chunkBytes is how much is copied before somebody looks whether it is still wanted.
const chunkBytes = 32 << 20

// CopyFile makes a new file with the content of another, by sharing its blocks where that can be, and puts it on disk.
func CopyFile(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if !Clone(out, in) {
		err = CopyChunks(ctx, out, in, func(int64) {})
	}
	return cmp.Or(err, out.Sync())
}

// CopyChunks lets the kernel copy, from where both files stand to the end. Reached is told how many bytes have been copied.
func CopyChunks(ctx context.Context, out, in *os.File, reached func(bytes int64)) error {
	for done := int64(0); ; reached(done) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := io.CopyN(out, in, chunkBytes)
		done += n
		switch {
		case errors.Is(err, io.EOF):
			reached(done)
			return nil
		case err != nil:
			return err
		}
	}
}

func copySparse(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	block, empty, size := make([]byte, 64<<10), make([]byte, 64<<10), int64(0)
	for ctx.Err() == nil {
		n, err := io.ReadFull(in, block)
		if !slices.Equal(block[:n], empty[:n]) {
			if _, err := out.WriteAt(block[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return out.Truncate(size)
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}
