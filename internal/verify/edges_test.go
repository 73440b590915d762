package verify

import (
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// TestNothingComparedIsInconclusive takes away, one at a time, what a verdict could rest on.
func TestNothingComparedIsInconclusive(t *testing.T) {
	gone, history, _ := small() // everything was deleted, so no key is left to compare
	gone.wrote(1, 5, del("b"), del("c"))
	gone.ev.Source.RestorePoint = 5
	for i := range gone.members {
		gone.members[i].ReadAt, gone.members[i].Revision = 5, 6
	}
	gone.ev.Canary.Revision = 6
	history = append(history, ledger.Record{Rev: 5, Key: "b", Delete: true}, ledger.Record{Rev: 5, Sub: 1, Key: "c", Delete: true})
	mustFind(t, gone.holds(history, nil), want{Inconclusive, NoEvidence, "", "", 0})

	compacted, _, keyspace := small() // every revision lies below the compaction point
	compacted.ev.Source.Compacted = 4
	mustFind(t, compacted.holds(nil, keyspace), want{Inconclusive, NoEvidence, "", "", 0})

	elsewhere, history, keyspace := small() // every member was read at another revision
	for i := range elsewhere.members {
		elsewhere.members[i].ReadAt = 3
	}
	v := elsewhere.holds(history, keyspace)
	mustFind(t, v, want{Inconclusive, NoEvidence, "", "", 0})
	if v.Compared.Members != 0 {
		t.Errorf("compared: %+v", v.Compared)
	}
}

// TestOldIDsAreStaleEvenIfPlanned: a plan that predicts old IDs is the very mistake.
func TestOldIDsAreStaleEvenIfPlanned(t *testing.T) {
	s, history, keyspace := small()
	s.ev.Identity.PlannedCluster = s.ev.Identity.OldCluster
	s.ev.Identity.PlannedMembers = map[string]identity.MemberID{"m1": 11, "m2": 22, "m3": 22}
	for i := range s.members {
		s.members[i].ClusterID = s.ev.Identity.OldCluster
		s.members[i].ID = s.ev.Identity.PlannedMembers[s.members[i].Name]
	}
	v := s.holds(history, keyspace)
	kinds := func(member string) (found []Kind) {
		for _, f := range v.Findings {
			if f.Member == member {
				found = append(found, f.Kind)
			}
		}
		return found
	}
	for member, want := range map[string][]Kind{"m1": {StaleID, StaleID}, "m2": {StaleID}, "m3": {WrongID, StaleID}} {
		if got := kinds(member); !slices.Equal(got, want) {
			t.Errorf("%s: %v instead of %v", member, got, want)
		}
	}
}

func TestUnknownPutIsOnlyAboveWhatItsWorkerHadSeen(t *testing.T) {
	history := []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}, {Rev: 3, Key: "b", Digest: "b1", Create: 3, Mod: 3, Version: 1},
	}
	keyspace := []ledger.Pair{pairOf(history[0]), pairOf(history[1])}
	before, after := newScript(3, 0), newScript(3, 0)
	before.wrote(1, 0, put("a", "a1"))
	before.wrote(1, 3, put("b", "b1"))
	if v := before.holds(history, keyspace); v.Outcome != Intact {
		t.Errorf("called before: %+v", v.Findings)
	}
	after.wrote(1, 3, put("b", "b1"))
	after.wrote(1, 0, put("a", "a1"))
	mustFind(t, after.holds(history, keyspace), want{Damaged, Phantom, "", "a", 2})
}

// TestPiecesOfTransactions: a piece is torn wherever it lies, a whole transaction at a wrong place is not.
func TestPiecesOfTransactions(t *testing.T) {
	whole := []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}, {Rev: 2, Sub: 1, Key: "b", Digest: "b1", Create: 2, Mod: 2, Version: 1},
		{Rev: 3, Key: "c", Digest: "c1", Create: 3, Mod: 3, Version: 1},
	}
	piece := []ledger.Record{whole[0], whole[2]}
	build := func(rev int64) script {
		s := newScript(3, 0)
		s.wrote(1, rev, put("a", "a1"), put("b", "b1"))
		s.wrote(2, 3, put("c", "c1"))
		return s
	}
	all := []ledger.Pair{pairOf(whole[0]), pairOf(whole[1]), pairOf(whole[2])}
	some := []ledger.Pair{all[0], all[2]}
	if v := build(0).holds(whole, all); v.Outcome != Intact || v.Tally.UnknownSeen != 1 {
		t.Errorf("unknown and whole: %+v", v)
	}
	mustFind(t, build(0).holds(piece, some), want{Damaged, Torn, "", "a", 2})
	mustFind(t, build(9).holds(piece, some), want{Damaged, Torn, "", "a", 2})
	mustFind(t, build(9).holds(whole, all), want{Damaged, Phantom, "", "a", 2})
}

func TestLostDeleteOfAnAbsentKeyResurrectsNothing(t *testing.T) {
	s, history, keyspace := small()
	s.wrote(1, 5, put("a", "a2")) // a is in the history, but deleted at R
	s.wrote(1, 6, del("a"))
	if v := s.holds(history, keyspace); v.Outcome != Intact || v.Loss.Writes != 2 || v.Loss.Resurrected != 0 {
		t.Errorf("%+v", v.Loss)
	}
}

// TestALoneTombstoneIsNoPieceOfAnAcknowledgedTransaction: nothing in it tells who made it.
func TestALoneTombstoneIsNoPieceOfAnAcknowledgedTransaction(t *testing.T) {
	s := newScript(4, 0)
	s.wrote(1, 2, put("a", "a1"))
	s.wrote(1, 4, put("c", "c1"))
	s.wrote(1, 9, del("a"), put("d", "d1"))
	history := []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}, {Rev: 3, Key: "a", Delete: true},
		{Rev: 4, Key: "c", Digest: "c1", Create: 4, Mod: 4, Version: 1},
	}
	mustFind(t, s.holds(history, []ledger.Pair{pairOf(history[2])}), want{Damaged, Phantom, "", "a", 3})
}
