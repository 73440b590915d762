package verify

import (
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// replaced is a world in which m1 was removed from the living cluster and another m1 was added; the removed one came back.
func replaced() *world {
	w := newWorld(seeded(3), ordinary)
	w.keepOldCluster()
	w.members[0].ID, w.members[0].Joined = 0xadd, true
	w.ev.Identity.PlannedMembers = map[string]identity.MemberID{"m1": 0xadd}
	w.ev.Fence = &Fence{OldMember: "m1", Removed: true, OldEnded: true, OldSaid: "removed", Observed: time.Second}
	for _, m := range w.members {
		w.ev.Fence.Answers = append(w.ev.Fence.Answers, FenceAnswer{Member: m.Name, Unchanged: true})
	}
	return w
}

func TestARemovedMemberThatIsToldIsFenced(t *testing.T) {
	v := judged(t, replaced())
	if c := claimNamed(t, v, claimFence); v.Outcome != Intact || c.State != Proved {
		t.Fatalf("%s, fence %+v: %+v", v.Outcome, c, v.Findings)
	}
}

func TestARemovedMemberThatComesBack(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world)
		want  want
	}{
		"runs on": {func(w *world) { w.ev.Fence.OldEnded = false }, want{Damaged, Unfenced, "m1", "", 0}},
		"ends without a word": {
			func(w *world) { w.ev.Fence.OldSaid = "" }, want{Inconclusive, NoEvidence, "m1", "", 0},
		},
		"changes a member": {
			func(w *world) { w.ev.Fence.Answers[1].Unchanged = false }, want{Damaged, Unfenced, "m2", "", 0},
		},
		"meets members at which nobody looked": {
			func(w *world) { w.ev.Fence.Answers = w.ev.Fence.Answers[:2] }, want{Inconclusive, NoEvidence, "m3", "", 0},
		},
		"is a member again": {
			func(w *world) {
				w.members[0].ID = w.ev.Identity.OldMembers[0]
				w.ev.Identity.PlannedMembers["m1"] = w.members[0].ID
			}, want{Damaged, StaleID, "m1", "", 0},
		},
		"is replaced by another than the one that was added": {
			func(w *world) { w.members[0].ID = 0xbad }, want{Damaged, WrongID, "m1", "", 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := replaced()
			c.spoil(w)
			mustFind(t, judged(t, w), c.want)
		})
	}
}

// A member that joined got its data from the others, and there is no file to hold it against.
func TestOnlyAJoinedMemberNeedsNoSource(t *testing.T) {
	w := newWorld(seeded(3), ordinary)
	w.members[1].SourceSHA256, w.members[1].Joined = "", true
	if v := judged(t, w); v.Outcome != Intact {
		t.Errorf("%s: %+v", v.Outcome, v.Findings)
	}
	w.members[1].Joined = false
	mustFind(t, judged(t, w), want{Inconclusive, NoEvidence, "m2", "", 0})
}
