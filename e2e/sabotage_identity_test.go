package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// forge turns a plan into one that NewPlan refuses: the same members under a token that was used before. What follows from
// such a plan is why NewPlan refuses it: etcd restores and starts it without a word, and old members are let in.
func forge(plan recovery.Plan, token identity.Token) recovery.Plan {
	plan.Layout.Token = token
	plan.ClusterID, plan.Members = plan.Layout.ClusterID(), slices.Clone(plan.Members)
	for i, seat := range plan.Layout.Seats {
		plan.Members[i].MemberID = plan.Layout.MemberID(seat)
	}
	return plan
}

var _ = Describe("a cluster restored under the token of the lost one", Label("etcd", "sabotage"), func() {
	It("is found to be the old cluster, which old members may join", func(ctx SpecContext) {
		s := strike(ctx, small(faults.Quorum, recovery.SavedSnapshot, drill.Before), readyWithin)
		old := s.proof.Down.Layout()
		plan := must(s.Plan(s.proof.Source, s.proof.Down, identity.FreshToken()))
		s.proof.Plan = forge(plan, old.Token)
		Expect(s.proof.Plan.ClusterID).To(Equal(old.ClusterID()))

		restored := must(offline.Restore(ctx, worker(), s.proof.Plan, s.newScratch("forged")))
		verdict := s.finish(ctx, restored)

		for _, name := range old.Names() {
			Expect(verdict).To(find(verify.Damaged, charge{kind: verify.StaleID, member: name, reason: "which is the old cluster's"}))
			Expect(verdict).To(find(verify.Damaged, charge{kind: verify.StaleID, member: name, reason: "of an old member"}))
			Expect(verdict).To(find(verify.Damaged, charge{
				kind: verify.Unfenced, member: name, reason: "under the old cluster ID with status 400 instead of 412",
			}))
		}
	}, SpecTimeout(drillWithin))
})

var _ = Describe("one member restored from another source than the others", Label("etcd", "sabotage"), func() {
	const victim = "m2"

	It("does not come to agree with them, and is named with the source that it has", func(ctx SpecContext) {
		s := strike(ctx, small(faults.Quorum, recovery.SavedSnapshot, drill.Before), 15*time.Second)
		restored := s.rebuild(ctx)
		other := s.restoreFromSurvivor(ctx)
		at := slices.IndexFunc(restored.Members, func(m offline.RestoredMember) bool { return m.Name == victim })
		Expect(other.Members[at].SHA256).NotTo(Equal(restored.Members[at].SHA256))
		restored.Members[at] = other.Members[at]

		_, err := s.Boot(ctx, restored)
		Expect(err).To(MatchError(offline.ErrMixedSources), "what follows is why")
		s.proof.Reborn, err = s.BootUnvetted(ctx, restored)
		Expect(err).To(MatchError(drill.ErrNotReborn))
		Expect(err).To(MatchError(ContainSubstring("does not show etcd-drill/canary/" + s.RunID())))

		verdict := must(s.Verify(ctx, s.proof))
		Expect(verdict).To(find(verify.Damaged, charge{
			kind: verify.MixedSource, member: victim, reason: "was restored from a file with SHA-256 " + other.Members[at].SHA256,
		}))
		Expect(verdict).To(find(verify.Damaged, charge{kind: verify.Diverged, member: victim, reason: "came to rest at revision"}))
	}, SpecTimeout(drillWithin))
})

// restoreFromSurvivor restores the same cluster once more, from the database that the survivor left, which is ahead of the
// snapshot.
func (s *stage) restoreFromSurvivor(ctx context.Context) offline.Restored {
	GinkgoHelper()
	survivor := must(s.proof.Down.Cluster.Member(s.proof.Outage.Survivors[0]))
	path := newFolder("survivor.db")
	must(fetch.Copy(ctx, survivor.Disk(), path))
	plan := s.proof.Plan
	plan.Source, plan.SkipHashCheck = must(offline.Check(ctx, worker(), recovery.DBCopy, path)), true
	Expect(plan.Source.RestorePoint).To(BeNumerically(">", s.proof.Source.RestorePoint))
	return must(offline.Restore(ctx, worker(), plan, s.newScratch("other")))
}

// newScratch makes a folder below the run's own, from which disks adopt directories without copying them.
func (s *stage) newScratch(name string) string {
	GinkgoHelper()
	scratch := filepath.Join(s.Folder(), "work", name)
	Expect(os.Mkdir(scratch, 0o700)).To(Succeed())
	return scratch
}
