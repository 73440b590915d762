package verify

import "github.com/etcd-drill/etcd-drill/internal/ledger"

// pair walks changes and records, both by key, and calls visit with those of the same key, or with one and nil.
func pair(changes []ledger.Change, records []ledger.Record, visit func(*ledger.Change, *ledger.Record)) {
	c, r := 0, 0
	for c < len(changes) || r < len(records) {
		switch {
		case r == len(records) || (c < len(changes) && changes[c].Key < records[r].Key):
			visit(&changes[c], nil)
			c++
		case c == len(changes) || records[r].Key < changes[c].Key:
			visit(nil, &records[r])
			r++
		default:
			visit(&changes[c], &records[r])
			c++
			r++
		}
	}
}

// overlap counts the keys that changes and records share.
func overlap(changes []ledger.Change, records []ledger.Record) int {
	n := 0
	pair(changes, records, func(c *ledger.Change, r *ledger.Record) {
		if c != nil && r != nil {
			n++
		}
	})
	return n
}

// explains tells whether a write of unknown outcome can have left exactly these records: all of its puts, and some of its
// deletes, because deleting nothing leaves no record.
func explains(changes []ledger.Change, records []ledger.Record) bool {
	fits := len(records) > 0
	pair(changes, records, func(c *ledger.Change, r *ledger.Record) {
		switch {
		case c == nil:
			fits = false
		case r == nil:
			fits = fits && c.Delete
		default:
			fits = fits && same(*c, *r)
		}
	})
	return fits
}

// partOf tells whether the records are some, but not all, of what a transaction did.
func partOf(changes []ledger.Change, records []ledger.Record) bool {
	part := len(records) < len(changes)
	pair(changes, records, func(c *ledger.Change, r *ledger.Record) {
		if r != nil {
			part = part && c != nil && same(*c, *r)
		}
	})
	return part
}

func same(c ledger.Change, r ledger.Record) bool {
	if c.Delete || r.Delete {
		return c.Delete == r.Delete
	}
	return c.Digest == r.Digest && c.Lease == r.Lease
}
