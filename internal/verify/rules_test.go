package verify

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// TestRules breaks one rule at a time in a world that is intact without it.
//
//nolint:funlen // one table: a row is a rule
func TestRules(t *testing.T) {
	tests := []struct {
		name   string
		tamper func(*world)
		want   want
	}{
		{"quorum loss not proved: only the leader was killed", func(w *world) {
			w.ev.Outage.QuorumLost, w.ev.Outage.Reason = false, "a leader was elected"
		}, want{Inconclusive, NoDisaster, "", "", 0}},
		{"quorum loss watched too shortly", func(w *world) { w.ev.Outage.Observed = 2 * time.Second },
			want{Inconclusive, NoDisaster, "", "", 0}},
		{"no lost write", func(w *world) {
			w.ev.Demands.LostWrites = true
			w.entries = slices.DeleteFunc(w.entries, func(e ledger.Entry) bool { return e.Revision > w.restorePoint() })
		}, want{Inconclusive, TooLittle, "", "", 0}},
		{"the token was used again", func(w *world) {
			for i := range w.members {
				w.members[i].ClusterID, w.members[i].ID = 1, w.ev.Identity.OldMembers[i]
			}
		}, want{Damaged, StaleID, "m2", "", 0}},
		{"another cluster than planned", func(w *world) { w.members[1].ClusterID = 9 }, want{Damaged, WrongID, "m2", "", 0}},
		{"another member ID than planned", func(w *world) { w.members[1].ID = 9 }, want{Damaged, WrongID, "m2", "", 0}},
		{"one ID twice", func(w *world) { w.members[1].ID = w.members[0].ID }, want{Damaged, WrongID, "m2", "", 0}},
		{"old IDs not known", func(w *world) { w.ev.Identity.OldCluster = 0 }, want{Inconclusive, NoEvidence, "", "", 0}},
		{"no fence", func(w *world) { w.ev.Fence = nil }, want{Inconclusive, NoEvidence, "", "", 0}},
		{"fence watched too shortly", func(w *world) { w.ev.Fence.Observed = time.Second }, want{Inconclusive, TooLittle, "m1", "", 0}},
		{"fence not asked of all", func(w *world) { w.ev.Fence.Answers = w.ev.Fence.Answers[:2] },
			want{Inconclusive, NoEvidence, "m3", "", 0}},
		{"fence control refused", func(w *world) { w.ev.Fence.Answers[2].ToNewID = 412 }, want{Inconclusive, NoEvidence, "m3", "", 0}},
		{"fence control unanswered", func(w *world) { w.ev.Fence.Answers[2].ToNewID = 0 }, want{Inconclusive, NoEvidence, "m3", "", 0}},
		{"fence unanswered", func(w *world) { w.ev.Fence.Answers[2].ToOldID = 0 }, want{Inconclusive, NoEvidence, "m3", "", 0}},
		{"old ID accepted", func(w *world) { w.ev.Fence.Answers[2].ToOldID = 200 }, want{Damaged, Unfenced, "m3", "", 0}},
		{"new member changed", func(w *world) { w.ev.Fence.Answers[0].Unchanged = false }, want{Damaged, Unfenced, "m1", "", 0}},
		{"old member led", func(w *world) { w.ev.Fence.OldLed = true }, want{Damaged, Unfenced, "m1", "", 0}},
		{"old member served", func(w *world) { w.ev.Fence.OldServed = true }, want{Damaged, Unfenced, "m1", "", 0}},
		{"old member silent", func(w *world) { w.ev.Fence.OldAnsweredAs = 0 }, want{Inconclusive, NoEvidence, "m1", "", 0}},
		{"old member passes for the new", func(w *world) { w.ev.Fence.OldAnsweredAs = 2 }, want{Damaged, Unfenced, "m1", "", 0}},
		{"old loner silent", func(w *world) { w.ev.Fence.SizeOne, w.ev.Fence.OldAnsweredAs = true, 0 },
			want{Inconclusive, NoEvidence, "m1", "", 0}},
		{"old loner passes for the new", func(w *world) { w.ev.Fence.SizeOne, w.ev.Fence.OldAnsweredAs = true, 2 },
			want{Damaged, Unfenced, "m1", "", 0}},
		{"no canary", func(w *world) { w.ev.Canary.Acknowledged = false }, want{Damaged, Dead, "", "canary", 0}},
		{"canary not above R", func(w *world) { w.ev.Canary.Revision = w.restorePoint() }, want{Damaged, Dead, "", "canary", 0}},
		{"canary not everywhere", func(w *world) { w.ev.Canary.SeenBy = []string{"m1", "m3"} }, want{Damaged, Dead, "m2", "canary", 0}},
		{"a member is not there", func(w *world) { w.members = w.members[:2] }, want{Inconclusive, NoEvidence, "", "", 0}},
		{"a member neither is there nor has the canary", func(w *world) {
			w.members, w.ev.Canary.SeenBy = w.members[:2], []string{"m1", "m2"}
		}, want{Damaged, Dead, "", "canary", 0}},
		{"no member is there", func(w *world) { w.members = nil; w.ev.Members = 0 }, want{Inconclusive, NoEvidence, "", "", 0}},
		{"read at another revision", func(w *world) { w.members[2].ReadAt-- }, want{Inconclusive, NoEvidence, "m3", "", 0}},
		{"revisions differ", func(w *world) { w.members[2].Revision++ }, want{Damaged, Diverged, "m3", "", 0}},
		{"below R", func(w *world) {
			for i := range w.members {
				w.members[i].Revision = 1
			}
		}, want{Damaged, Diverged, "m1", "", 0}},
		{"file not known", func(w *world) { w.members[2].SourceSHA256 = "" }, want{Inconclusive, NoEvidence, "m3", "", 0}},
		{"loss where nothing may be lost", func(w *world) { w.ev.Demands.NoLoss = true }, want{Damaged, Lost, "", "k00", 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(seeded(3), ordinary)
			if before := judged(t, w); before.Outcome != Intact {
				t.Fatalf("the untouched world is %s: %+v", before.Outcome, before.Findings)
			}
			test.tamper(w)
			v := judged(t, w)
			if test.want.kind == Lost { // the seed decides which key
				test.want.key = keyOf(v, Lost)
			}
			mustFind(t, v, test.want)
		})
	}
}

