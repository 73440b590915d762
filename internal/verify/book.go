package verify

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// book is the ledger, read once and sorted in the ways in which the judge needs it.
type book struct {
	unended bool
	entries int64
	tally   Tally
	highest int64 // the greatest revision in an acknowledged response
	earlier int64 // acknowledged writes at or below the compaction point

	owned   ledger.Stream[write]        // acknowledged, above the compaction point and up to R, by revision
	lost    ledger.Stream[ledger.Entry] // acknowledged, above R, by revision
	lostOps ledger.Stream[op]           // what the lost ones did, by key and revision
	early   ledger.Stream[op]           // what was done at or below the compaction point, or may have been, by key and revision
	puts    ledger.Stream[write]        // unknown writes that put something, by anchor
	deletes ledger.Stream[candidate]    // unknown writes that only delete, once for each key
	grants  ledger.Stream[grant]        // by lease
}

// write is what the judge needs of an acknowledged or unknown entry. Its fields, like those of the types below, are
// exported for the spill of a Sorter.
type write struct {
	Worker int
	Seq    int64
	// Rev is the revision that an acknowledged write owns. For an unknown one it is the greatest revision that a response had
	// shown to its worker before: the write can only be above it, because its worker called it afterwards.
	Rev     int64
	Return  int64           // nanoseconds since 1970
	Effects []ledger.Change // those that leave a record, by key
}

func (w write) String() string { return fmt.Sprintf("write %d of worker %d", w.Seq, w.Worker) }

// candidate is an unknown write under one of the keys that it may have deleted.
type candidate struct {
	Key   ledger.Key
	Write write
}

// op is one change of one key.
type op struct {
	Key    ledger.Key
	Rev    int64
	Change ledger.Change
	// Unknown is set if it is not known whether the change came to be; Rev is then a bound as in write.
	Unknown bool
}

// grant is a lease that was, or may have been, granted.
type grant struct {
	Lease int64
	// Earliest is when it can expire at the earliest, the TTL after the call, in nanoseconds since 1970.
	Earliest int64
	// Acknowledged is set if it was granted for sure, for TTL seconds.
	Acknowledged bool
	TTL          int64
}

// index sorts the entries of a ledger while they are read.
type index struct {
	ref     reference
	seen    map[int]int64 // by worker: the greatest revision that a response showed to it
	owned   *ledger.Sorter[write]
	lost    *ledger.Sorter[ledger.Entry]
	lostOps *ledger.Sorter[op]
	early   *ledger.Sorter[op]
	puts    *ledger.Sorter[write]
	deletes *ledger.Sorter[candidate]
	grants  *ledger.Sorter[grant]
}

func newIndex(ref *reference, scratch ledger.Scratch) *index {
	x := &index{
		ref:  reference{revision: math.MaxInt64}, // without a reference nothing is known to be lost
		seen: make(map[int]int64),
		owned: ledger.NewSorter(func(a, b write) int {
			return cmp.Compare(a.Rev, b.Rev)
		}, scratch),
		lost: ledger.NewSorter(func(a, b ledger.Entry) int {
			return cmp.Compare(a.Revision, b.Revision)
		}, scratch),
		lostOps: ledger.NewSorter(opsByKey, scratch),
		early:   ledger.NewSorter(opsByKey, scratch),
		puts:    ledger.NewSorter(writesByAnchor, scratch),
		deletes: ledger.NewSorter(func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Write.Rev, b.Write.Rev))
		}, scratch),
		grants: ledger.NewSorter(func(a, b grant) int {
			return cmp.Compare(a.Lease, b.Lease)
		}, scratch),
	}
	if ref != nil {
		x.ref = *ref
	}
	return x
}

func opsByKey(a, b op) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Rev, b.Rev))
}

func writesByAnchor(a, b write) int {
	left, _ := anchorOf(a.Effects)
	right, _ := anchorOf(b.Effects)
	return cmp.Or(cmp.Compare(left.Key, right.Key), cmp.Compare(left.Digest, right.Digest), cmp.Compare(a.Rev, b.Rev))
}

