package serve

import (
	"cmp"
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
	sum       <-chan hashed // of a hash that is being computed
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

// copyPrivate copies a source as it is, unless that was done, and hashes what has been copied meanwhile. It leaves it to verify to say
// what the copy is worth. Of a task without a kind, the size decides what the source is, as it does for etcd.
func copyPrivate(ctx context.Context, task wire.CopyTask) (*privateCopy, error) {
	trail, sum := blob.NewTrail(task.Copy), make(chan hashed, 1)
	go func() {
		got := hashOf(ctx, trail)
		got.err = errors.Join(got.err, trail.Close())
		sum <- got
	}()
	defer trail.End()
	if !task.Copied {
		if err := copySource(ctx, task, trail.Reached); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(task.Copy)
	if err != nil {
		return nil, err
	}
	trail.Reached(info.Size()) // blocks that are shared are there at once
	c := &privateCopy{path: task.Copy, sizeBytes: info.Size(), kind: task.Kind, sum: sum}
	if c.kind == "" {
		c.kind = blob.KindOf(c.sizeBytes)
	}
	return c, nil
}

// copySource makes the copy, as fast as the kernel can.
func copySource(ctx context.Context, task wire.CopyTask, reached func(int64)) error {
	in, err := blob.OpenSource(task.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only
	out, err := os.OpenFile(task.Copy, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // a copy for this process only; a lost write shows as a wrong digest
	if !blob.Clone(out, in) {
		err = blob.CopyChunks(ctx, out, in, reached)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, syscall.ENOSPC) {
		err = blob.Retrace(ctx, out, in) // the kernel does not say which of the two files failed
	}
	var unreadable *blob.ReadError
	if errors.As(err, &unreadable) {
		return &recovery.SourceError{Path: task.Path, Fault: recovery.ErrUnreadable, Cause: unreadable.Cause}
	}
	return err
}

// refuse refuses at once what cannot be a database; verify is still to be called if it does not.
func (c *privateCopy) refuse(task wire.CopyTask) error {
	fault := c.judgeExtent(task.Path)
	if fault == nil {
		return nil
	}
	// Its hash says more about a source than its first pages do.
	return cmp.Or(c.verify(task), fault)
}

// verify hashes the copy, and judges it by the task. Digest and verdict are those of the bytes in the copy.
func (c *privateCopy) verify(task wire.CopyTask) error {
	if err := c.hash(); err != nil {
		return err
	}
	return c.judgeDigest(task)
}

// hash waits for the digest of the copy and the hash of a recovery.SavedSnapshot. It is called once.
func (c *privateCopy) hash() error {
	got := <-c.sum
	if got.err != nil {
		return got.err
	}
	c.sha256 = got.body.Whole()
	if c.kind == recovery.SavedSnapshot {
		c.hashFault, c.hashWhy = got.body.Fault(got.size)
	}
	return nil
}

// hashed is what came of hashing a copy.
type hashed struct {
	body *blob.TrailingHash
	size int64
	err  error
}

// hashBytes is how much is hashed at a time: little enough to stay in the processor's cache.
const hashBytes = 128 << 10

func hashOf(ctx context.Context, in io.Reader) hashed {
	got := hashed{body: blob.NewTrailingHash()}
	got.size, got.err = io.CopyBuffer(struct{ io.Writer }{got.body}, &blob.MarkedReader{Ctx: ctx, From: in}, make([]byte, hashBytes))
	return got
}

// verifySource does in place what verify does with a copy.
func verifySource(ctx context.Context, task wire.CopyTask) error {
	in, err := blob.OpenSource(task.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only
	info, err := in.Stat()
	if err != nil {
		return err
	}
	sum := make(chan hashed, 1)
	sum <- hashOf(ctx, in)
	c := &privateCopy{path: task.Path, sizeBytes: info.Size(), kind: task.Kind, sum: sum}
	return c.verify(task)
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
