package scenarios_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// As many members as the quorum can spare lose their disks for good. They cannot come back as who they were: they are removed,
// and others take their place.
var _ = Describe("tolerable loss of disks", Label("etcd", "disaster:tolerable-wiped"), func() {
	DescribeTable("the lost members are replaced while writes go on, and nothing that was acknowledged is lost", Label("via:replace"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{Members: size, Fault: "wipe", Lose: faults.Tolerable, Route: recovery.RouteReplace})

			cluster := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, cluster, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, cluster, faults.Wipe(faults.Tolerable)))
			Expect(outage).To(HaveKeptQuorum())
			plan := must(d.PlanReplace(outage))
			whole := must(d.Follow(ctx, plan, cluster))
			Expect(whole.Size()).To(Equal(size))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed(), "the cluster must go on writing with its new members")
			book := must(load.Stop(ctx))
			Expect(clusterIDs(ctx, whole.Cluster)).To(HaveEach(cluster.ID()))

			proof := drill.Proof{Book: book, Outage: outage, Plan: plan, Reborn: whole}
			verdict := must(d.VerifyHealed(ctx, proof.Healed()))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Loss.Writes).To(BeZero())
		},
		Entry("3 members lose 1", Label("size:3", "short"), SpecTimeout(3*time.Minute), 3),
		Entry("5 members lose 2", Label("size:5", "full"), SpecTimeout(4*time.Minute), 5),
	)
})
