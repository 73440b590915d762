// Package intake takes backups that somebody hands in, in any form in which people keep one, and the manifests that go with them.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/diagnose"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// DefaultMaxBytes is how large a backup may be when it is unpacked if nobody says otherwise: more than the largest quota that etcd
// advises, which is 8 GiB.
const DefaultMaxBytes = int64(10) << 30

// Offer says where a backup comes from and where it may be unpacked.
type Offer struct {
	// Path names a file, a directory or a pipe. Stream is read in its place if it is not nil, and Path only names it then.
	Path   string
	Stream io.Reader
	// Dir is a folder of the caller's own, made if it is missing, for what has to be unpacked; what is usable as it is stays where
	// it is.
	Dir string
	// MaxBytes bounds what is unpacked; DefaultMaxBytes if 0.
	MaxBytes int64
	// Progress, if set, is called with the number of bytes unpacked so far.
	Progress func(bytes int64)
}

// Received is a backup that lies where it can be checked.
type Received struct {
	// Path is the database, in its place or unpacked, and Kind says whether it carries a hash, by its size alone.
	Path string        `json:"path"`
	Kind recovery.Kind `json:"kind"`
	// Given is what was handed over, Form whether that is, or holds, a file or a data directory.
	Given string        `json:"given"`
	Form  recovery.Form `json:"form"`
	// Packing names what it was packed in, the outermost first: "gzip", "zstd", "tar", "zip"; empty for nothing. Inside is its name
	// in an archive.
	Packing []string `json:"packing,omitempty"`
	Inside  string   `json:"inside,omitempty"`
	// Modified is when what was given was changed last; zero for a stream.
	Modified time.Time `json:"modified,omitzero"`
	// Log is what was found beside a database in its directory; nil for none.
	Log *recovery.Log `json:"log,omitempty"`

	looks    []sight
	streamed bool
}

// sight is what a file looked like when reading it began.
type sight struct {
	path string
	info fs.FileInfo
}

// Receive takes a backup in any form in which people keep one: a saved snapshot, a db copy, a data directory; each also packed
// with gzip or zstd, in a tar or a zip archive, or through a pipe. What it is is told by its content, never by its name. Nothing
// is written to what was given, and what is unpacked is 0600 in Dir, where it stays after an error, too: the folder is the
// caller's to remove.
//
// An archive must hold exactly one file, or one data directory. A directory is inspected first, and refused with recovery.ErrPoisoned if
// it is the remains of a restore, with recovery.ErrInUse if a member runs on it.
//
// Errors are a *recovery.SourceError that wraps one of the sentinels, as long as the backup is at fault.
func Receive(ctx context.Context, w offline.Worker, in Offer) (Received, error) {
	if in.MaxBytes == 0 {
		in.MaxBytes = DefaultMaxBytes
	}
	if in.Stream != nil {
		return receiveStream(ctx, w, in, in.Stream)
	}
	path, err := filepath.Abs(in.Path)
	if err != nil {
		return Received{}, fmt.Errorf("take backup: %w", err)
	}
	in.Path = path
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return Received{}, &recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Cause: err}
	case info.IsDir():
		return receiveDirectory(ctx, w, Received{Given: path, Modified: info.ModTime()}, path)
	}
	file, err := openPatiently(ctx, path)
	defer func() { _ = file.Close() }() // read only; nothing if it is nil
	if ctx.Err() != nil {
		return Received{}, fmt.Errorf("take backup %s: %w", path, context.Cause(ctx))
	}
	if err != nil {
		return Received{}, &recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Cause: err}
	}
	if !info.Mode().IsRegular() {
		return receiveStream(ctx, w, in, file)
	}
	return receiveFile(ctx, w, in, file)
}

func receiveStream(ctx context.Context, w offline.Worker, in Offer, stream io.Reader) (Received, error) {
	u := &unpacking{ctx: ctx, in: in, streamed: true}
	body, end := readPatiently(ctx, stream)
	defer end()
	return u.receive(w, body, Received{Given: in.Path})
}

// receiveFile leaves a file that is not packed where it is.
func receiveFile(ctx context.Context, w offline.Worker, in Offer, file *os.File) (Received, error) {
	info, err := file.Stat()
	if err != nil {
		return Received{}, &recovery.SourceError{Path: in.Path, Fault: recovery.ErrUnreadable, Cause: err}
	}
	received := Received{Given: in.Path, Modified: info.ModTime(), looks: []sight{{in.Path, info}}}
	if blob.HeldOpen(in.Path) {
		return Received{}, &recovery.SourceError{Path: in.Path, Fault: recovery.ErrInUse, Why: "a process holds it open as a database"}
	}
	head, err := headOf(file)
	if err != nil {
		return Received{}, &recovery.SourceError{Path: in.Path, Fault: recovery.ErrUnreadable, Cause: err}
	}
	if packingOf(head) == "" {
		received.Path, received.Kind = in.Path, blob.KindOf(info.Size())
		received.Form = recovery.Form(received.Kind)
		return received, nil
	}
	u := &unpacking{ctx: ctx, in: in, file: file, size: info.Size()}
	unpacked, err := u.receive(w, file, received)
	if changed := received.Unchanged(); changed != nil {
		return Received{}, changed // which explains whatever else was found
	}
	return unpacked, err
}

