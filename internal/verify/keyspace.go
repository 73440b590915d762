package verify

import (
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// checkKeyspaces walks all keys once: the reference's history by key, its keyspace, what the ledger says of the time
// before the compaction point, what was lost, and the keyspace of each member.
//
// The keyspace must be the fold of the history. A key without a record above the compaction point is held against the
// ledger's older writes. Members must show what the reference shows.
func (j *judge) checkKeyspaces() error {
	w := j.openKeyWalk()
	defer w.stop()
	for key, ok := w.least(); ok; key, ok = w.least() {
		known := j.fold(w.history, key)
		found := takePair(w.keyspace, key)
		if found != nil {
			j.compared.Keys++
		}
		older := recall(w.early, key, found)
		if known != nil {
			j.checkFold(key, *known, found)
		} else {
			j.checkOlder(key, found, older)
		}
		if deleteWasLost(w.lostOps, key) && found != nil {
			j.resurrected(key)
		}
		for i, c := range w.members {
			j.checkMemberKey(w.names[i], key, keyView{known: known, want: found, got: takePair(c, key)})
		}
	}
	return w.err()
}

// keyWalk merges by key.
type keyWalk struct {
	history  *cursor[ledger.Record]
	keyspace *cursor[ledger.Pair]
	early    *cursor[op]
	lostOps  *cursor[op]
	names    []string
	members  []*cursor[ledger.Pair]
}

func (j *judge) openKeyWalk() *keyWalk {
	w := &keyWalk{
		history: read(j.byKey), keyspace: read(j.ref.keyspace), early: read(j.book.early), lostOps: read(j.book.lostOps),
	}
	for _, m := range j.ev.Reborn {
		if m.Name != j.ref.member && m.Keyspace != nil && m.ReadAt == j.ref.shown && !m.SameKeyspace {
			w.names = append(w.names, m.Name)
			w.members = append(w.members, read(inOrder(m.Keyspace, byKey, "keyspace of member "+m.Name)))
		}
	}
	return w
}

func (w *keyWalk) stop() {
	w.history.stop()
	w.keyspace.stop()
	w.early.stop()
	w.lostOps.stop()
	for _, c := range w.members {
		c.stop()
	}
}

func (w *keyWalk) err() error {
	for _, err := range []error{w.history.err, w.keyspace.err, w.early.err, w.lostOps.err} {
		if err != nil {
			return err
		}
	}
	for _, c := range w.members {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// least returns the next key; ok is false at the end.
func (w *keyWalk) least() (key ledger.Key, ok bool) {
	consider := func(there bool, k ledger.Key) {
		if there && (!ok || k < key) {
			key, ok = k, true
		}
	}
	consider(w.history.ok, w.history.head.Key)
	consider(w.keyspace.ok, w.keyspace.head.Key)
	consider(w.early.ok, w.early.head.Key)
	for _, c := range w.members {
		consider(c.ok, c.head.Key)
	}
	return key, ok
}

// takePair returns the pair of that key, or nil.
func takePair(c *cursor[ledger.Pair], key ledger.Key) *ledger.Pair {
	if !c.ok || c.head.Key != key {
		return nil
	}
	p := c.take()
	return &p
}

// deleteWasLost tells whether the last lost change of the key is a delete.
func deleteWasLost(lost *cursor[op], key ledger.Key) bool {
	deleted := false
	for ; lost.ok && lost.head.Key <= key; lost.advance() {
		if lost.head.Key == key {
			deleted = lost.head.Change.Delete
		}
	}
	return deleted
}

// fold reads the records of a key and returns the last one, or nil if there is none. Create revision and version must
// continue from record to record. After a compaction the first one is taken as given: what came before is gone.
func (j *judge) fold(history *cursor[ledger.Record], key ledger.Key) *ledger.Record {
	var last *ledger.Record
	for history.ok && history.head.Key == key {
		r := history.take()
		if r.Delete {
			if last == nil && j.ref.compacted == 0 || last != nil && last.Delete {
				j.notes.damaged(claimPrefix, Finding{Kind: Changed, Key: key, Revision: r.Rev},
					"%q is deleted at revision %d of %s, but was not there to be deleted", key, r.Rev, j.ref.name())
			}
		} else {
			j.checkContinues(last, r)
		}
		last = &r
	}
	return last
}

func (j *judge) checkContinues(last *ledger.Record, r ledger.Record) {
	f := Finding{Kind: Changed, Key: r.Key, Revision: r.Rev}
	if r.Mod != r.Rev {
		j.notes.damaged(claimPrefix, f,
			"the record of %q at revision %d of %s says that it was modified at %d", r.Key, r.Rev, j.ref.name(), r.Mod)
		return
	}
	create, version := r.Rev, int64(1)
	switch {
	case last == nil && j.ref.compacted > 0 && r.Version > 1 && r.Create > 0 && r.Create <= j.ref.compacted:
		return // goes on from before the compaction point
	case last != nil && !last.Delete:
		create, version = last.Create, last.Version+1
	}
	if r.Create != create || r.Version != version {
		j.notes.damaged(claimPrefix, f, "%q at revision %d of %s has create revision %d and version %d; its history makes it %d and %d",
			r.Key, r.Rev, j.ref.name(), r.Create, r.Version, create, version)
	}
}

// checkFold holds a key of the keyspace against the last record of its history.
func (j *judge) checkFold(key ledger.Key, last ledger.Record, found *ledger.Pair) {
	f := Finding{Key: key, Revision: last.Rev}
	switch {
	case last.Delete && found != nil:
		f.Kind = Undeleted
		j.notes.damaged(claimPrefix, f,
			"%q is in the keyspace of %s, although revision %d of its own history deleted it", key, j.ref.name(), last.Rev)
	case !last.Delete && found == nil:
		f.Kind = Missing
		j.notes.damaged(claimPrefix, f,
			"%q is not in the keyspace of %s, although revision %d of its own history put it", key, j.ref.name(), last.Rev)
	case found != nil:
		if difference := differ(pairOf(last), *found); difference != "" {
			f.Kind = Changed
			j.notes.damaged(claimPrefix, f, "%q in the keyspace of %s is not what revision %d of its own history put: %s",
				key, j.ref.name(), last.Rev, difference)
		}
	}
}
