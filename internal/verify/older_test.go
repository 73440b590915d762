package verify

import (
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// script builds a small world by hand: acknowledged or unknown writes, a history and a keyspace.
type script struct{ *world }

func newScript(restorePoint, compacted int64) script {
	w := newWorld(seeded(3), ordinary)
	w.entries, w.history, w.keyspace = nil, nil, nil
	w.ev.Source.RestorePoint, w.ev.Source.Compacted = restorePoint, compacted
	for i := range w.members {
		w.members[i].ReadAt = restorePoint
	}
	return script{w}
}

// wrote adds an entry; revision 0 makes it unknown.
func (s script) wrote(worker int, rev int64, changes ...ledger.Change) {
	at := time.Unix(1_700_000_000+int64(len(s.entries)), 0).UTC()
	e := ledger.Entry{
		Worker: worker, Seq: int64(len(s.entries)), Op: ledger.OpTxn, Changes: changes, Call: at, Return: at,
		Outcome: ledger.Acknowledged, Revision: rev, Owns: true,
	}
	if rev == 0 {
		e.Outcome, e.Owns = ledger.Unknown, false
	}
	s.entries = append(s.entries, e)
}

func put(key ledger.Key, digest string) ledger.Change { return ledger.Change{Key: key, Digest: digest} }
func del(key ledger.Key) ledger.Change                { return ledger.Change{Key: key, Delete: true} }

func (s script) holds(records []ledger.Record, pairs []ledger.Pair) Verdict {
	s.everywhere(func([]ledger.Record) []ledger.Record { return records }, func([]ledger.Pair) []ledger.Pair { return pairs })
	v, err := Judge(s.evidence(), Output{Scratch: inMemory})
	if err != nil {
		panic(err)
	}
	return v
}

// TestBelowTheCompactionPoint holds keys without a history against the ledger. Revision 6 is the only one above the point.
func TestBelowTheCompactionPoint(t *testing.T) {
	build := func() script {
		s := newScript(6, 5)
		s.wrote(1, 2, put("a", "a1"))
		s.wrote(1, 3, put("b", "b1"))
		s.wrote(1, 4, put("a", "a2"))
		s.wrote(1, 5, del("b"))
		s.wrote(1, 6, put("c", "c1"))
		return s
	}
	record := ledger.Record{Rev: 6, Key: "c", Digest: "c1", Create: 6, Mod: 6, Version: 1}
	history := []ledger.Record{record}
	a2 := ledger.Pair{Key: "a", Digest: "a2", Create: 2, Mod: 4, Version: 2}
	a1 := ledger.Pair{Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}
	b1 := ledger.Pair{Key: "b", Digest: "b1", Create: 3, Mod: 3, Version: 1}
	other := ledger.Pair{Key: "a", Digest: "tampered", Create: 2, Mod: 4, Version: 2}
	nobody := ledger.Pair{Key: "n", Digest: "x", Create: 2, Mod: 2, Version: 1}
	future := ledger.Pair{Key: "n", Digest: "x", Create: 6, Mod: 6, Version: 1}
	c := pairOf(record)
	if v := build().holds(history, []ledger.Pair{a2, c}); v.Outcome != Intact {
		t.Fatalf("%s: %+v", v.Outcome, v.Findings)
	}
	for _, test := range []struct {
		name  string
		pairs []ledger.Pair
		want  want
	}{
		{"missing", []ledger.Pair{c}, want{Damaged, Missing, "", "a", 4}},
		{"stale", []ledger.Pair{a1, c}, want{Damaged, Changed, "", "a", 4}},
		{"changed", []ledger.Pair{other, c}, want{Damaged, Changed, "", "a", 4}},
		{"undeleted", []ledger.Pair{a2, b1, c}, want{Damaged, Undeleted, "", "b", 5}},
		{"phantom", []ledger.Pair{a2, c, nobody}, want{Damaged, Phantom, "", "n", 2}},
		{"without its history", []ledger.Pair{a2, c, future}, want{Damaged, Phantom, "", "n", 6}},
	} {
		t.Run(test.name, func(t *testing.T) { mustFind(t, build().holds(history, test.pairs), test.want) })
	}
	doubtful := build()
	doubtful.entries[3].Outcome, doubtful.entries[3].Revision = ledger.Unknown, 0
	if v := doubtful.holds(history, []ledger.Pair{a2, b1, c}); v.Outcome != Intact {
		t.Errorf("an unknown delete need not have come to be: %+v", v.Findings)
	}
	if v := doubtful.holds(history, []ledger.Pair{a2, c}); v.Outcome != Intact {
		t.Errorf("an unknown delete may have come to be: %+v", v.Findings)
	}
}

// TestUnknownDeletesAreCounted deletes and puts one key in turn.
func TestUnknownDeletesAreCounted(t *testing.T) {
	history := []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}, {Rev: 3, Key: "a", Delete: true},
		{Rev: 4, Key: "a", Digest: "a2", Create: 4, Mod: 4, Version: 1}, {Rev: 5, Key: "a", Delete: true},
		{Rev: 6, Key: "a", Digest: "a3", Create: 6, Mod: 6, Version: 1},
	}
	keyspace := []ledger.Pair{pairOf(history[4])}
	build := func(deletes func(s script)) script {
		s := newScript(6, 0)
		s.wrote(1, 2, put("a", "a1"))
		s.wrote(1, 4, put("a", "a2"))
		deletes(s)
		s.wrote(1, 6, put("a", "a3"))
		return s
	}
	two := build(func(s script) { s.wrote(2, 0, del("a")); s.wrote(3, 0, del("a"), del("z")) })
	if v := two.holds(history, keyspace); v.Outcome != Intact || v.Tally.UnknownSeen != 2 {
		t.Errorf("two unknown deletes for two tombstones: %s %+v", v.Outcome, v.Findings)
	}
	one := build(func(s script) { s.wrote(2, 0, del("a")) })
	mustFind(t, one.holds(history, keyspace), want{Damaged, Phantom, "", "a", 5})
	late := build(func(s script) { s.wrote(1, 0, del("a")); s.wrote(2, 0, del("a")) }) // worker 1 had seen revision 4 before
	if v := late.holds(history, keyspace); v.Outcome != Intact {
		t.Errorf("each delete above what its worker had seen: %+v", v.Findings)
	}
	both := build(func(s script) { s.wrote(1, 0, del("a")); s.wrote(1, 0, del("a")) })
	mustFind(t, both.holds(history, keyspace), want{Damaged, Phantom, "", "a", 3})
	part := build(func(s script) { s.wrote(2, 0, del("a"), put("b", "b1")); s.wrote(3, 0, del("a")) })
	mustFind(t, part.holds(history, keyspace), want{Damaged, Torn, "", "a", 5})
}

