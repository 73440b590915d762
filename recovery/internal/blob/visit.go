package blob

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// Visitor is shown what a database holds. Buckets in buckets, of which etcd has none, are an error where Entry is set.
type Visitor struct {
	Bucket func(name []byte) error // before its entries
	Entry  func(Entry) error       // in the order of the keys
}

// Entry is a key of a bucket and its value. What it points to is valid during the visit only.
type Entry struct {
	Bucket, Key []byte
	file        io.ReaderAt
	head        []byte // what of the value is in memory, if all of it is
	at, bytes   int64  // of the value
}

// AppendValue reads the value.
func (e Entry) AppendValue(to []byte) ([]byte, error) {
	if e.head != nil {
		return append(to, e.head...), nil
	}
	from := len(to)
	to = slices.Grow(to, int(e.bytes))[:from+int(e.bytes)]
	_, err := e.file.ReadAt(to[from:], e.at)
	return to, err
}

// In returns the entry for after the visit: without its key and bucket, and with a value that is read from this file, which is the
// same one.
func (e Entry) In(file io.ReaderAt) Entry { return Entry{file: file, at: e.at, bytes: e.bytes} }

// show shows an entry of a bucket to the visitor.
func (w *pageWalk) show(a area, e element) error {
	if w.visitor.Entry == nil || w.depth != 1 || w.count > 0 {
		return nil
	}
	entry := Entry{Bucket: w.name, Key: e.key, file: w.file, at: a.at + e.valueAt, bytes: e.bytes}
	if end := e.valueAt + e.bytes; end <= int64(len(a.head)) {
		entry.head = a.head[e.valueAt:end]
	}
	return w.visitor.Entry(entry)
}

// enter is called at the beginning of a bucket.
func (w *pageWalk) enter(name []byte) error {
	if w.depth++; w.depth == 1 {
		w.name = bytes.Clone(name)
	}
	switch {
	case w.count > 0 || w.visitor.Entry == nil:
		return nil
	case w.depth > 1:
		return fmt.Errorf("%w: bucket %q holds a bucket, and none of etcd's does", recovery.ErrBadStructure, w.name)
	}
	return w.visitor.Bucket(w.name)
}
