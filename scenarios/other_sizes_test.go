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

// Nobody has to come back with as many members as were lost: who is in a hurry restores one, who has learned restores more.
var _ = Describe("another size", Label("etcd", "A14", "disaster:back-in-another-size"), func() {
	DescribeTable("a snapshot restores as many members as are wanted, each with every write up to its restore point",
		Label("via:snapshot"),
		func(ctx SpecContext, from, to int) {
			d := rehearse(ctx, drill.Spec{
				Members: from, RestoreMembers: to, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
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
			Expect(plan.Members).To(HaveLen(to))
			reborn := must(d.Restore(ctx, plan))
			Expect(clusterIDs(ctx, reborn.Cluster)).To(And(HaveLen(to), HaveEach(plan.ClusterID), Not(ContainElement(old.ID()))))

			Expect(must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))).To(BeIntact())
		},
		Entry("3 members come back as 1", Label("size:3-to-1"), SpecTimeout(2*time.Minute), 3, 1),
		Entry("1 member comes back as 3", Label("size:1-to-3"), SpecTimeout(2*time.Minute), 1, 3),
		Entry("3 members come back as 5", Label("size:3-to-5", "full"), SpecTimeout(3*time.Minute), 3, 5),
		Entry("5 members come back as 3", Label("size:5-to-3", "full"), SpecTimeout(3*time.Minute), 5, 3),
	)
})
