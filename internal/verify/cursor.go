package verify

import (
	"fmt"
	"iter"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// cursor reads a stream value by value, so that several streams can be merged. After an error it has no head any more;
// the merge asks for err when it is through.
type cursor[T any] struct {
	head T
	ok   bool
	err  error
	pull func() (T, error, bool)
	stop func()
}

// read opens a cursor on the first value of a stream; a nil stream is an empty one. The caller calls stop.
func read[T any](stream ledger.Stream[T]) *cursor[T] {
	if stream == nil {
		stream = func(func(T, error) bool) {}
	}
	c := &cursor[T]{}
	c.pull, c.stop = iter.Pull2(stream)
	c.advance()
	return c
}

func (c *cursor[T]) advance() {
	var zero T
	value, err, ok := c.pull()
	if !ok || err != nil {
		c.head, c.ok, c.err = zero, false, err
		return
	}
	c.head, c.ok = value, true
}

// take returns the head and moves on.
func (c *cursor[T]) take() T {
	head := c.head
	c.advance()
	return head
}

// inOrder passes a stream on and ends it with an error at the first value that does not come after the one before it:
// every merge rests on the order, so a stream without it is not evidence.
func inOrder[T any](stream ledger.Stream[T], compare func(a, b T) int, name string) ledger.Stream[T] {
	return func(yield func(T, error) bool) {
		var last, zero T
		position := 0
		for value, err := range stream {
			if err != nil {
				yield(zero, fmt.Errorf("read %s: %w", name, err))
				return
			}
			if position++; position > 1 && compare(last, value) >= 0 {
				yield(zero, fmt.Errorf("read %s: number %d is not in order: %+v after %+v", name, position, value, last))
				return
			}
			if last = value; !yield(value, nil) {
				return
			}
		}
	}
}

// group holds all records of one main revision: what one transaction wrote.
type group struct {
	Rev     int64
	Records []ledger.Record
}

// groups gathers the records of a history by their main revision. Records at or below the compaction point are passed
// over: what is left of them depends on how far the compaction came.
func groups(history ledger.Stream[ledger.Record], compacted int64) ledger.Stream[group] {
	return func(yield func(group, error) bool) {
		var open group
		for record, err := range history {
			if err != nil {
				yield(group{}, err)
				return
			}
			if record.Rev <= compacted {
				continue
			}
			if len(open.Records) > 0 && record.Rev != open.Rev {
				if !yield(open, nil) {
					return
				}
				open.Records = nil
			}
			open.Rev = record.Rev
			open.Records = append(open.Records, record)
		}
		if len(open.Records) > 0 {
			yield(open, nil)
		}
	}
}
