package verify

import (
	"maps"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"pgregory.net/rapid"
)

// want is the finding that a sabotage must lead to.
type want struct {
	outcome Outcome
	kind    Kind
	member  string
	key     ledger.Key
	rev     int64 // 0 if any
}

// sabotage tampers with a world; ok is false if the world has nothing that it could tamper with.
type sabotage func(w *world, roll dice) (want, bool)

// pick returns a random entry that the filter accepts.
func (w *world) pick(roll dice, accept func(ledger.Entry) bool) (int, bool) {
	var fit []int
	for i, e := range w.entries {
		if accept(e) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return fit[roll(len(fit))], true
}

// owned accepts acknowledged writes of one kind up to R.
func (w *world) owned(op ledger.Op) func(ledger.Entry) bool {
	return func(e ledger.Entry) bool {
		return e.Outcome == ledger.Acknowledged && e.Owns && e.Op == op && e.Revision <= w.restorePoint()
	}
}

func (w *world) above(e ledger.Entry) bool {
	return e.Outcome == ledger.Acknowledged && e.Owns && e.Op == ledger.OpPut && e.Revision > w.restorePoint()
}

// refold makes the keyspace of everybody what the source's history says.
func (w *world) refold() {
	live := make(map[ledger.Key]ledger.Pair)
	for _, r := range w.history {
		if delete(live, r.Key); !r.Delete {
			live[r.Key] = pairOf(r)
		}
	}
	pairs := slices.SortedFunc(maps.Values(live), byKey)
	w.everywhere(slices.Clone[[]ledger.Record], func([]ledger.Pair) []ledger.Pair { return slices.Clone(pairs) })
}

// dropRecord takes one record out of the source's history.
func (w *world) dropRecord(rev int64, key ledger.Key) {
	w.history = slices.DeleteFunc(w.history, func(r ledger.Record) bool { return r.Rev == rev && r.Key == key })
	w.refold()
}

func (w *world) record(rev int64, key ledger.Key) *ledger.Record {
	for i := range w.history {
		if w.history[i].Rev == rev && w.history[i].Key == key {
			return &w.history[i]
		}
	}
	return nil
}

var sabotages = map[string]sabotage{
	"drop a put everywhere": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		if !ok {
			return want{}, false
		}
		e := w.entries[i]
		w.dropRecord(e.Revision, e.Changes[0].Key)
		return want{Damaged, Missing, "", e.Changes[0].Key, e.Revision}, true
	},
	"drop a delete everywhere": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpDelete))
		if !ok {
			return want{}, false
		}
		e := w.entries[i]
		w.dropRecord(e.Revision, e.Changes[0].Key)
		return want{Damaged, Undeleted, "", e.Changes[0].Key, e.Revision}, true
	},
	"drop a key from one member": func(w *world, roll dice) (want, bool) {
		if len(w.keyspace) == 0 {
			return want{}, false
		}
		m, i := &w.members[roll(3)], roll(len(w.keyspace))
		p := m.keyspace[i]
		m.keyspace = slices.Delete(m.keyspace, i, i+1)
		return want{Damaged, Missing, m.Name, p.Key, p.Mod}, true
	},
	"change a value everywhere": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		if !ok {
			return want{}, false
		}
		e := w.entries[i]
		w.record(e.Revision, e.Changes[0].Key).Digest = "tampered"
		w.refold()
		return want{Damaged, Changed, "", e.Changes[0].Key, e.Revision}, true
	},
	"change a value on one member": func(w *world, roll dice) (want, bool) {
		if len(w.keyspace) == 0 {
			return want{}, false
		}
		m, i := &w.members[roll(3)], roll(len(w.keyspace))
		m.keyspace[i].Digest = "tampered"
		return want{Damaged, Changed, m.Name, m.keyspace[i].Key, 0}, true
	},
	"change a value in the source's keyspace": func(w *world, roll dice) (want, bool) {
		if len(w.keyspace) == 0 {
			return want{}, false
		}
		p := &w.keyspace[roll(len(w.keyspace))]
		p.Digest = "tampered"
		return want{Damaged, Changed, "", p.Key, p.Mod}, true
	},
	"undelete a key on one member": func(w *world, roll dice) (want, bool) {
		m := &w.members[roll(3)]
		for _, r := range slices.Backward(w.history) {
			at, there := slices.BinarySearchFunc(w.keyspace, ledger.Pair{Key: r.Key}, byKey)
			if !there {
				m.keyspace = slices.Insert(m.keyspace, at, ledger.Pair{Key: r.Key, Digest: "back", Create: 2, Mod: 2, Version: 1})
				return want{Damaged, Undeleted, m.Name, r.Key, r.Rev}, true
			}
		}
		return want{}, false
	},
	"change a mod revision everywhere": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		if !ok {
			return want{}, false
		}
		e := w.entries[i]
		w.record(e.Revision, e.Changes[0].Key).Mod--
		w.refold()
		return want{Damaged, Changed, "", e.Changes[0].Key, e.Revision}, true
	},
	"change a mod revision on one member": func(w *world, roll dice) (want, bool) {
		if len(w.keyspace) == 0 {
			return want{}, false
		}
		m, i := &w.members[roll(3)], roll(len(w.keyspace))
		m.keyspace[i].Mod++
		return want{Damaged, Changed, m.Name, m.keyspace[i].Key, 0}, true
	},
	"change a version everywhere": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		if !ok {
			return want{}, false
		}
		e := w.entries[i]
		w.record(e.Revision, e.Changes[0].Key).Version++
		w.refold()
		return want{Damaged, Changed, "", e.Changes[0].Key, e.Revision}, true
	},
	"tear an acknowledged transaction": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, func(e ledger.Entry) bool { return w.owned(ledger.OpTxn)(e) && len(effects(e.Changes)) > 1 })
		if !ok {
			return want{}, false
		}
		e := w.entries[i]
		key := effects(e.Changes)[0].Key
		w.dropRecord(e.Revision, key)
		return want{Damaged, Torn, "", key, e.Revision}, true
	},
	"tear an unknown transaction": func(w *world, _ dice) (want, bool) {
		for _, e := range w.entries {
			a, puts := anchorOf(effects(e.Changes))
			if e.Outcome != ledger.Unknown || e.Op != ledger.OpTxn || !puts {
				continue
			}
			for _, r := range w.history {
				if r.Key != a.Key || r.Digest != a.Digest {
					continue
				}
				for _, other := range w.history {
					if other.Rev == r.Rev && other.Key != r.Key && !other.Delete {
						w.dropRecord(r.Rev, r.Key)
						return want{Damaged, Torn, "", other.Key, r.Rev}, true
					}
				}
			}
		}
		return want{}, false
	},
	"tear a revision on one member": func(w *world, roll dice) (want, bool) {
		m := &w.members[roll(3)]
		for i, r := range m.history {
			if r.Sub > 0 {
				m.history = slices.Delete(m.history, i, i+1)
				return want{Damaged, Torn, m.Name, r.Key, r.Rev}, true
			}
		}
		return want{}, false
	},
	"add a key nobody wrote everywhere": func(w *world, _ dice) (want, bool) {
		rev := w.restorePoint() + 1
		w.history = append(w.history, ledger.Record{Rev: rev, Key: "nobody", Digest: "x", Create: rev, Mod: rev, Version: 1})
		w.ev.Source.RestorePoint = rev
		for i := range w.members {
			w.members[i].ReadAt = rev
		}
		w.refold()
		return want{Damaged, Phantom, "", "nobody", rev}, true
	},
	"add a key nobody wrote to one member": func(w *world, roll dice) (want, bool) {
		m := &w.members[roll(3)]
		m.keyspace = append(m.keyspace, ledger.Pair{Key: "nobody", Digest: "x", Create: 2, Mod: 2, Version: 1})
		return want{Damaged, Phantom, m.Name, "nobody", 2}, true
	},
	"add a key nobody wrote to the source's keyspace": func(w *world, _ dice) (want, bool) {
		w.keyspace = append(w.keyspace, ledger.Pair{Key: "nobody", Digest: "x", Create: 2, Mod: 2, Version: 1})
		return want{Damaged, Phantom, "", "nobody", 2}, true
	},
	"remove an acknowledged put": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		if !ok {
			return want{}, false
		}
		e := w.entries[i]
		w.entries = slices.Delete(w.entries, i, i+1)
		return want{Damaged, Phantom, "", e.Changes[0].Key, e.Revision}, true
	},
	"change the digest of an acknowledged put": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		if !ok {
			return want{}, false
		}
		e := &w.entries[i]
		e.Changes = []ledger.Change{{Key: e.Changes[0].Key, Digest: "tampered"}}
		return want{Damaged, Changed, "", e.Changes[0].Key, e.Revision}, true
	},
	"change the revision of an acknowledged put": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		if !ok {
			return want{}, false
		}
		e := &w.entries[i]
		old := e.Revision
		if e.Revision = 2 + int64(roll(int(w.restorePoint()+5))); e.Revision == old {
			e.Revision++
		}
		return want{Damaged, Phantom, "", e.Changes[0].Key, old}, true
	},
	"move an acknowledged put onto another's revision": func(w *world, roll dice) (want, bool) {
		i, ok := w.pick(roll, w.owned(ledger.OpPut))
		n, too := w.pick(roll, w.owned(ledger.OpPut))
		if !ok || !too || w.entries[i].Changes[0].Key == w.entries[n].Changes[0].Key {
			return want{}, false
		}
		w.entries[i].Revision = w.entries[n].Revision
		return want{Damaged, Changed, "", w.entries[i].Changes[0].Key, w.entries[n].Revision}, true
	},
	"leave a hash unequal": func(w *world, roll dice) (want, bool) {
		m := &w.members[roll(3)]
		m.HashKV++
		return want{Damaged, Diverged, m.Name, "", 0}, true
	},
	"restore one member from another source": func(w *world, roll dice) (want, bool) {
		m := &w.members[roll(3)]
		m.SourceSHA256 = "07e4"
		return want{Damaged, MixedSource, m.Name, "", 0}, true
	},
	"empty the ledger": func(w *world, _ dice) (want, bool) {
		w.entries = nil
		return want{Inconclusive, NoEvidence, "", "", 0}, true
	},
	"cut the ledger's end": func(w *world, _ dice) (want, bool) {
		w.unended = true
		w.entries = w.entries[:len(w.entries)/2]
		return want{Inconclusive, NoEvidence, "", "", 0}, true
	},
}

