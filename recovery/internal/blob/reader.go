package blob

import (
	"context"
	"errors"
	"io"
)

// MarkedReader remembers its own errors, so that they are not mistaken for those of the writer; it ends with the context.
type MarkedReader struct {
	Ctx  context.Context
	From io.Reader
	Err  error
}

// Read implements io.Reader.
func (r *MarkedReader) Read(p []byte) (int, error) {
	if err := r.Ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.From.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.Err = err
	}
	return n, err
}
