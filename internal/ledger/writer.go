package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
)

// closing is the line that ends every stream on disk. It holds no count: a removed entry has to surface as damage, not as
// a ledger that was not ended.
const (
	closing       = `{"end":"complete"}`
	closingPrefix = `{"end":`
)

// writeBufferBytes is how much is held back before the writer below is called.
const writeBufferBytes = 64 << 10

// usualEntryBytes is what most entries take, so that their lines need not grow.
const usualEntryBytes = 384

var errEnded = errors.New("the ledger is already ended")

// Writer writes the entries of a load as JSON lines, in the order of the calls. It is safe for concurrent use. What it was
// given reaches the writer below when the buffer is full or Flush is called; the owner calls Flush at least each 100 ms and
// syncs the file itself. The first error stays: every later call returns it.
type Writer struct {
	mu    sync.Mutex
	lines lineWriter
	ended bool
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{lines: newLineWriter(w)}
}

// Append writes one entry.
func (w *Writer) Append(e Entry) error {
	line, err := appendEntry(make([]byte, 0, usualEntryBytes), e) // outside the lock: workers must not wait for each other's encoding
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lines.err == nil && w.ended {
		w.lines.err = errEnded
	}
	return named(w.lines.put(line, err))
}

// Flush hands everything that was appended to the writer below.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return named(w.lines.flush())
}

// End writes the closing line and flushes. Nothing can be appended afterwards. A ledger without this line reads as
// unended, so End is called only when every worker has returned.
func (w *Writer) End() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended = true
		_ = w.lines.put([]byte(closing), nil) // the error stays and comes back from the flush
	}
	return named(w.lines.flush())
}

// WriteRecords writes a history as JSON lines with the closing line, for ReadRecords.
func WriteRecords(w io.Writer, records Stream[Record]) error {
	return writeAll(w, "history", records)
}

// WritePairs writes a keyspace as JSON lines with the closing line, for ReadPairs.
func WritePairs(w io.Writer, pairs Stream[Pair]) error {
	return writeAll(w, "keyspace", pairs)
}

func writeAll[T any](w io.Writer, name string, values Stream[T]) error {
	lines, write, line := newLineWriter(w), appendOf[T](), []byte(nil)
	for value, err := range values {
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		line, err = write(line[:0], value)
		if err := lines.put(line, err); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	_ = lines.put([]byte(closing), nil) // the error stays and comes back from the flush
	if err := lines.flush(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write ledger: %w", err)
}

// lineWriter buffers lines and keeps the first error.
type lineWriter struct {
	out *bufio.Writer
	err error
}

func newLineWriter(w io.Writer) lineWriter {
	return lineWriter{out: bufio.NewWriterSize(w, writeBufferBytes)}
}

func (l *lineWriter) put(line []byte, encodeErr error) error {
	if l.err != nil {
		return l.err
	}
	if l.err = encodeErr; l.err != nil {
		return l.err
	}
	if _, l.err = l.out.Write(line); l.err == nil {
		l.err = l.out.WriteByte('\n')
	}
	return l.err
}

func (l *lineWriter) flush() error {
	if l.err == nil {
		l.err = l.out.Flush()
	}
	return l.err
}
