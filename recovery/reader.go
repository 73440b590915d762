package recovery

import (
	"context"
	"errors"
	"io"
)

// markedReader remembers its own errors, so that they are not mistaken for those of the writer; it ends with the context.
type markedReader struct {
	ctx  context.Context
	from io.Reader
	err  error
}

// Read implements io.Reader.
func (r *markedReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
