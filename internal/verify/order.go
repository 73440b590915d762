package verify

import (
	"cmp"
	"slices"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// What follows says how the streams of the judge are ordered.

func byRevision(a, b ledger.Record) int {
	return cmp.Or(cmp.Compare(a.Rev, b.Rev), cmp.Compare(a.Sub, b.Sub))
}

func byKeyAndRevision(a, b ledger.Record) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), byRevision(a, b))
}

func byKey(a, b ledger.Pair) int { return cmp.Compare(a.Key, b.Key) }

// sortedByKey returns the records of a transaction by key, in which no key appears twice; the input stays as it is.
func sortedByKey(records []ledger.Record) []ledger.Record {
	if len(records) < 2 {
		return records
	}
	sorted := slices.Clone(records)
	slices.SortFunc(sorted, byKeyAndRevision)
	return sorted
}

// effects returns the changes of a write that must leave a record, by key.
func effects(changes []ledger.Change) []ledger.Change {
	if len(changes) == 1 && !changes[0].Void {
		return changes
	}
	left := slices.DeleteFunc(slices.Clone(changes), func(c ledger.Change) bool { return c.Void })
	slices.SortStableFunc(left, func(a, b ledger.Change) int { return cmp.Compare(a.Key, b.Key) })
	return slices.CompactFunc(left, func(a, b ledger.Change) bool { return a.Key == b.Key && a.Delete && b.Delete })
}

// anchorOf returns the put with the smallest key, by which a transaction is looked up; ok is false if it only deletes.
func anchorOf(changes []ledger.Change) (anchor ledger.Change, ok bool) {
	for _, c := range changes {
		if !c.Delete {
			return c, true
		}
	}
	return ledger.Change{}, false
}

// asChanges turns the records of a revision, by key, into the changes that explain them.
func asChanges(records []ledger.Record) []ledger.Change {
	changes := make([]ledger.Change, len(records))
	for i, r := range records {
		changes[i] = ledger.Change{Key: r.Key, Delete: r.Delete, Digest: r.Digest, Lease: r.Lease}
	}
	return changes
}
