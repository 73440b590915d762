package ledger

import (
	"fmt"
	"io"
)

// LineWriter writes records, pairs or leases one by one, for whoever is handed them instead of asking for them. It is not safe for
// concurrent use. Errors are sticky, as those of Writer.
type LineWriter[T Record | Pair | Lease] struct {
	lines  lineWriter
	encode func(line []byte, value T) ([]byte, error)
	line   []byte
}

// NewLineWriter returns a LineWriter on w.
func NewLineWriter[T Record | Pair | Lease](w io.Writer) *LineWriter[T] {
	return &LineWriter[T]{lines: newLineWriter(w), encode: appendOf[T]()}
}

// Append writes one value.
func (w *LineWriter[T]) Append(value T) error {
	var err error
	w.line, err = w.encode(w.line[:0], value)
	if err := w.lines.put(w.line, err); err != nil {
		return fmt.Errorf("write %T: %w", value, err)
	}
	return nil
}

// End writes the closing line and flushes; without it the stream reads as unended.
func (w *LineWriter[T]) End() error {
	if err := w.lines.put([]byte(closing), nil); err != nil {
		return fmt.Errorf("end stream: %w", err)
	}
	if err := w.lines.flush(); err != nil {
		return fmt.Errorf("end stream: %w", err)
	}
	return nil
}
