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

// The fewest members that cost the quorum die at once and take their disks with them: machines lost for good.
var _ = Describe("quorum wiped", Label("etcd", "disaster:quorum-wiped"), func() {
	DescribeTable("a snapshot saved from a survivor restores every write up to its restore point", Label("A1", "via:snapshot"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{
				Members: size, Fault: "wipe", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: drill.After,
			})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Wipe(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			Expect(outage.Destroyed()).To(BeTrue(), "the victims have kept their disks")
			snapshot := must(d.Rescue(ctx, outage))
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
		},
		Entry("3 members lose 2", Label("size:3", "short"), SpecTimeout(3*time.Minute), 3),
		Entry("5 members lose 3", Label("size:5"), SpecTimeout(5*time.Minute), 5),
		Entry("7 members lose 4", Label("size:7", "full"), SpecTimeout(8*time.Minute), 7),
	)

	DescribeTable("the database of a stopped survivor restores every write up to its restore point", Label("via:db"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{
				Members: size, Fault: "wipe", Lose: faults.Quorum, Source: recovery.DBCopy, Backup: drill.After,
			})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Wipe(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			Expect(outage.Destroyed()).To(BeTrue(), "the victims have kept their disks")
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			database := must(d.CopyDB(ctx, down, outage))
			Expect(outage.Survivors).To(ContainElement(database.Member), "the victims have no database any more")

			plan := must(d.Plan(database, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(clusterIDs(ctx, reborn.Cluster)).To(And(HaveEach(plan.ClusterID), Not(ContainElement(old.ID()))))

			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: database, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Tally.Unknown).To(BeNumerically(">", 0), "the disaster met no call in flight")
		},
		Entry("3 members lose 2", Label("size:3", "short"), SpecTimeout(3*time.Minute), 3),
		Entry("5 members lose 3", Label("size:5"), SpecTimeout(5*time.Minute), 5),
		Entry("7 members lose 4", Label("size:7", "full"), SpecTimeout(8*time.Minute), 7),
	)
})
