package ledger

import (
	"bufio"
	"cmp"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"slices"
)

// runItems is how many values a Sorter holds in memory; beyond that they go to its spill.
const runItems = 20_000

// mergeBufferBytes is what all read buffers of one merge share; each run gets a part of it within the bounds below.
const (
	mergeBufferBytes  = 1 << 20
	smallestRunBuffer = 4 << 10
	largestRunBuffer  = 64 << 10
)

// Spill is a place for what does not fit into memory; *os.File is one. It is written from its start to its end, and then
// read at any place.
type Spill interface {
	io.Writer
	io.ReaderAt
}

// Scratch makes a new, empty Spill. Whoever supplies it closes and removes what it made, once the sorted streams are no
// longer read: this package opens and deletes nothing.
type Scratch func() (Spill, error)

// Sort returns the values of in, ordered by compare; equal ones keep their order. Memory is bound by a fixed number of
// values; the rest lies in one Spill. T must be a type that encoding/gob can carry: exported fields, no interfaces.
func Sort[T any](in Stream[T], compare func(a, b T) int, scratch Scratch) (Stream[T], error) {
	sorter := NewSorter(compare, scratch)
	for value, err := range in {
		if err != nil {
			return nil, err
		}
		if err := sorter.Add(value); err != nil {
			return nil, err
		}
	}
	return sorter.Sorted()
}

// Sorter is Sort for values that arrive one by one, so that one pass over a stream can feed several. It is not safe for
// concurrent use.
type Sorter[T any] struct {
	compare func(a, b T) int
	scratch Scratch
	limit   int
	count   int64
	held    []T
	spill   Spill
	end     int64 // of what was written to spill
	runs    []run
}

// run is one sorted part of the spill.
type run struct{ offset, size, items int64 }

// NewSorter returns an empty Sorter; compare, scratch and the bounds are those of Sort.
func NewSorter[T any](compare func(a, b T) int, scratch Scratch) *Sorter[T] {
	return &Sorter[T]{compare: compare, scratch: scratch, limit: runItems}
}

// Add takes one value.
func (s *Sorter[T]) Add(value T) error {
	s.count++
	s.held = append(s.held, value)
	if len(s.held) < s.limit {
		return nil
	}
	return s.flush()
}

// Len returns how many values were added.
func (s *Sorter[T]) Len() int64 { return s.count }

// Sorted returns all values in order. Nothing may be added afterwards. The stream can be read several times, also by
// several readers at once.
func (s *Sorter[T]) Sorted() (Stream[T], error) {
	if len(s.runs) == 0 {
		slices.SortStableFunc(s.held, s.compare)
		return values(s.held), nil
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	s.held = nil
	return s.merge, nil
}

// values streams a slice.
func values[T any](held []T) Stream[T] {
	return func(yield func(T, error) bool) {
		for _, value := range held {
			if !yield(value, nil) {
				return
			}
		}
	}
}

// flush writes the held values as one run.
func (s *Sorter[T]) flush() error {
	if len(s.held) == 0 {
		return nil
	}
	if s.spill == nil {
		spill, err := s.scratch()
		if err != nil {
			return fmt.Errorf("make scratch space for sorting: %w", err)
		}
		s.spill = spill
	}
	slices.SortStableFunc(s.held, s.compare)
	counted := countingWriter{out: s.spill}
	buffered := bufio.NewWriterSize(&counted, largestRunBuffer)
	encoder := gob.NewEncoder(buffered)
	for i := range s.held {
		if err := encoder.Encode(&s.held[i]); err != nil {
			return fmt.Errorf("spill while sorting: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("spill while sorting: %w", err)
	}
	s.runs = append(s.runs, run{offset: s.end, size: counted.size, items: int64(len(s.held))})
	s.end += counted.size
	clear(s.held) // lets go of what the values point to
	s.held = s.held[:0]
	return nil
}

// merge is the stream over all runs.
func (s *Sorter[T]) merge(yield func(T, error) bool) {
	var zero T
	heads := make([]*head[T], 0, len(s.runs))
	buffer := min(max(mergeBufferBytes/len(s.runs), smallestRunBuffer), largestRunBuffer)
	for i, r := range s.runs {
		section := io.NewSectionReader(s.spill, r.offset, r.size)
		h := &head[T]{order: i, left: r.items, decoder: gob.NewDecoder(bufio.NewReaderSize(section, buffer))}
		if err := h.advance(); err != nil {
			yield(zero, err)
			return
		}
		heads = append(heads, h)
	}
	queue := queue[T]{heads: heads, compare: s.compare}
	queue.build()
	for len(queue.heads) > 0 {
		first := queue.heads[0]
		value := first.value
		if err := first.advance(); err != nil {
			yield(zero, err)
			return
		}
		queue.settleFirst()
		if !yield(value, nil) {
			return
		}
	}
}

// head is the next value of one run.
type head[T any] struct {
	order   int
	left    int64
	done    bool
	value   T
	decoder *gob.Decoder
}

func (h *head[T]) advance() error {
	var next T // gob leaves absent fields as they are, so each value starts empty
	h.value = next
	if h.left == 0 {
		h.done = true
		return nil
	}
	h.left--
	if err := h.decoder.Decode(&next); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read back what was spilled while sorting: %w", err)
	}
	h.value = next
	return nil
}

// queue is a binary heap of runs, by their next value and then by their order, which keeps the sort stable.
type queue[T any] struct {
	heads   []*head[T]
	compare func(a, b T) int
}

func (q *queue[T]) build() {
	for i := len(q.heads)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
}

// settleFirst restores the order after the first head moved on.
func (q *queue[T]) settleFirst() {
	if q.heads[0].done {
		last := len(q.heads) - 1
		q.heads[0] = q.heads[last]
		q.heads = q.heads[:last]
	}
	q.sink(0)
}

func (q *queue[T]) sink(i int) {
	for {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < len(q.heads) && q.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.heads[i], q.heads[least] = q.heads[least], q.heads[i]
		i = least
	}
}

func (q *queue[T]) less(i, j int) bool {
	a, b := q.heads[i], q.heads[j]
	if order := q.compare(a.value, b.value); order != 0 {
		return order < 0
	}
	return cmp.Less(a.order, b.order)
}

type countingWriter struct {
	out  io.Writer
	size int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.size += int64(n)
	return n, err
}
