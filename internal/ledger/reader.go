package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// readBufferBytes holds some hundred lines; longer lines are read in pieces.
const readBufferBytes = 64 << 10

// ReadEntries returns the entries that a Writer wrote. Each iteration opens the ledger anew and closes it. It ends with an
// error wrapping ErrUnended if the closing line is not there or a line was cut; a malformed line is named by its number.
func ReadEntries(open func() (io.ReadCloser, error)) Stream[Entry] {
	return readAll("ledger", open, decodeEntry)
}

// ReadRecords returns the history that WriteRecords wrote; its errors are those of ReadEntries.
func ReadRecords(open func() (io.ReadCloser, error)) Stream[Record] {
	return readAll("history", open, decodeRecord)
}

// ReadPairs returns the keyspace that WritePairs wrote; its errors are those of ReadEntries.
func ReadPairs(open func() (io.ReadCloser, error)) Stream[Pair] {
	return readAll("keyspace", open, decodePair)
}

func readAll[T any](name string, open func() (io.ReadCloser, error), decode func([]byte, *T) error) Stream[T] {
	return func(yield func(T, error) bool) {
		var zero T
		source, err := open()
		if err != nil {
			yield(zero, fmt.Errorf("open %s: %w", name, err))
			return
		}
		stopped, err := decodeLines(source, decode, yield)
		if closeErr := source.Close(); err == nil {
			err = closeErr
		}
		if err != nil && !stopped {
			yield(zero, fmt.Errorf("read %s: %w", name, err))
		}
	}
}

// decodeLines yields one value per line up to the closing line. It tells whether the consumer wanted no more.
func decodeLines[T any](source io.Reader, decode func([]byte, *T) error, yield func(T, error) bool) (stopped bool, err error) {
	lines := lineReader{in: bufio.NewReaderSize(source, readBufferBytes)}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return false, fmt.Errorf("after line %d: %w", lines.count, ErrUnended)
		}
		if err != nil {
			return false, fmt.Errorf("line %d: %w", lines.count+1, err)
		}
		if bytes.HasPrefix(line, []byte(closingPrefix)) {
			return false, lines.expectEnd()
		}
		var value T
		if err := decode(line, &value); err != nil {
			return false, fmt.Errorf("line %d: %w", lines.count, err)
		}
		if !yield(value, nil) {
			return true, nil
		}
	}
}

// lineReader returns lines without copying them where they fit its buffer.
type lineReader struct {
	in    *bufio.Reader
	long  []byte
	count int64
}

// next returns the next line, valid until the call after. A last line without its line feed was cut and reads as io.EOF.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = l.in.ReadSlice('\n')
			l.long = append(l.long, line...)
		}
		line = l.long
	}
	if err != nil {
		return nil, err
	}
	l.count++
	return line, nil
}

func (l *lineReader) expectEnd() error {
	if _, err := l.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("there is more after the closing line")
		}
		return fmt.Errorf("line %d: %w", l.count+1, err)
	}
	return nil
}
