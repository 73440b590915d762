package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// dbFile is where a member keeps its backend, relative to its data directory.
const dbFile = "member/snap/db"

// joinCleanup adds the error of a cleanup to the one that made it necessary.
func joinCleanup(err, cleanup error) error {
	if cleanup == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("clean up: %w", cleanup))
}

// syncDir puts the entries of a directory on disk.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// openSource opens a source for reading, if it is a file.
func openSource(path string) (*os.File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, &SourceError{Path: path, Fault: ErrUnreadable, Cause: err}
	}
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(&SourceError{Path: path, Fault: ErrUnreadable, Why: "it is not a regular file", Cause: err}, in.Close())
	}
	return in, nil
}

// readError is an error of what was read, and not of what was written to.
type readError struct{ cause error }

// Error is what the cause says.
func (e *readError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *readError) Unwrap() error { return e.cause }

// retrace copies once more, through this process, to see which file it is that fails.
func retrace(ctx context.Context, out, in *os.File) error {
	for _, file := range []*os.File{in, out} {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	source := &markedReader{ctx: ctx, from: in}
	_, err := io.Copy(struct{ io.Writer }{out}, source)
	if source.err != nil {
		return &readError{source.err}
	}
	return err
}

// chunkBytes is how much is copied before somebody looks whether it is still wanted.
const chunkBytes = 32 << 20

// copyFile makes a new file with the content of another, by sharing its blocks where that can be, which it reports.
func copyFile(ctx context.Context, from, to string) (cloned bool, err error) {
	in, err := os.Open(from)
	if err != nil {
		return false, err
	}
	defer func() { _ = in.Close() }() // read only
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if clone(out, in) {
		return true, nil
	}
	return false, copyChunks(ctx, out, in)
}

// copyChunks lets the kernel copy, from where both files stand to the end.
func copyChunks(ctx context.Context, out, in *os.File) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := io.CopyN(out, in, chunkBytes); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
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