// keyOf returns the key of the first finding of that kind.
func keyOf(v Verdict, kind Kind) ledger.Key {
	for _, f := range v.Findings {
		if f.Kind == kind {
			return f.Key
		}
	}
	return "none"
}

func TestFenceIsLeftOutWhereTheClusterStaysOld(t *testing.T) {
	w := newWorld(seeded(3), ordinary)
	w.keepOldCluster()
	v := judged(t, w)
	if c := claimNamed(t, v, claimFence); v.Outcome != Intact || c.State != LeftOut {
		t.Fatalf("%s, fence %+v: %+v", v.Outcome, c, v.Findings)
	}
	w.members[0].ID = 99
	mustFind(t, judged(t, w), want{Damaged, WrongID, "m1", "", 0})
	w.members[1].ClusterID = 99
	mustFind(t, judged(t, w), want{Damaged, WrongID, "m2", "", 0})
}

// keepOldCluster turns the world into a plain restart: no source, the old IDs, no fence.
func (w *world) keepOldCluster() {
	w.ev.Source, w.ev.Fence = nil, nil
	w.ev.Identity.Fresh = false
	w.ev.Identity.PlannedMembers = nil
	w.entries = slices.DeleteFunc(w.entries, func(e ledger.Entry) bool { return e.Revision > w.members[0].ReadAt })
	w.ev.Demands.NoLoss = true
	for i := range w.members {
		w.members[i].ID, w.members[i].ClusterID = w.ev.Identity.OldMembers[i], 1
	}
}

func TestThatNothingIsLostOfAKilledMemberIsLuck(t *testing.T) {
	w := newWorld(seeded(3), ordinary)
	w.ev.Demands.Unflushed = true
	if v := judged(t, w); v.Outcome != Intact || v.Loss.Writes == 0 || len(v.Hazards) > 0 {
		t.Errorf("%s, %d lost, hazards %+v", v.Outcome, v.Loss.Writes, v.Hazards)
	}
	w.entries = slices.DeleteFunc(w.entries, func(e ledger.Entry) bool { return e.Revision > w.restorePoint() })
	if v := judged(t, w); v.Outcome != Intact || len(v.Hazards) != 1 || !strings.Contains(v.Hazards[0].Text, "is luck") {
		t.Errorf("%s, hazards %+v", v.Outcome, v.Hazards)
	}
	w.ev.Demands.Unflushed = false
	if v := judged(t, w); v.Outcome != Intact || len(v.Hazards) > 0 {
		t.Errorf("%s, hazards %+v", v.Outcome, v.Hazards)
	}
}

