package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"pgregory.net/rapid"
)

// alone makes a drill of a backup out of a world: nothing is known but the source and what the members show.
func alone(w *world) *world {
	w.ev.Witness = BySource
	w.entries, w.ev.Fence, w.ev.Outage, w.ev.Demands = nil, nil, Outage{}, Demands{}
	w.ev.Identity.OldCluster = 0
	return w
}

func TestABackupThatCameBackIsIntact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := ordinary
		spec.compact = rapid.Bool().Draw(t, "compact")
		w := alone(newWorld(seeded(rapid.Uint64().Draw(t, "seed")), spec))
		v := judged(t, w)
		if len(w.keyspace) == 0 {
			return // which is another test's
		}
		if v.Outcome != Intact || v.Compared.Keys != int64(len(w.keyspace)) || v.Compared.Members != 3 || v.Witness != BySource {
			t.Fatalf("%+v", v)
		}
	})
}

func TestClaimsOfABackupSayWhatIsNotKnown(t *testing.T) {
	w := alone(newWorld(seeded(3), ordinary))
	w.members[1].Revision += 2 // a lease expired while the members were read
	v := judged(t, w)
	if v.Outcome != Intact {
		t.Fatalf("%+v", v.Findings)
	}
	for name, state := range map[string]string{
		claimOutage: LeftOut, claimPrefix: LeftOut, claimFence: LeftOut, claimSource: Proved, claimMembers: Proved,
		claimIdentity: Proved, claimCanary: Proved,
	} {
		if c := claimNamed(t, v, name); c.State != state || c.Text == "" {
			t.Errorf("%+v, want %s", c, state)
		}
	}
	w.ev.Identity.OldMembers = nil
	if c := claimNamed(t, judged(t, w), claimIdentity); c.State != Assumed || !strings.Contains(c.Text, "drawn anew") {
		t.Errorf("%+v", c)
	}
}

