package verify

import (
	"cmp"
	"math"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// held is the time, in revisions, for which a key carried a lease: until it was written again or deleted.
type held struct {
	Lease int64
	Until int64 // math.MaxInt64 if it still is at R
	// Perhaps is set if only an unknown write from before the compaction point, or one that such a write may have replaced,
	// tells of it.
	Perhaps bool
}

// expiry is what the end of a lease must look like: one revision that deletes all Keys that carried it.
type expiry struct {
	Rev      int64
	Keys     int   // that carried it for certain
	Perhaps  int   // further keys that may have carried it
	Earliest int64 // as in grant
}

func (e expiry) explains(l leftover) bool {
	deleted := len(l.Records)
	return e.Keys <= deleted && deleted <= e.Keys+e.Perhaps && (l.KnownBy == 0 || l.KnownBy >= e.Earliest)
}

// explainByExpiry sets aside the leftovers that are the expiry of a lease in the ledger. etcd revokes an expired lease by
// deleting all of its keys in one transaction (server/lease/lessor.go: Revoke), and no key can be attached to it later. So
// a revision is the expiry of a lease if it deletes every key that carried the lease last, and no key carries it beyond.
// A revision has no time of its own: it is too early if a response with a later one returned before the TTL had passed.
func (j *judge) explainByExpiry() error {
	leftovers, err := j.rest.tombstones.Sorted()
	if err != nil || j.rest.tombstones.Len() == 0 {
		return err
	}
	expiries, err := j.expiries()
	if err != nil {
		return err
	}
	due := read(expiries)
	defer due.stop()
	for l, err := range leftovers {
		if err != nil {
			return err
		}
		expired := false
		for ; due.ok && due.head.Rev <= l.Rev; due.advance() {
			expired = expired || due.head.Rev == l.Rev && due.head.explains(l)
		}
		if !expired {
			if err := j.rest.deletes.Add(l); err != nil {
				return err
			}
			continue
		}
		j.by.expired++
		j.compared.Revisions++
		j.checkNumbers(l)
	}
	return due.err
}

// expiries returns, by revision, the possible ends of the leases in the ledger.
func (j *judge) expiries() (ledger.Stream[expiry], error) {
	grants := read(j.book.grants)
	defer grants.stop()
	if !grants.ok {
		return orEmpty[expiry](nil), grants.err
	}
	helds, err := j.leasesHeld()
	if err != nil {
		return nil, err
	}
	sorter := ledger.NewSorter(func(a, b expiry) int { return cmp.Compare(a.Rev, b.Rev) }, j.out.Scratch)
	var lease int64
	var ends []expiry
	for h, err := range helds {
		if err != nil {
			return nil, err
		}
		if h.Lease != lease {
			if err := conclude(sorter, grants, lease, ends); err != nil {
				return nil, err
			}
			lease, ends = h.Lease, nil
		}
		ends = extend(ends, h)
	}
	if err := conclude(sorter, grants, lease, ends); err != nil {
		return nil, err
	}
	if grants.err != nil {
		return nil, grants.err
	}
	return sorter.Sorted()
}

// extend takes in the next time for which a lease was held; they come by their ends. A key that carried the lease for
// certain refutes every end before its own.
func extend(ends []expiry, h held) []expiry {
	if len(ends) == 0 || ends[len(ends)-1].Rev != h.Until {
		ends = append(ends, expiry{Rev: h.Until})
	}
	if h.Perhaps {
		ends[len(ends)-1].Perhaps++
		return ends
	}
	ends[len(ends)-1].Keys++
	return ends[len(ends)-1:]
}

// conclude keeps the possible ends of a lease if the ledger granted it.
func conclude(sorter *ledger.Sorter[expiry], grants *cursor[grant], lease int64, ends []expiry) error {
	for grants.ok && grants.head.Lease < lease {
		grants.advance()
	}
	if !grants.ok || grants.head.Lease != lease {
		return nil
	}
	for _, end := range ends {
		if end.Rev == math.MaxInt64 {
			continue
		}
		end.Earliest = grants.head.Earliest
		if err := sorter.Add(end); err != nil {
			return err
		}
	}
	return nil
}

// leasesHeld reads from the history which key carried which lease until when.
func (j *judge) leasesHeld() (ledger.Stream[held], error) {
	sorter := ledger.NewSorter(func(a, b held) int {
		return cmp.Or(cmp.Compare(a.Lease, b.Lease), cmp.Compare(a.Until, b.Until))
	}, j.out.Scratch)
	early := read(j.book.early)
	defer early.stop()
	var key ledger.Key
	var carried []held
	end := func(until int64) error {
		for _, h := range carried {
			h.Until = until
			if err := sorter.Add(h); err != nil {
				return err
			}
		}
		return nil
	}
	begun := false
	for r, err := range j.byKey {
		if err != nil {
			return nil, err
		}
		if !begun || r.Key != key {
			if err := end(math.MaxInt64); err != nil {
				return nil, err
			}
			begun, key, carried = true, r.Key, heldBefore(early, r.Key)
		}
		if err := end(r.Rev); err != nil {
			return nil, err
		}
		carried = carry(carried[:0], r.Lease, false)
	}
	if err := end(math.MaxInt64); err != nil {
		return nil, err
	}
	for p, err := range j.ref.keyspace { // also those that the history does not know, because they lie below its beginning
		if err != nil {
			return nil, err
		}
		carried = carry(carried[:0], p.Lease, false)
		if err := end(math.MaxInt64); err != nil {
			return nil, err
		}
	}
	if early.err != nil {
		return nil, early.err
	}
	return sorter.Sorted()
}

func carry(carried []held, lease int64, perhaps bool) []held {
	if lease == 0 {
		return carried
	}
	return append(carried, held{Lease: lease, Perhaps: perhaps})
}

// heldBefore returns what a key carried at the compaction point, as far as the ledger tells.
func heldBefore(early *cursor[op], key ledger.Key) []held {
	var last int64
	var perhaps []held
	doubtful := false
	for ; early.ok && early.head.Key <= key; early.advance() {
		switch e := early.head; {
		case e.Key < key:
		case e.Unknown:
			doubtful = true
			perhaps = carry(perhaps, e.Change.Lease, true)
		default:
			last = e.Change.Lease // 0 for a delete
		}
	}
	return carry(perhaps, last, doubtful)
}
