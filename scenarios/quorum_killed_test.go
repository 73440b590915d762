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

// The fewest members that cost the quorum die at once; their disks stay, and the survivors can only be read.
var _ = Describe("quorum killed", Label("etcd", "disaster:quorum-killed"), func() {
	DescribeTable("a snapshot saved from a survivor restores every write up to its restore point",
		Label("A7", "issue:etcd#8169", "issue:etcd#11642", "issue:k3s#5693", "via:snapshot"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{
				Members: size, Fault: "kill", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: drill.After,
			})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
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
		Entry("7 members lose 4", Label("size:7"), SpecTimeout(8*time.Minute), 7),
		Entry("3 members of etcd 3.6 lose 2", Label("size:3", "version:3.6", "full"), SpecTimeout(3*time.Minute), 3),
		Entry("3 members of etcd 3.5 lose 2", Label("size:3", "version:3.5", "full"), SpecTimeout(3*time.Minute), 3),
	)

	DescribeTable("the database of a stopped survivor restores every write up to its restore point", Label("via:db"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{
				Members: size, Fault: "kill", Lose: faults.Quorum, Source: recovery.DBCopy, Backup: drill.After,
			})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			database := must(d.CopyDB(ctx, down, outage))
			Expect(outage.Survivors).To(ContainElement(database.Member), "a survivor has flushed, a victim has not")

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

	It("a survivor that is forced to go on alone keeps the cluster and costs what it did not know, and the dead must not come back",
		Label("B6", "issue:etcd#14009", "issue:k3s#11992", "via:force-new-cluster", "size:3", "short"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{Members: 3, Fault: "kill", Lose: faults.Quorum, Route: recovery.RouteForce})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			survivor := must(d.BestSurvivor(ctx, outage))
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))

			plan := must(d.PlanForce(down, survivor.Name()))
			reborn := must(d.Follow(ctx, plan, old))
			Expect(clusterIDs(ctx, reborn.Cluster)).To(HaveEach(old.ID()))
			Expect(must(reborn.Member(survivor.Name())).ID()).To(Equal(survivor.ID()))
			for _, name := range outage.Victims {
				Expect(must(reborn.Member(name)).ID()).NotTo(Equal(must(old.Member(name)).ID()), "%s was added anew", name)
			}

			proof := drill.Proof{Book: book, Outage: outage, Down: down, Plan: plan, Reborn: reborn}
			verdict := must(d.VerifyHealed(ctx, proof.Healed()))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Claims).To(ContainElement(And(HaveField("Name", "fence"), HaveField("State", "proved"))))
			Expect(verdict.Loss.Writes).To(BeNumerically("<=", 32), "a survivor lacks at most what was in flight")
		}, SpecTimeout(3*time.Minute))
})