// TestTombstoneTakenOutOfAnUnknownTransaction leaves a revision that the transaction explains, were it not for the number.
func TestTombstoneTakenOutOfAnUnknownTransaction(t *testing.T) {
	s := newScript(4, 0)
	s.wrote(1, 2, put("a", "a1"))
	s.wrote(2, 0, del("a"), del("b"))
	s.wrote(1, 4, put("c", "c1"))
	history := []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}, {Rev: 3, Key: "a", Delete: true},
		{Rev: 4, Key: "c", Digest: "c1", Create: 4, Mod: 4, Version: 1},
	}
	if v := s.holds(history, []ledger.Pair{pairOf(history[2])}); v.Outcome != Intact {
		t.Fatalf("%s: %+v", v.Outcome, v.Findings)
	}
	history[1].Sub = 1
	mustFind(t, s.holds(history, []ledger.Pair{pairOf(history[2])}), want{Damaged, Torn, "", "a", 3})
}

func TestHistoryHasNoHoles(t *testing.T) {
	s := newScript(4, 0)
	s.wrote(1, 2, put("a", "a1"))
	s.wrote(1, 4, put("a", "a2"))
	history := []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}, {Rev: 4, Key: "a", Digest: "a2", Create: 2, Mod: 4, Version: 2},
	}
	mustFind(t, s.holds(history, []ledger.Pair{pairOf(history[1])}), want{Damaged, Missing, "", "", 3})
	history[1].Rev, history[1].Mod, s.entries[1].Revision = 3, 3, 3
	s.ev.Source.RestorePoint = 3
	for i := range s.members {
		s.members[i].ReadAt = 3
	}
	if v := s.holds(history, []ledger.Pair{pairOf(history[1])}); v.Outcome != Intact {
		t.Fatalf("%s: %+v", v.Outcome, v.Findings)
	}
	history[1].Sub = 1
	mustFind(t, s.holds(history, []ledger.Pair{pairOf(history[1])}), want{Damaged, Changed, "", "a", 3})
}
