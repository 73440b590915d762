package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrSchema means that a file was written by another version of this program, and may mean other things by the same words.
var ErrSchema = errors.New("another schema")

// ErrNoRun means that a file does not hold a run.
var ErrNoRun = errors.New("no run of a benchmark")

// line is one line of the stored form: the header first, then a sample each.
type line struct {
	Header *Header `json:"header,omitempty"`
	Sample *Sample `json:"sample,omitempty"`
}

// WriteHeader writes the first line of the stored form.
func WriteHeader(w io.Writer, h Header) error { return writeLine(w, line{Header: &h}) }

// WriteSample writes one more line.
func WriteSample(w io.Writer, s Sample) error { return writeLine(w, line{Sample: &s}) }

func writeLine(w io.Writer, l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write down measurement: %w", err)
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write down measurement: %w", err)
	}
	return nil
}

// maxLineBytes bounds a line; one holds a few dozen numbers, the first the matrix.
const maxLineBytes = 16 << 20

// Read reads what WriteHeader and WriteSample wrote. A last line without an end is what an interrupted run leaves: it is left out,
// and whole is the number of bytes before it, behind which somebody may go on writing. Errors wrap ErrNoRun or ErrSchema.
func Read(r io.Reader) (run Run, whole int64, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		text, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Run{}, 0, fmt.Errorf("%w: line %d: %w", ErrNoRun, number, err)
		}
		if err := run.take(number, text); err != nil {
			return Run{}, 0, err
		}
		whole += int64(len(text))
	}
	if run.SchemaVersion == 0 {
		return Run{}, 0, fmt.Errorf("%w: it is empty", ErrNoRun)
	}
	return run, whole, nil
}

// readLine returns a line with its end; one without is the end of the file.
func readLine(r *bufio.Reader) ([]byte, error) {
	var all []byte
	for {
		piece, err := r.ReadSlice('\n')
		all = append(all, piece...)
		switch {
		case err == nil:
			return all, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(all) > maxLineBytes:
			return nil, errors.New("it is too long")
		}
	}
}

func (r *Run) take(number int, text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("%w: line %d: %w", ErrNoRun, number, err)
	}
	switch {
	case number == 1 && l.Header == nil:
		return fmt.Errorf("%w: its first line is no header", ErrNoRun)
	case number == 1 && l.Header.SchemaVersion != SchemaVersion:
		return fmt.Errorf("%w: it is written in version %d, this program reads %d; measure anew",
			ErrSchema, l.Header.SchemaVersion, SchemaVersion)
	case number == 1:
		r.Header = *l.Header
		return nil
	case l.Sample == nil:
		return fmt.Errorf("%w: line %d holds no sample", ErrNoRun, number)
	}
	if s := *l.Sample; s.Failure == "" && (s.Total <= 0 || s.SourceBytes <= 0 || int64(s.Total) == math.MaxInt64) {
		return fmt.Errorf("%w: line %d: a restore of %d bytes in %s", ErrNoRun, number, s.SourceBytes, s.Total)
	}
	r.Samples = append(r.Samples, *l.Sample)
	return nil
}