func TestAnySabotageIsCaught(t *testing.T) {
	for name, tamper := range sabotages {
		t.Run(name, func(t *testing.T) {
			tried := 0
			rapid.Check(t, func(t *rapid.T) {
				roll := seeded(rapid.Uint64().Draw(t, "seed"))
				w := newWorld(roll, ordinary)
				expected, ok := tamper(w, roll)
				if !ok {
					return
				}
				tried++
				mustFind(t, judged(t, w), expected)
			})
			if tried == 0 {
				t.Fatal("no world had anything to tamper with")
			}
		})
	}
}

func mustFind(t failer, v Verdict, w want) {
	t.Helper()
	if v.Outcome != w.outcome {
		t.Fatalf("the verdict is %s, not %s: %+v", v.Outcome, w.outcome, v.Findings)
	}
	found := slices.ContainsFunc(v.Findings, func(f Finding) bool {
		return f.Kind == w.kind && f.Member == w.member && f.Key == w.key && (w.rev == 0 || f.Revision == w.rev) && f.Text != ""
	})
	if !found {
		t.Fatalf("no finding is %+v: %+v", w, v.Findings)
	}
	if v.FindingCount < len(v.Findings) {
		t.Fatalf("counted %d of %d findings", v.FindingCount, len(v.Findings))
	}
}

// TestEditsAboveTheRestorePointOnlyChangeTheLoss removes and edits lost writes: nothing below R can be affected.
func TestEditsAboveTheRestorePointOnlyChangeTheLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roll := seeded(rapid.Uint64().Draw(t, "seed"))
		w := newWorld(roll, ordinary)
		before := judged(t, w)
		i, ok := w.pick(roll, w.above)
		if !ok {
			return
		}
		w.entries[i].Changes = []ledger.Change{{Key: w.entries[i].Changes[0].Key, Digest: "tampered"}}
		if v := judged(t, w); v.Outcome != Intact || v.Loss.Writes != before.Loss.Writes {
			t.Fatalf("%s after editing a lost write: %+v", v.Outcome, v)
		}
		w.entries = slices.Delete(w.entries, i, i+1)
		if v := judged(t, w); v.Outcome != Intact || v.Loss.Writes != before.Loss.Writes-1 {
			t.Fatalf("%s after removing a lost write: %+v", v.Outcome, v)
		}
	})
}
