package intake

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// What a backup can be packed in.
const (
	packedGzip = "gzip"
	packedZstd = "zstd"
	packedTar  = "tar"
	packedZip  = "zip"
)

// headBytes is how much of a file tells what it is: a tar archive says so at byte 257.
const headBytes = 512

// packingOf tells what a file with this beginning is packed in; empty for nothing. A database is known before everything else,
// because its first bytes, a page's number and flags, could be anything's.
func packingOf(head []byte) string {
	const tarMagicAt = 257
	begins := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	switch {
	case len(head) >= blob.BoltHeaderBytes+4 && binary.LittleEndian.Uint32(head[blob.BoltHeaderBytes:]) == blob.BoltMagic:
		return ""
	case begins(0, "\x1f\x8b"):
		return packedGzip
	case begins(0, "\x28\xb5\x2f\xfd"):
		return packedZstd
	case begins(0, "PK\x03\x04"), begins(0, "PK\x05\x06"), begins(0, "PK\x07\x08"):
		return packedZip
	case begins(tarMagicAt, "ustar"):
		return packedTar
	}
	return ""
}

// headOf reads the beginning of a file.
func headOf(file io.ReaderAt) ([]byte, error) {
	head := make([]byte, headBytes)
	n, err := file.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head[:n], err
}

// unpacking is one backup on its way into a folder of the caller's.
type unpacking struct {
	ctx      context.Context
	in       Offer
	streamed bool     // there is no file that could be looked at again
	file     *os.File // nil for a stream
	size     int64    // of the file

	packing []string
	source  *blob.MarkedReader
	written int64 // of MaxBytes, over all files
	failed  error // of this program's own writing
}

// receive unpacks what comes. It changes only what is known of it.
func (u *unpacking) receive(w offline.Worker, from io.Reader, received Received) (Received, error) {
	if err := os.MkdirAll(u.in.Dir, 0o700); err != nil {
		return Received{}, fmt.Errorf("unpack %s: %w", u.in.Path, err)
	}
	u.source = &blob.MarkedReader{Ctx: u.ctx, From: from}
	found, err := u.unpack()
	received.Packing = u.packing
	switch {
	case err != nil:
		return Received{}, u.explain(err)
	case found.directory != "":
		return receiveDirectory(u.ctx, w, received, found.directory)
	}
	received.Path, received.Kind, received.Inside = found.file, blob.KindOf(found.bytes), found.inside
	received.Form, received.streamed = recovery.Form(received.Kind), u.streamed
	return received, nil
}

// contained is what came out: a file, or a data directory.
type contained struct {
	file, inside string
	bytes        int64
	directory    string
}

func (u *unpacking) unpack() (contained, error) {
	body := bufio.NewReaderSize(u.source, 64<<10)
	head, err := peek(body)
	if err != nil {
		return contained{}, err
	}
	packed := packingOf(head)
	if packed == packedGzip || packed == packedZstd {
		u.packing = append(u.packing, packed)
		inner, err := decompressor(packed, body)
		if err != nil {
			return contained{}, err
		}
		defer func() { _ = inner.Close() }() // it holds memory only
		body = bufio.NewReaderSize(inner, 64<<10)
		if head, err = peek(body); err != nil {
			return contained{}, err
		}
		if packed = packingOf(head); packed != "" && packed != packedTar {
			return contained{}, u.wrong("it is packed twice, in %s and %s; unpack the outer one yourself", u.packing[0], packed)
		}
	}
	switch packed {
	case packedTar:
		u.packing = append(u.packing, packed)
		return u.untar(body)
	case packedZip:
		u.packing = append(u.packing, packed)
		return u.unzip(body)
	}
	path := u.target()
	n, err := u.write(path, body)
	if err == nil && n == 0 && u.streamed && len(u.packing) == 0 {
		return contained{}, &recovery.SourceError{Path: u.in.Path, Fault: recovery.ErrEndedEarly, Why: "nothing came"}
	}
	return contained{file: path, bytes: n}, err
}

// peek looks at what comes next.
func peek(body *bufio.Reader) ([]byte, error) {
	head, err := body.Peek(headBytes)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head, err
}

// zstdWindow bounds the memory that a decompressor may ask for; "zstd --long" beyond it is refused.
const zstdWindow = 128 << 20

func decompressor(packing string, from io.Reader) (io.ReadCloser, error) {
	if packing == packedGzip {
		return gzip.NewReader(from)
	}
	decoder, err := zstd.NewReader(from, zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, err
	}
	return decoder.IOReadCloser(), nil
}

// target is where a single file goes.
func (u *unpacking) target() string { return filepath.Join(u.in.Dir, "backup.db") }

// write makes a new file of what it reads, as long as there is room.
func (u *unpacking) write(path string, from io.Reader) (int64, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		u.failed = err
		return 0, err
	}
	n, err := io.Copy(&bounded{u: u, file: file}, from)
	if closed := file.Close(); closed != nil {
		u.failed = closed
		err = errors.Join(err, closed)
	}
	return n, err
}

// bounded writes to a file until all that is unpacked is more than was allowed.
type bounded struct {
	u    *unpacking
	file *os.File
}

// Write implements io.Writer.
func (b *bounded) Write(data []byte) (int, error) {
	u := b.u
	if u.written+int64(len(data)) > u.in.MaxBytes {
		return 0, &recovery.SourceError{
			Path: u.in.Path, Fault: recovery.ErrTooLarge, Why: fmt.Sprintf("it unpacks to more than %d bytes", u.in.MaxBytes),
		}
	}
	n, err := b.file.Write(data)
	u.written += int64(n)
	if err != nil {
		u.failed = err
	}
	if u.in.Progress != nil {
		u.in.Progress(u.written)
	}
	return n, err
}

// wrong refuses an archive.
func (u *unpacking) wrong(format string, args ...any) error {
	return &recovery.SourceError{Path: u.in.Path, Fault: recovery.ErrWrongArchive, Why: fmt.Sprintf(format, args...)}
}

// explain says whose fault an error is: that of whoever is read, of this machine's disk, or of the archive.
func (u *unpacking) explain(err error) error {
	var known *recovery.SourceError
	switch {
	case u.ctx.Err() != nil:
		return fmt.Errorf("unpack %s: %w", u.in.Path, context.Cause(u.ctx))
	case errors.As(err, &known):
		return err
	case u.source.Err != nil:
		return &recovery.SourceError{Path: u.in.Path, Fault: recovery.ErrUnreadable, Cause: u.source.Err}
	case errors.Is(u.failed, syscall.ENOSPC):
		return fmt.Errorf("unpack %s: %w: %w; free some, or name a folder on another file system", u.in.Path, recovery.ErrNoSpace, err)
	case u.failed != nil:
		return fmt.Errorf("unpack %s: %w", u.in.Path, err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return u.wrong("its compression asks for more than %d MiB of memory; compress it again without --long", zstdWindow>>20)
	case u.streamed && endsEarly(err):
		return &recovery.SourceError{Path: u.in.Path, Fault: recovery.ErrEndedEarly, Why: "the archive in it goes on"}
	case endsEarly(err):
		return &recovery.SourceError{Path: u.in.Path, Fault: recovery.ErrBadArchive, Why: "it ends before the archive does"}
	}
	return &recovery.SourceError{Path: u.in.Path, Fault: recovery.ErrBadArchive, Cause: err}
}

func endsEarly(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) }
