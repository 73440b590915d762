package verify

import (
	"strings"
	"testing"
)

// bumped makes an ordinary world one whose recovery bumped the revision to this far beyond the last acknowledged one.
func bumped(beyond int64) *world {
	w := newWorld(seeded(7), ordinary)
	highest := w.restorePoint()
	for _, e := range w.entries {
		highest = max(highest, e.Revision)
	}
	to := highest + beyond
	w.ev.Source.BumpedTo, w.ev.Source.HashKV = to, 78
	for i := range w.members {
		m := &w.members[i]
		m.ReadAt, m.Revision, m.HashKV, m.history = to, to+1, 78, nil
		m.Gap = &Gap{Asked: []int64{w.restorePoint(), to - 1}, WatchFrom: w.restorePoint() + 1, WatchCompacted: to}
	}
	w.ev.Canary.Revision = to + 1
	return w
}

func TestABumpIsHeldAgainstItsPromise(t *testing.T) {
	for _, test := range []struct {
		name   string
		beyond int64
		tamper func(w *world)
		want   want
	}{
		{"too small", 0, nil, want{outcome: Damaged, kind: Rewound}},
		{"too small by one", 1, nil, want{outcome: Damaged, kind: Rewound}},
		{"a read is answered", 50, func(w *world) { w.members[1].Gap.Answered = w.members[1].Gap.Asked[:1] },
			want{outcome: Damaged, kind: Uncompacted, member: "m2"}},
		{"a watch is let in", 50, func(w *world) { w.members[2].Gap.WatchCompacted = 0 },
			want{outcome: Damaged, kind: Uncompacted, member: "m3"}},
		{"a watch is refused at another point", 50, func(w *world) { w.members[2].Gap.WatchCompacted-- },
			want{outcome: Damaged, kind: Uncompacted, member: "m3"}},
		{"a member was not asked", 50, func(w *world) { w.members[0].Gap = nil },
			want{outcome: Inconclusive, kind: NoEvidence, member: "m1"}},
		{"a member was asked for nothing", 50, func(w *world) { w.members[0].Gap.Asked = nil },
			want{outcome: Inconclusive, kind: NoEvidence, member: "m1"}},
		{"a member begins below", 50, func(w *world) { w.members[1].Revision = w.restorePoint() + 1 },
			want{outcome: Damaged, kind: Diverged, member: "m2"}},
		{"a hash differs", 50, func(w *world) { w.members[1].HashKV++ }, want{outcome: Damaged, kind: Diverged, member: "m2"}},
		{"a member was read elsewhere", 50, func(w *world) { w.members[1].ReadAt = w.restorePoint() },
			want{outcome: Inconclusive, kind: NoEvidence, member: "m2"}},
		{"a value differs", 50, func(w *world) { w.members[1].keyspace[0].Digest = "x" },
			want{outcome: Damaged, kind: Changed, member: "m2", key: "k00"}},
		{"a key is missing", 50, func(w *world) { w.members[1].keyspace = w.members[1].keyspace[1:] },
			want{outcome: Damaged, kind: Missing, member: "m2", key: "k00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := bumped(test.beyond)
			if test.tamper != nil {
				test.tamper(w)
			}
			mustFind(t, judged(t, w), test.want)
		})
	}
}

func TestABumpedWorldIsIntactAndSaysWhatWasNotRead(t *testing.T) {
	v := judged(t, bumped(2))
	if v.Outcome != Intact || v.Compared.Members != 3 || v.Compared.Revisions == 0 {
		t.Fatalf("%s: %+v, compared %+v", v.Outcome, v.Findings, v.Compared)
	}
	texts := map[string]string{}
	for _, claim := range v.Claims {
		texts[claim.Name] = claim.State + ": " + claim.Text
	}
	if !strings.Contains(texts["members"], "no member can show its history") ||
		!strings.HasPrefix(texts["bump"], "proved: begins at revision") || !strings.Contains(texts["bump"], "; 3/3 members refuse") {
		t.Errorf("claims are %q", texts)
	}
	for _, claim := range judged(t, newWorld(seeded(7), ordinary)).Claims {
		if claim.Name == claimBump {
			t.Errorf("a claim without a bump: %+v", claim)
		}
	}
}
