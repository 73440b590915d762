package verify

import (
	"cmp"
	"errors"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// part is a transaction under one of the changes by which a piece of it can be found.
type part struct {
	Key    ledger.Key
	Digest string // empty for a delete
	Write  write
	// Unknown is set if the outcome is; only then a lone tombstone can be a piece of it, because a tombstone does not tell
	// who made it.
	Unknown bool
}

// reportResidue reports what nothing explains: torn if it is a piece of a transaction in the ledger, else a phantom.
func (j *judge) reportResidue() error {
	residue, err := j.rest.residue.Sorted()
	if err != nil || j.rest.residue.Len() == 0 {
		return err
	}
	parts, err := j.parts()
	if err != nil {
		return err
	}
	near := nearParts{next: read(parts)}
	defer near.next.stop()
	for l, err := range residue {
		if err != nil {
			return err
		}
		near.moveTo(l)
		if p, found := near.whole(l); found {
			for _, r := range l.Records {
				j.notes.damaged(claimPrefix, Finding{Kind: Torn, Key: r.Key, Revision: l.Rev},
					"revision %d holds %d of the %d changes of the transaction that is %s", l.Rev, len(l.Records), len(p.Write.Effects), p.Write)
			}
			continue
		}
		j.phantoms(l.Rev, l.Records, "which no write in the ledger explains")
	}
	return near.next.err
}

// phantoms reports each record of a revision.
func (j *judge) phantoms(revision int64, records []ledger.Record, why string, args ...any) {
	for _, r := range records {
		what := "put"
		if r.Delete {
			what = "deleted"
		}
		j.notes.damaged(claimPrefix, Finding{Kind: Phantom, Key: r.Key, Revision: revision},
			"%q is %s at revision %d of %s, "+why, append([]any{r.Key, what, revision, j.ref.name()}, args...)...)
	}
}

// parts reads the ledger once more for its transactions.
func (j *judge) parts() (ledger.Stream[part], error) {
	sorter := ledger.NewSorter(func(a, b part) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Digest, b.Digest))
	}, j.out.Scratch)
	for e, err := range orEmpty(j.ev.Ledger) {
		if errors.Is(err, ledger.ErrUnended) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(e.Changes) < 2 || e.Outcome == ledger.Refused || (e.Outcome == ledger.Acknowledged && !e.Owns) {
			continue
		}
		w := write{Worker: e.Worker, Seq: e.Seq, Effects: effects(e.Changes)}
		for _, c := range w.Effects {
			p := part{Key: c.Key, Digest: c.Digest, Write: w, Unknown: e.Outcome != ledger.Acknowledged}
			if c.Delete && !p.Unknown {
				continue // whole would not accept it
			}
			if err := sorter.Add(p); err != nil {
				return nil, err
			}
		}
	}
	return sorter.Sorted()
}

// nearParts holds the parts with the key and digest at hand.
type nearParts struct {
	next *cursor[part]
	near []part
}

func (n *nearParts) moveTo(l leftover) {
	a, _ := l.anchor()
	compare := func(p part) int { return cmp.Or(cmp.Compare(p.Key, a.Key), cmp.Compare(p.Digest, a.Digest)) }
	if len(n.near) > 0 && compare(n.near[0]) == 0 {
		return
	}
	n.near = n.near[:0]
	for ; n.next.ok && compare(n.next.head) <= 0; n.next.advance() {
		if compare(n.next.head) == 0 {
			n.near = append(n.near, n.next.head)
		}
	}
}

// whole returns the transaction of which the leftover is a piece.
func (n *nearParts) whole(l leftover) (part, bool) {
	_, puts := l.anchor()
	for _, p := range n.near {
		if (puts || p.Unknown) && partOf(p.Write.Effects, l.Records) {
			return p, true
		}
	}
	return part{}, false
}
