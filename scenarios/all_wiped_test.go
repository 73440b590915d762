package scenarios_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Every member and every disk is gone: nothing is left but a snapshot that somebody saved in time.
var _ = Describe("all wiped", Label("etcd", "disaster:all-wiped"), func() {
	DescribeTable("a snapshot saved before restores every write up to its restore point, and costs those after it",
		Label("A2", "issue:kubernetes#131115", "via:snapshot"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{
				Members: size, Fault: "wipe", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			snapshot := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Wipe(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			Expect(outage.Heal(ctx)).To(MatchError(faults.ErrIrreversible), "the victims have kept their disks")
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))

			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(clusterIDs(ctx, reborn.Cluster)).To(And(HaveEach(plan.ClusterID), Not(ContainElement(old.ID()))))

			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Tally.Unknown).To(BeNumerically(">", 0), "the disaster met no call in flight")
			Expect(verdict.Loss.Writes).To(BeNumerically(">=", 100), "an early snapshot costs what was written after it")
		},
		Entry("1 member", Label("size:1"), SpecTimeout(2*time.Minute), 1),
		Entry("3 members", Label("size:3", "short"), SpecTimeout(3*time.Minute), 3),
	)

	It("one member is restored, the others are added to it, and all of them hold every write up to the restore point",
		Label("issue:etcd#6361", "via:seed", "size:3", "short"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "wipe", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before, Route: recovery.RouteSeed,
			})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			snapshot := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Wipe(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))

			plan := must(d.PlanSeed(snapshot, down, identity.FreshToken()))
			reborn := must(d.Follow(ctx, plan, old))
			Expect(reborn.Size()).To(Equal(3))
			Expect(clusterIDs(ctx, reborn.Cluster)).To(And(HaveEach(plan.ClusterID), Not(ContainElement(old.ID()))))

			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Loss.Writes).To(BeNumerically(">=", 100), "an early snapshot costs what was written after it")
		}, SpecTimeout(3*time.Minute))
})