// openBook reads the whole ledger once.
func openBook(entries ledger.Stream[ledger.Entry], ref *reference, scratch ledger.Scratch) (*book, error) {
	b := &book{}
	x := newIndex(ref, scratch)
	for e, err := range orEmpty(entries) {
		if errors.Is(err, ledger.ErrUnended) {
			b.unended = true
			break
		}
		if err != nil {
			return nil, err
		}
		b.count(e, x.ref)
		if err := x.file(e); err != nil {
			return nil, err
		}
	}
	return b, x.sorted(b)
}

// usable tells whether findings on data can rest on the ledger.
func (b *book) usable() bool { return !b.unended && b.entries > 0 }

func (b *book) count(e ledger.Entry, ref reference) {
	b.entries++
	switch e.Outcome {
	case ledger.Acknowledged:
		b.tally.Acknowledged++
		b.highest = max(b.highest, e.Revision)
		if e.Owns && e.Revision <= ref.compacted {
			b.earlier++
		}
	case ledger.Refused:
		b.tally.Refused++
	default: // whatever is not known to be one of the others is unknown
		b.tally.Unknown++
	}
}

// file puts one entry wherever it is needed.
func (x *index) file(e ledger.Entry) error {
	if e.Outcome == ledger.Refused {
		return nil
	}
	if e.Op == ledger.OpGrant {
		earliest := e.Call.Add(time.Duration(e.TTLSeconds) * time.Second)
		x.see(e)
		return x.grants.Add(grant{
			Lease: e.Lease, Earliest: earliest.UnixNano(), Acknowledged: e.Outcome == ledger.Acknowledged, TTL: e.TTLSeconds,
		})
	}
	if e.Outcome == ledger.Acknowledged {
		defer x.see(e)
		if !e.Owns {
			return nil
		}
		return x.fileAcknowledged(e)
	}
	return x.fileUnknown(e)
}

func (x *index) see(e ledger.Entry) { x.seen[e.Worker] = max(x.seen[e.Worker], e.Revision) }

func (x *index) fileAcknowledged(e ledger.Entry) error {
	w := write{
		Worker: e.Worker, Seq: e.Seq, Rev: e.Revision, Return: e.Return.UnixNano(), Effects: effects(e.Changes),
	}
	switch {
	case w.Rev > x.ref.revision:
		if err := x.lost.Add(e); err != nil {
			return err
		}
		return addOps(x.lostOps, w, false)
	case w.Rev <= x.ref.compacted:
		return addOps(x.early, w, false)
	default:
		return x.owned.Add(w)
	}
}

func (x *index) fileUnknown(e ledger.Entry) error {
	w := write{Worker: e.Worker, Seq: e.Seq, Rev: x.seen[e.Worker], Return: e.Return.UnixNano(), Effects: effects(e.Changes)}
	if w.Rev < x.ref.compacted {
		if err := addOps(x.early, w, true); err != nil {
			return err
		}
	}
	if _, puts := anchorOf(w.Effects); puts {
		return x.puts.Add(w)
	}
	for _, c := range w.Effects {
		if err := x.deletes.Add(candidate{Key: c.Key, Write: w}); err != nil {
			return err
		}
	}
	return nil
}

func addOps(sorter *ledger.Sorter[op], w write, unknown bool) error {
	for _, c := range w.Effects {
		if err := sorter.Add(op{Key: c.Key, Rev: w.Rev, Change: c, Unknown: unknown}); err != nil {
			return err
		}
	}
	return nil
}

// sorted fills the book with what was filed.
func (x *index) sorted(b *book) error {
	return errors.Join(
		settle(&b.owned, x.owned), settle(&b.lost, x.lost), settle(&b.lostOps, x.lostOps), settle(&b.early, x.early),
		settle(&b.puts, x.puts), settle(&b.deletes, x.deletes), settle(&b.grants, x.grants),
	)
}

// settle ends the filling of a Sorter.
func settle[T any](stream *ledger.Stream[T], sorter *ledger.Sorter[T]) error {
	sorted, err := sorter.Sorted()
	*stream = sorted
	return err
}
