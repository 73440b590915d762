package serve

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// privateCopy is a worker's own copy of a source.
type privateCopy struct {
	path      string
	sizeBytes int64 // of the source
	sha256    string
	kind      recovery.Kind
	hashFault error // what is wrong with the hash of a SavedSnapshot; nil for nothing
	hashWhy   string
	warnings  []string
}

// judgeDigest refuses a copy of another file than the one that was asked for, and one whose own hash is wrong.
func (c *privateCopy) judgeDigest(task wire.CopyTask) error {
	if task.SHA256 != "" && c.sha256 != task.SHA256 {
		return &wire.ChangedError{Path: task.Path, Want: task.SHA256, Found: c.sha256}
	}
	if c.sizeBytes > 0 && c.hashFault != nil && !task.SkipHashCheck {
		return &recovery.SourceError{Path: task.Path, Fault: c.hashFault, Why: c.hashWhy}
	}
	return nil
}

// copyPrivate copies a source as it is, as fast as the kernel can, and leaves it to verify to say what the copy is worth. Of a task
// without a kind, the size decides what the source is, as it does for etcd.
func copyPrivate(ctx context.Context, task wire.CopyTask) (*privateCopy, error) {
	in, err := blob.OpenSource(task.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // read only
	out, err := os.OpenFile(task.Copy, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // a copy for this process only; a lost write shows as a wrong digest
	if !blob.Clone(out, in) {
		err = blob.CopyChunks(ctx, out, in)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, syscall.ENOSPC) {
		err = blob.Retrace(ctx, out, in) // the kernel does not say which of the two files failed
	}
	var unreadable *blob.ReadError
	if errors.As(err, &unreadable) {
		return nil, &recovery.SourceError{Path: task.Path, Fault: recovery.ErrUnreadable, Cause: unreadable.Cause}
	}
	if err != nil {
		return nil, err
	}
	info, err := out.Stat()
	if err != nil {
		return nil, err
	}
	c := &privateCopy{path: task.Copy, sizeBytes: info.Size(), kind: task.Kind}
	if c.kind == "" {
		c.kind = blob.KindOf(c.sizeBytes)
	}
	return c, nil
}

// takePrivate copies a source as it is and refuses at once what cannot be a database; verify is still to be called.
func takePrivate(ctx context.Context, task wire.CopyTask) (*privateCopy, error) {
	c, err := copyPrivate(ctx, task)
	if err != nil {
		return nil, err
	}
	if fault := c.judgeExtent(task.Path); fault != nil {
		// Its hash says more about a source than its first pages do.
		if err := c.verify(ctx, task); err != nil {
			return nil, err
		}
		return nil, fault
	}
	return c, nil
}

// verify hashes the copy, and judges it by the task. Digest and verdict are those of the bytes in the copy.
func (c *privateCopy) verify(ctx context.Context, task wire.CopyTask) error {
	if err := c.hash(ctx); err != nil {
		return err
	}
	return c.judgeDigest(task)
}

// hash reads the copy to its end, for its digest and the hash of a recovery.SavedSnapshot.
func (c *privateCopy) hash(ctx context.Context) error {
	in, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only
	body := blob.NewTrailingHash()
	size, err := io.CopyBuffer(struct{ io.Writer }{body}, &blob.MarkedReader{Ctx: ctx, From: in}, make([]byte, compareBytes))
	if err != nil {
		return err
	}
	c.sha256 = body.Whole()
	if c.kind == recovery.SavedSnapshot {
		c.hashFault, c.hashWhy = body.Fault(size)
	}
	return nil
}

// verifySource does in place what verify does with a copy.
func verifySource(ctx context.Context, task wire.CopyTask) error {
	in, err := blob.OpenSource(task.Path)
	if err != nil {
		return err
	}
	info, err := in.Stat()
	if err := errors.Join(err, in.Close()); err != nil {
		return err
	}
	c := &privateCopy{path: task.Path, sizeBytes: info.Size(), kind: task.Kind}
	return c.verify(ctx, task)
}

// judgeExtent tells whether the copy is a bbolt file that is all there.
func (c *privateCopy) judgeExtent(source string) error {
	if c.sizeBytes == 0 {
		return &recovery.SourceError{Path: source, Fault: recovery.ErrEmpty}
	}
	file, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only
	fault, why, warnings, err := blob.CheckExtent(file, c.databaseBytes())
	if err != nil {
		return err
	}
	if fault != nil {
		return &recovery.SourceError{Path: source, Fault: fault, Why: why}
	}
	c.warnings = warnings
	return nil
}

// databaseBytes is the size of the source without the hash behind it.
func (c *privateCopy) databaseBytes() int64 {
	if c.kind == recovery.SavedSnapshot && c.sizeBytes%512 == sha256.Size {
		return c.sizeBytes - sha256.Size
	}
	return c.sizeBytes
}

// asDatabase cuts the hash off, which leaves a plain bbolt file.
func (c *privateCopy) asDatabase() (string, error) {
	return c.path, os.Truncate(c.path, c.databaseBytes())
}