//nolint:funlen // one table: a row is a rule
func TestRulesForABackup(t *testing.T) {
	for _, test := range []struct {
		name   string
		tamper func(w *world)
		want   want
	}{
		{"a revision is gone from the backup", func(w *world) {
			w.everywhere(func(h []ledger.Record) []ledger.Record {
				return slices.DeleteFunc(slices.Clone(h), func(r ledger.Record) bool { return r.Rev == 5 })
			}, slices.Clone)
		}, want{Damaged, Missing, "", "", 5}},
		{"its last revision is gone", func(w *world) {
			last := w.restorePoint()
			w.everywhere(func(h []ledger.Record) []ledger.Record {
				return slices.DeleteFunc(slices.Clone(h), func(r ledger.Record) bool { return r.Rev == last })
			}, slices.Clone)
		}, want{Damaged, Missing, "", "", 0}},
		{"a record is gone from one of its transactions", func(w *world) {
			at := slices.IndexFunc(w.history, func(r ledger.Record) bool { return r.Sub > 0 }) - 1
			gone := w.history[at]
			w.everywhere(func(h []ledger.Record) []ledger.Record {
				return slices.DeleteFunc(slices.Clone(h), func(r ledger.Record) bool { return r.Rev == gone.Rev && r.Sub == gone.Sub })
			}, slices.Clone)
		}, want{Damaged, Torn, "", "k06", 0}},
		{"a record is above its restore point", func(w *world) { w.ev.Source.RestorePoint-- }, want{Damaged, Phantom, "", "k01", 0}},
		{"a key is not what the history put", func(w *world) { w.keyspace[0].Version++ }, want{Damaged, Changed, "", "k01", 0}},
		{"a member lacks a key", func(w *world) { w.members[1].keyspace = w.members[1].keyspace[1:] },
			want{Damaged, Missing, "m2", "k01", 0}},
		{"a member has a key more", func(w *world) {
			w.members[1].keyspace = append(w.members[1].keyspace, ledger.Pair{Key: "zz", Mod: 3, Create: 3, Version: 1})
		}, want{Damaged, Phantom, "m2", "zz", 0}},
		{"a member has another value", func(w *world) { w.members[2].keyspace[0].Digest = "x" }, want{Damaged, Changed, "m3", "k01", 0}},
		{"a member has another lease", func(w *world) { w.members[2].keyspace[0].Lease++ }, want{Damaged, Changed, "m3", "k01", 0}},
		{"a member's history differs", func(w *world) { w.members[0].history[2].Digest = "x" }, want{Damaged, Changed, "m1", "k07", 0}},
		{"a hash differs", func(w *world) { w.members[0].HashKV++ }, want{Damaged, Diverged, "m1", "", 0}},
		{"a member is below R", func(w *world) { w.members[0].Revision = 1 }, want{Damaged, Diverged, "m1", "", 0}},
		{"a member has an old ID", func(w *world) {
			w.members[0].ID = w.ev.Identity.OldMembers[1]
			w.ev.Identity.PlannedMembers["m1"] = w.members[0].ID
		}, want{Damaged, StaleID, "m1", "", 0}},
		{"a member came from another file", func(w *world) { w.members[0].SourceSHA256 = "x" }, want{Damaged, MixedSource, "m1", "", 0}},
		{"a member was not read", func(w *world) { w.members = w.members[:2] }, want{Inconclusive, NoEvidence, "", "", 0}},
		{"no write afterwards", func(w *world) { w.ev.Canary.Acknowledged = false }, want{Damaged, Dead, "", "canary", 0}},
		{"it is another backup", func(w *world) {
			w.ev.Manifest = &Manifest{Path: "a.json", Differences: []string{"revision 5 instead of 7"}}
		}, want{Damaged, OtherBackup, "", "", 0}},
		{"the living cluster holds something else", func(w *world) {
			w.ev.Source.HashFrom = 0
			w.ev.Living = []Said{{Member: "k1", HashKV: 77, From: -1}, {Member: "k2", HashKV: 78}}
		}, want{Damaged, Diverged, "k2", "", 0}},
		{"its age cannot be told", func(w *world) { w.ev.Freshness = &Freshness{Key: "/beat", Fault: "there is no such key"} },
			want{Inconclusive, NoEvidence, "", "/beat", 0}},
		{"it is from the future", func(w *world) { w.ev.Freshness = &Freshness{Key: "/beat", Age: -time.Hour} },
			want{Inconclusive, NoEvidence, "", "/beat", 0}},
		{"it is empty", func(w *world) {
			w.ev.Source.RestorePoint, w.history, w.keyspace = 1, nil, nil
			for i := range w.members {
				m := &w.members[i]
				m.history, m.keyspace, m.ReadAt, m.Revision = nil, nil, 1, 2
			}
			w.ev.Canary.Revision = 2
		}, want{Inconclusive, NoEvidence, "", "", 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := alone(newWorld(seeded(3), ordinary))
			if before := judged(t, w); before.Outcome != Intact {
				t.Fatalf("the untouched world is %s: %+v", before.Outcome, before.Findings)
			}
			test.tamper(w)
			mustFind(t, judged(t, w), test.want)
		})
	}
}

func TestABackupThatIsFreshAndTheRightOneSaysSo(t *testing.T) {
	w := alone(newWorld(seeded(3), ordinary))
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w.ev.Freshness = &Freshness{Key: "/beat", At: at, Age: 90 * time.Second}
	w.ev.Manifest = &Manifest{Path: "a.json", Made: at}
	v := judged(t, w)
	if v.Outcome != Intact || v.Freshness == nil {
		t.Fatalf("%+v", v)
	}
	for name, text := range map[string]string{
		claimFreshness: `"/beat" of the backup was written at 2026-03-01T12:00:00Z, 1m30s before the drill`,
		claimManifest:  "the backup is the one of which manifest a.json was made at 2026-03-01T12:00:00Z",
	} {
		if c := claimNamed(t, v, name); c.State != Proved || c.Text != text {
			t.Errorf("%+v", c)
		}
	}
}

func TestARefusedBackupDisprovesOneClaimAndProvesNone(t *testing.T) {
	for kind, name := range map[Kind]string{BadSource: claimSource, OtherBackup: claimManifest} {
		v := Refuse(kind, "because")
		if v.Outcome != Damaged || v.FindingCount != 1 || v.Findings[0].Kind != kind || v.Witness != BySource {
			t.Errorf("%+v", v)
		}
		for _, c := range v.Claims {
			if want := map[bool]string{true: Disproved, false: LeftOut}[c.Name == name]; c.State != want {
				t.Errorf("%s: %+v, want %s", kind, c, want)
			}
		}
		if c := claimNamed(t, v, name); c.Text != "because" {
			t.Errorf("%+v", c)
		}
	}
}