// receiveDirectory looks at a data directory as offline.Inspect does. The database stays in its place.
func receiveDirectory(ctx context.Context, w offline.Worker, received Received, dir string) (Received, error) {
	found, err := offline.Inspect(ctx, w, dir)
	if err != nil {
		return Received{}, err
	}
	if f, inUse := found.Find(recovery.InUse); inUse {
		return Received{}, &recovery.SourceError{Path: dir, Fault: recovery.ErrInUse, Why: f.Text}
	}
	if found.Database == nil {
		return Received{}, &recovery.SourceError{Path: dir, Fault: recovery.ErrPoisoned, Why: "it holds no database"}
	}
	for _, f := range found.Findings {
		if fault, damaged := recovery.FaultNames()[string(f.Name)]; damaged && f.Weight == recovery.Damaged && f.Name != recovery.DamagedLog {
			return Received{}, &recovery.SourceError{Path: found.Database.Path, Fault: fault, Why: f.Text}
		}
	}
	if refusal, refused := found.Refusal(); refused {
		return Received{}, &recovery.SourceError{Path: dir, Fault: recovery.ErrPoisoned, Why: refusal.Why}
	}
	info, err := os.Stat(found.Database.Path)
	if err != nil {
		return Received{}, &recovery.SourceError{Path: dir, Fault: recovery.ErrUnreadable, Cause: err}
	}
	received.Path, received.Kind, received.Form, received.Log = found.Database.Path, found.Database.Kind, found.Form, found.Log
	received.looks = append(received.looks, sight{found.Database.Path, info})
	return received, nil
}

// Check examines the backup as offline.Check does. A file that changed since it was received is recovery.ErrInUse, whatever
// was found in it; only then does a copy that was to be kept stay in spite of the error.
func (r Received) Check(ctx context.Context, w offline.Worker, opts ...offline.CheckOption) (recovery.Source, error) {
	source, err := offline.Check(ctx, w, r.Kind, r.Path, opts...)
	if ctx.Err() == nil {
		if changed := r.Unchanged(); changed != nil {
			return recovery.Source{}, changed
		}
	}
	var bad *recovery.SourceError
	if r.streamed && len(r.Packing) == 0 && errors.As(err, &bad) &&
		(errors.Is(err, recovery.ErrTruncated) || errors.Is(err, recovery.ErrNotBolt) && r.isShort()) {
		return recovery.Source{}, &recovery.SourceError{Path: r.Given, Fault: recovery.ErrEndedEarly, Why: bad.Why}
	}
	if err == nil && r.Form == recovery.FormDB && blob.ImageBytes(r.Path, source.SizeBytes) == source.SizeBytes {
		source.Warnings = append(source.Warnings, "it is exactly as long as the image in a saved snapshot, without the hash behind it: "+
			"nothing shows whether it was changed ("+diagnose.UnlessNoFsync+")")
	}
	return source, err
}

// shortest is less than the two pages with which every database begins.
const shortest = 2 * blob.BoltMinPage

func (r Received) isShort() bool {
	info, err := os.Stat(r.Path)
	return err == nil && info.Size() < shortest
}

// Digest reads the backup as it is, for whoever must say which one was refused: its size and its SHA-256 in hexadecimal.
func (r Received) Digest(ctx context.Context) (sizeBytes int64, sha256 string, err error) {
	size, sums, err := blob.DigestFile(ctx, r.Path)
	return size, sums.Whole, err
}

// Unchanged returns an error wrapping recovery.ErrInUse if the files that were given are not as they were when they were received.
func (r Received) Unchanged() error {
	for _, before := range r.looks {
		now, err := os.Stat(before.path)
		switch {
		case err != nil:
			return &recovery.SourceError{Path: before.path, Fault: recovery.ErrInUse, Why: "it was there and is gone", Cause: err}
		case !os.SameFile(before.info, now):
			return &recovery.SourceError{Path: before.path, Fault: recovery.ErrInUse, Why: "another file took its place while it was read"}
		case now.Size() != before.info.Size():
			why := fmt.Sprintf("it had %d bytes, and %d when it was read", before.info.Size(), now.Size())
			return &recovery.SourceError{Path: before.path, Fault: recovery.ErrInUse, Why: why}
		case !now.ModTime().Equal(before.info.ModTime()):
			return &recovery.SourceError{Path: before.path, Fault: recovery.ErrInUse, Why: "it was written to while it was read"}
		}
	}
	return nil
}

// openPatiently opens a file until the context ends: a named pipe opens only when somebody writes to it. An opening that nobody waits
// for any more is left to itself.
func openPatiently(ctx context.Context, path string) (*os.File, error) {
	type opening struct {
		file *os.File
		err  error
	}
	opened := make(chan opening, 1)
	go func() {
		file, err := os.Open(path)
		opened <- opening{file, err}
	}()
	select {
	case o := <-opened:
		return o.file, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// patientBytes is how much of a stream is read at once.
const patientBytes = 256 << 10

// readPatiently reads a stream until the context ends, also while a read waits for whoever writes; such a read is left to itself. End
// must be called when nothing more is wanted.
func readPatiently(ctx context.Context, stream io.Reader) (body io.Reader, end func()) {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) }) // it never fails
	go func() {
		_, err := io.CopyBuffer(in, struct{ io.Reader }{stream}, make([]byte, patientBytes))
		_ = in.CloseWithError(err) // it never fails; without an error the stream has ended
	}()
	return out, func() {
		stop()
		_ = out.Close() // it never fails
	}
}
