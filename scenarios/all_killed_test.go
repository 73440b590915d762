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

// Every member dies at once, as in a power cut. The disks stay, but nobody is left to save a snapshot from.
var _ = Describe("all killed", Label("etcd", "disaster:all-killed"), func() {
	DescribeTable("a snapshot saved before restores every write up to its restore point, and costs those after it",
		Label("via:snapshot"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{
				Members: size, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			snapshot := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			Expect(outage).To(HaveLostQuorum())
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
		Entry("5 members", Label("size:5"), SpecTimeout(5*time.Minute), 5),
		Entry("7 members", Label("size:7", "full"), SpecTimeout(8*time.Minute), 7),
	)

	DescribeTable("the database of a dead member restores every write up to its restore point, and costs what was not flushed",
		Label("A3", "issue:etcd#10119", "via:db"),
		func(ctx SpecContext, size int) {
			// etcd flushes every 100 ms. A kill that falls right behind a flush costs nothing and would show nothing, so this
			// cluster flushes only when it is asked to, and then goes on writing.
			d := rehearse(ctx, drill.Spec{
				Members: size, Fault: "kill", Lose: faults.All, Source: recovery.DBCopy, Backup: drill.After,
			}, "--backend-batch-interval=1h", "--backend-batch-limit=1000000")

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			Expect(flush(ctx, old)).To(Succeed())
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			database := must(d.CopyDB(ctx, down, outage))

			plan := must(d.Plan(database, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(clusterIDs(ctx, reborn.Cluster)).To(And(HaveEach(plan.ClusterID), Not(ContainElement(old.ID()))))

			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: database, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Tally.Unknown).To(BeNumerically(">", 0), "the disaster met no call in flight")
			Expect(verdict.Loss.Writes).To(BeNumerically(">", 0), "a killed member has not flushed everything")
		},
		Entry("1 member", Label("size:1"), SpecTimeout(2*time.Minute), 1),
		Entry("3 members", Label("size:3", "short"), SpecTimeout(3*time.Minute), 3),
		Entry("5 members", Label("size:5"), SpecTimeout(5*time.Minute), 5),
		Entry("7 members", Label("size:7", "full"), SpecTimeout(8*time.Minute), 7),
		Entry("3 members of etcd 3.6", Label("size:3", "version:3.6", "full"), SpecTimeout(3*time.Minute), 3),
		Entry("3 members of etcd 3.5", Label("size:3", "version:3.5", "full"), SpecTimeout(3*time.Minute), 3),
	)

	It("a restart on the write-ahead logs that are left loses nothing", Label("via:restart", "size:3"), func(ctx SpecContext) {
		d := rehearse(ctx, drill.Spec{Members: 3, Fault: "kill", Lose: faults.All, Route: recovery.RouteRestart})

		old := must(d.Start(ctx))
		load := must(d.StartLoad(ctx, old, drill.Mixed))
		Expect(load.AwaitFilled(ctx)).To(Succeed())

		outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
		Expect(outage).To(HaveLostQuorum())
		book := must(load.Stop(ctx))

		plan := must(d.PlanRestart(outage))
		again := must(d.Follow(ctx, plan, old))
		Expect(clusterIDs(ctx, again.Cluster)).To(HaveEach(old.ID()))

		proof := drill.Proof{Book: book, Outage: outage, Plan: plan, Reborn: again}
		verdict := must(d.VerifyHealed(ctx, proof.Healed()))
		Expect(verdict).To(BeIntact())
		Expect(verdict.Tally.Unknown).To(BeNumerically(">", 0), "the disaster met no call in flight")
		Expect(verdict.Loss.Writes).To(BeZero())
	}, SpecTimeout(2*time.Minute))
})
