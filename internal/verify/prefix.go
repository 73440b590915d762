package verify

import (
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// checkPrefix reads the reference's history once. Every revision above the compaction point and up to R must be there,
// and must be what the one acknowledged write that owns it did. Revisions without such a write are kept for explainRest.
func (j *judge) checkPrefix() error {
	j.history = ledger.NewSorter(byKeyAndRevision, j.out.Scratch)
	j.rest = newRest(j.out.Scratch)
	owned := read(j.book.owned)
	defer owned.stop()
	due := j.ref.first()
	for g, err := range groups(j.ref.history, j.ref.compacted) {
		if err != nil {
			return err
		}
		for _, r := range g.Records {
			if err := j.history.Add(r); err != nil {
				return err
			}
		}
		j.absent(owned, due, min(g.Rev, j.ref.revision+1))
		var owners []write
		for owned.ok && owned.head.Rev == g.Rev {
			owners = append(owners, owned.take())
		}
		if err := j.checkRevision(g, owners, j.knownBy(owned)); err != nil {
			return err
		}
		due = max(due, g.Rev+1)
	}
	j.absent(owned, due, j.ref.revision+1)
	if owned.err != nil {
		return owned.err
	}
	var err error
	j.byKey, err = j.history.Sorted()
	return err
}

// knownBy returns when a response with a later revision had returned, so that the revision at hand was there by then; 0 if
// no response tells.
func (j *judge) knownBy(owned *cursor[write]) int64 {
	if owned.ok {
		return owned.head.Return
	}
	return j.lostBy
}

// absent reports the revisions from due up to, but not including, end: the history has none of them.
func (j *judge) absent(owned *cursor[write], due, end int64) {
	for owned.ok && owned.head.Rev < end {
		w := owned.take()
		j.unclaimed(due, w.Rev)
		for _, c := range w.Effects {
			j.gone(w, c)
		}
		due = max(due, w.Rev+1)
	}
	j.unclaimed(due, end)
}

// unclaimed reports a run of absent revisions that no acknowledged write owns. Somebody wrote them: etcd leaves none out.
func (j *judge) unclaimed(due, end int64) {
	if due < end {
		j.notes.damaged(claimPrefix, Finding{Kind: Missing, Revision: due},
			"revisions %d to %d have no record in %s, which must hold every revision up to %d", due, end-1, j.ref.name(), j.ref.revision)
	}
}

// gone reports an acknowledged change of which the history has no record.
func (j *judge) gone(w write, c ledger.Change) {
	f := Finding{Kind: Missing, Key: c.Key, Revision: w.Rev}
	what := "put"
	if c.Delete {
		f.Kind, what = Undeleted, "delete"
	}
	j.notes.damaged(claimPrefix, f, "%s was acknowledged at revision %d; %s has no record of its %s of %q",
		w, w.Rev, j.ref.name(), what, c.Key)
}

// checkRevision holds one revision of the history against the acknowledged writes that claim it; there must be one.
func (j *judge) checkRevision(g group, owners []write, knownBy int64) error {
	records := sortedByKey(g.Records)
	if g.Rev > j.ref.revision {
		j.phantoms(g.Rev, records, "which is above the restore point %d", j.ref.revision)
		return nil
	}
	best, shared := -1, 0
	for i, w := range owners {
		if n := overlap(w.Effects, records); n > shared {
			best, shared = i, n
		}
	}
	for i, w := range owners {
		switch {
		case i == best:
		case len(owners) > 1:
			j.usedTwice(w, owners)
		default:
			for _, c := range w.Effects {
				j.gone(w, c)
			}
		}
	}
	if best < 0 {
		return j.rest.add(leftover{Rev: g.Rev, Records: records, KnownBy: knownBy, Gap: hasGap(g.Records)})
	}
	j.by.acknowledged++
	j.compared.Revisions++
	j.checkWrite(owners[best], records, hasGap(g.Records))
	return nil
}

func (j *judge) usedTwice(w write, owners []write) {
	f := Finding{Kind: Changed, Revision: w.Rev}
	if len(w.Effects) > 0 {
		f.Key = w.Effects[0].Key
	}
	j.notes.damaged(claimPrefix, f, "%s claims revision %d, which is used twice: %d acknowledged writes own it", w, w.Rev, len(owners))
}

// checkWrite compares an acknowledged write with the records of its revision, both by key.
func (j *judge) checkWrite(w write, records []ledger.Record, gap bool) {
	clean := true
	pair(w.Effects, records, func(c *ledger.Change, r *ledger.Record) {
		switch {
		case r == nil:
			clean = false
			j.notes.damaged(claimPrefix, Finding{Kind: Torn, Key: c.Key, Revision: w.Rev},
				"%s is torn: of its %d changes at revision %d, the one of %q is not in %s", w, len(w.Effects), w.Rev, c.Key, j.ref.name())
		case c == nil:
			clean = false
			j.notes.damaged(claimPrefix, Finding{Kind: Phantom, Key: r.Key, Revision: w.Rev},
				"%q is changed at revision %d, which %s owns; it asked for no such change", r.Key, w.Rev, w)
		default:
			clean = j.checkChange(w, *c, *r) && clean
		}
	})
	if clean && gap {
		j.notes.damaged(claimPrefix, Finding{Kind: Changed, Key: records[0].Key, Revision: w.Rev},
			"the records of revision %d are not numbered from 0 without gaps", w.Rev)
	}
}

func (j *judge) checkChange(w write, c ledger.Change, r ledger.Record) bool {
	f := Finding{Key: c.Key, Revision: w.Rev}
	switch {
	case c.Delete && !r.Delete:
		f.Kind = Undeleted
		j.notes.damaged(claimPrefix, f, "%s deleted %q at revision %d; %s shows a put there", w, c.Key, w.Rev, j.ref.name())
	case !c.Delete && r.Delete:
		f.Kind = Missing
		j.notes.damaged(claimPrefix, f, "%s put %q at revision %d; %s shows a delete there", w, c.Key, w.Rev, j.ref.name())
	case c.Digest != r.Digest:
		f.Kind = Changed
		j.notes.damaged(claimPrefix, f, "%s put %q at revision %d with the value digest %s; %s shows %s",
			w, c.Key, w.Rev, c.Digest, j.ref.name(), r.Digest)
	case !c.Delete && c.Lease != r.Lease:
		f.Kind = Changed
		j.notes.damaged(claimPrefix, f, "%s put %q at revision %d with lease %x; %s shows %x", w, c.Key, w.Rev, c.Lease, j.ref.name(), r.Lease)
	default:
		return true
	}
	return false
}

// hasGap tells whether the records are numbered otherwise than from 0 without gaps.
func hasGap(records []ledger.Record) bool {
	for i, r := range records {
		if r.Sub != int64(i) {
			return true
		}
	}
	return false
}