// A bump of a backup is not held against revisions that clients saw, because nobody knows them.
func TestABackupCanBeBumped(t *testing.T) {
	v := judged(t, alone(bumped(50)))
	if c := claimNamed(t, v, claimBump); v.Outcome != Intact || c.State != Proved || !strings.Contains(c.Text, "is not known") {
		t.Errorf("%s, %+v: %+v", v.Outcome, c, v.Findings)
	}
}

func TestHashesOfALivingClusterAreComparedWhereTheyCanBe(t *testing.T) {
	agrees := Said{Member: "k1", HashKV: 77, From: 3}
	for name, c := range map[string]struct {
		living []Said
		bumped bool
		state  string
		text   string
	}{
		"all agree":              {[]Said{agrees, {Member: "k2", HashKV: 77, From: 3}}, false, Proved, "2/2 members"},
		"one says nothing":       {[]Said{agrees, {Member: "k2", Fault: "mute"}}, false, Proved, "k2 gives none: mute"},
		"all compacted since":    {[]Said{{Member: "k1", HashKV: 5, From: 4}}, false, LeftOut, "above another compaction point, 4"},
		"nobody says anything":   {[]Said{}, false, LeftOut, "0/0 members"},
		"the revision is bumped": {[]Said{agrees}, true, LeftOut, "of a bumped revision"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(seeded(3), ordinary)
			if c.bumped {
				w = bumped(50)
			}
			alone(w)
			w.ev.Source.HashFrom, w.ev.Living = 3, c.living
			v := judged(t, w)
			if got := claimNamed(t, v, claimLiving); v.Outcome != Intact || got.State != c.state || !strings.Contains(got.Text, c.text) {
				t.Errorf("%s, %+v: %+v", v.Outcome, got, v.Findings)
			}
		})
	}
}

func TestMembersOfALargeBackupAreReadInPart(t *testing.T) {
	part := func(extents ...Extent) *world {
		w := alone(newWorld(seeded(3), ordinary))
		for i, extent := range extents {
			w.members[i].Extent = extent
		}
		return w
	}
	v := judgedInPart(t, part(KeysOnly, HashOnly, HashOnly))
	c := claimNamed(t, v, claimMembers)
	if v.Outcome != Intact || v.Compared.Members != 1 || v.Compared.Hashed != 2 || c.State != Sampled ||
		!strings.Contains(c.Text, "the history by HashKV alone") || !strings.Contains(c.Text, "of 2 others HashKV alone") {
		t.Errorf("%+v, %+v", c, v)
	}
	v = judgedInPart(t, part(KeysOnly, KeysOnly, KeysOnly))
	if c := claimNamed(t, v, claimMembers); v.Outcome != Intact || v.Compared.Members != 3 || c.State != Proved {
		t.Errorf("%+v, %+v", c, v)
	}
	w := part(KeysOnly, HashOnly, HashOnly)
	w.members[2].HashKV++
	mustFind(t, judgedInPart(t, w), want{Damaged, Diverged, "m3", "", 0})
	w = part(KeysOnly, HashOnly, HashOnly)
	w.members[0].keyspace[0].Digest = "x"
	mustFind(t, judgedInPart(t, w), want{Damaged, Changed, "m1", "k01", 0})
	w = part(HashOnly, HashOnly, HashOnly)
	mustFind(t, judgedInPart(t, w), want{Inconclusive, NoEvidence, "", "", 0})
	w = part(KeysOnly, HashOnly, HashOnly)
	w.members[1].ReadAt--
	mustFind(t, judgedInPart(t, w), want{Inconclusive, NoEvidence, "m2", "", 0})
}

// judgedInPart hands the judge no more of each member than its extent says.
func judgedInPart(t *testing.T, w *world) Verdict {
	t.Helper()
	ev := w.evidence()
	for i := range ev.Reborn {
		if ev.Reborn[i].Extent != Everything {
			ev.Reborn[i].History = nil
		}
		if ev.Reborn[i].Extent == HashOnly {
			ev.Reborn[i].Keyspace = nil
		}
	}
	v, err := Judge(ev, Output{Scratch: inMemory})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
