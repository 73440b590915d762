package verify

import (
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// small is a drill of three revisions: a put, a transaction that deletes it and puts another, one more put.
func small() (s script, history []ledger.Record, keyspace []ledger.Pair) {
	s = newScript(4, 0)
	s.wrote(1, 2, put("a", "a1"))
	s.wrote(1, 3, del("a"), put("b", "b1"))
	s.wrote(1, 4, put("c", "c1"))
	history = []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1},
		{Rev: 3, Key: "a", Delete: true},
		{Rev: 3, Sub: 1, Key: "b", Digest: "b1", Create: 3, Mod: 3, Version: 1},
		{Rev: 4, Key: "c", Digest: "c1", Create: 4, Mod: 4, Version: 1},
	}
	return s, history, []ledger.Pair{pairOf(history[2]), pairOf(history[3])}
}

// TestMemberHistories tampers with what a watch on m2 shows.
func TestMemberHistories(t *testing.T) {
	phantom := ledger.Record{Rev: 5, Key: "p", Digest: "p", Create: 5, Mod: 5, Version: 1}
	for _, test := range []struct {
		name   string
		tamper func(h []ledger.Record) []ledger.Record
		want   want
	}{
		{"put missing", func(h []ledger.Record) []ledger.Record { return h[1:] }, want{Damaged, Missing, "m2", "a", 2}},
		{"revision missing", func(h []ledger.Record) []ledger.Record { return slices.Delete(h, 1, 3) }, want{Damaged, Undeleted, "m2", "a", 3}},
		{"torn", func(h []ledger.Record) []ledger.Record { return slices.Delete(h, 1, 2) }, want{Damaged, Torn, "m2", "a", 3}},
		{"phantom at the end", func(h []ledger.Record) []ledger.Record { return append(h, phantom) }, want{Damaged, Phantom, "m2", "p", 5}},
		{"phantom in a revision", func(h []ledger.Record) []ledger.Record {
			return slices.Insert(h, 1, ledger.Record{Rev: 2, Sub: 1, Key: "p", Digest: "p", Create: 2, Mod: 2, Version: 1})
		}, want{Damaged, Phantom, "m2", "p", 2}},
		{"phantom below", func(h []ledger.Record) []ledger.Record {
			return slices.Insert(h, 0, ledger.Record{Rev: 1, Key: "p", Digest: "p", Create: 1, Mod: 1, Version: 1})
		}, want{Damaged, Phantom, "m2", "p", 1}},
		{"value", func(h []ledger.Record) []ledger.Record { h[0].Digest = "x"; return h }, want{Damaged, Changed, "m2", "a", 2}},
		{"mod", func(h []ledger.Record) []ledger.Record { h[0].Mod = 1; return h }, want{Damaged, Changed, "m2", "a", 2}},
		{"create", func(h []ledger.Record) []ledger.Record { h[0].Create = 1; return h }, want{Damaged, Changed, "m2", "a", 2}},
		{"version", func(h []ledger.Record) []ledger.Record { h[0].Version = 9; return h }, want{Damaged, Changed, "m2", "a", 2}},
		{"lease", func(h []ledger.Record) []ledger.Record { h[0].Lease = 9; return h }, want{Damaged, Changed, "m2", "a", 2}},
		{"position", func(h []ledger.Record) []ledger.Record { h[0].Sub = 1; return h }, want{Damaged, Changed, "m2", "a", 2}},
		{"put for delete", func(h []ledger.Record) []ledger.Record { h[1].Delete, h[1].Digest = false, "x"; return h },
			want{Damaged, Undeleted, "m2", "a", 3}},
		{"delete for put", func(h []ledger.Record) []ledger.Record {
			h[0] = ledger.Record{Rev: 2, Key: "a", Delete: true}
			return h
		},
			want{Damaged, Missing, "m2", "a", 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, history, keyspace := small()
			if v := s.holds(history, keyspace); v.Outcome != Intact {
				t.Fatalf("untouched: %+v", v.Findings)
			}
			s.members[1].history = test.tamper(slices.Clone(history))
			mustFind(t, judged(t, s.world), test.want)
		})
	}
}

// TestSourceAgainstLedger tampers with the source and all members alike.
func TestSourceAgainstLedger(t *testing.T) {
	for _, test := range []struct {
		name   string
		tamper func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair)
		want   want
	}{
		{"delete is a put", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			h[1] = ledger.Record{Rev: 3, Key: "a", Digest: "a1", Create: 2, Mod: 3, Version: 2}
			return h, slices.Insert(k, 0, pairOf(h[1]))
		}, want{Damaged, Undeleted, "", "a", 3}},
		{"put is a delete", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			h[3] = ledger.Record{Rev: 4, Key: "c", Delete: true}
			return h, k[:1]
		}, want{Damaged, Missing, "", "c", 4}},
		{"lease", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			h[3].Lease, k[1].Lease = 7, 7
			return h, k
		}, want{Damaged, Changed, "", "c", 4}},
		{"change that was not asked for", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			h = append(h, ledger.Record{Rev: 4, Sub: 1, Key: "p", Digest: "p", Create: 4, Mod: 4, Version: 1})
			return h, append(k, pairOf(h[4]))
		}, want{Damaged, Phantom, "", "p", 4}},
		{"above the restore point", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			h = append(h, ledger.Record{Rev: 5, Key: "p", Digest: "p", Create: 5, Mod: 5, Version: 1})
			return h, append(k, pairOf(h[4]))
		}, want{Damaged, Phantom, "", "p", 5}},
		{"tombstone out of nothing", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			h[3] = ledger.Record{Rev: 4, Key: "c", Delete: true}
			return h, k[:1]
		}, want{Damaged, Changed, "", "c", 4}},
		{"keyspace keeps the deleted", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			return h, slices.Insert(k, 0, pairOf(h[0]))
		}, want{Damaged, Undeleted, "", "a", 3}},
		{"keyspace lacks the put", func(h []ledger.Record, k []ledger.Pair) ([]ledger.Record, []ledger.Pair) {
			return h, k[:1]
		}, want{Damaged, Missing, "", "c", 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, history, keyspace := small()
			history, keyspace = test.tamper(history, keyspace)
			mustFind(t, s.holds(history, keyspace), test.want)
		})
	}
}

func TestWhatWasNotReadIsNoEvidence(t *testing.T) {
	s, history, keyspace := small()
	s.holds(history, keyspace)
	for name, tamper := range map[string]func(ev *Evidence){
		"source history":  func(ev *Evidence) { ev.Source.History = nil },
		"source keyspace": func(ev *Evidence) { ev.Source.Keyspace = nil },
		"member history":  func(ev *Evidence) { ev.Reborn[1].History = nil },
		"member keyspace": func(ev *Evidence) { ev.Reborn[1].Keyspace = nil },
		"ledger":          func(ev *Evidence) { ev.Ledger = nil },
		"everything":      func(ev *Evidence) { *ev = Evidence{Canary: ev.Canary} },
	} {
		ev := s.evidence()
		tamper(&ev)
		v, err := Judge(ev, Output{Scratch: inMemory})
		if err != nil || v.Outcome != Inconclusive {
			t.Errorf("%s: %s, %v: %+v", name, v.Outcome, err, v.Findings)
		}
	}
}
