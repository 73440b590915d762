package verify

import (
	"cmp"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// leftover is a revision of the history that no acknowledged write explains.
type leftover struct {
	Rev     int64
	Records []ledger.Record // by key
	// KnownBy is when a response with a later revision had returned, in nanoseconds since 1970; 0 if none tells.
	KnownBy int64
	// Gap is set if the records are not numbered from 0 without gaps, so that one was taken out.
	Gap bool
}

// anchor is the put by which the leftover is looked up; a leftover without puts goes by its smallest key.
func (l leftover) anchor() (a ledger.Record, puts bool) {
	for _, r := range l.Records {
		if !r.Delete {
			return r, true
		}
	}
	return l.Records[0], false
}

func leftoversByAnchor(a, b leftover) int {
	left, _ := a.anchor()
	right, _ := b.anchor()
	return cmp.Or(cmp.Compare(left.Key, right.Key), cmp.Compare(left.Digest, right.Digest), cmp.Compare(a.Rev, b.Rev))
}

// rest gathers the leftovers on their way through the explanations.
type rest struct {
	puts       *ledger.Sorter[leftover] // with at least one put, by anchor
	tombstones *ledger.Sorter[leftover] // deletes only, by revision: perhaps a lease expired
	deletes    *ledger.Sorter[leftover] // deletes only, by anchor: not the expiry of a lease
	residue    *ledger.Sorter[leftover] // explained by nothing
}

func newRest(scratch ledger.Scratch) *rest {
	return &rest{
		puts:       ledger.NewSorter(leftoversByAnchor, scratch),
		tombstones: ledger.NewSorter(func(a, b leftover) int { return cmp.Compare(a.Rev, b.Rev) }, scratch),
		deletes:    ledger.NewSorter(leftoversByAnchor, scratch),
		residue:    ledger.NewSorter(leftoversByAnchor, scratch),
	}
}

func (r *rest) add(l leftover) error {
	if _, puts := l.anchor(); puts {
		return r.puts.Add(l)
	}
	return r.tombstones.Add(l)
}

// explainRest explains what is left by writes of unknown outcome and by leases that expired. What then still is left was
// written by nobody.
func (j *judge) explainRest() error {
	for _, step := range []func() error{j.explainByExpiry, j.explainByPuts, j.explainByDeletes, j.reportResidue} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// explainByPuts matches leftovers with unknown writes of the same puts. The value names its worker and sequence, so there
// is at most one such write as long as the load keeps to that; the merge does not rely on it.
func (j *judge) explainByPuts() error {
	leftovers, err := j.rest.puts.Sorted()
	if err != nil {
		return err
	}
	unknown := read(j.book.puts)
	defer unknown.stop()
	var near []write // unknown writes with the anchor at hand, not used yet
	var nearest ledger.Record
	for l, err := range leftovers {
		if err != nil {
			return err
		}
		if a, _ := l.anchor(); near == nil || a.Key != nearest.Key || a.Digest != nearest.Digest {
			near, nearest = withAnchor(unknown, a), a
		}
		found := firstFit(near, l)
		if found < 0 {
			if err := j.rest.residue.Add(l); err != nil {
				return err
			}
			continue
		}
		near = append(near[:found], near[found+1:]...)
		j.explainedByUnknown(l)
	}
	return unknown.err
}

// withAnchor moves unknown to an anchor and returns all writes that have it.
func withAnchor(unknown *cursor[write], a ledger.Record) []write {
	near := []write{}
	for ; unknown.ok; unknown.advance() {
		c, _ := anchorOf(unknown.head.Effects)
		switch cmp.Or(cmp.Compare(c.Key, a.Key), cmp.Compare(c.Digest, a.Digest)) {
		case 0:
			near = append(near, unknown.head)
		case 1:
			return near
		}
	}
	return near
}

// firstFit returns the first write that can have left these records at that revision, or -1.
func firstFit(writes []write, l leftover) int {
	for i, w := range writes {
		if w.Rev < l.Rev && explains(w.Effects, l.Records) {
			return i
		}
	}
	return -1
}

func (j *judge) explainedByUnknown(l leftover) {
	j.by.unknown++
	j.compared.Revisions++
	j.checkNumbers(l)
}

// checkNumbers reports a record that was taken out of a revision that is explained without it, as a delete can be.
func (j *judge) checkNumbers(l leftover) {
	if l.Gap {
		j.notes.damaged(claimPrefix, Finding{Kind: Torn, Key: l.Records[0].Key, Revision: l.Rev},
			"the records of revision %d are not numbered from 0 without gaps: one is not there any more", l.Rev)
	}
}

// explainByDeletes matches leftovers that only delete with unknown writes that only delete. Nothing in a tombstone tells
// who made it, so they are matched by key and count, each write only above the revisions its worker had seen before.
func (j *judge) explainByDeletes() error {
	leftovers, err := j.rest.deletes.Sorted()
	if err != nil {
		return err
	}
	unknown := read(j.book.deletes)
	defer unknown.stop()
	pool := deletePool{used: make(map[serial]struct{})}
	for l, err := range leftovers {
		if err != nil {
			return err
		}
		pool.moveTo(unknown, l)
		if pool.spend(l) {
			j.explainedByUnknown(l)
			continue
		}
		if err := j.rest.residue.Add(l); err != nil {
			return err
		}
	}
	return unknown.err
}

// serial names a write.
type serial struct {
	worker int
	seq    int64
}

// deletePool holds the unknown deletes of one key that can have come to be by the revision at hand.
type deletePool struct {
	key     ledger.Key
	singles int     // deletes of this key alone, which are all alike
	several []write // transactions that delete this key and others
	used    map[serial]struct{}
}

// moveTo takes in what can explain the leftover; leftovers come by key and revision.
func (p *deletePool) moveTo(unknown *cursor[candidate], l leftover) {
	a, _ := l.anchor()
	if p.key != a.Key {
		p.key, p.singles, p.several = a.Key, 0, nil
	}
	for ; unknown.ok && unknown.head.Key <= a.Key; unknown.advance() {
		c := unknown.head
		if c.Key < a.Key {
			continue
		}
		if c.Write.Rev >= l.Rev {
			return
		}
		if len(c.Write.Effects) == 1 {
			p.singles++
			continue
		}
		p.several = append(p.several, c.Write)
	}
}

// spend uses up the write that fits the leftover most closely; it tells whether there was one.
func (p *deletePool) spend(l leftover) bool {
	if len(l.Records) == 1 && p.singles > 0 {
		p.singles--
		return true
	}
	best := -1
	for i, w := range p.several {
		_, used := p.used[serial{w.Worker, w.Seq}]
		if !used && explains(w.Effects, l.Records) && (best < 0 || len(w.Effects) < len(p.several[best].Effects)) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	p.used[serial{p.several[best].Worker, p.several[best].Seq}] = struct{}{}
	return true
}
