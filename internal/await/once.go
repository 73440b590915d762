package await

import (
	"context"
	"fmt"
)

// Once is work whose result is kept, such as the making of an image: one caller at a time does it, and the others wait for
// its result and can give up waiting. A failure is not kept, so the next caller tries again. Its zero value is not usable.
type Once[T any] struct {
	name string
	gate chan struct{} // holds a token while somebody is at work
	done bool          // guarded by gate, as is value
	kept T
}

// NewOnce names the work for the error of those who give up.
func NewOnce[T any](name string) *Once[T] { return &Once[T]{name: name, gate: make(chan struct{}, 1)} }

// Do returns the result that is kept, or does the work.
func (o *Once[T]) Do(ctx context.Context, work func(context.Context) (T, error)) (result T, err error) {
	select {
	case o.gate <- struct{}{}:
		defer func() { <-o.gate }()
	case <-ctx.Done():
		return result, fmt.Errorf("%s: %w", o.name, context.Cause(ctx))
	}
	if o.done {
		return o.kept, nil
	}
	if result, err = work(ctx); err != nil {
		return result, err
	}
	o.kept, o.done = result, true
	return result, nil
}