func TestPlainRestartHoldsTheMembersAgainstTheFirst(t *testing.T) {
	w := newWorld(seeded(3), ordinary)
	w.keepOldCluster()
	last := len(w.members[1].keyspace) - 1
	w.members[1].keyspace[last].Digest = "tampered"
	mustFind(t, judged(t, w), want{Damaged, Changed, "m2", w.members[1].keyspace[last].Key, 0})
}

func TestClaims(t *testing.T) {
	w := newWorld(seeded(3), ordinary)
	v := judged(t, w)
	if c := claimNamed(t, v, claimMembers); c.State != Proved || !strings.HasPrefix(c.Text, "3/3 members: ") ||
		!strings.HasSuffix(c.Text, " revisions explained, 0 phantom, 0 torn, HashKV equal") {
		t.Errorf("members: %+v", c)
	}
	if c := claimNamed(t, v, claimFence); c.Text != "old m1 refused by 3/3 for 2.0s" {
		t.Errorf("fence: %+v", c)
	}
	w.ev.Fence.SizeOne, w.ev.Fence.OldAnsweredAs = true, 1
	if c := claimNamed(t, judged(t, w), claimFence); c.State != Proved || !strings.Contains(c.Text, "not fenced from clients") {
		t.Errorf("fence of one: %+v", c)
	}
	w.members[0].HashKV++
	if c := claimNamed(t, judged(t, w), claimMembers); c.State != Disproved || !strings.HasPrefix(c.Text, "2/3 members") {
		t.Errorf("members with a wrong hash: %+v", c)
	}
}

func claimNamed(t *testing.T, v Verdict, name string) Claim {
	t.Helper()
	i := slices.IndexFunc(v.Claims, func(c Claim) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no claim %q", name)
	}
	return v.Claims[i]
}

func TestDamageOutweighsTooLittleButNotAnUnusableLedger(t *testing.T) {
	w := newWorld(seeded(3), ordinary)
	w.members[0].HashKV++
	w.ev.Outage.QuorumLost = false
	if v := judged(t, w); v.Outcome != Damaged {
		t.Errorf("damage without a disaster is %s", v.Outcome)
	}
	w.unended = true
	v := judged(t, w)
	if v.Outcome != Inconclusive || !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Kind == Diverged }) {
		t.Errorf("damage with an unended ledger is %s: %+v", v.Outcome, v.Findings)
	}
}

// TestLoss counts writes, revisions, seconds and resurrected keys on a ledger written by hand.
func TestLoss(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1_700_000_000_000 + ms)).UTC() }
	entry := func(seq int64, op ledger.Op, rev int64, c ledger.Change) ledger.Entry {
		return ledger.Entry{
			Worker: 1, Seq: seq, Op: op, Changes: []ledger.Change{c}, Call: at(int(seq)*10 - 5), Return: at(int(seq) * 10),
			Outcome: ledger.Acknowledged, Revision: rev, Owns: !c.Void,
		}
	}
	w := newWorld(seeded(3), ordinary)
	w.entries = []ledger.Entry{
		entry(1, ledger.OpPut, 2, ledger.Change{Key: "a", Digest: "a1"}),
		entry(2, ledger.OpPut, 3, ledger.Change{Key: "b", Digest: "b1"}),
		entry(3, ledger.OpDelete, 4, ledger.Change{Key: "a", Delete: true}), // lost: a is resurrected
		entry(4, ledger.OpDelete, 5, ledger.Change{Key: "b", Delete: true}), // lost, but put again
		entry(5, ledger.OpPut, 6, ledger.Change{Key: "b", Digest: "b2"}),
		entry(6, ledger.OpDelete, 7, ledger.Change{Key: "z", Delete: true, Void: true}), // owns nothing
	}
	w.history = []ledger.Record{
		{Rev: 2, Key: "a", Digest: "a1", Create: 2, Mod: 2, Version: 1}, {Rev: 3, Key: "b", Digest: "b1", Create: 3, Mod: 3, Version: 1},
	}
	w.refold()
	w.ev.Source.RestorePoint, w.ev.Outage.SignalAt = 3, at(75)
	for i := range w.members {
		w.members[i].ReadAt = 3
	}
	var lost []int64
	v, err := Judge(w.evidence(), Output{Scratch: inMemory, Lost: func(e ledger.Entry) error {
		lost = append(lost, e.Revision)
		return nil
	}})
	if err != nil || v.Outcome != Intact {
		t.Fatalf("%v: %+v", err, v)
	}
	if v.Loss.Writes != 3 || v.Loss.Revisions != 4 || v.Loss.Window != 45*time.Millisecond || !slices.Equal(lost, []int64{4, 5, 6}) {
		t.Errorf("loss is %+v, lost are %v", v.Loss, lost)
	}
	if v.Loss.Resurrected != 1 || !slices.Equal(v.Loss.ResurrectedKeys, []ledger.Key{"a"}) {
		t.Errorf("resurrected: %+v", v.Loss)
	}
	w.ev.Demands.UnknownEntries = true
	mustFind(t, judged(t, w), want{Inconclusive, TooLittle, "", "", 0})
}

