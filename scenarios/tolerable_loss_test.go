package scenarios_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
)

// As many members die as the quorum can spare. This is what etcd promises to survive: nobody restores anything.
var _ = Describe("tolerable loss", Label("etcd", "disaster:tolerable-loss"), func() {
	DescribeTable("the quorum stays, writes go on, and nothing that was acknowledged is lost", Label("via:no-restore"),
		func(ctx SpecContext, size int) {
			d := rehearse(ctx, drill.Spec{Members: size, Fault: "kill", Lose: faults.Tolerable})

			cluster := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, cluster, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, cluster, faults.Kill(faults.Tolerable)))
			Expect(outage).To(HaveKeptQuorum())
			Expect(load.AwaitMore(ctx, 200)).To(Succeed(), "the survivors must go on writing")

			Expect(d.Heal(ctx, outage)).To(Succeed())
			Expect(load.AwaitMore(ctx, 100)).To(Succeed(), "the cluster must go on writing with all its members")
			book := must(load.Stop(ctx))
			Expect(clusterIDs(ctx, cluster)).To(HaveEach(cluster.ID()))

			verdict := must(d.VerifyHealed(ctx, drill.Healed{Book: book, Outage: outage, Cluster: cluster}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Tally.Unknown).To(BeNumerically(">", 0), "the disaster met no call in flight")
			Expect(verdict.Loss.Writes).To(BeZero())
		},
		Entry("3 members lose 1", Label("size:3", "short"), SpecTimeout(3*time.Minute), 3),
		Entry("5 members lose 2", Label("size:5"), SpecTimeout(4*time.Minute), 5),
		Entry("7 members lose 3", Label("size:7", "full"), SpecTimeout(6*time.Minute), 7),
	)
})
