package await

import (
	"context"
	"fmt"
	"sync"
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

// Each is Once for every key: the work of two keys may go on at the same time. Its zero value is not usable.
type Each[K comparable, T any] struct {
	name string
	mu   sync.Mutex // guards kept
	kept map[K]*Once[T]
}

// NewEach names the work for the error of those who give up.
func NewEach[K comparable, T any](name string) *Each[K, T] {
	return &Each[K, T]{name: name, kept: map[K]*Once[T]{}}
}

// Do returns the result that is kept for the key, or does the work.
func (e *Each[K, T]) Do(ctx context.Context, key K, work func(context.Context) (T, error)) (T, error) {
	e.mu.Lock()
	once := e.kept[key]
	if once == nil {
		once = NewOnce[T](e.name)
		e.kept[key] = once
	}
	e.mu.Unlock()
	return once.Do(ctx, work)
}