func TestFindingsAreCapped(t *testing.T) {
	w := newWorld(seeded(3), worldSpec{steps: 3000, keys: 50, workers: 3})
	w.entries = w.entries[:1]
	if v := judged(t, w); len(v.Findings) != MaxFindings || v.FindingCount <= MaxFindings {
		t.Errorf("%d findings of %d", len(v.Findings), v.FindingCount)
	}
}

func TestTroubleWithStreamsIsAnError(t *testing.T) {
	broken := errors.New("disk on fire")
	w := newWorld(seeded(3), ordinary)
	ev := w.evidence()
	ev.Reborn[1].History = func(yield func(ledger.Record, error) bool) { yield(ledger.Record{}, broken) }
	if _, err := Judge(ev, Output{Scratch: inMemory}); !errors.Is(err, broken) {
		t.Errorf("unreadable history: %v", err)
	}
	slices.Reverse(w.members[2].keyspace)
	if _, err := Judge(w.evidence(), Output{Scratch: inMemory}); err == nil || !strings.Contains(err.Error(), "not in order") {
		t.Errorf("unsorted keyspace: %v", err)
	}
}

// TestLeases plays one lease that expires, and the same deletes where they cannot be its expiry.
func TestLeases(t *testing.T) {
	start := time.Unix(1_700_000_000, 0).UTC()
	build := func(after time.Duration, others ...ledger.Record) *world {
		w := newWorld(seeded(3), ordinary)
		put := func(seq, rev, lease int64, key ledger.Key, when time.Time) ledger.Entry {
			return ledger.Entry{
				Worker: 1, Seq: seq, Op: ledger.OpPut, Changes: []ledger.Change{{Key: key, Digest: string(key), Lease: lease}},
				Call: when, Return: when, Outcome: ledger.Acknowledged, Revision: rev, Owns: true,
			}
		}
		w.entries = []ledger.Entry{
			{Worker: 1, Seq: 1, Op: ledger.OpGrant, Lease: 5, TTLSeconds: 10, Call: start, Return: start, Outcome: ledger.Acknowledged, Revision: 1},
			put(2, 2, 5, "a", start), put(3, 3, 5, "b", start), put(4, 5, 0, "c", start.Add(after)),
		}
		w.history = []ledger.Record{
			{Rev: 2, Key: "a", Digest: "a", Create: 2, Mod: 2, Version: 1, Lease: 5},
			{Rev: 3, Key: "b", Digest: "b", Create: 3, Mod: 3, Version: 1, Lease: 5},
		}
		w.history = append(w.history, others...)
		w.history = append(w.history, ledger.Record{Rev: 5, Key: "c", Digest: "c", Create: 5, Mod: 5, Version: 1})
		w.refold()
		w.ev.Source.RestorePoint = 5
		for i := range w.members {
			w.members[i].ReadAt = 5
		}
		return w
	}
	both := []ledger.Record{{Rev: 4, Key: "a", Delete: true}, {Rev: 4, Sub: 1, Key: "b", Delete: true}}
	if v := judged(t, build(11*time.Second, both...)); v.Outcome != Intact || v.Compared.Revisions != 4 {
		t.Errorf("expired: %s %+v", v.Outcome, v.Findings)
	}
	mustFind(t, judged(t, build(9*time.Second, both...)), want{Damaged, Phantom, "", "a", 4})  // too early
	mustFind(t, judged(t, build(11*time.Second, both[0])), want{Damaged, Phantom, "", "a", 4}) // b was attached too
	ungranted := build(11*time.Second, both...)
	ungranted.entries[0].Outcome = ledger.Refused
	mustFind(t, judged(t, ungranted), want{Damaged, Phantom, "", "b", 4})
}
