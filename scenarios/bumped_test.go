package scenarios_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gs "github.com/onsi/gomega/gstruct"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// A restore sends revisions back: clients that have seen later ones would not notice. A bump makes the new cluster begin
// beyond all of them, and takes what was never written for compacted.
var _ = Describe("all killed, revision bumped", Label("etcd", "disaster:all-killed-bumped"), func() {
	DescribeTable("the new cluster begins beyond what clients have seen, refuses what lies below, and holds the same keys",
		Label("A12", "issue:etcd#16028", "issue:kubernetes#118501"),
		func(ctx SpecContext, spec drill.Spec) {
			spec.Fault, spec.Lose, spec.BumpRevision, spec.MarkCompacted = "kill", faults.All, 1_000_000_000, true
			verdict, plan, reborn := loseAndBump(ctx, spec)

			Expect(verdict).To(BeIntact())
			Expect(verdict.Loss.Writes).To(BeNumerically(">=", 100), "without a loss nobody has seen more than the source holds")
			Expect(reborn.Canary.Revision).To(Equal(plan.Revision()+1), "nothing else was written")
			Expect(plan.Revision()).To(Equal(verdict.RestorePoint + 1_000_000_000))
			Expect(verdict.Claims).To(ContainElement(And(
				HaveField("Name", "bump"), HaveField("State", "proved"), HaveField("Text", ContainSubstring("members refuse reads")),
			)))
		},
		Entry("3 members from a snapshot", Label("via:snapshot", "size:3", "short"), SpecTimeout(3*time.Minute),
			drill.Spec{Members: 3, Source: recovery.SavedSnapshot, Backup: drill.Before}),
		Entry("1 member from a snapshot", Label("via:snapshot", "size:1"), SpecTimeout(2*time.Minute),
			drill.Spec{Members: 1, Source: recovery.SavedSnapshot, Backup: drill.Before}),
		Entry("1 member of etcd 3.5, by its own etcdutl", Label("via:snapshot", "size:1", "version:3.5"), SpecTimeout(2*time.Minute),
			drill.Spec{Members: 1, Source: recovery.SavedSnapshot, Backup: drill.Before}),
		Entry("1 member of etcd 3.6, by its own etcdutl", Label("via:snapshot", "size:1", "version:3.6"), SpecTimeout(2*time.Minute),
			drill.Spec{Members: 1, Source: recovery.SavedSnapshot, Backup: drill.Before}),
	)

	It("a bump that does not get beyond what clients have seen is found", Label("A12", "via:small-bump", "size:1"),
		func(ctx SpecContext) {
			verdict, _, _ := loseAndBump(ctx, drill.Spec{
				Members: 1, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
				BumpRevision: 1, MarkCompacted: true,
			})
			Expect(verdict).To(BeDamaged(WithFinding(drill.Rewound, "")))
			Expect(verdict.Findings).To(HaveLen(1), "nothing else is wrong")
			Expect(verdict.Claims).To(ContainElement(gs.MatchFields(gs.IgnoreExtras, gs.Fields{
				"Name": Equal("members"), "State": Equal("proved"),
			})))
		}, SpecTimeout(2*time.Minute))
})

// loseAndBump loses all members, and restores them from the source with the bump that the spec asks for.
func loseAndBump(ctx SpecContext, spec drill.Spec) (drill.Verdict, recovery.Plan, *drill.Reborn) {
	GinkgoHelper()
	d := rehearse(ctx, spec)
	old := must(d.Start(ctx))
	load := must(d.StartLoad(ctx, old, drill.Mixed))
	Expect(load.AwaitFilled(ctx)).To(Succeed())
	snapshot := must(d.Backup(ctx, old))
	Expect(load.AwaitMore(ctx, 100)).To(Succeed())

	outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
	book := must(load.Stop(ctx))
	down := must(d.StopAll(ctx, outage))

	plan := must(d.Plan(snapshot, down, identity.FreshToken()))
	reborn := must(d.Restore(ctx, plan))
	return must(d.Verify(ctx, drill.Proof{
		Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
	})), plan, reborn
}
